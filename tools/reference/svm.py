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

from synthetic import people

CLASSES, TRAIN, TEST, DIM, NOISE = 40, 12, 25, 32, 1.125


def data():
    x = people(CLASSES, TRAIN + TEST, DIM, NOISE)
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
