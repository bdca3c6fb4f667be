"""What `bledsoe finetune` gains on weak photos and costs on good ones, as tables for docs/finetune.md.

    python tools/measure/finetune.py BLEDSOE LFW GOOD.parquet WEAK.parquet WORK [OPTION...]

LFW holds images/ and protocols/; GOOD and WEAK are `bledsoe embed` of its photos and of those that shrink.py made;
WORK is a folder for what is made; OPTIONs are for `bledsoe finetune`.

The people are LFW's: half of its ten sets (people.txt) is learnt from, the weak and the good photos of it together, and
the other half is tested; then the reverse. So no tested person was ever learnt from, held out to stop by, or seen.
- weak: two weak photos (at most five of a person; all pairs of one person, 100,000 of different people);
- mixed: a weak photo and a good one, of another moment;
- View 2: LFW's own pairs of good photos, of the folds of the half that is tested.
Intervals are of 95 %, people drawn anew, by `bledsoe benchmark verification`.
"""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

MOST, DIFFERENT = 5, 100_000


def run(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode > 1:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stderr}")
    return json.loads(done.stdout)


def sets(people):
    """The ten sets of LFW's people.txt."""
    lines = iter(people.read_text().splitlines())
    return [[next(lines).split("\t")[0] for _ in range(int(next(lines)))] for _ in range(int(next(lines)))]


def write(table, path, keep, prefix=""):
    """The rows of some people, as a table that bledsoe reads."""
    table = table.filter(pa.array([person in keep for person in table["person"].to_pylist()]))
    names = pa.array([prefix + name for name in table["path"].to_pylist()], pa.string())
    field = table.schema.field("path")
    table = table.set_column(table.schema.get_field_index("path"), field, names)
    pq.write_table(table, path, compression="none", use_dictionary=False, write_statistics=False)
    return table


def pairs(table, mixed, seed):
    """Pairs of weak photos; or of a weak and a good one, which is not the same photo."""
    random = np.random.default_rng(seed)
    photos = {}
    for person, path in zip(table["person"].to_pylist(), table["path"].to_pylist()):
        photos.setdefault(person, []).append(path.removeprefix("weak/"))
    photos = {person: list(random.permutation(paths)[:MOST]) for person, paths in sorted(photos.items())}
    second = "good/" if mixed else "weak/"
    same = [
        ("weak/" + a, second + b, 1)
        for paths in photos.values()
        for i, a in enumerate(paths)
        for j, b in enumerate(paths)
        if (i != j if mixed else i < j)
    ]
    people = list(photos)
    different = set()
    while len(different) < DIFFERENT:
        p, q = random.integers(len(people), size=2)
        if p != q:
            a, b = random.choice(photos[people[p]]), random.choice(photos[people[q]])
            different.add(("weak/" + a, second + b, 0))
    return same + sorted(different)


def protocol(path, rows):
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image_a", "image_b", "same"] + (["fold"] if len(rows[0]) > 3 else []))
        writer.writerows(rows)
    return path


def view2(path, folds):
    """LFW's pairs of some folds."""
    lines = iter(path.read_text().splitlines())
    count, each = map(int, next(lines).split())
    photo = lambda name, number: f"good/{name}/{name}_{int(number):04}.jpg"
    rows = []
    for fold in range(count):
        for same in (1, 0):
            for _ in range(each):
                fields = next(lines).split("\t")
                a, b = (fields[:2], [fields[0], fields[2]]) if same else (fields[:2], fields[2:])
                if fold in folds:
                    rows.append((photo(*a), photo(*b), same, fold))
    return rows


def main():
    program, lfw, good, weak, work = (Path(word) for word in sys.argv[1:6])
    program, options = program.resolve(), sys.argv[6:]
    work.mkdir(parents=True, exist_ok=True)
    good, weak = pq.read_table(good), pq.read_table(weak)
    ten = sets(lfw / "protocols/people.txt")
    print("| tested | pairs | embedder alone | with the adapter |\n|---|---|---|---|")
    accuracies = []
    for half in (0, 1):
        tested = range(5 * half, 5 * half + 5)
        test = {name for i in tested for name in ten[i]}
        learn = {name for i in range(10) if i not in tested for name in ten[i]}
        files = [work / f"learn-{half}-{kind}.parquet" for kind in ("weak", "good")]
        for table, file in zip((weak, good), files):
            write(table, file, learn)
        adapter = work / f"{half}.safetensors"
        learnt = run(program, "finetune", *files, "--out", adapter, "--report", work / f"{half}.html", "--json", *options)
        both = pa.concat_tables([write(weak, work / "some.parquet", test, "weak/"), write(good, work / "some.parquet", test, "good/")])
        plain, adapted = work / f"test-{half}.parquet", work / f"adapted-{half}.parquet"
        pq.write_table(both, plain, compression="none", use_dictionary=False, write_statistics=False)
        run(program, "embed", plain, "--adapter", adapter, "--out", adapted, "--json")
        tests = {
            "weak": pairs(weak.filter(pa.array([p in test for p in weak["person"].to_pylist()])), False, half),
            "mixed": pairs(weak.filter(pa.array([p in test for p in weak["person"].to_pylist()])), True, half),
            "View 2": view2(lfw / "protocols/pairs.txt", tested),
        }
        for name, rows in tests.items():
            file = protocol(work / f"{half}-{name.replace(' ', '')}.csv", rows)
            cells = []
            for table in (plain, adapted):
                figures = run(program, "benchmark", "verification", "--protocol", file, "--root", lfw / "images", "--embeddings", table, "--json")
                tar, (low, high) = figures["tar_at_far"]["1e-3"], figures["intervals"]["tar_at_far"]["1e-3"]
                cell = f"{100 * tar:.1f} % ({100 * low:.1f} to {100 * high:.1f})"
                if name == "View 2":
                    accuracies.append(figures["accuracy_mean"])
                    cell = f"accuracy {100 * accuracies[-1]:.2f} %, TAR {cell}"
                cells.append(cell)
            print(f"| sets {tested[0] + 1} to {tested[-1] + 1} | {name}, {figures['same']:,} of one person | {' | '.join(cells)} |", flush=True)
        before, best = learnt["before"]["figure"], learnt["best"]
        print(f"<!-- {learnt['id']}: held out {before:.4f} -> {best['figure']:.4f} after {best['epoch']} epochs, {learnt['seconds']:.1f} s -->")
    plain, adapted = np.mean(accuracies[0::2]), np.mean(accuracies[1::2])
    print(f"View 2, mean of the ten folds: {100 * plain:.2f} % alone, {100 * adapted:.2f} % with the adapter")


if __name__ == "__main__":
    main()
