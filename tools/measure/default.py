"""Finds the default again: crops, flips, fusions and weights on an own split of LFW, then reports the chosen ones.

The own split is the images that no pair of View 2 uses: people with two images or more (at most six of each), and
people with one. Nothing is chosen on View 2. `lfw.py detect` must have run with the same --cache.

  embed MODEL[@CROP]     embeddings of the own split's images, or of --all, straight and mirrored; added to the cache
  split SPEC ...         accept rates on the own split, d', open-set FNIR; intervals of the difference to the first SPEC
  faces MODEL FOLDER     vectors of the faces of other photos, as FOLDER.npy in the cache, for centre
  report SPEC ...        View 1 and View 2 accuracy and accept rates, threshold at a false accept rate of 1e-3 on 100,000
                         pairs of strangers of View 1, open set on all of LFW
  centre SPEC            the same as split with vectors centred, whitened or normalised by a cohort: the faces in --others

SPEC joins parts by `+`. A part is MODEL, then `@CROP` once for each crop that is averaged, then `~` for averaging with
the mirrored chips, then `:WEIGHT`: `mobilefacenet~:1+dlib@1,0,1@1.1,0,1~:2`. CROP is ZOOM,UP,STRETCH[,RIGHT] relative to
the contract's own crop, as in lfw.py.
"""

import argparse
from pathlib import Path

import numpy as np

import lfw

MOST = 6  # images of one person in the own split
FARS = (1e-3, 1e-4, 1e-5)
FPIR = 0.01


def unit(v):
    return v / np.linalg.norm(v, axis=-1, keepdims=True)


def person(name):
    return name.split("/")[0]


# ---- The own split ----


class Split:
    """Images of people with several, then images of people with one."""

    def __init__(self, names):
        used = {n for a, b, _ in lfw.pairs("pairs.txt") for n in (a, b)}
        by = {}
        for n in names:
            if n not in used:
                by.setdefault(person(n), []).append(n)
        rng = np.random.default_rng(0)
        several = [list(map(str, rng.permutation(v)))[:MOST] for v in by.values() if len(v) > 1]
        self.count = sum(map(len, several))
        self.names = [n for v in several for n in v] + [v[0] for v in by.values() if len(v) == 1]
        self.ids = np.repeat(np.arange(len(several)), [len(v) for v in several])
        same = np.triu(self.ids[:, None] == self.ids, 1)
        self.pairs = np.argwhere(same)
        self.of = self.ids[self.pairs[:, 0]]
        # People with many pairs weigh less than their pairs, so that few people do not decide.
        weights = 1 / np.sqrt(np.bincount(self.of)[self.of])
        self.weights = weights / weights.sum()
        starts = np.searchsorted(self.ids, np.arange(len(several)))
        self.enrolled = [starts, starts + 1]  # twice: each person's first image, then the second


class Scores:
    """Similarities that the split's figures need."""

    def __init__(self, split, s):
        a, b = split.pairs.T
        self.same, self.apart = s[a, b], s[:split.count, split.count:]
        self.searched = [s[np.ix_(np.setdiff1d(np.arange(split.count), g), g)] for g in split.enrolled]


def rates(split, scores):
    """Accept rates at FARS, d', and FNIR at FPIR; and which pairs are accepted at each rate."""
    far = np.sort(scores.apart.ravel())[::-1]
    accepted = [scores.same > far[int(f * len(far))] for f in FARS]
    mean = split.weights @ scores.same
    spread = split.weights @ (scores.same - mean) ** 2
    d = (mean - far.mean()) / np.sqrt((spread + far.var()) / 2)
    missed = []
    for enrolled, found in zip(split.enrolled, scores.searched):
        probes = np.setdiff1d(np.arange(split.count), enrolled)
        strangers = np.sort(scores.apart[enrolled].max(0))[::-1]
        right = found.argmax(1) == split.ids[probes]
        missed.append(1 - (right & (found.max(1) > strangers[int(FPIR * len(strangers))])).mean())
    return [split.weights @ a for a in accepted], d, np.mean(missed), accepted


def interval(split, accepted, base, draws=1000):
    """95 % of the difference of two accept rates over people drawn again, the thresholds held."""
    change = np.bincount(split.of, split.weights * (accepted.astype(float) - base))
    weight = np.bincount(split.of, split.weights)
    drawn = np.random.default_rng(0).integers(0, len(change), (draws, len(change)))
    return np.quantile(change[drawn].sum(1) / weight[drawn].sum(1), [0.025, 0.975])


# ---- Embeddings ----


