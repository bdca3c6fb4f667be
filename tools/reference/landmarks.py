"""dlib's landmarks of 300 LFW faces and 98 ORL faces, for tests/agreement/landmarks.rs.

Every 44th image of LFW, every fourth of ORL; dlib's HOG box nearest the centre of the photo; both predictors of PyPI
face-recognition-models 0.3.0. dlib rounds landmarks to whole pixels. One face a line: image, box (left, top, right,
bottom), 5 points, 68 points.

Usage: landmarks.py FOLDER_OF_DAT_FILES DATASETS OUT_FOLDER      (dlib-bin 20.0.1, numpy, pillow)
"""

import json
import sys
from pathlib import Path

import dlib
import numpy as np
from PIL import Image


def faces(predictors, images, pattern, step):
    detector = dlib.get_frontal_face_detector()
    for path in sorted(images.rglob(pattern))[::step]:
        photo = np.asarray(Image.open(path).convert("RGB"))
        boxes = detector(photo, 0)
        if not boxes:
            continue
        height, width = photo.shape[:2]
        box = min(boxes, key=lambda b: (b.center().x - width / 2) ** 2 + (b.center().y - height / 2) ** 2)
        points = [[v for p in predictor(photo, box).parts() for v in (p.x, p.y)] for predictor in predictors]
        edges = [box.left(), box.top(), box.right(), box.bottom()]
        yield json.dumps([str(path.relative_to(images)), edges, *points], separators=(",", ":"))


def main(models, datasets, out):
    predictors = [dlib.shape_predictor(f"{models}/shape_predictor_{n}_face_landmarks.dat") for n in (5, 68)]
    for name, folder, pattern, step, count in (
        ("landmarks-lfw", "lfw/images", "*.jpg", 44, 300),
        ("landmarks-orl", "orl", "*.pgm", 4, 98),
    ):
        lines = list(faces(predictors, Path(datasets, folder), pattern, step))[:count]
        Path(out, f"{name}.json").write_text("[\n" + ",\n".join(lines) + "\n]\n")
        print(name, len(lines))


if __name__ == "__main__":
    main(*sys.argv[1:])
