"""LFW through CenterFace and an embedder, in Python: chooses crops, flips, fusions and thresholds, and reports
accuracy, independently of the Rust code.

The networks are the widened packs (`tools/convert/README.md` makes them), in --networks; contracts and crops are read
from models/registry.toml. LFW is found by BLEDSOE_DATASETS. Results are cached in --cache, so steps can be repeated.

  detect                     CenterFace's five points of the face nearest the centre, of all images
  embed MODEL                embeddings by MODEL's contract of the images of --view; with --flip of the mirrored chips
  search MODEL               accept rates of crops around --crop, on images of View 1
  verify MODEL[:WEIGHT] ...  accuracy and accept rates on --view 1 or 2; several models are fused with their weights
  threshold MODEL[:WEIGHT] ...
                             the similarity at a false accept rate of 1e-3, on pairs of strangers of View 1

Everything is chosen on View 1 (peopleDevTrain, pairsDevTest); View 2 is only reported.
"""

import argparse
import json
import os
import tomllib
from pathlib import Path

import cv2
import numpy as np
import onnxruntime as ort

REPOSITORY = Path(__file__).resolve().parents[2]
ROOT = Path(os.environ.get("BLEDSOE_DATASETS", REPOSITORY.parent / "shared/datasets")) / "lfw"
STRANGERS = 100_000  # pairs that thresholds are fixed on
FAR = 1e-3


def session(path):
    """A network, computed in f32 as bledsoe does on processors without bf16."""
    options = {"device_type": "CPU", "load_config": json.dumps({"CPU": {"INFERENCE_PRECISION_HINT": "f32"}})}
    return ort.InferenceSession(str(path), providers=[("OpenVINOExecutionProvider", options)])


def read(name):
    return cv2.cvtColor(cv2.imread(str(ROOT / "images" / name)), cv2.COLOR_BGR2RGB)


# ---- CenterFace ----


def centerface(net, photos, threshold=0.5):
    """Photos of one size (RGB) -> for each: boxes [k,5] (left, top, right, bottom, score) and points [k,5,2]."""
    h, w = photos[0].shape[:2]
    H, W = -(-h // 32) * 32, -(-w // 32) * 32
    x = np.zeros((len(photos), 3, H, W), np.float32)
    for i, photo in enumerate(photos):
        x[i, :, :h, :w] = photo.transpose(2, 0, 1)
    heat, scale, offset, points = net.run(None, {"input": x})
    found = []
    for i in range(len(photos)):
        ys, xs = np.where(heat[i, 0] > threshold)
        scores = heat[i, 0, ys, xs]
        sh, sw = np.exp(scale[i, 0, ys, xs]) * 4, np.exp(scale[i, 1, ys, xs]) * 4
        # The network counts from the photo's edge: mirrored photos give x and W - x. Pixel centres are 0.5 away.
        cy = (ys + offset[i, 0, ys, xs] + 0.5) * 4 - 0.5
        cx = (xs + offset[i, 1, ys, xs] + 0.5) * 4 - 0.5
        left, top = cx - sw / 2, cy - sh / 2
        pts = np.stack([points[i, 1::2, ys, xs] * sw[:, None] + left[:, None],
                        points[i, 0::2, ys, xs] * sh[:, None] + top[:, None]], axis=2)
        boxes = np.stack([left, top, left + sw, top + sh, scores], axis=1)
        order, keep = list(np.argsort(-scores, kind="stable")), []
        while order:
            k = order.pop(0)
            keep.append(k)
            order = [j for j in order if iou(boxes[k], boxes[j]) < 0.3]
        found.append((boxes[keep], pts[keep]))
    return found


def iou(a, b):
    w = min(a[2], b[2]) - max(a[0], b[0])
    h = min(a[3], b[3]) - max(a[1], b[1])
    if w <= 0 or h <= 0:
        return 0.0
    return w * h / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - w * h)


