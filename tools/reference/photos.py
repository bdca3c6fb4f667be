"""Makes the CMYK and YCCK test pictures of crates/bledsoe/tests/photos/, and Pillow's reading of them.

    python photos.py ../../crates/bledsoe/tests/photos

Pillow 10 or later with libjpeg-turbo. The picture is a gradient of our own. `cmyk.jpg` has Adobe's marker with
transform 0; `ycck.jpg` is the same file with transform 2 written over it, so that its samples are read as YCCK.
The `.ppm` beside each is what Pillow makes of it as RGB.
"""

import pathlib
import sys

import numpy
from PIL import Image

folder = pathlib.Path(sys.argv[1])
y, x = numpy.mgrid[0:48, 0:64]
inks = numpy.stack([x * 4, y * 5, 255 - x * 2 - y, (x + y) * 1.5], axis=-1).astype("uint8")
Image.fromarray(inks, "CMYK").save(folder / "cmyk.jpg", quality=95, subsampling=0)
cmyk = (folder / "cmyk.jpg").read_bytes()
at = cmyk.index(b"Adobe") + 11
assert cmyk[at] == 0
(folder / "ycck.jpg").write_bytes(cmyk[:at] + b"\x02" + cmyk[at + 1 :])
for name in ("cmyk", "ycck"):
    Image.open(folder / f"{name}.jpg").convert("RGB").save(folder / f"{name}.ppm")
