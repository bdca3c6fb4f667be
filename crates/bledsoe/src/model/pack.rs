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
    // `names` comes in the order of a hash map; sorted, every run gives the same bytes.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Format, Registry, Store};

    fn file(tensors: &[(&str, Dtype, &[usize], Vec<u8>)]) -> Vec<u8> {
        let views = tensors.iter().map(|(name, dtype, shape, data)| {
            (name.to_string(), TensorView::new(*dtype, shape.to_vec(), data).unwrap())
        });
        safetensors::serialize(views, None).unwrap()
    }

    fn halves_of(values: &[f32]) -> Vec<u8> {
        values.iter().flat_map(|&v| f16::from_f32(v).to_le_bytes()).collect()
    }

    /// A graph and a model of one field each, and two weights.
    fn parts() -> Vec<(&'static str, Dtype, &'static [usize], Vec<u8>)> {
        let scales = [0.5f32, 2.0].iter().flat_map(|v| v.to_le_bytes()).collect();
        vec![
            ("graph", Dtype::U8, &[3], vec![0x12, 1, b'g']),
            ("model", Dtype::U8, &[2], vec![0x08, 8]),
            ("b", Dtype::F16, &[3], halves_of(&[1.5, -2.0, 0.25])),
            ("a", Dtype::I8, &[2, 2], vec![1, 0xff, 127, 0x81]),
            ("a.scale", Dtype::F32, &[2], scales),
        ]
    }

    #[test]
    fn weights_are_widened_into_the_graph() {
        let mut graph = Writer::default();
        graph.raw(&[0x12, 1, b'g']);
        onnx::initializer(&mut graph, "a", &[2, 2], &[0.5, -0.5, 254.0, -254.0]);
        onnx::initializer(&mut graph, "b", &[3], &[1.5, -2.0, 0.25]);
        let expected = onnx::model(&[0x08, 8], &graph.finish());
        assert_eq!(widen(&file(&parts()), "test").unwrap(), expected);
    }

    #[test]
    fn what_is_no_pack_is_refused_with_its_name() {
        let refused =
            |tensors: &[(&str, Dtype, &[usize], Vec<u8>)]| widen(&file(tensors), "odd").unwrap_err().to_string();
        let mut without_scale = parts();
        without_scale.remove(4);
        assert!(refused(&without_scale).contains("odd: weight a has no scale"));
        let mut short_scale = parts();
        short_scale[4] = ("a.scale", Dtype::F32, &[1], vec![0; 4]);
        assert!(refused(&short_scale).contains("does not fit"));
        let mut doubles = parts();
        doubles[2] = ("b", Dtype::F64, &[1], vec![0; 8]);
        assert!(refused(&doubles).contains("F64"));
        assert!(refused(&parts()[1..]).contains("no graph"));
        for damaged in [&b""[..], b"not a pack", &file(&parts())[..60]] {
            assert!(widen(damaged, "odd").unwrap_err().to_string().contains("odd"));
        }
    }

    #[test]
    fn the_embedded_networks_widen_to_at_most_four_times_their_size() {
        let registry = Registry::embedded().unwrap();
        let store = Store::new(None);
        for model in registry.models().iter().filter(|m| m.embedded && m.format == Format::Pack) {
            let packed = store.bytes(&model.id).unwrap();
            let wide = widen(&packed, &model.id).unwrap();
            // A small network's graph is as large as it was.
            assert!((1.8..4.1).contains(&(wide.len() as f64 / packed.len() as f64)), "{}", model.id);
        }
    }
}