def part_of(text):
    """MODEL[@CROP...][~][:WEIGHT] -> model, crops, flip, weight."""
    text, _, weight = text.partition(":")
    flip = text.endswith("~")
    model, *crops = text.rstrip("~").split("@")
    crops = [tuple(float(v) for v in c.split(",")) for c in crops] or [(1.0, 0.0, 1.0)]
    return model, crops, flip, float(weight or 1)


def file_of(args, model, crop, mirrored):
    name = "-".join([model, *(f"{v:g}" for v in crop)] + (["mirrored"] if mirrored else []))
    return args.cache / f"default-{name}.npz"


def stored(args, model, crop, mirrored):
    """{image: unit vector}."""
    file = file_of(args, model, crop, mirrored)
    if not file.is_file():
        return {}
    kept = np.load(file)
    return dict(zip((str(n) for n in kept["names"]), kept["vectors"]))


def embed(args):
    found = lfw.Points(args.cache)
    names = list(found.rows) if args.all else Split(sorted(found.rows)).names
    for spec in args.specs:
        name, crops, _, _ = part_of(spec)
        model = lfw.Model(args, name)
        for crop in crops:
            template = lfw.crop_of(model.template, *crop)
            for mirrored in (False, True):
                vectors = stored(args, name, crop, mirrored)
                left = [n for n in names if n not in vectors and found.of(n) is not None]
                for start in range(0, len(left), 512):
                    some = left[start:start + 512]
                    vectors |= zip(some, model.embed(lfw.read, found, some, template, mirrored))
                    np.savez(file_of(args, name, crop, mirrored), names=list(vectors), vectors=np.stack(list(vectors.values())))
                    print(f"{spec} {crop}{' mirrored' if mirrored else ''}: {len(vectors)} images", flush=True)


def vectors_of(args, spec, names):
    """Unit vectors [len(names), dim] of a SPEC as bledsoe's fusion joins them; zero where no face was found."""
    found, joined = lfw.Points(args.cache), []
    parts = [part_of(p) for p in spec.split("+")]
    for model, crops, flip, weight in parts:
        total = 0
        for crop in crops:
            for mirrored in (False, True)[:1 + flip]:
                kept = stored(args, model, crop, mirrored)
                missing = sum(n not in kept and found.of(n) is not None for n in names)
                if missing:
                    raise SystemExit(f"{missing} images have no embedding of {model} {crop}: run embed first")
                dim = len(next(iter(kept.values())))
                total = total + np.stack([unit(kept[n]) if n in kept else np.zeros(dim, np.float32) for n in names])
        length = np.linalg.norm(total, axis=1, keepdims=True)
        share = weight / sum(p[3] for p in parts)
        joined.append(total / np.maximum(length, 1e-12) * np.sqrt(share))
    return np.concatenate(joined, axis=1).astype(np.float32)


# ---- Commands ----


def line(label, split, scores, base):
    tar, d, fnir, accepted = rates(split, scores)
    text = f"{label:44} " + " ".join(f"TAR@{f:g} {t:.4f}" for f, t in zip(FARS, tar)) + f" d' {d:.3f} FNIR {fnir:.4f}"
    if base is not None:
        low, high = interval(split, accepted[1], base[1])
        text += f"  TAR@1e-4 {low:+.4f}..{high:+.4f}"
    print(text, flush=True)
    return accepted


def split(args):
    own = Split(sorted(lfw.Points(args.cache).rows))
    print(f"{own.count} images of {own.ids[-1] + 1} people, {len(own.pairs)} pairs; {len(own.names) - own.count} strangers")
    base = None
    for spec in args.specs:
        v = vectors_of(args, spec, own.names)
        accepted = line(spec, own, Scores(own, v @ v.T), base)
        base = base or accepted


def faces(args):
    """Straight, by the contract's crop, of the face nearest the centre of each photo."""
    model, folder = lfw.Model(args, args.specs[0]), Path(args.specs[1])
    net, photos, points = lfw.session(args.networks / "centerface.onnx"), {}, {}
    for path in sorted(folder.iterdir()):
        photo = lfw.cv2.cvtColor(lfw.cv2.imread(str(path)), lfw.cv2.COLOR_BGR2RGB)
        boxes, found = lfw.centerface(net, [photo])[0]
        if len(boxes):
            middle = np.array(photo.shape[1::-1]) / 2
            nearest = np.argmin((((boxes[:, :2] + boxes[:, 2:4]) / 2 - middle) ** 2).sum(1))
            photos[path.name], points[path.name] = photo, found[nearest]

    class Found:
        of = staticmethod(points.get)

    vectors = model.embed(photos.get, Found, list(photos), model.template)
    np.save(args.cache / f"{folder.name}.npy", vectors)
    print(f"{len(vectors)} faces of {folder}")


