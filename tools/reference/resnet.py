"""dlib's face descriptors (PyPI dlib-bin 20.0.1, face-recognition-models 0.3.0, scikit-image, pillow): golden files of
tests/agreement/resnet.rs.

Usage: resnet.py DATASETS GOLDEN_FOLDER
astronaut-chip.png  the face of scikit-image's astronaut (NASA, public domain), as dlib cuts it: 150 pixels, padding 0.25
resnet.json         dlib's descriptor of that chip; and of one image of each of 10 people in LFW, every 570th folder,
                    with the five landmarks that the chip was cut by
"""

import json
import sys
from pathlib import Path

import dlib
import face_recognition_models as models
import numpy as np
from PIL import Image
from skimage import data

detector = dlib.get_frontal_face_detector()
landmarks = dlib.shape_predictor(models.pose_predictor_five_point_model_location())
network = dlib.face_recognition_model_v1(models.face_recognition_model_location())


def face(image):
    """Chip, five landmarks and descriptor of the face that the detector is surest of, or None."""
    found = detector(image, 1)
    if not found:
        return None
    shape = landmarks(image, found[0])
    chip = dlib.get_face_chip(image, shape, 150, 0.25)
    descriptor = [round(v, 7) for v in network.compute_face_descriptor(chip)]
    return chip, [[p.x, p.y] for p in shape.parts()], descriptor


def main(datasets, out):
    root, out = Path(datasets), Path(out)
    chip, _, astronaut = face(data.astronaut())
    Image.fromarray(chip).save(out / "astronaut-chip.png", optimize=True)
    lfw = []
    for person in sorted((root / "lfw/images").iterdir())[::570][:10]:
        path = sorted(person.glob("*.jpg"))[0]
        found = face(np.array(Image.open(path).convert("RGB")))
        if found:
            lfw.append({"photo": path.relative_to(root).as_posix(), "points": found[1], "descriptor": found[2]})
    body = ",\n".join(json.dumps(one, separators=(",", ":")) for one in lfw)
    text = f'{{"astronaut":{json.dumps(astronaut, separators=(",", ":"))},\n"lfw":[\n{body}\n]}}\n'
    (out / "resnet.json").write_text(text)


if __name__ == "__main__":
    main(*sys.argv[1:])
