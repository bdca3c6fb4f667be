"""From photo files to embeddings: bledsoe beside what Python packages bring, on the same photos, in turns.

Every run is a process of its own that loads its models, reads the photos and embeds all faces that it finds; all of that
is in its time. A round runs each once, so that what else the machine does meets all alike; figures are medians of rounds.
bledsoe also averages each face with its mirror image (not with --fast), and writes a table; the rivals do neither.

Usage: faces.py BLEDSOE ENVIRONMENTS PHOTOS [--photos 400 | --all] [--rounds 3] [--run NAME ...] [--json FILE]
  ENVIRONMENTS  the folder that setup.sh filled
  PHOTOS        a folder of photos, such as LFW's images
"""

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import machine

HERE = Path(__file__).resolve().parent
# name: (environment, pipeline, whether every core gets its own process)
RIVALS = {
    "face_recognition": ("packages", "face_recognition", True),
    "face_recognition, compiled": ("compiled", "face_recognition", True),
    "hog-facenet": ("packages", "hog-facenet", True),
    "hog-facenet, one process": ("packages", "hog-facenet", False),
    "hog-mobilefacenet": ("packages", "hog-mobilefacenet", True),
    "hog-mobilefacenet, one process": ("packages", "hog-mobilefacenet", False),
    "hog-mobilefacenet, compiled": ("compiled", "hog-mobilefacenet", True),
    "hog-facenet-openvino": ("packages", "hog-facenet-openvino", True),
    "hog-mobilefacenet-openvino": ("packages", "hog-mobilefacenet-openvino", True),
    "centerface-mobilefacenet": ("packages", "centerface-mobilefacenet", True),
    "mtcnn-torch": ("mtcnn", "mtcnn-torch", True),
    "mtcnn-tensorflow": ("mtcnn", "mtcnn-tensorflow", True),
}
BLEDSOE = {
    "bledsoe as face_recognition": ["--detector", "hog", "--upsample", "1", "--embedder", "dlib"],
    "bledsoe hog-facenet": ["--detector", "hog", "--embedder", "facenet"],
    "bledsoe hog-mobilefacenet": ["--detector", "hog", "--embedder", "mobilefacenet"],
    "bledsoe centerface-mobilefacenet": ["--embedder", "mobilefacenet"],
    "bledsoe --fast": ["--fast"],
    "bledsoe": [],
    "bledsoe --accurate": ["--accurate"],
}
# The same by other engines than its own kernels, which need nothing installed.
BLEDSOE |= {f"{name}, {engine}": [*flags, "--engine", flag] for name, flags in list(BLEDSOE.items())
            for engine, flag in [("OpenVINO", "ort"), ("rten", "rten")]}


def run_rival(name, environments, networks, paths):
    environment, pipeline, spread = RIVALS[name]
    cores = machine.cores()
    processes, threads = (cores, 1) if spread else (1, cores)
    bound = {f"{library}_NUM_THREADS": str(threads) for library in ("OMP", "OPENBLAS", "MKL")}
    command = [environments / environment / "bin/python", HERE / "pipelines.py", pipeline, processes, threads, networks]
    begin = time.perf_counter()
    done = subprocess.run([*map(str, command)], input="\n".join(map(str, paths)), capture_output=True, text=True,
                          env={**os.environ, **bound, "TF_CPP_MIN_LOG_LEVEL": "3"})
    seconds = time.perf_counter() - begin
    if done.returncode:
        raise SystemExit(f"{name}: {done.stderr[-2000:]}")
    result = json.loads(done.stdout.splitlines()[-1])
    return seconds, result["faces"], {"processes": processes, "threads_each": threads, "versions": result["versions"]}


def run_bledsoe(name, program, folder):
    with tempfile.TemporaryDirectory() as out:
        begin = time.perf_counter()
        result = machine.bledsoe(program, "embed", folder, "--out", f"{out}/t.parquet", "--select", "all", *BLEDSOE[name])
        seconds = time.perf_counter() - begin
    return seconds, result["summary"]["counts"]["faces"], {"engine": result["engine"]}


def linked(paths, folder):
    """The photos as links in one folder, in folders as they were."""
    for path in paths:
        (folder / path.parent.name).mkdir(exist_ok=True)
        (folder / path.parent.name / path.name).symlink_to(path.resolve())
    return folder


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bledsoe")
    parser.add_argument("environments", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--photos", type=int, default=400)
    parser.add_argument("--all", action="store_true", help="all photos of the folder")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--run", nargs="+", choices=[*RIVALS, *BLEDSOE], metavar="NAME",
                        help=f"only these: {'; '.join([*RIVALS, *BLEDSOE])}")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    paths = machine.sample(args.folder, None if args.all else args.photos)
    there = lambda name: name in BLEDSOE or (args.environments / RIVALS[name][0] / "bin/python").exists()
    names = args.run or [*RIVALS, *BLEDSOE]
    for name in [name for name in names if not there(name)]:
        print(f"{name}: left out, there is no {args.environments / RIVALS[name][0]}")
        names = [n for n in names if n != name]

    results = {name: {"seconds": []} for name in names}
    described = machine.describe()
    with tempfile.TemporaryDirectory() as folder:
        folder = linked(paths, Path(folder))
        for number in range(args.rounds):
            for name in names:
                seconds, faces, about = (
                    run_bledsoe(name, args.bledsoe, folder) if name in BLEDSOE
                    else run_rival(name, args.environments, args.environments / "networks", paths)
                )
                results[name]["seconds"].append(seconds)
                results[name].update(faces=faces, **about)
                print(f"round {number + 1}: {name}: {seconds:.2f} s, {faces} faces", flush=True)

    base = statistics.median(results[names[0]]["seconds"])
    print(f"\n{len(paths)} photos; median of {args.rounds}; {described}\n")
    print(f"| run | seconds | photos a second | times {names[0]} | faces |\n|---|---|---|---|---|")
    for name, result in results.items():
        middle = statistics.median(result["seconds"])
        print(f"| {name} | {middle:.2f} | {len(paths) / middle:.1f} | {base / middle:.2f} | {result['faces']} |")
    for about in dict.fromkeys(json.dumps(r.get("engine") or r["versions"]) for r in results.values()):
        print(about)
    if args.json:
        version = subprocess.run([args.bledsoe, "--version"], capture_output=True, text=True).stdout.strip()
        args.json.write_text(json.dumps(
            {"machine": described, "bledsoe": version, "photos": len(paths), "results": results}, indent=1))


if __name__ == "__main__":
    main()
