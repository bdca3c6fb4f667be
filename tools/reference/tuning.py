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

from synthetic import people

CLASSES, TRAIN, TEST, DIM, NOISE, FOLDS = 40, 12, 25, 32, 1.125, 5


def data():
    x = people(CLASSES, TRAIN + TEST, DIM, NOISE)
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
