//! The pack format: an ONNX network with small weights, widened to plain f32 ONNX when it is loaded.
//!
//! A safetensors file made by `tools/convert/pack.py`: `graph` (the GraphProto without its large initializers), `model`
//! (the ModelProto without its graph), and each weight under its name, F16, or I8 with `NAME.scale` (F32, one for each
//! index of the first axis; weight = value x scale). Protobuf lets initializers be appended to the graph as they are.

use half::f16;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use super::onnx::{self, Writer};
use crate::{Error, Result};

/// Widens a pack; `name` is for error messages.
///
/// # Errors
/// [`Error::Model`] when the file is damaged or not a pack.
pub fn widen(bytes: &[u8], name: &str) -> Result<Vec<u8>> {
    let fail = |reason: String| Error::model(name, reason);
    let tensors = SafeTensors::deserialize(bytes).map_err(|e| fail(format!("not a safetensors file: {e}")))?;
    let part = |part: &str| tensors.tensor(part).map_err(|_| fail(format!("no {part} in it: not a packed network")));
    let mut graph = Writer::with_capacity(bytes.len() * 4 + 4096);
    graph.raw(part("graph")?.data());
    // The order in the file is the order of the offsets, and so the same in every run.
    let mut names: Vec<&str> = tensors.names();
    names.sort_unstable();
    for weight in names.into_iter().filter(|n| !matches!(*n, "graph" | "model") && !n.ends_with(".scale")) {
        let tensor = tensors.tensor(weight).map_err(|e| fail(e.to_string()))?;
        let values = match tensor.dtype() {
            Dtype::F16 => halves(&tensor),
            Dtype::I8 => {
                let scales = tensors
                    .tensor(&format!("{weight}.scale"))
                    .map_err(|_| fail(format!("weight {weight} has no scale")))?;
                bytes_scaled(&tensor, &scales).ok_or_else(|| fail(format!("the scale of {weight} does not fit it")))?
            }
            other => return Err(fail(format!("weight {weight} is {other:?}, expected F16 or I8"))),
        };
        onnx::initializer(&mut graph, weight, tensor.shape(), &values);
    }
    Ok(onnx::model(part("model")?.data(), &graph.finish()))
}

fn halves(tensor: &TensorView<'_>) -> Vec<f32> {
    use half::slice::HalfFloatSliceExt;
    let halves: Vec<f16> = tensor.data().as_chunks::<2>().0.iter().map(|b| f16::from_le_bytes(*b)).collect();
    let mut wide = vec![0.0; halves.len()];
    halves.convert_to_f32_slice(&mut wide);
    wide
}

fn bytes_scaled(tensor: &TensorView<'_>, scales: &TensorView<'_>) -> Option<Vec<f32>> {
    let rows = *tensor.shape().first()?;
    if scales.dtype() != Dtype::F32 || scales.data().len() != 4 * rows || rows == 0 || tensor.data().is_empty() {
        return None;
    }
    let scales = scales.data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b));
    let row = tensor.data().len() / rows;
    let mut wide = Vec::with_capacity(tensor.data().len());
    for (values, scale) in tensor.data().chunks_exact(row).zip(scales) {
        wide.extend(values.iter().map(|&v| f32::from(v as i8) * scale));
    }
    Some(wide)
}
