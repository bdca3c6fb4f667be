"""Faces in photos of 12 megapixels: how many are found and how long it takes, dlib, bledsoe as it was and as it is.

Each photo is made of faces of LFW in which dlib finds one face, pasted at known places onto a noisy ground: one of 500 to
1500 pixels and smaller ones down to 80 (the side of dlib's box, which is the truth), JPEG of quality 90, 4:2:0. A face is
found when a box has its middle in the true one and an intersection over union of 0.3 (detectors draw boxes differently).

dlib decodes with Pillow and searches without upsampling, in as many processes as there are cores, which have started
before. bledsoe runs `align --select all`; loading the program and the model, cutting chips out and writing them are in
its time. How long decoding and detecting alone take is what `bench` says of these stages. All run in turns.

Usage: large_photos.py BLEDSOE LFW_IMAGES OUT [--before BLEDSOE_BEFORE] [--photos 20] [--rounds 5]
"""

import argparse
import json
import multiprocessing
import os
import random
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

WIDTH, HEIGHT = 4000, 3000
SMALLER = [80, 85, 90, 100, 115, 135, 160, 200, 250, 320, 420]
MARGIN = 0.45  # of a face's side, around it


def start():
    global detector
    import dlib

    detector = dlib.get_frontal_face_detector()


def search(path):
    photo = np.array(Image.open(path).convert("RGB"))
    return [[b.left(), b.top(), b.right(), b.bottom()] for b in detector(photo, 0)]


def cut(path):
    """The only face that dlib finds in a photo, with its margin, and its side there; or nothing."""
    boxes = search(path)
    if len(boxes) != 1:
        return None
    left, top, right, bottom = boxes[0]
    side = right - left
    margin = MARGIN * side
    tile = [left - margin, top - margin, right + margin, bottom + margin]
    return (tile, side) if min(tile) >= 0 and max(tile) <= 250 else None


def ground(generator):
    small = Image.fromarray(generator.integers(60, 200, (12, 16, 3), dtype=np.uint8).astype(np.uint8))
    smooth = np.asarray(small.resize((WIDTH, HEIGHT), Image.BICUBIC), np.float32)
    grain = generator.normal(0, 6, (HEIGHT, WIDTH, 1)).astype(np.float32)
    return Image.fromarray(np.clip(smooth + grain, 0, 255).astype(np.uint8))


def make(folder, images, count):
    """Writes the photos, and truth.json with the boxes."""
    generator, chance = np.random.default_rng(1), random.Random(1)
    every = sorted(images.rglob("*.jpg"))
    chance.shuffle(every)
    faces, truth = iter(every), {}
    for i in range(count):
        photo, taken, boxes = ground(generator), [], []
        sizes = [int(500 * 3 ** chance.random())] + SMALLER[::-1]
        for size in sizes:
            tile = int(size * (1 + 2 * MARGIN))
            for _ in range(500):
                x, y = chance.randint(0, WIDTH - tile), chance.randint(0, HEIGHT - tile)
                if all(x + tile <= a or a + t <= x or y + tile <= b or b + t <= y for a, b, t in taken):
                    break
            else:
                continue
            taken.append((x, y, tile))
            while (found := cut(path := next(faces))) is None:
                pass
            part = Image.open(path).convert("RGB").resize((tile, tile), Image.LANCZOS, box=found[0])
            photo.paste(part, (x, y))
            edge = MARGIN * size
            boxes.append([x + edge, y + edge, x + edge + size, y + edge + size])
        (folder / f"p{i:02}").mkdir(parents=True)
        name = f"p{i:02}/photo.jpg"
        photo.save(folder / name, quality=90, subsampling="4:2:0")
        truth[name] = boxes
    (folder / "truth.json").write_text(json.dumps(truth))


def is_found(true, box):
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    width = max(0, min(true[2], box[2]) - max(true[0], box[0]))
    height = max(0, min(true[3], box[3]) - max(true[1], box[1]))
    area = lambda r: (r[2] - r[0]) * (r[3] - r[1])
    iou = width * height / (area(true) + area(box) - width * height)
    return true[0] <= x <= true[2] and true[1] <= y <= true[3] and iou >= 0.3


