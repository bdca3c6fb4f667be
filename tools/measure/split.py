"""Tables that `bledsoe embed` wrote, on the own split of LFW (see default.py): accept rates, d', open-set FNIR, and
intervals of the difference to the first table.

Usage: split.py IMAGES TABLE.parquet ...     (IMAGES: the folder that all were made of; numpy, pyarrow, and lfw.py's own)
"""

import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from default import FARS, Scores, Split, interval, rates


def main(images, *tables):
    split = Split(sorted(str(p.relative_to(images)) for p in Path(images).rglob("*.jpg")))
    base = None
    for table in tables:
        read = pq.read_table(table, columns=["path", "embedding"])
        vectors = dict(zip(read["path"].to_pylist(), np.array(read["embedding"].to_pylist(), np.float32)))
        none = np.zeros(len(next(iter(vectors.values()))), np.float32)  # where no face was found
        v = np.stack([vectors.get(name, none) for name in split.names])
        tar, d, fnir, accepted = rates(split, Scores(split, v @ v.T))
        text = " ".join(f"TAR@{f:g} {t:.4f}" for f, t in zip(FARS, tar)) + f" d' {d:.3f} FNIR {fnir:.4f}"
        if base is None:
            base = accepted
        else:
            ranges = [interval(split, a, b) for a, b in zip(accepted[:2], base)]
            text += " " + " ".join(f"TAR@{f:g} {low:+.4f}..{high:+.4f}" for f, (low, high) in zip(FARS, ranges))
        print(f"{table}: {text}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
