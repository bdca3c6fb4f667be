"""What scikit-learn's support vector machines make of a synthetic set, for crates/bledsoe/tests/agreement/svm.rs.

The set is made by integers and IEEE arithmetic in a fixed order, so that the Rust test makes the same numbers.
Run with scikit-learn 1.9 and numpy 2: svm.py > crates/bledsoe/tests/agreement/golden/svm.json
"""

import json

import numpy as np
import sklearn
from sklearn.calibration import CalibratedClassifierCV
from sklearn.metrics import log_loss
from sklearn.svm import SVC, LinearSVC

CLASSES, TRAIN, TEST, DIM, NOISE = 40, 12, 25, 32, 1.125


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
    labels = np.arange(CLASSES)
    return (x[:, :TRAIN].reshape(-1, DIM), np.repeat(labels, TRAIN), x[:, TRAIN:].reshape(-1, DIM), np.repeat(labels, TEST))


train, y, test, truth = data()
machines = {
    "linear": SVC(kernel="linear", C=1.0, tol=1e-4),
    "linear_c10": SVC(kernel="linear", C=10.0, tol=1e-4),
    "rbf": SVC(kernel="rbf", C=10.0, tol=1e-4),
    "one_vs_rest": LinearSVC(C=1.0, loss="hinge", tol=1e-6, max_iter=1_000_000, random_state=0),
}
golden = {"scikit-learn": sklearn.__version__, "first": [float(v) for v in train[0, :4]], "accuracy": {}, "decisions": {}}
for name, machine in machines.items():
    golden["accuracy"][name] = machine.fit(train, y).score(test, truth)
pair, asked = y < 2, test[truth < 2]
for name in ["linear", "linear_c10", "rbf"]:
    machine = machines[name]
    if name == "rbf":
        golden["gamma"] = machine._gamma
        machine = SVC(kernel="rbf", C=10.0, tol=1e-4, gamma=golden["gamma"])
    # Two classes: scikit-learn's decision is positive for the second.
    golden["decisions"][name] = [round(-float(v), 5) for v in machine.fit(train[pair], y[pair]).decision_function(asked)]
golden["decisions"]["one_vs_rest"] = [round(float(v), 5) for v in machines["one_vs_rest"].decision_function(asked)[:, 0]]
platt = CalibratedClassifierCV(SVC(kernel="linear", C=1.0), method="sigmoid", ensemble=False, cv=5).fit(train, y)
golden["platt"] = {"log_loss": log_loss(truth, platt.predict_proba(test)), "accuracy": platt.score(test, truth)}
print(json.dumps(golden))
