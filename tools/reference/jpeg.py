"""What libjpeg-turbo, as Pillow calls it, makes of JPEGs: crates/bledsoe/tests/agreement/golden/jpeg.json.

    python jpeg.py ../../../shared/datasets ../../crates/bledsoe/tests/agreement/golden/jpeg.json

Pillow 13.0.0 (libjpeg-turbo 3.2.0), OpenCV 5 as the encoder of unusual samplings. Small pictures of our own are in the
file as base64; photos of the data sets by name. Each has the first 16 hex digits of the SHA-256 of its RGB bytes, whole
and decoded at 1/2, 1/4 and 1/8.
"""

import base64
import hashlib
import io
import json
import pathlib
import sys

import cv2
import numpy as np
from PIL import Image

SAMPLINGS = {"444": 0x111111, "422": 0x211111, "420": 0x221111, "440": 0x121111, "411": 0x411111}


def hashes(content):
    found = []
    for factor in (1, 2, 4, 8):
        photo = Image.open(io.BytesIO(content))
        size = photo.size
        if factor > 1:
            photo.draft(None, (size[0] // factor, size[1] // factor))
            assert photo.size == tuple(-(-side // factor) for side in size)
        found.append(hashlib.sha256(photo.convert("RGB").tobytes()).hexdigest()[:16])
    return found


def picture(width, height):
    y, x = np.mgrid[0:height, 0:width]
    waves = [127 + 90 * np.sin(x / a + y / b) + 37 * np.cos(x * y / 99) for a, b in ((5, 9), (11, 4), (3, 17))]
    return np.stack(waves, axis=-1).clip(0, 255).astype(np.uint8)


def main(datasets, out):
    small = {}
    for size in ((67, 45), (40, 96)):
        own = picture(*size)
        for name, sampling in SAMPLINGS.items():
            for progressive, restarts in ((0, 0), (1, 0), (0, 2)):
                options = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling, cv2.IMWRITE_JPEG_PROGRESSIVE, progressive]
                options += [cv2.IMWRITE_JPEG_RST_INTERVAL, restarts, cv2.IMWRITE_JPEG_QUALITY, 80]
                kind = "progressive" if progressive else "restarts" if restarts else "baseline"
                small[f"{name} {kind} {size[0]}"] = cv2.imencode(".jpg", own, options)[1].tobytes()
        for name, mode, options in (("grey", "L", {}), ("rgb", "RGB", {"keep_rgb": True})):
            content = io.BytesIO()
            Image.fromarray(own).convert(mode).save(content, "JPEG", **options)
            small[f"{name} {size[0]}"] = content.getvalue()
    photos = sorted((datasets / "lfw/images").rglob("*.jpg"))[::66] + sorted((datasets / "utkface/images").glob("*.jpg"))[::25]
    photos += sorted((datasets / "dlib_faces").rglob("*.jpg"))
    golden = {
        "small": {name: [base64.b64encode(b).decode(), *hashes(b)] for name, b in small.items()},
        "photos": {str(p.relative_to(datasets)): hashes(p.read_bytes()) for p in photos},
    }
    pathlib.Path(out).write_text(json.dumps(golden, indent=0))


main(pathlib.Path(sys.argv[1]), sys.argv[2])
