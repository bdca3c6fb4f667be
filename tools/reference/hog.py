"""What dlib's frontal face detector finds (PyPI dlib-bin 20.0.1, pillow): golden file of tests/agreement/hog.rs.

Usage: hog.py DATASETS OUT.json
For each set of photos: how often they are doubled, and for each photo (path inside DATASETS) the faces that dlib finds
in its RGB pixels, best first: left, top, right, bottom, score. Sets are chosen by a fixed rule: every 26th LFW image of
the sorted list, 500 in all; the first 50 of these once more, doubled; every 8th ORL image, doubled; all of dlib's
example photos, as they are and doubled.
"""

import json
import sys
from pathlib import Path

import dlib
import numpy as np
from PIL import Image

detector = dlib.get_frontal_face_detector()


def faces(path, upsample):
    image = np.array(Image.open(path).convert("RGB"))
    rects, scores, _ = detector.run(image, upsample, 0.0)
    return [[r.left(), r.top(), r.right(), r.bottom(), round(s, 6)] for r, s in zip(rects, scores)]


def main(datasets, out):
    root = Path(datasets)
    lfw = sorted(root.glob("lfw/images/*/*.jpg"))[::26][:500]
    orl = sorted(root.glob("orl/*/*.pgm"))[::8]
    group = sorted(root.glob("dlib_faces/faces/*.jpg"))
    sets = [("lfw", 0, lfw), ("lfw", 1, lfw[:50]), ("orl", 1, orl), ("dlib_faces", 0, group), ("dlib_faces", 1, group)]
    lines = []
    for name, upsample, paths in sets:
        photos = {p.relative_to(root).as_posix(): faces(p, upsample) for p in paths}
        body = ",\n".join(f"{json.dumps(p)}:{json.dumps(f, separators=(',', ':'))}" for p, f in photos.items())
        lines.append(f'{{"name":"{name}","upsample":{upsample},"photos":{{\n{body}\n}}}}')
    Path(out).write_text("[\n" + ",\n".join(lines) + "\n]\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
