"""What the packaged age and gender network makes of the faces that bledsoe's own heads are measured on.

Usage: age_gender.py NETWORK.onnx LFW.parquet UTKFACE.parquet DATASETS LABELS
  NETWORK.onnx   age-gender as tools/convert/pack.py --widened wrote it
  the rest       as for attributes.py; DATASETS holds lfw/images and utkface/images

The network's authors trained on UTKFace: its figures there are on faces that it may have seen. It is fed the square about the
face's box, times 1.0 to 1.4, and of UTKFace the whole chip too. Of LFW every fourth photo of those for testing.
"""

import csv
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pyarrow.parquet as pq
from PIL import Image

SIDE, BATCH = 112, 64
MEAN = np.array([122.782, 117.001, 104.298], np.float32)


def chip(path, box, scale):
    photo = Image.open(path).convert("RGB")
    if scale is None:
        return photo.resize((SIDE, SIDE), Image.BILINEAR)
    left, top, right, bottom = box
    half, x, y = scale * max(right - left, bottom - top) / 2, (left + right) / 2, (top + bottom) / 2
    return photo.transform((SIDE, SIDE), Image.EXTENT, (x - half, y - half, x + half, y + half), Image.BILINEAR)


def run(session, folder, faces, scale):
    """Years, and the probability of male, of each face."""
    answers = []
    for start in range(0, len(faces), BATCH):
        chips = [np.asarray(chip(folder / path, box, scale), np.float32) for path, box in faces[start : start + BATCH]]
        pixels = (np.stack(chips) - MEAN) / 255
        answers.append(session.run(None, {session.get_inputs()[0].name: pixels.transpose(0, 3, 1, 2)})[0])
    return np.concatenate(answers)[:, :2].T


def faces_of(table, wanted):
    table = pq.read_table(table, columns=["path", "left", "top", "right", "bottom"]).to_pylist()
    boxes = ["left", "top", "right", "bottom"]
    return [(row["path"], [row[side] for side in boxes]) for row in table if row["path"] in wanted]


def main():
    network, lfw, utkface, datasets, labels = sys.argv[1:]
    datasets, labels = Path(datasets), Path(labels)
    session = onnxruntime.InferenceSession(network, providers=["CPUExecutionProvider"])
    truth = {}
    for name in ["lfw-test.csv", "utkface-test.csv"]:
        with open(labels / name, newline="") as file:
            truth[name] = {row["image"]: row for row in csv.DictReader(file)}
    utk, photos = truth["utkface-test.csv"], truth["lfw-test.csv"]
    utk_faces, lfw_faces = faces_of(utkface, utk), faces_of(lfw, photos)[::4]
    gender = np.array([utk[path]["gender"] for path, _ in utk_faces])
    age = np.array([float(utk[path]["age"]) for path, _ in utk_faces])
    lfw_gender = np.array([photos[path]["gender"] for path, _ in lfw_faces])
    for scale in [None, 1.0, 1.2, 1.4]:
        years, male = run(session, datasets / "utkface/images", utk_faces, scale)
        right = np.where(male > 0.5, "M", "F") == gender
        print(f"{scale or 'whole chip'}: UTKFace gender {100 * right.mean():.1f} %, aged 0 to 4 {100 * right[age < 5].mean():.1f} %, "
              f"age off by {np.abs(years - age).mean():.2f}", end="")
        if scale:
            _, male = run(session, datasets / "lfw/images", lfw_faces, scale)
            right = np.where(male > 0.5, "M", "F") == lfw_gender
            print(f"; LFW gender {100 * right.mean():.1f} % of {len(right)}", end="")
        print()


if __name__ == "__main__":
    main()