def detect(args):
    net = session(args.networks / "centerface.onnx")
    names = sorted(str(p.relative_to(ROOT / "images")) for p in (ROOT / "images").rglob("*.jpg"))
    points, boxes = np.full((len(names), 5, 2), np.nan, np.float32), np.full((len(names), 5), np.nan, np.float32)
    for start in range(0, len(names), 32):
        batch = [read(name) for name in names[start:start + 32]]
        for i, (b, p) in enumerate(centerface(net, batch)):
            if len(b):
                middle = (b[:, :2] + b[:, 2:4]) / 2 - 125
                k = np.argmin((middle**2).sum(1))
                points[start + i], boxes[start + i] = p[k], b[k]
    np.savez(args.cache / "points.npz", points=points, boxes=boxes, names=names)
    print(f"{len(names)} images, {int(np.isnan(boxes[:, 0]).sum())} without a face")


class Points:
    """Five points of the face nearest the centre, for each image that has one."""

    def __init__(self, cache):
        found = np.load(cache / "points.npz")
        self.rows = {str(n): k for k, n in enumerate(found["names"])}
        self.points = found["points"].astype(float)

    def of(self, name):
        """None where no face was found."""
        p = self.points[self.rows[name]]
        return None if np.isnan(p).any() else p


# ---- Chips and embeddings ----


def similarity(source, target):
    """Umeyama (1991): the similarity that maps `source` points nearest to `target`."""
    ms, mt = source.mean(0), target.mean(0)
    u, d, v = np.linalg.svd((target - mt).T @ (source - ms) / len(source))
    s = np.ones(2)
    if np.linalg.det(u) * np.linalg.det(v) < 0:
        s[1] = -1
    r = u @ np.diag(s) @ v
    k = (d * s).sum() / ((source - ms) ** 2).sum() * len(source)
    return np.hstack([k * r, (mt - k * r @ ms)[:, None]])


def chip(photo, points, template, size):
    """As crates/bledsoe/src/align does: similarity to the template's points, then stretched about the middle."""
    places, stretch = template
    m = similarity(points, places * size)
    m[0] = m[0] * stretch + [0, 0, (1 - stretch) * size / 2]
    return cv2.warpAffine(photo, m, (size, size))


class Model:
    """A contract of the registry with its widened network."""

    def __init__(self, args, name):
        registry = tomllib.loads((REPOSITORY / "models/registry.toml").read_text())
        contract = next(m for m in registry["model"] if m["id"] == name)
        template = next(t for t in registry["template"] if t["name"] == contract["template"])
        if "arcface5" not in template["points"]:
            raise SystemExit(f"{name}: its crop needs other landmarks than CenterFace's")
        self.name, self.size, self.flip = name, contract["input"]["size"], contract["output"].get("flip", False)
        self.mean = np.array(contract["input"]["mean"], np.float32)[:, None, None]
        self.scale = np.array(contract["input"]["scale"], np.float32)[:, None, None]
        self.template = np.array(template["points"]["arcface5"]), template.get("stretch", 1.0)
        self.net = session(args.networks / f"{name}.onnx")

    def run(self, x):
        v = self.net.run(None, {"input": np.ascontiguousarray(x)})[0]
        return v / np.linalg.norm(v, axis=1, keepdims=True)

    def embed(self, photos, found, names, template, mirrored=False, batch=32):
        """Unit vectors of `names`."""
        out = []
        for start in range(0, len(names), batch):
            chips = [chip(photos(n), found.of(n), template, self.size) for n in names[start:start + batch]]
            x = (np.stack(chips).transpose(0, 3, 1, 2).astype(np.float32) - self.mean) * self.scale
            out.append(self.run(x[..., ::-1] if mirrored else x))
        return np.concatenate(out)


def averaged(straight, mirrored):
    v = straight + mirrored
    return v / np.linalg.norm(v, axis=1, keepdims=True)


# ---- Protocols ----


def image(person, number):
    return f"{person}/{person}_{int(number):04d}.jpg"


def pairs(file):
    """[(image, image, same)] in the file's order."""
    out = []
    for line in (ROOT / "protocols" / file).read_text().splitlines():
        f = line.split()
        if len(f) == 3:
            out.append((image(f[0], f[1]), image(f[0], f[2]), True))
        elif len(f) == 4:
            out.append((image(f[0], f[1]), image(f[2], f[3]), False))
    return out


def people(file):
    """[(person, image)] of all images of the people listed."""
    lines = [line.split() for line in (ROOT / "protocols" / file).read_text().splitlines()]
    return [(f[0], image(f[0], k)) for f in lines if len(f) == 2 for k in range(1, int(f[1]) + 1)]


