"""Plants faults in a copy of LFW, runs `bledsoe doctor`, and prints precision and recall of each kind of finding.

The copy has links to the photos that stay as they are, so it takes little room; it lies in --out, outside the
repository. All faults are in one copy, on different people, chosen by --seed:

  100 wrong labels     photos moved into another person's folder. `--labels likely`: of people with at least 3 photos
                       into folders with at least 2. `--labels any`: any photo into any folder
  50 near-duplicates   a second copy beside a photo: JPEG quality 30 to 80, 60 to 95 % of the size, up to 3 % cut off
                       each edge, at random
  30 split people      half the photos of a person with at least --split-min photos in a second folder
  20 merged people     the photos of two people with at least 2 photos each in one folder
  50 blurred photos    Gaussian, sigma 2.5 to 4 pixels, faces about 100 pixels wide

A flagged photo that was not planted counts as false, but LFW has errors of its own: those in ERRATA are left out, and
`unexplained` lists the rest, to be looked at (tools/measure/doctor.py prints them; look at the report's thumbnails).

Usage: tools/measure/doctor.py --out DIR [--seed N] [--labels likely|any] [--embeddings TABLE] [--bledsoe PROGRAM]
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

from PIL import Image, ImageFilter

REPOSITORY = Path(__file__).resolve().parents[2]
IMAGES = Path(os.environ.get("BLEDSOE_DATASETS", REPOSITORY.parent / "shared/datasets")) / "lfw/images"

# Photos that LFW's own page names as labelled wrongly, as far as they are remembered here.
ERRATA = {
    "Recep_Tayyip_Erdogan/Recep_Tayyip_Erdogan_0004.jpg",
    "Janica_Kostelic/Janica_Kostelic_0001.jpg",
    "Nora_Bendijo/Nora_Bendijo_0001.jpg",
    "Bart_Hendricks/Bart_Hendricks_0001.jpg",
    "Carlos_Beltran/Carlos_Beltran_0001.jpg",
    "Emmy_Rossum/Emmy_Rossum_0001.jpg",
    "Michael_Schumacher/Michael_Schumacher_0008.jpg",
}


def plant(out, rng, labels, split_min):
    """Makes the faulty copy. Returns what was planted, by kind."""
    photos = {p.name: sorted(x.name for x in p.iterdir()) for p in sorted(IMAGES.iterdir())}
    # Where each photo of the copy is to lie, and what it is: a link, or a picture made here.
    place = {f"{person}/{name}": IMAGES / person / name for person, names in photos.items() for name in names}
    used = set()

    def people(least, count):
        """People not yet used, with at least `least` photos."""
        free = [person for person, names in photos.items() if len(names) >= least and person not in used]
        chosen = rng.sample(free, count)
        used.update(chosen)
        return chosen

    truth = {}
    truth["split"] = []
    for person in people(split_min, 30):
        names = rng.sample(photos[person], len(photos[person]))
        for name in names[: len(names) // 2]:
            place[f"{person}_again/{name}"] = place.pop(f"{person}/{name}")
        truth["split"].append([person, f"{person}_again"])
    truth["merged"] = []
    chosen = people(2, 40)
    for kept, gone in zip(chosen[:20], chosen[20:]):
        for name in photos[gone]:
            place[f"{kept}/{name}"] = place.pop(f"{gone}/{name}")
        truth["merged"].append(kept)

    def any_photos(least, count):
        """Photos of people with at least `least` photos, each photo as likely as another; their people become used."""
        free = [f"{person}/{name}" for person, names in photos.items() if len(names) >= least and person not in used
                for name in names]
        return rng.sample(free, count)

    truth["mislabelled"] = {}
    from_least, to_least = {"likely": (3, 2), "any": (1, 1)}[labels]
    targets = [person for person, names in photos.items() if len(names) >= to_least and person not in used]
    left = {person: len(names) for person, names in photos.items()}
    for photo in any_photos(from_least, 100):
        person, name = photo.split("/")
        target = rng.choice([t for t in targets if t != person])
        place[f"{target}/{name}"] = place.pop(photo)
        left[person] -= 1
        truth["mislabelled"][f"{target}/{name}"] = person
    moved = {photo.split("/")[1] for photo in truth["mislabelled"]}

    spare = [photo for photo in any_photos(1, 400) if photo.split("/")[1] not in moved]
    truth["duplicate"] = []
    for photo in spare[:50]:
        image = Image.open(IMAGES / photo).convert("RGB")
        cut = [rng.uniform(0, 0.03) * 250 for _ in range(4)]
        image = image.crop((round(cut[0]), round(cut[1]), 250 - round(cut[2]), 250 - round(cut[3])))
        scale = rng.uniform(0.6, 0.95)
        image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.LANCZOS)
        copy = photo.replace(".jpg", "_copy.jpg")
        place[copy] = (image, rng.randint(30, 80))
        truth["duplicate"].append([photo, copy])
    truth["blurred"] = []
    for photo in spare[50:100]:
        image = Image.open(IMAGES / photo).convert("RGB")
        place[photo] = (image.filter(ImageFilter.GaussianBlur(rng.uniform(2.5, 4))), 95)
        truth["blurred"].append(photo)

    shutil.rmtree(out, ignore_errors=True)
    for path, content in place.items():
        (out / path).parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, Path):
            (out / path).symlink_to(content)
        else:
            content[0].save(out / path, quality=content[1])
    truth["left"] = {photo: left[person] for photo, person in truth["mislabelled"].items()}
    return truth


def rates(found, planted, ignored=frozenset()):
    found, planted = set(found) - ignored, set(planted)
    hits = found & planted
    return {
        "planted": len(planted), "found": len(hits), "false": len(found - planted),
        "recall": round(len(hits) / max(len(planted), 1), 4), "precision": round(len(hits) / max(len(found), 1), 4),
    }


def score(findings, truth):
    by_kind = {}
    for finding in findings:
        by_kind.setdefault(finding["kind"], []).append(finding)
    of = lambda kind: by_kind.get(kind, [])
    result, unexplained = {}, {}

    flagged = [photo for finding in of("mislabelled") for photo in finding["photos"]]
    assert len(flagged) == len(set(flagged)), "a photo is flagged twice"
    planted = set(truth["mislabelled"])
    result["mislabelled"] = rates(flagged, planted, ERRATA)
    named = {photo: finding["fix"].get("person") for finding in of("mislabelled") for photo in finding["photos"]}
    right = sum(named.get(photo) == person for photo, person in truth["mislabelled"].items())
    result["mislabelled"]["right_person"] = right
    result["mislabelled"]["errata_flagged"] = sorted(set(flagged) & ERRATA)
    # A folder of two photos that do not match, neither of which is known: which is wrong cannot be told.
    told = set(flagged) | {photo for finding in of("merged") for photo in finding["photos"] + finding["others"]}
    result["mislabelled"]["recall_with_merged"] = round(len(planted & told) / len(planted), 4)
    result["mislabelled"]["missed"] = {photo: [truth["mislabelled"][photo], truth["left"][photo]]
                                       for photo in sorted(planted - set(flagged))}
    unexplained["mislabelled"] = sorted(set(flagged) - planted - ERRATA)

    pairs = [tuple(sorted(finding["people"][:2])) for finding in of("split")]
    planted = [tuple(sorted(pair)) for pair in truth["split"]]
    result["split"] = rates(pairs, planted)
    unexplained["split"] = sorted(set(pairs) - set(planted))
    # Folders in which a wrong label was planted hold two people too.
    also = {photo.split("/")[0] for photo in truth["mislabelled"]}
    people = [finding["people"][0] for finding in of("merged")]
    result["merged"] = rates(people, truth["merged"], also)
    unexplained["merged"] = sorted(set(people) - set(truth["merged"]) - also)

    groups = [frozenset(finding["photos"] + finding["others"]) for finding in of("duplicate")]
    pairs = [frozenset(pair) for pair in truth["duplicate"]]
    found = {pair for pair in pairs if any(pair <= group for group in groups)}
    false = [group for group in groups if not any(pair <= group for pair in pairs)]
    result["duplicate"] = rates(list(found) + false, pairs)
    unexplained["duplicate"] = sorted(sorted(group) for group in false)
    for kind in ["blurred"]:
        flagged = [finding["photos"][0] for finding in of(kind)]
        result[kind] = rates(flagged, truth[kind])
        unexplained[kind] = sorted(set(flagged) - set(truth[kind]))
    result["counts"] = {kind: len(found) for kind, found in sorted(by_kind.items())}
    return result, unexplained


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--labels", choices=["likely", "any"], default="likely")
    parser.add_argument("--split-min", type=int, default=4)
    parser.add_argument("--embeddings", type=Path, help="a table of LFW that `bledsoe embed` wrote, to save time")
    parser.add_argument("--bledsoe", default=REPOSITORY / "target/release/bledsoe")
    parser.add_argument("--plant-only", action="store_true")
    args, more = parser.parse_known_args()
    name = f"{args.labels}-{args.seed}"
    copy = args.out / f"lfw-{name}"
    truth = plant(copy, random.Random(args.seed), args.labels, args.split_min)
    (args.out / f"truth-{name}.json").write_text(json.dumps(truth, indent=1))
    if args.plant_only:
        return
    command = [args.bledsoe, "doctor", copy, "--json", *more]
    if args.embeddings:
        command += ["--embeddings", args.embeddings]
    start = time.time()
    run = subprocess.run(command, stdout=subprocess.PIPE)
    if run.returncode not in (0, 1):
        sys.exit(run.returncode)
    seconds = time.time() - start
    (args.out / f"doctor-{name}.json").write_bytes(run.stdout)
    result, unexplained = score(json.loads(run.stdout)["findings"], truth)
    (args.out / f"unexplained-{name}.json").write_text(json.dumps(unexplained, indent=1))
    for kind, rate in result.items():
        print(kind, json.dumps(rate))
    print({kind: len(photos) for kind, photos in unexplained.items()}, f"{seconds:.0f} s")


if __name__ == "__main__":
    main()
