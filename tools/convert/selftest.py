"""Makes models/selftest.png and prints the self-tests of the networks, for models/registry.toml.

Usage: selftest.py NETWORKS   (folder of the widened packs, ID.onnx; python with onnx, onnxruntime, opencv and scikit-image)

The photo: 160 x 160 pixels with the face of NASA's portrait of Eileen Collins, public domain, from scikit-image.
The rule: a network of input size S is fed the upper left S x S block (a detector, whose size is 0, the whole photo),
as (pixel - mean) * scale by its contract. Its first eight values or fewer of output 0 are expected.
The tolerance is a share of these values' quadratic mean: a tenth for embedders, which bf16 moves by a hundredth.
"""

import sys
import tomllib
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime as ort

MODELS = Path(__file__).resolve().parents[2] / "models"
PHOTO = MODELS / "selftest.png"
TOLERANCE = {"embed": 0.1, "detect": 0.05, "attribute": 0.01}


def fed(contract, rgb):
    """The network's input."""
    fields = contract["input"]
    size = fields["size"] or 160
    order = [2, 1, 0] if fields.get("channels") == "bgr" else [0, 1, 2]
    planes = rgb[:size, :size, order].transpose(2, 0, 1).astype(np.float32)
    mean, scale = (np.array(fields[k], np.float32)[:, None, None] for k in ("mean", "scale"))
    return ((planes - mean) * scale)[None]


def tapped(file, tap):
    """The network with the tap's layer as its first output."""
    network = onnx.load(file)
    network.graph.output.insert(0, onnx.helper.make_empty_tensor_value_info(tap["layer"]))
    return network.SerializeToString()


def windows(values, tap):
    """Means of the tap's windows."""
    side, stride = tap.get("window", 1), tap.get("stride", 1)
    starts = range(0, values.shape[2] - side + 1, stride)
    return np.array([[values[:, :, y:y + side, x:x + side].mean((2, 3)) for x in starts] for y in starts]).transpose(2, 3, 0, 1)


def main(networks):
    if not PHOTO.is_file():
        from skimage import data

        cv2.imwrite(str(PHOTO), cv2.cvtColor(data.astronaut()[55:215, 166:326], cv2.COLOR_RGB2BGR))
    rgb = cv2.cvtColor(cv2.imread(str(PHOTO)), cv2.COLOR_BGR2RGB)
    for contract in tomllib.loads((MODELS / "registry.toml").read_text())["model"]:
        tap = contract.get("output", {}).get("tap")
        file = Path(networks) / (f"{Path(contract['file']).stem if tap else contract['id']}.onnx")
        if contract["format"] not in ("pack", "onnx") or not file.is_file():
            continue
        net = ort.InferenceSession(tapped(file, tap) if tap else str(file), providers=["CPUExecutionProvider"])
        values = net.run(None, {net.get_inputs()[0].name: fed(contract, rgb)})[0]
        values = (windows(values, tap) if tap else values).ravel()
        tolerance = TOLERANCE[contract["task"]] * np.sqrt((values[:8].astype(float) ** 2).mean())
        print(f"# {contract['id']}\n[model.selftest]\nexpected = [{', '.join(f'{v:.7g}' for v in values[:8])}]\n"
              f"tolerance = {tolerance:.2g}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