def images_of(view):
    """The images of View 1's test pairs, or of View 2's pairs, each once, in the order of the pairs."""
    listed = pairs("pairsDevTest.txt" if view == 1 else "pairs.txt")
    return list(dict.fromkeys(n for a, b, _ in listed for n in (a, b)))


def strangers(count, seed=0):
    """`count` pairs of different people, drawn evenly from the images of View 1's test pairs."""
    names, rng, out = images_of(1), np.random.default_rng(seed), []
    person = [n.split("/")[0] for n in names]
    while len(out) < count:
        out += [(names[a], names[b], False) for a, b in rng.integers(0, len(names), (count, 2)) if person[a] != person[b]]
    return out[:count]


# ---- Scores ----


def stored(args, name, mirrored=False):
    """The embeddings kept in the cache: {image: unit vector}."""
    file = args.cache / f"{name}{'-mirrored' if mirrored else ''}.npz"
    if not file.is_file():
        return {}
    kept = np.load(file)
    return dict(zip((str(n) for n in kept["names"]), kept["vectors"]))


def similarities(args, models, listed):
    """Similarities of pairs under weighted models; -1 where a face was not found in one of the images."""
    weights = [float(m.split(":")[1]) if ":" in m else 1.0 for m in models]
    total, found = np.zeros(len(listed)), Points(args.cache)
    for model, weight in zip(models, weights):
        name = model.split(":")[0]
        vectors = stored(args, name)
        if args.flip:
            mirrored = stored(args, name, True)
            vectors = {n: averaged(v[None], mirrored[n][None])[0] for n, v in vectors.items() if n in mirrored}
        missing = sum(1 for a, b, _ in listed for n in (a, b) if n not in vectors and found.of(n) is not None)
        if missing:
            raise SystemExit(f"{missing} images of these pairs have no embedding of {name}: run embed first")
        scores = [vectors[a] @ vectors[b] if a in vectors and b in vectors else -1 for a, b, _ in listed]
        total += weight / sum(weights) * np.array(scores)
    return total


def accuracy(scores, same, folds):
    """Mean accuracy and its standard error; each fold's threshold is the best of the other folds."""
    fold, right = np.arange(len(scores)) * folds // len(scores), []
    for k in range(folds):
        rest = fold != k
        cuts = np.unique(scores[rest])
        accepted, wrong = np.sort(scores[rest & same]), np.sort(scores[rest & ~same])
        hits = len(accepted) - np.searchsorted(accepted, cuts) + np.searchsorted(wrong, cuts)
        cut = cuts[np.argmax(hits)]
        right.append(((scores[~rest] >= cut) == same[~rest]).mean())
    return np.mean(right), np.std(right, ddof=1) / np.sqrt(folds)


def threshold_at(impostors, far):
    """The least similarity that at most a share `far` of the impostors reaches."""
    ordered = np.sort(impostors)[::-1]
    return float(np.nextafter(ordered[int(far * len(ordered))], np.inf))


# ---- Commands ----


def embed(args):
    """Adds to the cache what is not there yet, saving every 512 images."""
    model, found = Model(args, args.models[0]), Points(args.cache)
    vectors = stored(args, model.name, args.flip)
    names = [n for n in images_of(args.view) if n not in vectors and found.of(n) is not None]
    file = args.cache / f"{model.name}{'-mirrored' if args.flip else ''}.npz"
    for start in range(0, len(names), 512):
        part = names[start:start + 512]
        vectors |= zip(part, model.embed(read, found, part, model.template, args.flip))
        np.savez(file, names=list(vectors), vectors=np.stack(list(vectors.values())))
        print(f"{start + len(part)} of {len(names)}", flush=True)


def crop_of(base, zoom, up, stretch, right=0.0):
    """A crop like `base`, the face `zoom` as large, moved up and right by shares of the side."""
    places, own = base
    return (places - 0.5) * zoom + 0.5 + [right, -up], own * stretch


