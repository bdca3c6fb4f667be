"""dlib's HOG face detector beside bledsoe's, one thread each, on equal pixels, in turns.

The photos are decoded once and kept without loss, so that only the detectors differ. bledsoe's figure is that of
`bledsoe bench`, stage detect.

Usage: hog.py BLEDSOE ENVIRONMENTS PHOTOS [--photos 100] [--rounds 3] [--upsample 0] [--json FILE]
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import machine

REPEATS = 3
# dlib-bin, and dlib compiled on this machine.
RIVALS = ["packages", "compiled"]


def measure(folder, upsample):
    """Milliseconds for one photo, of each repeat, and the faces found. Runs in a rival's environment."""
    import dlib
    import numpy as np
    from PIL import Image

    detector = dlib.get_frontal_face_detector()
    photos = [np.asarray(Image.open(path).convert("RGB")) for path in sorted(folder.glob("*.ppm"))]
    taken = []
    for _ in range(REPEATS + 1):
        begin = time.perf_counter()
        faces = sum(len(detector(photo, upsample)) for photo in photos)
        taken.append((time.perf_counter() - begin) * 1000 / len(photos))
    return {"ms": taken[1:], "faces": faces, "about": f"dlib {dlib.__version__}, AVX {dlib.USE_AVX_INSTRUCTIONS}"}


def write(paths, folder):
    """Decodes the photos. Runs in a rival's environment."""
    from PIL import Image

    for i, path in enumerate(paths):
        Image.open(path).convert("RGB").save(folder / f"{i:05}.ppm")


def rival(python, *arguments, stdin=""):
    done = subprocess.run([python, __file__, *map(str, arguments)], input=stdin, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{python}: {done.stderr[-2000:]}")
    return done.stdout


def bledsoe(program, folder, upsample, count):
    result = machine.bledsoe(program, "bench", folder, "--photos", count, "--detector", "hog", "--upsample", upsample,
                             "--embedder", "mobilefacenet", "--select", "all", "--threads", 1, "--repeats", REPEATS)
    stage = next(stage for stage in result["speed"]["stages"] if stage["name"] == "detect")
    ms = [seconds * 1000 / stage["count"] for seconds in stage["seconds"]]
    return {"ms": ms, "faces": result["speed"]["faces"], "about": f"bledsoe {result['bledsoe']}"}


def main():
    if sys.argv[1:2] == ["--measure"]:
        print(json.dumps(measure(Path(sys.argv[2]), int(sys.argv[3]))))
        return
    if sys.argv[1:2] == ["--write"]:
        write(sys.stdin.read().splitlines(), Path(sys.argv[2]))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bledsoe")
    parser.add_argument("environments", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--photos", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--upsample", type=int, default=0)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    paths = machine.sample(args.folder, args.photos)
    pythons = {name: args.environments / name / "bin/python" for name in RIVALS}
    described, rounds = machine.describe(), {}
    with tempfile.TemporaryDirectory() as folder:
        rival(pythons["packages"], "--write", folder, stdin="\n".join(map(str, paths)))
        for _ in range(args.rounds):
            for name in [name for name in RIVALS if pythons[name].exists()]:
                found = json.loads(rival(pythons[name], "--measure", folder, args.upsample).splitlines()[-1])
                rounds.setdefault(f"dlib, {name}", []).append(found)
            rounds.setdefault("bledsoe", []).append(bledsoe(args.bledsoe, folder, args.upsample, len(paths)))
    middle = {name: statistics.median(statistics.median(r["ms"]) for r in found) for name, found in rounds.items()}
    base = next(iter(middle.values()))
    print(f"{len(paths)} photos, {args.upsample} upsamplings; median of {args.rounds} rounds of {REPEATS}; {described}\n")
    print("| detector | ms a photo | times dlib's speed | faces | |\n|---|---|---|---|---|")
    for name, ms in middle.items():
        last = rounds[name][-1]
        print(f"| {name} | {ms:.2f} | {base / ms:.2f} | {last['faces']} | {last['about']} |")
    if args.json:
        args.json.write_text(json.dumps({"machine": described, "photos": len(paths), "rounds": rounds}, indent=1))


if __name__ == "__main__":
    main()
