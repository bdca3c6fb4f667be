"""An embedder alone on an NVIDIA GPU, 1 to 512 faces at once: bledsoe beside ONNX Runtime's Python package, in turns.

Both run the same network by ONNX Runtime's CUDA kernels from numbers in the processor's memory to numbers there; bledsoe
from pinned memory, TF32 in both. Runs in an environment that has onnxruntime-gpu and the CUDA libraries that it needs;
NETWORK is the model's plain ONNX file (networks.py makes it).

Usage: gpu.py BLEDSOE MODEL NETWORK [--rounds 3] [--json FILE]
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import machine

BATCHES = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]
REPEATS = 10
PHOTO = Path(__file__).resolve().parents[2] / "examples/photos/Grace_Hopper/1984-us-navy.jpg"


def measure(path):
    """Seconds of each repeat, by batch."""
    import numpy as np
    import onnxruntime as ort

    # As bledsoe asks for: an exhaustive search would be made anew for each batch.
    cuda = ("CUDAExecutionProvider", {"cudnn_conv_algo_search": "HEURISTIC", "use_tf32": "1"})
    session = ort.InferenceSession(path, providers=[cuda])
    assert session.get_providers()[0] == cuda[0], session.get_providers()
    tensor = session.get_inputs()[0]
    taken = {}
    for batch in BATCHES:
        x = np.random.default_rng(0).uniform(-1, 1, (batch, *tensor.shape[1:])).astype(np.float32)
        seconds = []
        for _ in range(REPEATS + 1):
            begin = time.perf_counter()
            session.run(None, {tensor.name: x})
            seconds.append(time.perf_counter() - begin)
        taken[batch] = seconds[1:]
    return taken


def rival(path):
    done = subprocess.run([sys.executable, __file__, "--measure", path], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"onnxruntime: {done.stderr[-2000:]}")
    return {int(batch): seconds for batch, seconds in json.loads(done.stdout.splitlines()[-1]).items()}


def bledsoe(program, model):
    result = machine.bledsoe(program, "bench", PHOTO, "--embedder", model, "--engine", "ort", "--device", "cuda",
                             "--repeats", REPEATS, "--batch", ",".join(map(str, BATCHES)))
    networks = [network for network in result["networks"] if network["id"] == model]
    return {network["shape"][0]: network["timing"]["seconds"] for network in networks}, result["engine"]


def main():
    if sys.argv[1:2] == ["--measure"]:
        print(json.dumps(measure(sys.argv[2])))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bledsoe")
    parser.add_argument("model")
    parser.add_argument("network", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    ours, theirs, engine = [], [], None
    for _ in range(args.rounds):
        taken, engine = bledsoe(args.bledsoe, args.model)
        ours.append(taken)
        theirs.append(rival(args.network))
    print(f"{args.model}; medians of {args.rounds} rounds of {REPEATS}; {machine.describe()}; {engine}\n")
    print("| faces at once | bledsoe, faces a second | Python | times |\n|---|---|---|---|")
    for batch in BATCHES:
        rate = lambda rounds: batch / statistics.median(statistics.median(taken[batch]) for taken in rounds)
        print(f"| {batch} | {rate(ours):,.0f} | {rate(theirs):,.0f} | {rate(ours) / rate(theirs):.2f} |")
    if args.json:
        args.json.write_text(json.dumps({"machine": machine.describe(), "engine": engine, "bledsoe": ours, "python": theirs}))


if __name__ == "__main__":
    main()
