"""How right gender and age are on faces that the heads were not trained on, as tables for docs/accuracy.md.

Usage: attributes.py BLEDSOE LFW.parquet UTKFACE.parquet LABELS [OPTION…]
  LFW.parquet, UTKFACE.parquet   bledsoe embed of lfw/images and utkface/images
  LABELS                         the folder that tools/convert/attributes.py wrote, with lfw-test.csv and utkface-test.csv
  OPTION…                        for `bledsoe attributes`, such as --model FILE

In brackets are 95 % intervals: people of LFW, photos of UTKFace, drawn anew a thousand times.
"""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np

BANDS = [(0, 5), (5, 13), (13, 20), (20, 40), (40, 60), (60, 120)]


def answers(program, table, options):
    """By file name; the table's photos have one face each."""
    done = subprocess.run([program, "attributes", table, "--json", *options], capture_output=True, text=True)
    if done.returncode > 1:
        sys.exit(done.stderr)
    return {Path(face["path"]).name: face for face in json.loads(done.stdout)["faces"]}


def interval(values, groups):
    """Mean of the values, with the interval by drawing groups."""
    _, group = np.unique(groups, return_inverse=True)
    sums, counts = np.bincount(group, values), np.bincount(group).astype(float)
    rng = np.random.default_rng(0)
    draws = rng.multinomial(len(sums), np.full(len(sums), 1 / len(sums)), size=1000)
    low, high = np.quantile(draws @ sums / (draws @ counts), [0.025, 0.975])
    return values.mean(), low, high


def percent(right, groups):
    return "{:.1f} ({:.1f} to {:.1f})".format(*(100 * x for x in interval(right.astype(float), groups)))


def years(errors, groups):
    return "{:.2f} ({:.2f} to {:.2f})".format(*interval(errors, groups))


def rows_of(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def main():
    program, lfw, utkface, labels, *options = sys.argv[1:]
    labels = Path(labels)
    said = answers(program, lfw, options)
    rows = [row for row in rows_of(labels / "lfw-test.csv") if Path(row["image"]).name in said]
    truth = np.array([row["gender"] for row in rows])
    people = np.array([Path(row["image"]).parent.name for row in rows])
    faces = [said[Path(row["image"]).name]["gender"] for row in rows]
    right = np.array([face["label"] for face in faces]) == truth
    sure = np.array([face["probability"] for face in faces])
    print(f"LFW, {len(rows)} photos of {len(set(people))} people, gender: {percent(right, people)} % of the photos; "
          f"women {percent(right[truth == 'F'], people[truth == 'F'])}, men {percent(right[truth == 'M'], people[truth == 'M'])}; "
          f"mean probability {100 * sure.mean():.1f} %\n")

    said = answers(program, utkface, options)
    rows = [row for row in rows_of(labels / "utkface-test.csv") if row["image"] in said]
    faces = [said[row["image"]] for row in rows]
    gender = np.array([row["gender"] for row in rows])
    race = np.array([row["race"] for row in rows])
    age = np.array([float(row["age"]) for row in rows])
    photo = np.arange(len(rows))
    right = np.array([face["gender"]["label"] for face in faces]) == gender
    sure = np.array([face["gender"]["probability"] for face in faces])
    value, low, high = (np.array([face["age"][key] for face in faces]) for key in ["value", "low", "high"])
    errors = np.abs(value - age)
    inside = (low <= age) & (age <= high)
    print("| UTKFace | faces | gender, % right | mean probability | age, mean absolute error | median | bias | in the range, % | mean width |")
    print("|---|---|---|---|---|---|---|---|---|")
    groups = [("all", photo >= 0)]
    groups += [(f"aged {a} to {b - 1}" if b < 120 else f"aged {a} and over", (age >= a) & (age < b)) for a, b in BANDS]
    groups += [("aged 5 and over", age >= 5), ("aged 20 and over", age >= 20)]
    groups += [(name, race == name) for name in sorted(set(race))]
    groups += [({"F": "women and girls", "M": "men and boys"}[name], gender == name) for name in "FM"]
    for name, of in groups:
        print(f"| {name} | {of.sum()} | {percent(right[of], photo[of])} | {100 * sure[of].mean():.1f} | {years(errors[of], photo[of])} | "
              f"{np.median(errors[of]):.1f} | {(value - age)[of].mean():+.1f} | {100 * inside[of].mean():.0f} | {(high - low)[of].mean():.0f} |")


if __name__ == "__main__":
    main()
