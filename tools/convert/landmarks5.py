"""dlib's five-point shape predictor (PyPI face-recognition-models 0.3.0, CC0-1.0) in the compact format, losslessly.

`crates/bledsoe/src/model/dlib/shape.rs` describes the format. Rounding the leaves, even to 16 bits, is no option: a
shape that moves by a thousandth of a pixel samples other pixels, and single landmarks end up 2 pixels away.

Usage: landmarks5.py shape_predictor_5_face_landmarks.dat OUT.safetensors
"""

import sys

import numpy as np
import zopfli.zlib
from safetensors.numpy import save_file


class Reader:
    """dlib's portable encoding."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def int(self):
        control = self.data[self.at]
        end = self.at + 1 + (control & 15)
        value = int.from_bytes(self.data[self.at + 1 : end], "little")
        self.at = end
        return -value if control & 128 else value

    def float(self):
        mantissa, exponent = self.int(), self.int()
        return mantissa * 2.0**exponent

    def matrix(self):
        rows, columns = -self.int(), -self.int()
        return [self.float() for _ in range(rows * columns)]

    def list(self, read):
        return [read() for _ in range(self.int())]


def read(data):
    """initial [points, 2], pairs [stages, trees, splits, 2], thresholds [stages, trees, splits],
    leaves [stages, trees, splits + 1, 2 * points], anchors [stages, pixels], offsets [stages, pixels, 2]."""
    r = Reader(data)
    assert r.int() == 1, "not a dlib shape predictor of version 1"
    initial = r.matrix()
    forests = r.list(lambda: r.list(lambda: (r.list(lambda: (r.int(), r.int(), r.float())), r.list(r.matrix))))
    anchors = r.list(lambda: r.list(r.int))
    offsets = r.list(lambda: r.list(lambda: (r.float(), r.float())))
    assert r.at == len(data)
    pairs = np.array([[[split[:2] for split in tree[0]] for tree in forest] for forest in forests], np.uint16)
    thresholds = np.array([[[split[2] for split in tree[0]] for tree in forest] for forest in forests])
    leaves = np.array([[tree[1] for tree in forest] for forest in forests], np.float32)
    return np.array(initial, np.float32).reshape(-1, 2), pairs, thresholds, leaves, anchors, np.array(offsets, np.float32)


def packed(array):
    """Byte planes, lowest bytes first, zlib-compressed by zopfli: the high bytes of like numbers compress well."""
    planes = np.ascontiguousarray(array).view(np.uint8).reshape(-1, array.itemsize).T
    return np.frombuffer(zopfli.zlib.compress(planes.tobytes()), np.uint8)


def main(source, out):
    with open(source, "rb") as file:
        initial, pairs, thresholds, leaves, anchors, offsets = read(file.read())
    # Pixels are whole numbers, so a threshold rounded down decides alike.
    thresholds = np.floor(thresholds)
    assert -128 <= thresholds.min() and thresholds.max() <= 127
    save_file(
        {
            "initial": initial,
            "anchors": np.array(anchors, np.uint8),
            "offsets": offsets,
            "thresholds": thresholds.astype(np.int8),
            "pairs": packed(pairs),
            "leaves": packed(leaves),
        },
        out,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
