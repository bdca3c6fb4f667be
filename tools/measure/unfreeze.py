"""What `bledsoe finetune --unfreeze` gains on weak photos beside an adapter, and costs on good ones, for docs/finetune.md.

    python tools/measure/unfreeze.py BLEDSOE LFW WEAK WORK --unfreeze N [N...] [--good GOOD] [--most N] [--halves 0 1]
        [--embedder NAME] [-- OPTION...]

LFW holds images/ and protocols/; WEAK and GOOD are folders of chips, made by `bledsoe align --template T` (T being the
template of the embedder, facenet if absent) of the photos that shrink.py made of LFW's, and of LFW's own; WORK is a folder
for what is made; OPTIONs are for `bledsoe finetune --unfreeze`. Who is learnt from and who is tested, and the three tests,
are as in finetune.py; without GOOD, only weak photos are learnt from and tested. --most is how many photos of a kind are
learnt from of a person; of weak photos the first five of a person are tested.
"""

import argparse
import os
import shutil
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

import finetune
from finetune import run


def linked(chips, folder, people, most):
    """A folder with the first `most` chips of some people."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(chips / "align.json", folder)
    for name in people:
        for chip in sorted((chips / name).glob("*.png"))[:most]:
            link = folder / name / chip.name
            link.parent.mkdir(exist_ok=True)
            if not link.exists():
                os.symlink(chip.resolve(), link)
    return folder


def embed(program, folder, embedder, table, prefix):
    """The table of a folder of chips, with the photos' names."""
    run(program, "embed", folder, "--embedder", embedder, "--out", table, "--json")
    rows = pq.read_table(table)
    names = [prefix + name.removesuffix(".png") + ".jpg" for name in rows["path"].to_pylist()]
    place = rows.schema.get_field_index("path")
    return rows.set_column(place, rows.schema.field("path"), pa.array(names, pa.string()))


def written(tables, path):
    """One table of several, as bledsoe reads it."""
    pq.write_table(pa.concat_tables(tables), path, compression="none", use_dictionary=False, write_statistics=False)
    return path


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("program", "lfw", "weak", "work"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--good", type=Path)
    parser.add_argument("--embedder", default="facenet")
    parser.add_argument("--unfreeze", type=int, nargs="+", required=True)
    parser.add_argument("--halves", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--most", type=int)
    words = sys.argv[1:]
    end = words.index("--") if "--" in words else len(words)
    args, options = parser.parse_args(words[:end]), words[end + 1 :]
    program, work = args.program.resolve(), args.work
    chips = {"weak": args.weak} | ({"good": args.good} if args.good else {})
    ten = finetune.sets(args.lfw / "protocols/people.txt")
    titles = ["embedder alone", "with an adapter"] + [f"{n} layers or more unfrozen" for n in args.unfreeze]
    print(f"| tested | pairs | {' | '.join(titles)} |\n|{'---|' * (2 + len(titles))}", flush=True)
    for half in args.halves:
        tested = range(5 * half, 5 * half + 5)
        test = [name for i in tested for name in ten[i]]
        # Nobody is learnt from who has but one photo: of such shrink.py made none.
        learn = [name for i in range(10) if i not in tested for name in ten[i] if (args.weak / name).is_dir()]
        learnt = [linked(folder, work / f"learn-{half}/{kind}", learn, args.most) for kind, folder in chips.items()]
        tests = {
            kind: linked(folder, work / f"test-{half}/{kind}", test, finetune.MOST if kind == "weak" else None)
            for kind, folder in chips.items()
        }

        runs, made, adapter = [], [], work / f"{half}.safetensors"
        tables = [work / f"learn-{half}-{folder.name}.parquet" for folder in learnt]
        for folder, table in zip(learnt, tables):
            embed(program, folder, args.embedder, table, "")
        runs.append(run(program, "finetune", *tables, "--out", adapter, "--json"))
        embedders = [args.embedder]
        for layers in args.unfreeze:
            network = work / f"{half}-{layers}.onnx"
            named = ("--embedder", args.embedder, "--unfreeze", layers, "--out", network, "--report", network.with_suffix(".html"))
            runs.append(run(program, "finetune", *learnt, *named, "--json", *options))
            embedders.append(network)
        for embedder in embedders:
            parts = [embed(program, folder, embedder, work / "part.parquet", f"{kind}/") for kind, folder in tests.items()]
            made.append(written(parts, work / f"test-{half}-{Path(embedder).stem}.parquet"))
        adapted = work / f"adapted-{half}.parquet"
        run(program, "embed", made[0], "--adapter", adapter, "--out", adapted, "--json")
        made.insert(1, adapted)

        base = pq.read_table(made[0])
        weak = base.filter(pa.array([path.startswith("weak/") for path in base["path"].to_pylist()]))
        protocols = {"weak": finetune.pairs(weak, False, half)}
        if args.good:
            protocols["weak and good"] = finetune.pairs(weak, True, half)
            protocols["View 2"] = finetune.view2(args.lfw / "protocols/pairs.txt", tested)
        for name, rows in protocols.items():
            file = finetune.protocol(work / f"{half}-{name.replace(' ', '')}.csv", rows)
            cells = []
            for table in made:
                what = ("--protocol", file, "--root", args.lfw / "images", "--embeddings", table)
                figures = run(program, "benchmark", "verification", *what, "--json")
                tar, (low, high) = figures["tar_at_far"]["1e-3"], figures["intervals"]["tar_at_far"]["1e-3"]
                accuracy = f"accuracy {100 * figures['accuracy_mean']:.2f} %, TAR " if name == "View 2" else ""
                cells.append(f"{accuracy}{100 * tar:.1f} % ({100 * low:.1f} to {100 * high:.1f})")
            print(f"| sets {tested[0] + 1} to {tested[-1] + 1} | {name}, {figures['same']:,} of one person | {' | '.join(cells)} |", flush=True)
        for trained in runs:
            before, best = trained["before"]["figure"], trained["best"]
            pace = f"{trained['seconds_per_epoch']:.2f} s an epoch on {trained['device']}"
            record = trained["about"].get("training", trained["about"])
            photos, people = record["trained_on"]
            print(f"<!-- {trained['id']}: learnt from {photos} photos of {people} people, held out {before:.4f} -> {best['figure']:.4f} after {best['epoch']} epochs, {pace}, {trained['seconds']:.0f} s -->", flush=True)


if __name__ == "__main__":
    main()
