"""How long photos take to become embeddings: bledsoe beside dlib, run in turns on the same photos.

dlib is called as the Python package face_recognition 1.3.0 calls it with its defaults: HOG with one upsampling, five
landmarks, ResNet without jitter, on as many processes as there are cores. bledsoe runs as its command; loading the
program and the models is in its time, and in dlib's.

Usage: speed.py BLEDSOE DLIB_MODELS PHOTOS [--photos 400] [--rounds 3]
  DLIB_MODELS  folder with dlib's .dat files (PyPI face-recognition-models)
  PHOTOS       folder of LFW's images; the first --photos by name are taken, evenly spread
"""

import argparse
import json
import multiprocessing
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

RUNS = {
    "hog+1, dlib, rten": ["--detector", "hog", "--upsample", "1", "--embedder", "dlib", "--engine", "rten"],
    "hog+1, dlib, auto": ["--detector", "hog", "--upsample", "1", "--embedder", "dlib"],
    "default, rten": ["--engine", "rten"],
    "default, auto": [],
    "--fast, rten": ["--fast", "--engine", "rten"],
    "--fast, auto": ["--fast"],
    "--accurate, auto": ["--accurate"],
}


def start(models):
    global detector, landmarks, network
    import dlib

    detector = dlib.get_frontal_face_detector()
    landmarks = dlib.shape_predictor(f"{models}/shape_predictor_5_face_landmarks.dat")
    network = dlib.face_recognition_model_v1(f"{models}/dlib_face_recognition_resnet_model_v1.dat")


def descriptor(path):
    photo = np.array(Image.open(path).convert("RGB"))
    return [network.compute_face_descriptor(photo, landmarks(photo, box), 1) is not None for box in detector(photo, 1)]


def dlib_seconds(models, paths):
    begin = time.perf_counter()
    with multiprocessing.Pool(os.cpu_count(), start, [models]) as pool:
        faces = sum(len(f) for f in pool.map(descriptor, paths, chunksize=8))
    return time.perf_counter() - begin, faces


def bledsoe_seconds(program, folder, flags):
    with tempfile.TemporaryDirectory() as out:
        begin = time.perf_counter()
        done = subprocess.run([program, "embed", folder, "--out", f"{out}/t.parquet", "--select", "all", "--json", *flags],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        seconds = time.perf_counter() - begin
    result = json.loads(done.stdout)
    return seconds, result["summary"]["counts"]["faces"], result["engine"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bledsoe")
    parser.add_argument("dlib_models")
    parser.add_argument("photos", type=Path)
    parser.add_argument("--photos", dest="count", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    every = sorted(args.photos.rglob("*.jpg"))
    paths = every[:: max(1, len(every) // args.count)][: args.count]
    with tempfile.TemporaryDirectory() as folder:
        for path in paths:
            (Path(folder) / path.parent.name).mkdir(exist_ok=True)
            (Path(folder) / path.parent.name / path.name).symlink_to(path.resolve())
        seconds, notes = {name: [] for name in ["dlib", *RUNS]}, {}
        for _ in range(args.rounds):
            time_taken, notes["dlib"] = dlib_seconds(args.dlib_models, paths)
            seconds["dlib"].append(time_taken)
            for name, flags in RUNS.items():
                time_taken, *notes[name] = bledsoe_seconds(args.bledsoe, folder, flags)
                seconds[name].append(time_taken)
    base = statistics.median(seconds["dlib"])
    for name, taken in seconds.items():
        middle = statistics.median(taken)
        print(f"{name:20} {middle:7.2f} s (median of {[round(t, 2) for t in taken]}), {base / middle:5.1f} times dlib's speed, "
              f"faces and engine: {notes[name]}")


if __name__ == "__main__":
    main()