def recall(truth, boxes):
    """Found of all by size, and boxes that are no face known."""
    text = []
    for low, high in [(80, 1600), (80, 100), (100, 200), (200, 500), (500, 1600)]:
        of = [(name, t) for name, faces in truth.items() for t in faces if low <= t[2] - t[0] < high]
        hits = sum(any(is_found(t, b) for b in boxes[name]) for name, t in of)
        text.append(f"{low}-{high} px: {hits} of {len(of)}")
    other = sum(not any(is_found(t, b) for t in truth[name]) for name in truth for b in boxes[name])
    return f"{', '.join(text)}; other boxes {other}"


def bledsoe_boxes(program, folder, flags):
    import pyarrow.parquet as pq

    with tempfile.TemporaryDirectory() as out:
        command = [program, "embed", folder, "--out", f"{out}/t.parquet", "--select", "all", "--embedder", "mobilefacenet"]
        subprocess.run([*command, *flags], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        rows = pq.read_table(f"{out}/t.parquet").to_pylist()
    boxes = {}
    for row in rows:
        boxes.setdefault(row["path"], []).append([row[edge] for edge in ("left", "top", "right", "bottom")])
    return boxes


def bledsoe_seconds(program, folder, flags):
    with tempfile.TemporaryDirectory() as out:
        begin = time.perf_counter()
        subprocess.run([program, "align", folder, f"{out}/chips", "--select", "all", *flags],
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return time.perf_counter() - begin


def search_seconds(program, folder, flags):
    """Decoding and detecting, of all photos."""
    command = [program, "bench", folder, "--json", "--repeats", "1", *flags]
    speed = json.loads(subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout)["speed"]
    return sum(sum(stage["seconds"]) for stage in speed["stages"] if stage["name"] in ("decode", "detect"))


def dlib_run(folder, names):
    with multiprocessing.Pool(os.cpu_count(), start) as pool:
        pool.map(abs, range(os.cpu_count()), chunksize=1)
        begin = time.perf_counter()
        boxes = dict(zip(names, pool.map(search, [folder / name for name in names], chunksize=1)))
        return time.perf_counter() - begin, boxes


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bledsoe")
    parser.add_argument("lfw", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--before")
    parser.add_argument("--photos", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    if not (args.out / "truth.json").exists():
        start()
        make(args.out, args.lfw, args.photos)
    truth = json.loads((args.out / "truth.json").read_text())
    if args.rounds == 0:
        return
    runs = {
        "bledsoe --fast": (args.bledsoe, ["--fast"]),
        "bledsoe, hog": (args.bledsoe, ["--detector", "hog"]),
        "bledsoe, centerface": (args.bledsoe, []),
    }
    if args.before:
        runs["before --fast"] = (args.before, ["--fast"])
    searches = {f"{name}, search": run for name, run in runs.items() if run[0] == args.bledsoe}
    seconds = {name: [] for name in ["dlib", *searches, *runs]}
    for _ in range(args.rounds):
        taken, boxes = dlib_run(args.out, list(truth))
        seconds["dlib"].append(taken)
        for name, (program, flags) in searches.items():
            seconds[name].append(search_seconds(program, str(args.out), flags))
        for name, (program, flags) in runs.items():
            seconds[name].append(bledsoe_seconds(program, str(args.out), flags))
    found = {"dlib": boxes} | {name: bledsoe_boxes(p, str(args.out), flags) for name, (p, flags) in runs.items()}
    base = statistics.median(seconds["dlib"])
    for name, taken in seconds.items():
        middle, each = statistics.median(taken), [round(1000 * t / len(truth)) for t in taken]
        print(f"{name:27} {1000 * middle / len(truth):6.0f} ms a photo (median of {each}), {base / middle:5.1f} times dlib's speed")
        if name in found:
            boxes = {photo: found[name].get(photo, []) for photo in truth}
            print(f"{'':27} {recall(truth, boxes)}")


if __name__ == "__main__":
    main()
