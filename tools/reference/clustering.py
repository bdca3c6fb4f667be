"""Scores of clusterings by scikit-learn and by the definitions, for crates/bledsoe/tests/agreement/clustering.rs.

Pairs are counted by scikit-learn. BCubed follows Amigó et al. (2009) word for word, item by item: slow and plain.
Run with scikit-learn 1.9 and numpy 2: clustering.py > crates/bledsoe/tests/agreement/golden/clustering.json
"""

import json

import numpy as np
import sklearn
from sklearn.metrics.cluster import pair_confusion_matrix


def harmonic(precision, recall):
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def pairwise(truth, found):
    (_, false_pairs), (missed, right) = pair_confusion_matrix(truth, found)
    precision = right / (right + false_pairs) if right + false_pairs else 1.0
    recall = right / (right + missed) if right + missed else 1.0
    return [float(precision), float(recall), float(harmonic(precision, recall))]


def bcubed(truth, found):
    """The correctness of two items put together is 1 if they are of one person; each item is compared with itself too."""
    items = range(len(truth))
    precision = np.mean([np.mean([truth[j] == truth[i] for j in items if found[j] == found[i]]) for i in items])
    recall = np.mean([np.mean([found[j] == found[i] for j in items if truth[j] == truth[i]]) for i in items])
    return [float(precision), float(recall), float(harmonic(precision, recall))]


rng = np.random.default_rng(5)
cases = []
for faces, people, clusters, wrong in [(1, 1, 1, 0), (30, 4, 4, 0.1), (60, 12, 9, 0.3), (80, 3, 40, 1.0), (50, 50, 1, 1.0), (90, 20, 20, 0.0)]:
    # Some people have many photos, most few, as in albums.
    truth = np.minimum(rng.geometric(1.5 / people, faces), people) if people > 1 else np.ones(faces, int)
    found = np.where(rng.random(faces) < wrong, rng.integers(0, clusters, faces), truth + 100)
    truth, found = truth.tolist(), found.tolist()
    cases.append({"truth": truth, "found": found, "pairwise": pairwise(truth, found), "bcubed": bcubed(truth, found)})
print(json.dumps({"scikit-learn": sklearn.__version__, "cases": cases}, separators=(",", ":")))
