"""Scores of detections and landmarks on random photos (numpy 2): golden file of tests/agreement/boxes.rs.

Usage: detection.py > crates/bledsoe/tests/agreement/golden/detection.json

Written apart from bledsoe, from the definitions: Pascal VOC's average precision by its own loop over recalls, one
threshold at a time; bands of size by counting anew for each band; landmarks by arrays.
"""

import json

import numpy as np

rng = np.random.default_rng(3)
BANDS = [("<32", 0, 32), ("32..64", 32, 64), ("64..128", 64, 128), (">=128", 128, np.inf)]


def single(values):
    """As bledsoe keeps them: f32."""
    return [float(v) for v in np.float32(values)]


def photo():
    truths, found = [], []
    for _ in range(rng.integers(0, 6)):
        side = np.exp(rng.uniform(np.log(16), np.log(250)))
        x, y, w, h = rng.uniform(0, 700), rng.uniform(0, 500), side, side * rng.uniform(0.8, 1.4)
        truths.append({"box": single([x, y, x + w, y + h]), "ignore": bool(rng.random() < 0.15)})
        for _ in range(rng.choice([0, 1, 1, 1, 2])):
            dx, dy, grow = rng.normal(0, 0.1 * side), rng.normal(0, 0.1 * side), rng.uniform(0.8, 1.25)
            box = [x + dx, y + dy, x + dx + w * grow, y + dy + h * grow]
            found.append({"box": single(box), "score": round(float(rng.beta(4, 2)), 2)})
    for _ in range(rng.integers(0, 4)):
        x, y, side = rng.uniform(0, 700), rng.uniform(0, 500), rng.uniform(15, 200)
        found.append({"box": single([x, y, x + side, y + side]), "score": round(float(rng.beta(2, 3)), 2)})
    # Two decimals make equal scores, but not within a photo, where which comes first is a matter of order.
    for i, f in enumerate(sorted(found, key=lambda f: -f["score"])):
        f["score"] = round(f["score"] - 0.0001 * i, 4) if i else f["score"]
    return {"truths": truths, "found": found}


def area(b):
    return max(b[2] - b[0], 0) * max(b[3] - b[1], 0)


def common(a, b):
    return area([max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])])


def iou(a, b):
    return common(a, b) / (area(a) + area(b) - common(a, b))


def assign(photo, min_iou):
    """(score, index of the face or -1, own box, IoU) of each detection that counts."""
    taken, result = set(), []
    for f in sorted(photo["found"], key=lambda f: -f["score"]):
        best, best_iou = -1, min_iou
        for i, t in enumerate(photo["truths"]):
            if not t["ignore"] and i not in taken and iou(t["box"], f["box"]) >= best_iou:
                best, best_iou = i, iou(t["box"], f["box"])
        if best >= 0:
            taken.add(best)
        elif any(
            t["ignore"] and (iou(t["box"], f["box"]) >= min_iou or common(t["box"], f["box"]) >= 0.5 * area(f["box"]))
            for t in photo["truths"]
        ):
            continue
        result.append((f["score"], best, f["box"], best_iou))
    return result


def figures(photos, min_iou, min_score, low, high):
    """Of faces whose side lies in [low, high)."""
    inside = lambda box: low <= np.sqrt(area(box)) < high
    faces, events = 0, []
    for p in photos:
        faces += sum(bool(inside(t["box"])) for t in p["truths"] if not t["ignore"])
        for score, face, box, overlap in assign(p, min_iou):
            if inside(p["truths"][face]["box"] if face >= 0 else box):
                events.append((score, face >= 0, overlap))
    at = lambda s: [hit for score, hit, _ in events if score >= s]
    out = {"faces": int(faces), "recall": None, "average_precision": None}
    if faces:
        recall = [0.0] + [sum(at(s)) / faces for s in sorted({e[0] for e in events}, reverse=True)]
        precision = [0.0] + [np.mean(at(s)) for s in sorted({e[0] for e in events}, reverse=True)]
        out["recall"] = sum(at(min_score)) / faces
        # VOC's devkit: add 0 at the end, make precision monotonic, sum where recall changes.
        precision = list(np.maximum.accumulate(precision[::-1])[::-1])
        out["average_precision"] = float(sum((b - a) * p for a, b, p in zip(recall, recall[1:], precision[1:])))
    sure = at(min_score)
    out["precision"] = float(np.mean(sure)) if sure else None
    out["false_alarms"] = int(len(sure) - sum(sure))
    hits = [overlap for score, hit, overlap in events if hit and score >= min_score]
    out["mean_iou"] = float(np.mean(hits)) if hits else None
    return out


def detections():
    photos = [photo() for _ in range(40)]
    cases = []
    for min_iou, min_score in [(0.5, 0.5), (0.3, 0.0), (0.75, 0.7)]:
        whole = figures(photos, min_iou, min_score, 0, np.inf)
        whole["ignored"] = sum(t["ignore"] for p in photos for t in p["truths"])
        bands = [{"size": name, **figures(photos, min_iou, min_score, low, high)} for name, low, high in BANDS]
        cases.append({"min_iou": min_iou, "min_score": min_score, "all": whole, "by_size": bands})
    return {"photos": photos, "cases": cases}


def landmarks():
    truth = rng.uniform(0, 300, (30, 5, 2)).astype(np.float32)
    found = (truth + rng.normal(0, 1, truth.shape) * rng.uniform(0.5, 12, (30, 1, 1))).astype(np.float32)
    lost = rng.random(30) < 0.1
    photo = rng.integers(0, 12, 30)
    t, f = truth.astype(np.float64), found.astype(np.float64)
    length = np.linalg.norm(t[:, 0] - t[:, 1], axis=1)
    errors = np.linalg.norm(t - f, axis=2).mean(axis=1) / length
    errors[lost] = np.inf
    out = {"nme": float(errors[~lost].mean()), "failure_rate": {}, "auc": {}}
    for key in ["0.08", "0.1"]:
        limit = float(key)
        out["failure_rate"][key] = float((errors > limit).mean())
        # The staircase, integrated step by step.
        steps = np.unique(np.concatenate([[0], errors[errors <= limit], [limit]]))
        heights = np.array([(errors <= s).mean() for s in steps[:-1]])
        out["auc"][key] = float((np.diff(steps) * heights).sum() / limit)
    faces = [
        {"photo": int(p), "truth": single(a.ravel()), "found": None if gone else single(b.ravel())}
        for p, a, b, gone in zip(photo, truth, found, lost)
    ]
    return {"faces": faces, "expected": out}


print(json.dumps({"detection": detections(), "landmarks": landmarks()}))
