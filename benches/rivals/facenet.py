"""FaceNet alone, 32 faces at once: bledsoe's engines beside those that Python packages bring, in turns.

Each run loads the network, runs it once unmeasured and five times measured, all cores, on noise; loading is not in the
time. bledsoe's figure is that of `bledsoe bench`, section networks: the same network, the same batch.

Usage: facenet.py BLEDSOE ENVIRONMENTS [--run RIVAL…] [--rounds 3] [--threads N] [--json FILE]
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import machine

BATCH, SIDE, REPEATS = 32, 160, 5
PHOTO = Path(__file__).resolve().parents[2] / "examples/photos/Grace_Hopper/1984-us-navy.jpg"
RIVALS = ["onnxruntime", "openvino", "openvino-f32", "opencv", "opencv-one"]
BLEDSOE = ["native", "ort", "rten"]


def measure(engine, path, threads):
    """Milliseconds for one face, of each repeat. Runs in the rivals' environment."""
    import numpy as np
    from engines import ENGINES

    run = ENGINES[engine](path, threads)
    x = np.random.default_rng(0).uniform(-1, 1, (BATCH, 3, SIDE, SIDE)).astype(np.float32)
    taken = []
    for _ in range(REPEATS + 1):
        begin = time.perf_counter()
        run(x)
        taken.append((time.perf_counter() - begin) * 1000 / BATCH)
    return taken[1:]


def rival(engine, environments, threads):
    python, path = environments / "packages/bin/python", environments / "networks/facenet.onnx"
    done = subprocess.run([python, __file__, "--measure", engine, path, str(threads)], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{engine}: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def bledsoe(engine, program, threads):
    # One face: only the network's own figure is wanted.
    result = machine.bledsoe(program, "bench", PHOTO, "--detector", "hog", "--embedder", "facenet",
                             "--engine", engine, "--threads", threads, "--repeats", REPEATS)
    network = next(network for network in result["networks"] if network["id"] == "facenet")
    assert network["shape"] == [BATCH, 3, SIDE, SIDE], network["shape"]
    return [seconds * 1000 / BATCH for seconds in network["timing"]["seconds"]], result["engine"]


def main():
    if sys.argv[1:2] == ["--measure"]:
        print(json.dumps(measure(sys.argv[2], sys.argv[3], int(sys.argv[4]))))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bledsoe")
    parser.add_argument("environments", type=Path)
    parser.add_argument("--run", nargs="+", choices=RIVALS, default=RIVALS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=machine.cores())
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    described, taken, engines = machine.describe(), {}, {}
    for _ in range(args.rounds):
        for engine in BLEDSOE:
            times, engines[engine] = bledsoe(engine, args.bledsoe, args.threads)
            taken.setdefault(f"bledsoe, {engine}", []).append(times)
        for engine in args.run:
            taken.setdefault(engine, []).append(rival(engine, args.environments, args.threads))
    middle = {name: statistics.median(statistics.median(times) for times in rounds) for name, rounds in taken.items()}
    print(f"median of {args.rounds} rounds of {REPEATS}; {args.threads} threads; {described}; {engines}\n")
    print("| engine | ms a face | times ONNX Runtime's speed |\n|---|---|---|")
    for name, ms in sorted(middle.items(), key=lambda item: item[1]):
        print(f"| {name} | {ms:.2f} | {middle['onnxruntime'] / ms:.2f} |")
    if args.json:
        args.json.write_text(json.dumps({"machine": described, "engines": engines, "ms_a_face": taken}, indent=1))


if __name__ == "__main__":
    main()