def search(args):
    """Prints, for each crop, the share of all pairs of one person accepted where 1e-3 and 1e-4 of all pairs of
    strangers are, among --images images of View 1's training people that have two images or more."""
    model, found = Model(args, args.models[0]), Points(args.cache)
    many = [(p, n) for p, n in people("peopleDevTrain.txt") if found.of(n) is not None]
    counts = {p: sum(1 for q, _ in many if q == p) for p in {p for p, _ in many}}
    # At most four images of a person, so that the few with hundreds do not decide.
    taken, kept = {}, []
    for person in np.random.default_rng(0).permutation(sorted(p for p, c in counts.items() if c >= 2)):
        kept += [(person, n) for p, n in many if p == person][:4]
    kept = kept[:args.images]
    photos = {n: read(n) for _, n in kept}
    ids = np.unique([p for p, _ in kept], return_inverse=True)[1]
    upper = np.triu(np.ones((len(kept), len(kept)), bool), 1)
    same, apart = (ids[:, None] == ids) & upper, (ids[:, None] != ids) & upper
    print(f"{len(kept)} images, {same.sum()} pairs of one person, {apart.sum()} of strangers")
    for text in args.crop or ["1,0,1"]:
        values = [float(v) for v in text.split(",")]
        crop = crop_of(model.template, *values)
        vectors = [model.embed(photos.get, found, [n for _, n in kept], crop, m) for m in ([0, 1] if args.flip else [0])]
        line = f"{text:24}"
        for v in vectors + ([averaged(*vectors)] if args.flip else []):
            s = v @ v.T
            rates = [(s[same] >= threshold_at(s[apart], far)).mean() for far in (FAR, 1e-4)]
            separation = (s[same].mean() - s[apart].mean()) / np.sqrt((s[same].var() + s[apart].var()) / 2)
            line += f"  {rates[0]:.4f} {rates[1]:.4f} d'={separation:.3f}"
        print(line, flush=True)


def verify(args):
    listed, folds = pairs("pairsDevTest.txt" if args.view == 1 else "pairs.txt"), 10
    if args.view == 1:
        listed = [pair for k in range(folds) for pair in listed[k::folds]]
    listed = listed[:args.folds * len(listed) // folds]
    same = np.array([s for _, _, s in listed])
    scores = similarities(args, args.models, listed)
    mean, error = accuracy(scores, same, args.folds)
    cut = threshold_at(scores[~same], FAR)
    print(f"view {args.view} {' '.join(args.models)}{' flip' if args.flip else ''}: {len(listed)} pairs, "
          f"accuracy {mean:.4f} +- {error:.4f}, TAR at FAR {FAR}: {(scores[same] >= cut).mean():.4f}, "
          f"{int((scores == -1).sum())} pairs with a face not found")


def threshold(args):
    listed = strangers(STRANGERS)
    scores = similarities(args, args.models, listed)
    cut = threshold_at(scores[scores > -1], FAR)
    genuine = similarities(args, args.models, [p for p in pairs("pairsDevTest.txt") if p[2]])
    print(f"{' '.join(args.models)}{' flip' if args.flip else ''}: similarity {cut:.4f} at FAR {FAR} of {len(listed)} "
          f"pairs of strangers of View 1; accepts {(genuine >= cut).mean():.4f} of its {len(genuine)} pairs of one person")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["detect", "embed", "search", "verify", "threshold"])
    parser.add_argument("models", nargs="*", metavar="MODEL[:WEIGHT]")
    parser.add_argument("--cache", type=Path, required=True, help="folder of results")
    parser.add_argument("--networks", type=Path, help="folder of ID.onnx: detect, embed and search need it")
    parser.add_argument("--view", type=int, choices=[1, 2], default=1)
    parser.add_argument("--folds", type=int, default=10, help="verify on the first of View 2's ten folds only")
    parser.add_argument("--flip", action="store_true", help="average with the mirrored chip, whatever the contract says")
    parser.add_argument("--images", type=int, default=600, help="images of the search")
    parser.add_argument("--crop", action="append", metavar="ZOOM,UP,STRETCH[,RIGHT]",
                        help="relative to the contract's own crop; may be repeated")
    args = parser.parse_args()
    if args.command != "detect" and not args.models:
        parser.error(f"{args.command} needs a model")
    if args.command in ("detect", "embed", "search") and args.networks is None:
        parser.error(f"{args.command} needs --networks")
    args.cache.mkdir(parents=True, exist_ok=True)
    globals()[args.command](args)


if __name__ == "__main__":
    main()
