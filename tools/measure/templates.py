"""The fitted places of models/registry.toml: where one kind of landmarks stands in chips aligned by another, on LFW.

dlib's HOG boxes and predictors; CenterFace's points of the face nearest to the box; every eighth image.

Usage: templates.py FOLDER_OF_DAT_FILES CENTERFACE.onnx LFW_IMAGES      (dlib-bin, onnxruntime, opencv, numpy)
"""

import sys
from pathlib import Path

import dlib
import numpy as np
import onnxruntime as ort

from lfw import ARCFACE, centerface, read

# dlib's mean face of five points, as in its get_face_chip, with padding 0.25: see the registry.
DLIB = np.array([[0.736378, 0.305665], [0.59404, 0.315978], [0.243717, 0.305818], [0.386057, 0.316043], [0.490075, 0.581865]])


def similarity(points, places):
    """The complex factor and shift of the least-squares similarity (Umeyama 1991)."""
    p, q = points @ [1, 1j], places @ [1, 1j]
    centred = p - p.mean()
    factor = np.vdot(centred, q - q.mean()) / np.vdot(centred, centred).real
    return factor, q.mean() - factor * p.mean()


def mean_places(aligned_by, places, others):
    total = 0
    for points, other in zip(aligned_by, others):
        factor, shift = similarity(points, places)
        total = total + factor * (other @ [1, 1j]) + shift
    mean = total / len(others)
    return np.stack([mean.real, mean.imag], 1).round(6).tolist()


def main(models, network, images):
    detector = dlib.get_frontal_face_detector()
    predictors = [dlib.shape_predictor(f"{models}/shape_predictor_{n}_face_landmarks.dat") for n in (5, 68)]
    net = ort.InferenceSession(network)
    five, reduced, detected = [], [], []
    for path in sorted(Path(images).rglob("*.jpg"))[::8]:
        photo = read(path)
        boxes = detector(photo, 0)
        found, points = centerface(net, [photo])[0]
        if not boxes or not len(found):
            continue
        box = min(boxes, key=lambda b: (b.center().x - 125) ** 2 + (b.center().y - 125) ** 2)
        center = np.array([box.center().x, box.center().y])
        nearest = np.argmin(np.linalg.norm((found[:, :2] + found[:, 2:4]) / 2 - center, axis=1))
        a, b = ([[p.x, p.y] for p in predictor(photo, box).parts()] for predictor in predictors)
        b = np.array(b, float)
        five.append(np.array(a, float))
        reduced.append(np.array([b[36:42].mean(0), b[42:48].mean(0), b[30], b[48], b[54]]))
        detected.append(points[nearest])
    print(len(five), "faces")
    print("arcface, dlib5:   ", mean_places(reduced, ARCFACE / 112, five))
    print("dlib, arcface5:   ", mean_places(five, DLIB, detected))


if __name__ == "__main__":
    main(*sys.argv[1:])
