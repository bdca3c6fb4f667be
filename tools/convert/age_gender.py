"""Age and gender (a small Xception): 8-bit tfjs weights of npm @vladmandic/face-api 1.7.15 -> ONNX.

Usage: age_gender.py FOLDER/age_gender_model OUT.onnx   (FOLDER holds age_gender_model.bin and its weights manifest)
Output: age_gender [N,3]: years, probability of male, probability of female.

The architecture, from the names and shapes of the weights and face-api's documentation: a strided convolution, two
blocks of separable convolutions with max pooling and a strided shortcut, two residual blocks, one more pooling block,
one separable convolution, mean over the map, two linear heads.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def read_weights(stem):
    """Name -> f32 array; stored bytes q stand for q * scale + min."""
    manifest = json.loads(Path(f"{stem}-weights_manifest.json").read_text())
    data, at, weights = Path(f"{stem}.bin").read_bytes(), 0, {}
    for w in manifest[0]["weights"]:
        count = int(np.prod(w["shape"]))
        quantization = w.get("quantization")
        kind = np.dtype(quantization["dtype"] if quantization else w["dtype"]).newbyteorder("<")
        values = np.frombuffer(data, kind, count, at).astype(np.float64)
        at += count * kind.itemsize
        if quantization:
            values = values * quantization["scale"] + quantization["min"]
        weights[w["name"]] = values.reshape(w["shape"]).astype(np.float32)
    assert at == len(data), f"{len(data) - at} bytes of weights are left over"
    return weights


class Graph:
    """Adds nodes one after the other; each method returns the name of its output."""

    def __init__(self, weights):
        self.weights, self.nodes, self.initializers = weights, [], {}

    def node(self, op, inputs, **attributes):
        out = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [out], **attributes))
        return out

    def constant(self, name, array):
        self.initializers[name] = numpy_helper.from_array(np.ascontiguousarray(array), name)
        return name

    def conv(self, x, name, stride=1, pads=(0, 0, 0, 0)):
        filters = self.constant(f"{name}/filters", self.weights[f"{name}/filters"].transpose(3, 2, 0, 1))
        bias = self.constant(f"{name}/bias", self.weights[f"{name}/bias"])
        # rten 0.27 does not know the defaults of pads and dilations.
        return self.node("Conv", [x, filters, bias], strides=[stride, stride], pads=list(pads), dilations=[1, 1])

    def separable(self, x, name):
        depthwise = self.weights[f"{name}/depthwise_filter"]
        channels = depthwise.shape[2]
        d = self.constant(f"{name}/depthwise_filter", depthwise.transpose(2, 3, 0, 1))
        x = self.node("Conv", [x, d], group=channels, pads=[1, 1, 1, 1], strides=[1, 1], dilations=[1, 1])
        p = self.constant(f"{name}/pointwise_filter", self.weights[f"{name}/pointwise_filter"].transpose(3, 2, 0, 1))
        bias = self.constant(f"{name}/bias", self.weights[f"{name}/bias"])
        return self.node("Conv", [x, p, bias], pads=[0, 0, 0, 0], strides=[1, 1], dilations=[1, 1])

    def relu(self, x):
        return self.node("Relu", [x])

    def reduction(self, x, name, activate=True):
        y = self.separable(self.relu(x) if activate else x, f"{name}/separable_conv0")
        y = self.separable(self.relu(y), f"{name}/separable_conv1")
        # TensorFlow's "same" padding of an even side with stride 2: nothing before, one after.
        y = self.node("MaxPool", [y], kernel_shape=[3, 3], strides=[2, 2], pads=[0, 0, 1, 1])
        return self.node("Add", [y, self.conv(x, f"{name}/expansion_conv", stride=2)])

    def residual(self, x, name):
        y = x
        for i in range(3):
            y = self.separable(self.relu(y), f"{name}/separable_conv{i}")
        return self.node("Add", [y, x])

    def linear(self, x, name):
        weight = self.constant(f"{name}/weights", self.weights[f"{name}/weights"].T)
        return self.node("Gemm", [x, weight, self.constant(f"{name}/bias", self.weights[f"{name}/bias"])], transB=1)


def main(stem, out):
    g = Graph(read_weights(stem))
    x = g.relu(g.conv("input", "entry_flow/conv_in", stride=2, pads=(0, 0, 1, 1)))
    x = g.reduction(x, "entry_flow/reduction_block_0", activate=False)
    x = g.reduction(x, "entry_flow/reduction_block_1")
    for i in range(2):
        x = g.residual(x, f"middle_flow/main_block_{i}")
    x = g.reduction(x, "exit_flow/reduction_block")
    x = g.relu(g.separable(x, "exit_flow/separable_conv"))
    x = g.node("Flatten", [g.node("GlobalAveragePool", [x])], axis=1)
    gender = g.node("Softmax", [g.linear(x, "fc/gender")], axis=1)
    g.nodes.append(helper.make_node("Concat", [g.linear(x, "fc/age"), gender], ["age_gender"], axis=1))
    graph = helper.make_graph(
        g.nodes, "age_gender",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["N", 3, 112, 112])],
        [helper.make_tensor_value_info("age_gender", TensorProto.FLOAT, ["N", 3])],
        list(g.initializers.values()),
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, out)


if __name__ == "__main__":
    main(*sys.argv[1:])
