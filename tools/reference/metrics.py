"""Figures of verification and search by scikit-learn and numpy, for crates/bledsoe/tests/agreement/metrics.rs.

The scores are made up, rounded so that some are ties, and some are missing (no face found). What scikit-learn has is taken
from it; the rest follows the definitions in the slowest and plainest way.
Run with scikit-learn 1.9 and numpy 2: metrics.py > crates/bledsoe/tests/agreement/golden/metrics.json
"""

import json

import numpy as np
import sklearn
from sklearn.metrics import roc_auc_score, roc_curve

RATES = {"1e-1": 1e-1, "1e-2": 1e-2, "1e-3": 1e-3, "1e-4": 1e-4}
# Below every score: scikit-learn takes no infinities.
MISSING = -10.0


def verification(rng, folds, per_kind, spread, missing):
    pairs = []
    for fold in range(folds):
        for same in [True, False]:
            for _ in range(per_kind):
                score = round(float(rng.normal(0.55 if same else 0.15, spread)), 3)
                pairs.append((None if rng.random() < missing else score, same, fold))
    same = np.array([p[1] for p in pairs])
    fold_of = np.array([p[2] for p in pairs])
    found = np.array([p[0] is not None for p in pairs])
    scores = np.array([MISSING if p[0] is None else p[0] for p in pairs])
    far, tar, thresholds = roc_curve(same, scores, drop_intermediate=False)
    seen = thresholds > MISSING
    accuracies, chosen = [], []
    for fold in range(folds):
        threshold = best_threshold(scores, same, found & (fold_of != fold))
        held = fold_of == fold
        right = found & ((scores >= threshold) == same)
        chosen.append(threshold)
        accuracies.append(float(right[held].sum() / held.sum()))
    figures = {
        "accuracy_mean": float(np.mean(accuracies)),
        "accuracy_stderr": float(np.std(accuracies, ddof=1) / np.sqrt(folds)),
        "fold_accuracies": accuracies,
        "fold_thresholds": chosen,
        "auc": float(roc_auc_score(same, scores)),
        # FAR + TAR - 1 grows along the curve: where it is 0 as many are wrongly accepted as refused.
        "eer": float(np.interp(0.0, far + tar - 1, far)),
        "tar_at_far": {key: float(tar[seen & (far <= rate)].max()) for key, rate in RATES.items()},
        "thresholds": {key: float(thresholds[seen & (far <= rate)].min()) for key, rate in RATES.items()},
        # All points of the curve, to look those of the result up in.
        "roc": [[float(f), float(t)] for f, t in zip(far[seen], tar[seen])],
    }
    assert all(np.isfinite(t) for t in figures["thresholds"].values()), "a threshold above all scores: take other scores"
    return {"pairs": [[p[0], int(p[1]), p[2]] for p in pairs], "figures": figures}


def best_threshold(scores, same, among):
    """Every threshold between neighbouring scores is tried; the widest gap wins, of equal ones the highest."""
    distinct = sorted(set(scores[among].tolist()), reverse=True)
    tried = [(0.0, float(np.nextafter(distinct[0], np.inf)))]
    tried += [(high - low, low / 2 + high / 2) for high, low in zip(distinct, distinct[1:])]
    tried += [(0.0, distinct[-1])]
    best = None
    for width, threshold in tried:
        right = int(((scores[among] >= threshold) == same[among]).sum())
        if best is None or (right, width) > best[:2]:
            best = (right, width, threshold)
    return best[2]


def search(rng, gallery, trials, enrolled, strangers, spread, missing):
    """Searches of made-up similarities to all of a gallery."""
    rates = {key: rate for key, rate in RATES.items() if rate >= 1e-3}
    listed, cmc, rank1, fnir, thresholds = [], [], [], [], []
    for trial in range(trials):
        probes = []
        for i in range(enrolled + strangers):
            known = i < enrolled
            similarities = np.round(rng.normal(0.1, spread, gallery), 3)
            if known:
                similarities[0] = np.round(rng.normal(0.45, spread), 3)
            if rng.random() < missing:
                probes.append((known, None, None, None))
            elif known:
                others = similarities[1:]
                probes.append((True, similarities[0], 1 + int((others >= similarities[0]).sum()), others.max()))
            else:
                probes.append((False, None, None, similarities.max()))
        number = lambda v, kind: None if v is None else kind(v)
        listed.append([[int(k), number(m, float), number(r, int), number(o, float)] for k, m, r, o in probes])
        ranks = [p[2] for p in probes if p[0]]
        cmc.append([float(np.mean([r is not None and r <= k for r in ranks])) for k in range(1, 21)])
        rank1.append(cmc[-1][0])
        alarms = np.array([MISSING if p[3] is None else p[3] for p in probes if not p[0]])
        hits = np.array([p[1] if p[2] == 1 else MISSING for p in probes if p[0]])
        candidates = np.array(sorted(set(alarms) | set(hits)))
        candidates = candidates[candidates > MISSING]
        fpir = np.array([(alarms >= t).mean() for t in candidates])
        fnir.append({}), thresholds.append({})
        for key, rate in rates.items():
            threshold = candidates[fpir <= rate].min()
            thresholds[-1][key] = float(threshold)
            fnir[-1][key] = float((hits < threshold).mean())
    mean = lambda maps: {key: float(np.mean([m[key] for m in maps])) for key in rates}
    return {
        "trials": listed,
        "figures": {
            "cmc": [float(v) for v in np.mean(cmc, axis=0)],
            "rank1": float(np.mean(rank1)),
            "fnir_at_fpir": mean(fnir),
            "thresholds": mean(thresholds),
        },
    }


rng = np.random.default_rng(3)
golden = {
    "scikit-learn": sklearn.__version__,
    "verification": [
        verification(rng, folds=10, per_kind=30, spread=0.15, missing=0.02),
        verification(rng, folds=3, per_kind=40, spread=0.12, missing=0.0),
    ],
    "search": search(rng, gallery=30, trials=2, enrolled=60, strangers=90, spread=0.1, missing=0.03),
}
print(json.dumps(golden, separators=(",", ":")))
