"""Golden file of the networks: CenterFace's faces, embeddings, and face-api's ages and genders.

Usage: networks.py NETWORKS FACE_API > crates/bledsoe/tests/agreement/golden/networks.json
NETWORKS holds the widened packs (ID.onnx), run by ONNX Runtime; FACE_API is npm @vladmandic/face-api, unpacked.
Data sets are found by BLEDSOE_DATASETS. Needs onnxruntime-openvino, opencv, pillow, and node.
"""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "measure"))
import lfw  # noqa: E402

SELFTEST = cv2.cvtColor(cv2.imread(str(lfw.REPOSITORY / "models/selftest.png")), cv2.COLOR_BGR2RGB)
LARGE = "dlib_faces/faces/bald_guys.jpg"


def rounded(values, digits):
    return [round(float(v), digits) for v in np.ravel(values)]


def faces(found, step=(1.0, 1.0)):
    """CenterFace's faces of a photo whose pixels are `step` (x, y) times as small as the network's."""
    boxes, points = found
    sx, sy = step
    back = lambda xy: (xy + 0.5) * [sx, sy] - 0.5
    return [
        {"box": rounded([back(b[:2]), back(b[2:4])], 2), "score": round(float(b[4]), 4), "points": rounded(back(p), 2)}
        for b, p in zip(boxes, points)
    ]


def detections(net):
    names = sorted(str(p.relative_to(lfw.ROOT / "images")) for p in (lfw.ROOT / "images").rglob("*.jpg"))[::331]
    out = [{"photo": f"lfw/images/{n}", "faces": faces(lfw.centerface(net, [lfw.read(n)])[0])} for n in names]
    photo = Image.open(lfw.ROOT.parent / LARGE).convert("RGB")
    width, height = 1024, round(photo.height * 1024 / photo.width)
    small = np.asarray(photo.resize((width, height), Image.BILINEAR))
    step = photo.width / width, photo.height / height
    out.append({"photo": LARGE, "faces": faces(lfw.centerface(net, [small])[0], step)})
    return [{"photo": "selftest.png", "faces": faces(lfw.centerface(net, [SELFTEST])[0])}] + out


def embeddings(networks, name, net):
    """Of the self-test photo's upper left block, and of the whole path from two photos of one person and one other."""
    model = lfw.Model(SimpleNamespace(networks=networks), name)

    def embed(chip):
        x = (chip.transpose(2, 0, 1)[None].astype(np.float32) - model.mean) * model.scale
        v = model.run(x)
        return rounded(lfw.averaged(v, model.run(x[..., ::-1])) if model.flip else v, 5)

    vectors = {"selftest.png": embed(SELFTEST[:model.size, :model.size])}
    for photo in [lfw.image("Abdullah_Gul", 13), lfw.image("Abdullah_Gul", 14), lfw.image("AJ_Cook", 1)]:
        rgb = lfw.read(photo)
        boxes, points = lfw.centerface(net, [rgb])[0]
        nearest = np.argmin((((boxes[:, :2] + boxes[:, 2:4]) / 2 - 125) ** 2).sum(1))
        chip = lfw.chip(rgb, points[nearest].astype(float), model.template, model.size)
        vectors[f"lfw/images/{photo}"] = embed(chip)
    return vectors


def ages(folder):
    """face-api's answers for the self-test photo's upper left block, and for its mirror image."""
    block = SELFTEST[:112, :112]
    script = Path(__file__).with_name("age_gender.mjs")
    given = np.stack([block, block[:, ::-1]]).tobytes()
    done = subprocess.run(["node", "--no-warnings", script, folder], input=given, capture_output=True, check=True)
    return [rounded(v, 5) for v in json.loads(done.stdout)]


def main(networks, face_api):
    networks = Path(networks)
    net = lfw.session(networks / "centerface.onnx")
    golden = {
        "centerface": detections(net),
        "mobilefacenet": embeddings(networks, "mobilefacenet", net),
        "facenet": embeddings(networks, "facenet", net),
        "age-gender": ages(face_api),
    }
    json.dump(golden, sys.stdout, separators=(",", ":"))
    print()


if __name__ == "__main__":
    main(*sys.argv[1:])
