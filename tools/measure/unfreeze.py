"""What `bledsoe finetune --unfreeze` gains on weak photos and costs on good ones, beside an adapter, for docs/finetune.md.

    python tools/measure/unfreeze.py BLEDSOE LFW GOOD WEAK WORK --unfreeze N [N...] [--embedder NAME] [-- OPTION...]

LFW holds images/ and protocols/; GOOD and WEAK are folders of chips, made by `bledsoe align --template T` (T being the
template of the embedder, facenet if absent) of LFW's photos and of those that shrink.py made; WORK is a folder for what is
made; OPTIONs are for `bledsoe finetune --unfreeze`. Who is learnt from and who is tested, and the three tests, are as in
finetune.py.
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


def embed(program, chips, embedder, table):
    """The table of a folder of chips, with the photos' names."""
    run(program, "embed", chips, "--embedder", embedder, "--out", table, "--json")
    rows = pq.read_table(table)
    names = pa.array([name.removesuffix(".png") + ".jpg" for name in rows["path"].to_pylist()], pa.string())
    return rows.set_column(rows.schema.get_field_index("path"), rows.schema.field("path"), names)


def linked(chips, folder, people):
    """A folder with the chips of some people."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(chips / "align.json", folder)
    for name in people:
        if (chips / name).is_dir() and not (folder / name).exists():
            os.symlink((chips / name).resolve(), folder / name)
    return folder


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("program", "lfw", "good", "weak", "work"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--embedder", default="facenet")
    parser.add_argument("--unfreeze", type=int, nargs="+", required=True)
    words = sys.argv[1:]
    end = words.index("--") if "--" in words else len(words)
    args, options = parser.parse_args(words[:end]), words[end + 1 :]
    program, work = args.program.resolve(), args.work
    work.mkdir(parents=True, exist_ok=True)
    chips = {"weak": args.weak, "good": args.good}
    base = {kind: embed(program, folder, args.embedder, work / f"base-{kind}.parquet") for kind, folder in chips.items()}
    ten = finetune.sets(args.lfw / "protocols/people.txt")
    titles = ["embedder alone", "with an adapter"] + [f"{n} layers or more unfrozen" for n in args.unfreeze]
    print(f"| tested | pairs | {' | '.join(titles)} |\n|{'---|' * (2 + len(titles))}")
    for half in (0, 1):
        tested = range(5 * half, 5 * half + 5)
        test = {name for i in tested for name in ten[i]}
        learn = {name for i in range(10) if i not in tested for name in ten[i]}
        # Nobody is learnt from who has but one photo.
        learn &= {path.name for path in args.weak.iterdir() if path.is_dir()}

        tables = [work / f"learn-{half}-{kind}.parquet" for kind in ("weak", "good")]
        for kind, table in zip(("weak", "good"), tables):
            finetune.write(base[kind], table, learn)
        adapter = work / f"{half}.safetensors"
        runs = [run(program, "finetune", *tables, "--out", adapter, "--json")]
        folders = [linked(chips[kind], work / f"learn-{half}/{kind}", learn) for kind in ("weak", "good")]
        networks = [work / f"{half}-{layers}.onnx" for layers in args.unfreeze]
        for layers, network in zip(args.unfreeze, networks):
            named = ("--embedder", args.embedder, "--unfreeze", layers, "--out", network, "--report", network.with_suffix(".html"))
            runs.append(run(program, "finetune", *folders, *named, "--json", *options))

        def both(weak, good, name):
            some = work / "some.parquet"
            parts = [finetune.write(weak, some, test, "weak/"), finetune.write(good, some, test, "good/")]
            pq.write_table(pa.concat_tables(parts), work / name, compression="none", use_dictionary=False, write_statistics=False)
            return work / name

        made = [both(base["weak"], base["good"], f"test-{half}.parquet"), work / f"adapted-{half}.parquet"]
        run(program, "embed", made[0], "--adapter", adapter, "--out", made[1], "--json")
        for network in networks:
            parts = [
                embed(program, linked(chips[kind], work / f"test-{half}/{kind}", test), network, work / "part.parquet")
                for kind in ("weak", "good")
            ]
            made.append(both(*parts, f"{network.stem}.parquet"))

        weak = base["weak"].filter(pa.array([person in test for person in base["weak"]["person"].to_pylist()]))
        tests = {
            "weak": finetune.pairs(weak, False, half),
            "weak and good": finetune.pairs(weak, True, half),
            "View 2": finetune.view2(args.lfw / "protocols/pairs.txt", tested),
        }
        for name, rows in tests.items():
            file = finetune.protocol(work / f"{half}-{name.replace(' ', '')}.csv", rows)
            cells = []
            for table in made:
                what = ("--protocol", file, "--root", args.lfw / "images", "--embeddings", table)
                figures = run(program, "benchmark", "verification", *what, "--json")
                tar, (low, high) = figures["tar_at_far"]["1e-3"], figures["intervals"]["tar_at_far"]["1e-3"]
                cell = f"{100 * tar:.1f} % ({100 * low:.1f} to {100 * high:.1f})"
                accuracy = f"accuracy {100 * figures['accuracy_mean']:.2f} %, TAR " if name == "View 2" else ""
                cells.append(accuracy + cell)
            print(f"| sets {tested[0] + 1} to {tested[-1] + 1} | {name}, {figures['same']:,} of one person | {' | '.join(cells)} |", flush=True)
        for learnt in runs:
            before, best = learnt["before"]["figure"], learnt["best"]
            each = f"{learnt['seconds_per_epoch']:.2f} s an epoch on {learnt['device']}"
            print(f"<!-- {learnt['id']}: held out {before:.4f} -> {best['figure']:.4f} after {best['epoch']} epochs, {each}, {learnt['seconds']:.0f} s -->", flush=True)


if __name__ == "__main__":
    main()
