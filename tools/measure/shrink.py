"""Makes weak photos of good ones: shrunk until the eyes are N pixels apart, JPEG, enlarged again.

    python tools/measure/shrink.py LFW FACES.parquet OUT --eyes 8 [--least 2] [--quality 75]

LFW is a folder of photos, FACES its table by `bledsoe embed`, whose landmarks (of a five-point scheme, eyes first) say
how far apart the eyes are. That is what a far camera gives: few pixels, compressed, then enlarged for the detector.
People with fewer than --least photos are left out.
"""

import argparse
import collections
import io
import math
from pathlib import Path

import pyarrow.parquet as pq
from PIL import Image


def shrink(photo, distance, eyes, quality):
    """`photo` with its eyes `eyes` pixels apart, stored as JPEG, and enlarged to the size that it had."""
    factor = min(1.0, eyes / distance)
    small = photo.resize([max(1, round(side * factor)) for side in photo.size], Image.Resampling.BOX)
    stored = io.BytesIO()
    small.save(stored, "JPEG", quality=quality)
    return Image.open(stored).convert("RGB").resize(photo.size, Image.Resampling.BICUBIC)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("table", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--eyes", type=float, required=True)
    parser.add_argument("--least", type=int, default=2)
    parser.add_argument("--quality", type=int, default=75)
    args = parser.parse_args()
    rows = pq.read_table(args.table, columns=["path", "person", "landmarks"]).to_pylist()
    photos = collections.Counter(row["person"] for row in rows)
    done = 0
    for row in rows:
        if photos[row["person"]] < args.least:
            continue
        (ax, ay, bx, by) = row["landmarks"][:4]
        out = args.out / row["path"]
        out.parent.mkdir(parents=True, exist_ok=True)
        weak = shrink(Image.open(args.photos / row["path"]).convert("RGB"), math.hypot(ax - bx, ay - by), args.eyes, args.quality)
        weak.save(out, "JPEG", quality=95)
        done += 1
    print(f"{done} photos in {args.out}")


if __name__ == "__main__":
    main()
