"""Small edits of ONNX graphs that the converters share."""

import numpy as np
import onnx
from onnx import numpy_helper


def constants(graph):
    """Name -> array of every initializer and Constant node."""
    found = {i.name: numpy_helper.to_array(i) for i in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant":
            found[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
    return found


def set_constant(graph, name, array):
    """Replaces or adds the initializer `name`."""
    for i in graph.initializer:
        if i.name == name:
            i.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(array), name))
            return
    graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(array), name))


def rewire(graph, old, new):
    """Lets everything that read `old` read `new`."""
    for node in graph.node:
        for k, name in enumerate(node.input):
            if name == old:
                node.input[k] = new


def fold_scales(graph):
    """Multiplies scalar factors (and their conv's bias) into the convolution before them."""
    values = constants(graph)
    producers = {node.output[0]: node for node in graph.node}
    readers = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    folded = []
    for node in graph.node:
        if node.op_type != "Mul":
            continue
        factor = next((n for n in node.input if n in values and values[n].size == 1), None)
        source = next((n for n in node.input if n != factor), None)
        conv = producers.get(source)
        if factor is None or conv is None or conv.op_type != "Conv" or len(readers[source]) > 1:
            continue
        for k, name in enumerate(conv.input[1:], 1):
            scaled = f"{name}*{node.output[0]}"
            set_constant(graph, scaled, values[name] * values[factor].reshape(()))
            conv.input[k] = scaled
        rewire(graph, node.output[0], source)
        folded.append(node)
    for node in folded:
        graph.node.remove(node)


def prune(model, output):
    """Keeps what leads to the tensors named `output`."""
    graph = model.graph
    needed, kept = set(output), []
    for node in reversed(graph.node):
        if needed & set(node.output):
            kept.append(node)
            needed |= set(node.input)
    del graph.node[:]
    graph.node.extend(reversed(kept))
    initializers = [i for i in graph.initializer if i.name in needed]
    del graph.initializer[:]
    graph.initializer.extend(initializers)
    inputs = [i for i in graph.input if i.name in needed and i.name not in {x.name for x in initializers}]
    del graph.input[:]
    graph.input.extend(inputs)
    del graph.value_info[:]


def number_initializers(graph, prefix="weight"):
    """Names the initializers by their place of first use: tf2onnx numbers its own differently in every run."""
    order = list(dict.fromkeys(name for node in graph.node for name in node.input))
    found = {i.name: i for i in graph.initializer}
    kept = [onnx.TensorProto.FromString(found[name].SerializeToString()) for name in order if name in found]
    for k, initializer in enumerate(kept):
        rewire(graph, initializer.name, f"{prefix}{k}")
        initializer.name = f"{prefix}{k}"
    del graph.initializer[:]
    graph.initializer.extend(kept)


def number_values(graph):
    """Names what one node hands to the next by number, and no node: TensorFlow's names are longer than some weights."""
    last = {o.name for o in graph.output}
    numbers = {}
    for node in graph.node:
        node.name = ""
        for k, name in enumerate(node.output):
            if name not in last:
                node.output[k] = numbers.setdefault(name, f"v{len(numbers)}")
        for k, name in enumerate(node.input):
            node.input[k] = numbers.get(name, name)


def set_io(model, input_shape, outputs):
    """One f32 input called `input`, outputs {name: shape} in order; strings in a shape are symbolic lengths."""
    graph = model.graph
    rewire(graph, graph.input[0].name, "input")
    del graph.input[:]
    graph.input.append(onnx.helper.make_tensor_value_info("input", onnx.TensorProto.FLOAT, input_shape))
    del graph.output[:]
    for name, shape in outputs.items():
        graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape))
