"""dlib's landmarks of 300 LFW faces, for tests/agreement/landmarks.rs.

Every 44th image; dlib's HOG box nearest the centre of the photo; both predictors of PyPI face-recognition-models 0.3.0.
dlib rounds landmarks to whole pixels. One face a line: image, box (left, top, right, bottom), 5 points, 68 points.

Usage: landmarks.py FOLDER_OF_DAT_FILES LFW_IMAGES OUT.json      (dlib-bin 20.0.1, numpy, pillow)
"""

import json
import sys
from pathlib import Path

import dlib
import numpy as np
from PIL import Image

FACES, STEP = 300, 44


def main(models, images, out):
    detector = dlib.get_frontal_face_detector()
    predictors = [dlib.shape_predictor(f"{models}/shape_predictor_{n}_face_landmarks.dat") for n in (5, 68)]
    lines = []
    for path in sorted(Path(images).rglob("*.jpg"))[::STEP]:
        photo = np.asarray(Image.open(path).convert("RGB"))
        boxes = detector(photo, 0)
        if not boxes or len(lines) == FACES:
            continue
        height, width = photo.shape[:2]
        box = min(boxes, key=lambda b: (b.center().x - width / 2) ** 2 + (b.center().y - height / 2) ** 2)
        points = [[v for p in predictor(photo, box).parts() for v in (p.x, p.y)] for predictor in predictors]
        edges = [box.left(), box.top(), box.right(), box.bottom()]
        lines.append(json.dumps([str(path.relative_to(images)), edges, *points], separators=(",", ":")))
    assert len(lines) == FACES
    Path(out).write_text("[\n" + ",\n".join(lines) + "\n]\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
