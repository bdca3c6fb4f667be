"""bledsoe's own networks for the rivals' engines: the packs of models/ as plain f32 ONNX files.

The format is described in tools/convert/pack.py. With --count, also how many multiply-adds each network makes for one
input, by onnx's shape inference: the figures that crates/bledsoe/src/model/arithmetic.rs is tested against.

Usage: networks.py OUT [--count]
"""

import argparse
import math
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper, shape_inference
from safetensors.numpy import load_file

MODELS = Path(__file__).resolve().parents[2] / "models"
SIDES = {"facenet": 160, "mobilefacenet": 112, "dlib": 150, "centerface": 256, "yunet": 256}


def widened(pack):
    """The pack as a ModelProto."""
    tensors = load_file(pack)
    graph, model = onnx.GraphProto(), onnx.ModelProto()
    graph.ParseFromString(tensors.pop("graph").tobytes())
    model.ParseFromString(tensors.pop("model").tobytes())
    scales = {name: tensors.pop(f"{name}.scale") for name in list(tensors) if f"{name}.scale" in tensors}
    for name, values in sorted(tensors.items()):
        wide = values.astype(np.float32)
        if name in scales:
            wide *= scales[name].reshape(-1, *[1] * (wide.ndim - 1))
        graph.initializer.append(numpy_helper.from_array(wide, name))
    model.graph.CopyFrom(graph)
    return model


def write(folder, names=SIDES):
    """Writes NAME.onnx for each name that is not there; gives their paths."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = {name: folder / f"{name}.onnx" for name in names}
    for name, path in paths.items():
        if not path.exists():
            onnx.save(widened(MODELS / f"{name}.safetensors"), path)
    return paths


def multiply_adds(model, side):
    """Those of convolutions and matrix products for one input of side x side."""
    shape = model.graph.input[0].type.tensor_type.shape
    for dim, length in zip(shape.dim, [1, 3, side, side]):
        dim.dim_value = length
    for output in model.graph.output:
        output.type.tensor_type.ClearField("shape")
    graph = shape_inference.infer_shapes(model, data_prop=True, strict_mode=True).graph
    known = [*graph.input, *graph.value_info, *graph.output]
    shapes = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in known}
    weights = {i.name: list(i.dims) for i in graph.initializer}
    total = 0
    for node in graph.node:
        if node.op_type in ("Conv", "ConvTranspose", "Gemm", "MatMul") and node.input[1] in weights:
            taken, given, weight = shapes[node.input[0]], shapes[node.output[0]], weights[node.input[1]]
            if node.op_type == "Conv":
                total += math.prod(given) * math.prod(weight[1:])
            elif node.op_type == "ConvTranspose":
                total += math.prod(taken) * math.prod(weight[1:])
            else:
                total += math.prod(given) * taken[-1]
    return total


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", action="store_true")
    args = parser.parse_args()
    for name, path in write(args.out).items():
        count = f", {multiply_adds(onnx.load(path), SIDES[name]):,} multiply-adds" if args.count else ""
        print(f"{path}: {path.stat().st_size:,} bytes{count}")


if __name__ == "__main__":
    main()
