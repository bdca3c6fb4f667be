"""Makes what the heads for gender and age are trained on: one table of embeddings and one file of labels.

Usage: attributes.py LFW.parquet UTKFACE.parquet DATASETS OUT

The tables are `bledsoe embed` of lfw/images and utkface/images with one embedder. Written are OUT/gender.parquet,
OUT/gender.csv, OUT/age.parquet, OUT/age.csv, and for measuring OUT/utkface-test.csv (image, age, gender, race) and
OUT/lfw-test.csv (image, gender).

Only one half is trained on, so that the heads that are shipped can be tested on the other: of LFW the people, of UTKFace the
photos, whose name has an even first byte of its SHA-256. LFW is three quarters men and mostly adults, so for gender as many
women as men are taken from it, and at most two photos of each.
"""

import argparse
import csv
import hashlib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

PHOTOS_A_PERSON = 2


def is_ours(name):
    return hashlib.sha256(name.encode()).digest()[0] % 2 == 0


def lfw_genders(folder):
    """Gender by photo name. Names without a photo, and those in both lists, are passed over by who looks them up."""
    named = {}
    for letter, file in [("F", "female_names.txt"), ("M", "male_names.txt")]:
        for line in (folder / "labels" / file).read_text().split():
            named.setdefault(line.removesuffix(".jpg"), set()).add(letter)
    return {name: letters.pop() for name, letters in named.items() if len(letters) == 1}


def write_csv(path, header, rows):
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ["lfw", "utkface", "datasets", "out"]:
        parser.add_argument(name, type=Path)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)

    lfw, utkface = pq.read_table(args.lfw), pq.read_table(args.utkface)
    genders = lfw_genders(args.datasets / "lfw")
    with open(args.datasets / "utkface/labels.csv", newline="") as file:
        labels = {row["image"]: row for row in csv.DictReader(file)}

    paths, people = lfw["path"].to_pylist(), lfw["person"].to_pylist()
    taken, test = {"F": {}, "M": {}}, []
    for i, (path, person) in enumerate(zip(paths, people)):
        gender = genders.get(Path(path).stem)
        if gender is None:
            continue
        if not is_ours(person):
            test.append((path, gender))
        elif len(taken[gender].setdefault(person, [])) < PHOTOS_A_PERSON:
            taken[gender][person].append(i)
    fewest = min(len(of) for of in taken.values())
    rows = []
    for gender, of in taken.items():
        # An order that says nothing about the name.
        chosen = sorted(of, key=lambda person: hashlib.sha256(person[::-1].encode()).digest())[:fewest]
        rows += [(i, gender) for person in chosen for i in of[person]]
    lfw_rows = sorted(rows)

    names = [Path(path).name for path in utkface["path"].to_pylist()]
    ours = [i for i, name in enumerate(names) if is_ours(name)]
    others = [name for name in names if not is_ours(name)]
    own = utkface.take(ours)
    joint = pa.concat_tables([lfw.take([i for i, _ in lfw_rows]), own]).replace_schema_metadata(lfw.schema.metadata)
    pq.write_table(joint, args.out / "gender.parquet", compression="none", use_dictionary=False)
    pq.write_table(own, args.out / "age.parquet", compression="none", use_dictionary=False)
    utk_genders = [(names[i], labels[names[i]]["gender"]) for i in ours]
    write_csv(args.out / "gender.csv", ["image", "gender"], [(paths[i], gender) for i, gender in lfw_rows] + utk_genders)
    write_csv(args.out / "age.csv", ["image", "age"], [(names[i], labels[names[i]]["age"]) for i in ours])
    columns = ["age", "gender", "race"]
    write_csv(args.out / "utkface-test.csv", ["image", *columns], [(n, *(labels[n][c] for c in columns)) for n in others])
    write_csv(args.out / "lfw-test.csv", ["image", "gender"], test)
    print(f"gender: {len(lfw_rows)} photos of {2 * fewest} people of LFW, {len(ours)} of UTKFace; age: {len(ours)}; "
          f"test: {len(test)} of LFW, {len(others)} of UTKFace")


if __name__ == "__main__":
    main()
