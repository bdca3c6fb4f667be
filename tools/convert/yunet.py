"""YuNet: weights of PyPI yuface 2023.5.1, read by name from its library, as ONNX with free batch and photo size.

Usage: yunet.py libfacedetection.so OUT.onnx
Input: RGB, 0 to 255 (the library's is BGR), sides in multiples of 32. Outputs: stride8, stride16, stride32 [N,16,h,w]:
logits of "a face" and of "a face has its middle here", the middle (x, y) in cells from this one, the logarithm of width
and height in cells, five points (x, y) in cells from this one. The network is the paper's "YuNet-s" (Wu, Peng and Yu,
"YuNet: A Tiny Millisecond-level Face Detector", 2023).
"""

import sys

import numpy as np
import onnx
from elftools.elf.elffile import ELFFile
from onnx import TensorProto, helper, numpy_helper

from graph import number_initializers, number_values

HEADS = ["cls", "obj", "bbox", "kps"]
STAGES = range(1, 6)
LEVELS = [3, 4, 5]  # stages that are looked at, at strides 8, 16 and 32
POOLED = [2, 3, 4]  # stages that are halved after


def read(path):
    """Name -> numbers of every weight and bias in the library."""
    with open(path, "rb") as file:
        elf = ELFFile(file)
        found = {}
        for symbol in elf.get_section_by_name(".symtab").iter_symbols():
            if symbol.name.endswith(("_weight", "_bias")):
                section = elf.get_section(symbol["st_shndx"])
                start = symbol["st_value"] - section["sh_addr"]
                found[symbol.name] = np.frombuffer(section.data(), "<f4", symbol["st_size"] // 4, start)
    return found


class Network:
    """Nodes and weights, as they are added."""

    def __init__(self, numbers):
        self.numbers, self.nodes, self.weights = numbers, [], []

    def constant(self, name, array):
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(array, np.float32), name))
        return name

    def node(self, kind, inputs, name, **attributes):
        self.nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def convolution(self, x, name, weight, bias, stride=1, **attributes):
        side = weight.shape[-1]
        inputs = [x, self.constant(f"{name}.w", weight), self.constant(f"{name}.b", bias)]
        # ONNX lets strides and dilations of one and no padding be left out, rten does not.
        return self.node("Conv", inputs, name, pads=[side // 2] * 4, strides=[stride] * 2, dilations=[1] * 2, **attributes)

    def unit(self, x, names, out, relu=True):
        """1 x 1 over all channels, then 3 x 3 in each; of several names side by side."""
        numbers = self.numbers
        across = [numbers[f"{n}_pw_weight"].reshape(len(numbers[f"{n}_pw_bias"]), -1, 1, 1) for n in names]
        within = [numbers[f"{n}_dw_weight"].reshape(9, -1).T.reshape(-1, 1, 3, 3) for n in names]
        bias = [np.concatenate([numbers[f"{n}_{part}_bias"] for n in names]) for part in ("pw", "dw")]
        x = self.convolution(x, f"{out}.across", np.concatenate(across), bias[0])
        within = np.concatenate(within)
        x = self.convolution(x, f"{out}.within" if relu else out, within, bias[1], group=len(within))
        return self.node("Relu", [x], f"{out}.relu") if relu else x

    def halved(self, x):
        return self.node("MaxPool", [x], f"{x}.pool", kernel_shape=[2, 2], strides=[2, 2])

    def doubled(self, x):
        by = self.constant(f"{x}.by", [1, 1, 2, 2])
        return self.node("Resize", [x, "", by], f"{x}.doubled", mode="nearest", nearest_mode="floor",
                         coordinate_transformation_mode="asymmetric")


def build(numbers):
    net = Network(numbers)
    # Rows of the first weights: 3 x 3 pixels of B, G, R, and five zeros.
    first = numbers["backbone__model0_pw_weight"].reshape(-1, 32)[:, :27].reshape(-1, 3, 3, 3)[..., ::-1]
    bias = numbers["backbone__model0_pw_bias"]
    x = net.convolution("input", "stem", first.transpose(0, 3, 1, 2), bias, stride=2)
    x = net.unit(net.node("Relu", [x], "stem.relu"), ["backbone__model0_dp"], "stage0")
    x, levels = net.halved(x), []
    for stage in STAGES:
        for part in (1, 2):
            x = net.unit(x, [f"backbone__model{stage}_dp{part}"], f"stage{stage}.{part}")
        if stage in LEVELS:
            levels.append(x)
        if stage in POOLED:
            x = net.halved(x)
    for k in (2, 1, 0):
        levels[k] = net.unit(levels[k], [f"neck__lateral_convs__{k}"], f"level{k}")
        if k:
            levels[k - 1] = net.node("Add", [levels[k - 1], net.doubled(levels[k])], f"sum{k}")
    outputs = [
        net.unit(level, [f"bbox_head__multi_level_{head}__{k}" for head in HEADS], f"stride{8 << k}", relu=False)
        for k, level in enumerate(levels)
    ]
    value = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
    graph = helper.make_graph(
        net.nodes, "yunet", [value("input", ["N", 3, "H", "W"])],
        [value(name, ["N", 16, f"h{name[6:]}", f"w{name[6:]}"]) for name in outputs], net.weights,
    )
    number_initializers(graph, "w")
    number_values(graph)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def main(source, out):
    model = build(read(source))
    onnx.checker.check_model(model)
    onnx.save(model, out)


if __name__ == "__main__":
    main(*sys.argv[1:])
