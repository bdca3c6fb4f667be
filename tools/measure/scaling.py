"""How `bledsoe embed` grows: time and peak memory against photos and cores, and memory over a long run.

Needs Linux: memory is read from /proc each tenth of a second (each second in a soak). A folder with more photos than PHOTOS
has is made of links to them, again and again.

Usage: scaling.py BLEDSOE PHOTOS [--counts 1000 2000 4000 8000 13233] [--cores 1 2] [--json FILE] [-- FLAGS OF embed]
       scaling.py BLEDSOE PHOTOS --soak SECONDS [--json FILE] [-- FLAGS OF embed]
"""

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# Of a soak: its beginning, when models are loaded and pools fill, is left out of the slope.
WARM_UP = 0.2


def photos_below(folder):
    every = sorted(p for p in folder.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png"))
    if not every:
        raise SystemExit(f"{folder}: no photos there")
    return every


def linked(photos, count, folder):
    """`count` links: evenly spread photos if there are enough, else all of them again and again, under new names."""
    if count <= len(photos):
        chosen = (photos[i * len(photos) // count] for i in range(count))
    else:
        chosen = itertools.islice(itertools.cycle(photos), count)
    for i, photo in enumerate(chosen):
        person = folder / f"{i // len(photos)}-{photo.parent.name}"
        person.mkdir(parents=True, exist_ok=True)
        (person / photo.name).symlink_to(photo.resolve())
    return folder


def resident(pid):
    """Resident memory in MiB now, and at its peak; None when the process has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return None
    facts = {line.split(":")[0]: int(line.split()[1]) / 1024 for line in lines if line.startswith(("VmRSS", "VmHWM"))}
    return (facts["VmRSS"], facts["VmHWM"]) if len(facts) == 2 else None


def embed(program, folder, flags, cores, every, seconds=None):
    """Runs `bledsoe embed` on some cores, stopping it after `seconds`. Gives its time, peak memory, samples and JSON."""
    with tempfile.TemporaryDirectory() as out, open(Path(out) / "errors", "w+") as errors:
        command = ["taskset", "-c", ",".join(map(str, cores)), program, "embed", folder, "--out", f"{out}/t.parquet",
                   "--threads", len(cores), "--json", *flags]
        begin = time.perf_counter()
        process = subprocess.Popen([*map(str, command)], stdout=subprocess.PIPE, stderr=errors, text=True)
        samples, peak = [], 0.0
        while process.poll() is None:
            if now := resident(process.pid):
                samples.append((round(time.perf_counter() - begin, 2), round(now[0], 1)))
                peak = max(peak, now[1])
            if seconds and time.perf_counter() - begin > seconds:
                process.terminate()
                break
            time.sleep(every)
        answer = process.communicate()[0]
        taken = time.perf_counter() - begin
        if process.returncode not in (0, 1) and not seconds:
            errors.seek(0)
            raise SystemExit(f"{' '.join(map(str, command))}: {errors.read()[-2000:]}")
    return taken, peak, samples, json.loads(answer) if answer else None


def slope(samples):
    """MiB an hour, by least squares over (seconds, MiB)."""
    n = len(samples)
    mean_x, mean_y = sum(x for x, _ in samples) / n, sum(y for _, y in samples) / n
    spread = sum((x - mean_x) ** 2 for x, _ in samples)
    return 3600 * sum((x - mean_x) * (y - mean_y) for x, y in samples) / spread if spread else 0.0


def scaling(args, photos, flags, here):
    rows = []
    print("| photos | cores | seconds | photos a second | peak MiB |\n|---|---|---|---|---|")
    for count in args.counts:
        folder = linked(photos, count, here / str(count))
        for number in args.cores:
            taken, peak, _, result = embed(args.bledsoe, folder, flags, args.cpus[:number], 0.1)
            rows.append({"photos": count, "cores": number, "seconds": taken, "peak_mib": peak,
                         "counts": result["summary"]["counts"], "engine": result["engine"]})
            print(f"| {count} | {number} | {taken:.2f} | {count / taken:.1f} | {peak:.0f} |", flush=True)
    return rows


def soak(args, photos, flags, here):
    # More links than can be done in the time; the run is stopped when it is over.
    count = int(args.soak * args.most_a_second)
    folder = linked(photos, count, here / "soak")
    taken, peak, samples, result = embed(args.bledsoe, folder, flags, args.cpus, 1.0, args.soak)
    if result:
        print(f"all {count} photos were done before the time was over: give a larger --most-a-second", file=sys.stderr)
    steady = [(x, y) for x, y in samples if x >= WARM_UP * taken]
    if len(steady) < 2:
        raise SystemExit(f"{len(samples)} samples of memory: too short a run")
    grows = slope(steady)
    least, most = min(y for _, y in steady), max(y for _, y in steady)
    print(f"{taken:.0f} s, peak {peak:.0f} MiB; after the first {WARM_UP:.0%}: {least:.0f} to {most:.0f} MiB, "
          f"{grows:+.1f} MiB an hour")
    return {"seconds": taken, "peak_mib": peak, "mib_an_hour": grows, "samples": samples}


def main():
    own, flags = sys.argv[1:], []
    if "--" in own:
        at = own.index("--")
        own, flags = own[:at], own[at + 1 :]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bledsoe")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--counts", type=int, nargs="+", default=[1000, 2000, 4000, 8000, 13233])
    parser.add_argument("--cores", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--soak", type=float, metavar="SECONDS")
    parser.add_argument("--most-a-second", type=float, default=2000, help="photos that a soak cannot outrun")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args(own)
    args.cpus = sorted(os.sched_getaffinity(0))
    if max(args.cores) > len(args.cpus):
        raise SystemExit(f"--cores {max(args.cores)}: this machine has {len(args.cpus)}")
    photos = photos_below(args.folder)
    with tempfile.TemporaryDirectory() as here:
        found = (soak if args.soak else scaling)(args, photos, flags, Path(here))
    if args.json:
        args.json.write_text(json.dumps({"flags": flags, "found": found}, indent=1))


if __name__ == "__main__":
    main()
