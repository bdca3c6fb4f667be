"""LFW through CenterFace and an embedder, in Python: chooses crops and thresholds independently of the Rust code.

Steps (results are cached in --cache):
  detect   CenterFace's five points of the face nearest the centre, for all images
  embed    embeddings with a template: --network FILE.onnx --size N --mean M --scale S --points arcface|JSON
  verify   10-fold accuracy on View 2, or accuracy and TAR on View 1's test pairs
"""

import argparse
import json
import os
from pathlib import Path

import cv2
import numpy as np
import onnxruntime as ort

ROOT = Path(os.environ.get("BLEDSOE_DATASETS", Path(__file__).parents[3] / "shared/datasets")) / "lfw"
# Five points of a 112-pixel chip, published with ArcFace (Deng et al. 2019).
ARCFACE = np.array([[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]])


def session(path, precision="bf16"):
    options = {"device_type": "CPU", "load_config": json.dumps({"CPU": {"INFERENCE_PRECISION_HINT": precision}})}
    return ort.InferenceSession(str(path), providers=[("OpenVINOExecutionProvider", options)])


def images():
    return sorted((ROOT / "images").rglob("*.jpg"))


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
        cy, cx = (ys + offset[i, 0, ys, xs] + 0.5) * 4, (xs + offset[i, 1, ys, xs] + 0.5) * 4
        left, top = cx - sw / 2, cy - sh / 2
        pts = np.stack([points[i, 1::2, ys, xs] * sw[:, None] + left[:, None],
                        points[i, 0::2, ys, xs] * sh[:, None] + top[:, None]], axis=2)
        boxes = np.stack([left, top, left + sw, top + sh, scores], axis=1)
        order, keep = list(np.argsort(-scores)), []
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


def read(path):
    return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)


def detect(cache, model):
    file = cache / "lfw_points.npz"
    if file.exists():
        return np.load(file, allow_pickle=False)
    net, paths = session(model), images()
    points, boxes = np.full((len(paths), 5, 2), np.nan, np.float32), np.full((len(paths), 5), np.nan, np.float32)
    for start in range(0, len(paths), 32):
        batch = [read(p) for p in paths[start:start + 32]]
        for i, (b, p) in enumerate(centerface(net, batch)):
            if len(b):
                middle = (b[:, :2] + b[:, 2:4]) / 2 - 125
                k = np.argmin((middle**2).sum(1))
                points[start + i], boxes[start + i] = p[k], b[k]
    np.savez(file, points=points, boxes=boxes, paths=[str(p.relative_to(ROOT / "images")) for p in paths])
    return np.load(file, allow_pickle=False)


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


def template(size, scale=1.0, up=0.0, stretch=1.0):
    """ArcFace's points for a chip of `size`, the face `scale` as large, moved `up` (share of the side); and stretch."""
    t = ARCFACE / 112 - 0.5
    return (t * scale + 0.5 - [0, up]) * size, stretch


def chips(found, rows, size, points, stretch=1.0):
    target = points
    out = np.empty((len(rows), size, size, 3), np.uint8)
    for i, r in enumerate(rows):
        m = similarity(found["points"][r].astype(float), target)
        m[0] = m[0] * stretch + [0, 0, (1 - stretch) * size / 2]
        out[i] = cv2.warpAffine(read(ROOT / "images" / str(found["paths"][r])), m, (size, size))
    return out


def embed(net, x, mean, scale, flip=False, batch=32):
    vectors = []
    for start in range(0, len(x), batch):
        b = (x[start:start + batch].transpose(0, 3, 1, 2).astype(np.float32) - mean) * scale
        v = net.run(None, {"input": np.ascontiguousarray(b)})[0]
        if flip:
            w = net.run(None, {"input": np.ascontiguousarray(b[..., ::-1])})[0]
            v = v / np.linalg.norm(v, axis=1, keepdims=True) + w / np.linalg.norm(w, axis=1, keepdims=True)
        vectors.append(v / np.linalg.norm(v, axis=1, keepdims=True))
    return np.concatenate(vectors)


def pairs(file):
    """[(path, path, same)] in the file's order, and the number of pairs in a fold."""
    name = lambda person, n: f"{person}/{person}_{int(n):04d}.jpg"
    out = []
    for line in (ROOT / "protocols" / file).read_text().splitlines():
        f = line.split("\t")
        if len(f) == 3:
            out.append((name(f[0], f[1]), name(f[0], f[2]), True))
        elif len(f) == 4:
            out.append((name(f[0], f[1]), name(f[2], f[3]), False))
    return out


def score(scores, same, folds):
    """Accuracy (threshold from the other folds), TAR at FAR 1e-3, and the threshold of that FAR."""
    fold = np.arange(len(scores)) * folds // len(scores)
    correct = []
    for k in range(folds):
        rest = fold != k if folds > 1 else fold == k
        cuts = np.unique(scores[rest])
        s = np.sort(scores[rest & same]), np.sort(scores[rest & ~same])
        right = (len(s[0]) - np.searchsorted(s[0], cuts)) + np.searchsorted(s[1], cuts)
        cut = cuts[np.argmax(right)]
        test = fold == k
        correct.append(((scores[test] >= cut) == same[test]).mean())
    impostors = np.sort(scores[~same])[::-1]
    cut = impostors[int(1e-3 * len(impostors))]
    return np.mean(correct), (scores[same] > cut).mean(), float(cut)
