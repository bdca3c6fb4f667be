"""The engines that Python packages bring: each opens an ONNX network and gives run(x: N x C x H x W, f32) -> outputs."""

import numpy as np


def onnxruntime(path, threads):
    """ONNX Runtime's own CPU kernels, f32."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda x: session.run(None, {name: x})


def opencv(path, threads):
    """OpenCV's DNN module, f32."""
    import cv2

    cv2.setNumThreads(threads)
    net = cv2.dnn.readNetFromONNX(str(path))

    def run(x):
        net.setInput(x)
        return [net.forward()]

    return run


def opencv_one(path, threads):
    """OpenCV's DNN module, f32, face by face, as most of its users call it."""
    net = opencv(path, threads)
    return lambda x: [np.concatenate([net(one[None])[0] for one in x])]


def openvino(path, threads, precision=None):
    """OpenVINO in the precision that it chooses: bf16 where the processor has it."""
    import openvino as ov

    config = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
    if precision:
        config["INFERENCE_PRECISION_HINT"] = precision
    network = ov.Core().compile_model(str(path), "CPU", config)
    return lambda x: list(network(x).values())


def openvino_f32(path, threads):
    """OpenVINO, kept to f32."""
    return openvino(path, threads, "f32")


ENGINES = {
    "onnxruntime": onnxruntime,
    "openvino": openvino,
    "openvino-f32": openvino_f32,
    "opencv": opencv,
    "opencv-one": opencv_one,
}
