"""What dlib's frontal face detector finds (PyPI dlib-bin 20.0.1, pillow): golden file of tests/agreement/hog.rs.

Usage: hog.py DATASETS OUT.json

For each set of photos: how often they are doubled, and for each photo (path inside DATASETS) the faces that dlib finds,
best first: left, top, right, bottom, score. Sets are chosen by a fixed rule: every 26th LFW image of the sorted list,
500 in all; the first 50 of these once more, doubled; every 8th ORL image, doubled; dlib's example photos, as they are
and doubled; and a drawing that needs no data set.

dlib's boxes hang on the last bit of a JPEG decoder: pixels one or two levels off move 1 box in 20 to the next window. So
each side decodes the files itself, and bledsoe's pixels must be pillow's, which are libjpeg-turbo's (see jpeg.py).
"""

import json
import sys
from pathlib import Path

import dlib
import numpy as np
from PIL import Image

detector = dlib.get_frontal_face_detector()

# Centre and size, in tenths, of the drawing's faces.
FACES = [(110, 130, 10), (300, 110, 8), (420, 150, 6), (300, 240, 5)]
# Ellipses of a face of size 10: centre, radii, grey.
PARTS = [
    (0, 0, 62, 80, 190), (0, -60, 66, 40, 40), (-26, -18, 17, 5, 70), (26, -18, 17, 5, 70), (-26, -8, 12, 6, 235),
    (26, -8, 12, 6, 235), (-26, -8, 5, 6, 40), (26, -8, 5, 6, 40), (0, 12, 5, 18, 215), (-8, 28, 5, 3, 90),
    (8, 28, 5, 3, 90), (0, 50, 24, 7, 110), (0, 50, 20, 2, 50),
]  # fmt: skip


def drawing():
    y, x = np.mgrid[0:300, 0:480].astype(np.int64)
    grey = 60 + (x + 2 * y) // 8
    for fx, fy, size in FACES:
        for cx, cy, rx, ry, value in PARTS:
            a, b = rx * size, ry * size
            dx, dy = 10 * (x - fx) - cx * size, 10 * (y - fy) - cy * size
            grey = np.where((dx * b) ** 2 + (dy * a) ** 2 < (a * b) ** 2, value, grey)
    return np.stack([grey, grey * 7 // 8, grey * 3 // 4], -1).astype(np.uint8)


def faces(image, upsample, min_score=0.0):
    rects, scores, _ = detector.run(image, upsample, min_score)
    return [[r.left(), r.top(), r.right(), r.bottom(), round(s, 6)] for r, s in zip(rects, scores)]


def pixels(path):
    return np.array(Image.open(path).convert("RGB"))


def main(datasets, out):
    root = Path(datasets)
    lfw = sorted(root.glob("lfw/images/*/*.jpg"))[::26][:500]
    orl = sorted(root.glob("orl/*/*.pgm"))[::8]
    group = sorted(root.glob("dlib_faces/faces/*.jpg"))
    sets = [("lfw", 0, lfw), ("lfw", 1, lfw[:50]), ("orl", 1, orl), ("dlib_faces", 0, group), ("dlib_faces", 1, group)]
    golden = [("drawing", u, {"drawing": faces(drawing(), u, -1.0)}) for u in (0, 1)]
    for name, upsample, paths in sets:
        names = [p.relative_to(root).as_posix() for p in paths]
        golden.append((name, upsample, {n: faces(pixels(root / n), upsample) for n in names}))
    lines = []
    for name, upsample, photos in golden:
        body = ",\n".join(f"{json.dumps(p)}:{json.dumps(f, separators=(',', ':'))}" for p, f in photos.items())
        lines.append(f'{{"name":"{name}","upsample":{upsample},"photos":{{\n{body}\n}}}}')
    Path(out).write_text("[\n" + ",\n".join(lines) + "\n]\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
