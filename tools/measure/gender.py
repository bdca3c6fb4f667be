"""LFW's lists of men and women as a CSV of labels, for `bledsoe benchmark verification --labels`.

Usage: gender.py LFW > gender.csv
  LFW  folder with images/ and labels/male_names.txt, labels/female_names.txt

Some names of the lists lack the extension and some are misspelt: those without a photo are told on standard error.
"""

import sys
from pathlib import Path

lfw = Path(sys.argv[1])
photos = {path.stem: f"{path.parent.name}/{path.name}" for path in (lfw / "images").rglob("*.jpg")}
seen, lost = {}, []
for gender in ["female", "male"]:
    for line in (lfw / "labels" / f"{gender}_names.txt").read_text().split():
        name = line.removesuffix(".jpg")
        if name in photos:
            seen.setdefault(name, set()).add(gender)
        else:
            lost.append(line)
both = [name for name, genders in seen.items() if len(genders) > 1]
print("image,gender")
for name, genders in sorted(seen.items()):
    if len(genders) == 1:
        print(f"{photos[name]},{genders.pop()}")
print(f"{len(seen) - len(both)} photos labelled, {len(photos) - len(seen)} without a label; "
      f"{len(both)} in both lists, left out: {both}; {len(lost)} names without a photo: {lost}", file=sys.stderr)
