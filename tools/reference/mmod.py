"""What dlib's MMOD detector finds (PyPI dlib-bin 20.0.1, face-recognition-models 0.3.0, pillow): golden file of
tests/agreement/mmod.rs.

Usage: mmod.py DATASETS GOLDEN_FOLDER
For each set of photos: how often they are doubled, and for each photo (path inside DATASETS) the faces that dlib finds
in its RGB pixels, best first: left, top, right, bottom, score. Sets are chosen by a fixed rule: every 220th LFW image of
the sorted list, 60 in all; the first 8 of these once more, doubled, and 3 doubled twice; dlib's example
photos; and the astronaut's chip that resnet.py has written, as it is and doubled.
"""

import json
import sys
from pathlib import Path

import dlib
import face_recognition_models as models
import numpy as np
from PIL import Image

detector = dlib.cnn_face_detection_model_v1(models.cnn_face_detector_model_location())


def faces(path, upsample):
    image = np.array(Image.open(path).convert("RGB"))
    found = sorted(detector(image, upsample), key=lambda f: -f.confidence)
    return [[*(getattr(f.rect, side)() for side in ("left", "top", "right", "bottom")), round(f.confidence, 6)] for f in found]


def main(datasets, out):
    root, out = Path(datasets), Path(out)
    lfw = sorted(root.glob("lfw/images/*/*.jpg"))[::220][:60]
    group = sorted(root.glob("dlib_faces/faces/*.jpg"))
    chip = [out / "astronaut-chip.png"]
    sets = [("lfw", 0, lfw), ("lfw", 1, lfw[:8]), ("lfw", 2, lfw[:3]), ("dlib_faces", 0, group)]
    lines = []
    for name, upsample, paths in sets + [("astronaut", 0, chip), ("astronaut", 1, chip)]:
        photos = {p.relative_to(out if paths is chip else root).as_posix(): faces(p, upsample) for p in paths}
        body = ",\n".join(f"{json.dumps(p)}:{json.dumps(f, separators=(',', ':'))}" for p, f in photos.items())
        lines.append(f'{{"name":"{name}","upsample":{upsample},"photos":{{\n{body}\n}}}}')
    (out / "mmod.json").write_text("[\n" + ",\n".join(lines) + "\n]\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
