"""Packs an ONNX network for embedding: weights as f16, or int8 with a scale for each output channel.

The pack is a safetensors file:
  graph   U8   the GraphProto without its large initializers
  model   U8   the ModelProto without its graph
  NAME    F16, or I8 with NAME.scale (F32, one for each index of the first axis): weight = value * scale
`crates/bledsoe/src/model/pack.rs` widens it to plain f32 ONNX.

Usage: pack.py NETWORK.onnx --weights f16|int8 --out PACK.safetensors [--widened CHECK.onnx]
"""

import argparse
import os

import numpy as np
import onnx
from onnx import numpy_helper
from safetensors.numpy import save_file

SMALL = 64  # numbers; smaller initializers stay in the graph


def quantize(array):
    """int8 and one scale for each index of the first axis."""
    flat = array.reshape(array.shape[0], -1)
    scale = np.abs(flat).max(axis=1) / 127
    scale[scale == 0] = 1
    q = np.clip(np.rint(flat / scale[:, None]), -127, 127).astype(np.int8)
    return q.reshape(array.shape), scale.astype(np.float32)


def pack(model, weights):
    """The tensors of the pack, and the model as bledsoe will see it after widening."""
    widened = onnx.ModelProto()
    widened.CopyFrom(model)
    tensors, kept = {}, []
    for initializer, wide in zip(model.graph.initializer, widened.graph.initializer):
        array = numpy_helper.to_array(initializer)
        if array.dtype != np.float32 or array.size < SMALL:
            kept.append(initializer)
            continue
        name = initializer.name
        if weights == "int8" and array.ndim >= 2:
            tensors[name], tensors[f"{name}.scale"] = quantize(array)
            scale = tensors[f"{name}.scale"].reshape(-1, *[1] * (array.ndim - 1))
            array = tensors[name].astype(np.float32) * scale
        else:
            tensors[name] = array.astype(np.float16)
            array = tensors[name].astype(np.float32)
        wide.CopyFrom(numpy_helper.from_array(array, name))
    graph = onnx.GraphProto()
    graph.CopyFrom(model.graph)
    del graph.initializer[:]
    graph.initializer.extend(kept)
    rest = onnx.ModelProto()
    rest.CopyFrom(model)
    rest.ClearField("graph")
    tensors["graph"] = np.frombuffer(graph.SerializeToString(deterministic=True), np.uint8)
    tensors["model"] = np.frombuffer(rest.SerializeToString(deterministic=True), np.uint8)
    return tensors, widened


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network")
    parser.add_argument("--weights", choices=["f16", "int8"], required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--widened", help="also write the plain f32 network that bledsoe will run")
    args = parser.parse_args()
    model = onnx.load(args.network)
    model.producer_name, model.producer_version, model.doc_string = "bledsoe", "", ""
    model.graph.doc_string = ""
    for node in model.graph.node:
        node.doc_string = ""
    tensors, widened = pack(model, args.weights)
    save_file(tensors, args.out)
    os.chmod(args.out, 0o644)
    if args.widened:
        onnx.checker.check_model(widened)
        onnx.save(widened, args.widened)


if __name__ == "__main__":
    main()
