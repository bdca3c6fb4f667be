"""What scikit-learn's ridge and logistic regression make of a synthetic set, for crates/bledsoe/tests/agreement/attribute.rs.

The set is made by integers and IEEE arithmetic in a fixed order, so that the Rust test makes the same numbers. For the RBF
kernel all training rows are centres, in eight bits as bledsoe keeps them, and the features are whitened by the Cholesky
factor of their kernel matrix; standardised numbers are over the root of their count, as rows are then of about length 1.
Run with scikit-learn 1.9 and numpy 2: attribute.py > crates/bledsoe/tests/agreement/golden/attribute.json
"""

import json

import numpy as np
import sklearn
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.preprocessing import StandardScaler

from synthetic import gauss, unit

TRAIN, TEST, DIM, CLASSES = 90, 30, 16, 3
GAMMA, PENALTY, JITTER = 1.0, 0.1, 1e-6


def data():
    rows = TRAIN + TEST
    x = gauss(np.arange(rows * DIM, dtype=np.uint64)).reshape(rows, DIM)
    x = unit(x).astype(np.float64)
    noise = gauss(np.arange(rows, dtype=np.uint64) + np.uint64(1_000_000))
    numbers = 40.0 + 20.0 * x[:, 0] + 30.0 * x[:, 1] * x[:, 2] + noise
    classes = (numbers > 36.0).astype(int) + (numbers > 44.0).astype(int)
    return x[:TRAIN], numbers[:TRAIN], classes[:TRAIN], x[TRAIN:]


def eight_bits(x):
    x = x.astype(np.float32)
    scale = np.abs(x).max(axis=1, keepdims=True) / np.float32(127)
    return (np.rint(x / scale) * scale).astype(np.float64)


train, numbers, classes, test = data()
centres = eight_bits(train)
factor = np.linalg.cholesky(rbf_kernel(centres, gamma=GAMMA) + JITTER * np.eye(TRAIN))
scaler = StandardScaler().fit(train)
features = {
    "linear": (train, test),
    "standardised": tuple(scaler.transform(x) / np.sqrt(DIM) for x in (train, test)),
    "rbf": tuple(np.linalg.solve(factor, rbf_kernel(centres, x, gamma=GAMMA)).T for x in (train, test)),
}
golden = {"scikit-learn": sklearn.__version__, "first": [float(v) for v in train[0, :4]], "ridge": {}, "softmax": {}}
for name, (fitted, asked) in features.items():
    golden["ridge"][name] = [round(float(v), 5) for v in Ridge(alpha=PENALTY).fit(fitted, numbers).predict(asked)]
    softmax = LogisticRegression(C=1 / PENALTY, tol=1e-10, max_iter=100_000).fit(fitted, classes)
    scores = softmax.decision_function(asked)
    golden["softmax"][name] = [[round(float(v), 5) for v in row - row[0]] for row in scores]
print(json.dumps(golden))
