"""Clusters by scikit-learn's HDBSCAN, for crates/bledsoe/tests/agreement/hdbscan.rs.

The set is made by integers and IEEE arithmetic in a fixed order, so that the Rust test makes the same numbers.
Run with scikit-learn 1.9, scipy and numpy 2: hdbscan.py > crates/bledsoe/tests/agreement/golden/hdbscan.json
"""

import json

import numpy as np
import sklearn
from scipy.sparse.csgraph import connected_components
from sklearn.cluster import HDBSCAN
from sklearn.metrics import pairwise_distances

from synthetic import people

# Some people have many photos, some one; some people's photos are more alike than others'.
PHOTOS, DIM = [1, 2, 3, 5, 8, 13] * 6, 8
NOISE = [0.1 + 0.05 * (k % 7) for k in range(len(PHOTOS))]
# Next to nothing: decides between equals.
LITTLE = 1e-9


def data():
    x = people(len(PHOTOS), max(PHOTOS), DIM, np.array(NOISE).reshape(-1, 1, 1))
    return np.concatenate([rows[:photos] for rows, photos in zip(x, PHOTOS)]).astype(np.float64)


def reachability(distances, samples):
    """By definition; of equals the pair that is nearer by itself comes first."""
    core = np.sort(distances, axis=1)[:, samples - 1]
    return np.maximum(distances, np.maximum.outer(core, core)) + LITTLE * distances


def cut(reach, farthest, least):
    """Greater distances cut down to `farthest`, where too small components leave, one by one, before the others part."""
    far = reach > farthest
    _, component = connected_components(~far)
    turn = np.where(np.bincount(component)[component] < least, 1 + component, 0)
    return np.where(far, farthest + LITTLE * (3 + np.maximum.outer(turn, turn)), reach)


def clusters(distances, least, samples, epsilon):
    """Noise is -1."""
    machine = HDBSCAN(metric="precomputed", min_cluster_size=least, min_samples=samples, cluster_selection_epsilon=epsilon, copy=True)
    return machine.fit_predict(distances)


def together(labels):
    return np.equal.outer(labels, labels) & (labels >= 0) | np.eye(len(labels), dtype=bool)


def check(found, distances, *how):
    """scikit-learn's own mutual reachability has many equal distances, of which it takes the first: what it finds whatever
    the order of the rows must be found."""
    rng, always, ever = np.random.default_rng(0), True, False
    for _ in range(20):
        order = rng.permutation(len(found))
        own = np.empty_like(found)
        own[order] = clusters(distances[np.ix_(order, order)], *how)
        always, ever = always & together(own), ever | together(own)
    assert (together(found) >= always).all() and (together(found) <= ever).all()
    assert (ever & ~always).sum() < 0.05 * ever.sum()


x = data()
distances = pairwise_distances(x)
cases = []
for least, samples in [(2, 2), (2, 3), (3, 3), (5, 2), (4, 5), (8, 4)]:
    for farthest, shares in [(2.0, [0.0, 0.15, 0.25]), (0.6, [0.0, 0.5, 0.85])]:
        reach = cut(reachability(distances, samples), farthest, least)
        for share in shares:
            found = clusters(reach, least, 1, share * farthest)
            if farthest == 2.0:
                check(found, distances, least, samples, share * farthest)
            cases.append({"least": least, "samples": samples, "farthest": farthest, "epsilon": share, "found": found.tolist()})
print(json.dumps({"scikit-learn": sklearn.__version__, "first": x[0, :4].tolist(), "cases": cases}, separators=(",", ":")))