def centre(args):
    """--others: a .npy of the model's vectors of faces that are not LFW's, made with the same crop and flip."""
    own = Split(sorted(lfw.Points(args.cache).rows))
    others = unit(np.load(args.others))
    for spec in args.specs:
        v = vectors_of(args, spec, own.names)
        base = line("as it is", own, Scores(own, v @ v.T), None)
        for share in (0.5, 1.0):
            c = unit(v - share * others.mean(0))
            line(f"centred {share}", own, Scores(own, c @ c.T), base)
        values, axes = np.linalg.eigh(np.cov(others.T))
        for power in (0.1, 0.25, 0.5):
            c = unit((v - others.mean(0)) @ axes * (values + 0.05 * values.mean()) ** -power)
            line(f"whitened, power {power}", own, Scores(own, c @ c.T), base)
        near = np.sort(v @ others.T, axis=1)
        for top in (50, 200, len(others)):
            mean, spread = near[:, -top:].mean(1), near[:, -top:].std(1)
            s = v @ v.T
            line(f"s-norm, top {top}", own, Scores(own, ((s - mean[:, None]) / spread[:, None] + (s - mean) / spread) / 2), base)
            line(f"shift only, top {top}", own, Scores(own, s - (mean[:, None] + mean) / 2), base)


def open_set(v, names):
    """FNIR at FPIR: each person of several images enrolled by the first, people of one image as strangers."""
    who = np.array([person(n) for n in names])
    first = np.unique(who, return_index=True)[1]
    several = np.unique(who, return_counts=True)[1] > 1
    enrolled, strangers = first[several], first[~several]
    probes = np.setdiff1d(np.flatnonzero(np.isin(who, who[enrolled])), enrolled)
    bar = np.sort((v[strangers] @ v[enrolled].T).max(1))[::-1][int(FPIR * len(strangers))]
    s = v[probes] @ v[enrolled].T
    right = who[enrolled][s.argmax(1)] == who[probes]
    return len(enrolled), len(strangers), 1 - (right & (s.max(1) > bar)).mean(), right.mean(), bar


def report(args):
    names = sorted(lfw.Points(args.cache).rows)
    row = {n: k for k, n in enumerate(names)}
    dev = lfw.pairs("pairsDevTest.txt")
    protocols = {"View 1": [p for k in range(10) for p in dev[k::10]], "View 2": lfw.pairs("pairs.txt")}
    strangers = lfw.strangers(lfw.STRANGERS)
    for spec in args.specs:
        v = vectors_of(args, spec, names)

        def scores(listed):
            a, b = np.array([(row[a], row[b]) for a, b, _ in listed]).T
            return (v[a] * v[b]).sum(1)

        print(spec)
        cut = lfw.threshold_at(scores(strangers), lfw.FAR)
        for title, listed in protocols.items():
            s, same = scores(listed), np.array([x for _, _, x in listed])
            mean, error = lfw.accuracy(s, same, 10)
            own = lfw.threshold_at(s[~same], lfw.FAR)
            print(f"  {title}: accuracy {mean:.4f} +- {error:.4f}, TAR at FAR {lfw.FAR}: {(s[same] >= own).mean():.4f}; "
                  f"at View 1's threshold: TAR {(s[same] >= cut).mean():.4f}, FAR {(s[~same] >= cut).mean():.4f}")
        print(f"  threshold at FAR {lfw.FAR} of {len(strangers)} pairs of strangers of View 1: {cut:.4f}")
        known, unknown, fnir, rank1, bar = open_set(v, names)
        print(f"  open set: {known} enrolled by one image, {unknown} strangers: FNIR {fnir:.4f} at FPIR {FPIR} "
              f"(similarity {bar:.4f}), rank 1 {rank1:.4f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["embed", "faces", "split", "report", "centre"])
    parser.add_argument("specs", nargs="+", metavar="SPEC", help="or MODEL FOLDER, for faces")
    parser.add_argument("--cache", type=Path, required=True, help="folder of results, shared with lfw.py")
    parser.add_argument("--networks", type=Path, help="folder of ID.onnx, for embed")
    parser.add_argument("--all", action="store_true", help="embed all images, for report")
    parser.add_argument("--others", type=Path, help="vectors of faces that are not LFW's, for centre")
    args = parser.parse_args()
    if args.command in ("embed", "faces") and args.networks is None:
        parser.error(f"{args.command} needs --networks")
    if args.command == "centre" and args.others is None:
        parser.error("centre needs --others")
    globals()[args.command](args)


if __name__ == "__main__":
    main()
