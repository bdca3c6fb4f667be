"""Golden file of YuNet: the faces that its own library finds, with pixels from Pillow.

Usage: yunet.py DATASETS > crates/bledsoe/tests/agreement/golden/yunet.json     (yuface 2023.5.1, numpy, pillow)
The library cuts corners, sides and points down to whole pixels, and scores to whole hundredths.
"""

import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image
from yuface import detect

SELFTEST = Path(__file__).resolve().parents[2] / "models/selftest.png"


def faces(path):
    photo = np.ascontiguousarray(np.array(Image.open(path).convert("RGB"))[..., ::-1])
    return [
        {"box": [int(x), int(y), int(x + w), int(y + h)], "score": int(score), "points": [int(v) for v in points]}
        for score, (x, y, w, h), points in zip(*detect(photo, 0.5))
    ]


def main(datasets):
    root = Path(datasets)
    lfw, orl = sorted(root.glob("lfw/images/*/*.jpg"))[::331], sorted(root.glob("orl/**/*.pgm"))[::40]
    photos = {"selftest.png": SELFTEST} | {str(p.relative_to(root)): p for p in lfw + orl}
    print(json.dumps([{"photo": name, "faces": faces(path)} for name, path in photos.items()]))


if __name__ == "__main__":
    main(*sys.argv[1:])
