"""What scikit-learn's classifiers reach in cross-validation on a synthetic set, for crates/bledsoe/src/classify/tuning/mod.rs.

The set is that of svm.py, its training rows; photo i of each person is held out in fold i % 5. Pairs vote with their decision
values, cut to the margin, as bledsoe's search has them vote; `plain` is scikit-learn's own vote.
Run with scikit-learn 1.9 and numpy 2: tuning.py > crates/bledsoe/tests/agreement/golden/tuning.json
"""

import json

import numpy as np
import sklearn
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC

CLASSES, TRAIN, TEST, DIM, NOISE, FOLDS = 40, 12, 25, 32, 1.125, 5


def splitmix(n):
    """SplitMix64's output for the counter n."""
    z = (n + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def gauss(n):
    """Nearly normal numbers for counters n: twelve uniform ones less six, exact in f64."""
    twelve = splitmix(n[..., None] * np.uint64(12) + np.arange(12, dtype=np.uint64))
    return (twelve >> np.uint64(40)).astype(np.float64).sum(axis=-1) / 2**24 - 6


def data():
    per = TRAIN + TEST
    centres = gauss(np.arange(CLASSES * DIM, dtype=np.uint64)).reshape(CLASSES, 1, DIM)
    noise = gauss(np.arange(CLASSES * per * DIM, dtype=np.uint64) + np.uint64(1_000_000)).reshape(CLASSES, per, DIM)
    x = centres + NOISE * noise
    square = np.zeros(x.shape[:2])
    for d in range(DIM):
        square = square + x[:, :, d] * x[:, :, d]
    x = (x / np.sqrt(square)[:, :, None]).astype(np.float32)
    return x[:, :TRAIN].reshape(-1, DIM), np.repeat(np.arange(CLASSES), TRAIN)


def votes(machine, x):
    """Each pair's decision value, cut to the margin, for and against its two classes."""
    decisions = np.clip(machine.decision_function(x), -1, 1)
    total, pair = np.zeros((len(x), CLASSES)), 0
    for i in range(CLASSES):
        for j in range(i + 1, CLASSES):
            total[:, i] += decisions[:, pair]
            total[:, j] -= decisions[:, pair]
            pair += 1
    return total.argmax(axis=1)


def centroids(train, y, asked):
    means = np.stack([train[y == k].mean(axis=0) for k in range(CLASSES)])
    return (asked @ (means / np.linalg.norm(means, axis=1, keepdims=True)).T).argmax(axis=1)


def machine(**settings):
    return lambda train, y, asked: votes(SVC(decision_function_shape="ovo", tol=1e-4, **settings).fit(train, y), asked)


x, y = data()
fold = np.tile(np.arange(TRAIN) % FOLDS, CLASSES)
tried = {
    "centroid": centroids,
    "knn_1": lambda train, y, asked: KNeighborsClassifier(1).fit(train, y).predict(asked),
    "linear_c0.1": machine(kernel="linear", C=0.1),
    "linear_c1": machine(kernel="linear", C=1.0),
    "linear_c10": machine(kernel="linear", C=10.0),
    "rbf_c1_gamma0.5": machine(kernel="rbf", C=1.0, gamma=0.5),
    "rbf_c3_gamma2": machine(kernel="rbf", C=3.0, gamma=2.0),
    "plain_linear_c1": lambda train, y, asked: SVC(kernel="linear", C=1.0, tol=1e-4).fit(train, y).predict(asked),
}
golden = {"scikit-learn": sklearn.__version__, "first": [float(v) for v in x[0, :4]], "accuracy": {}}
for name, predict in tried.items():
    right = sum((predict(x[fold != f], y[fold != f], x[fold == f]) == y[fold == f]).sum() for f in range(FOLDS))
    golden["accuracy"][name] = right / len(y)
print(json.dumps(golden))
