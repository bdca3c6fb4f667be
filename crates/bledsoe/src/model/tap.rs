//! Cutting a network off at one of its layers.
//!
//! In: ONNX bytes and a [`Tap`]. Out: ONNX bytes whose only output is that layer, pooled and flattened, without the nodes
//! and weights that it does not need.

use std::collections::BTreeSet;

use super::{
    contract::Tap,
    onnx::{self, Attribute, Axis, Field, Writer},
};
use crate::{Error, Result};

const GRAPH: u64 = 7;
/// Fields of a graph.
const NODE: u64 = 1;
const INITIALIZER: u64 = 5;
const OUTPUT: u64 = 12;
/// Fields of a node.
const NODE_INPUT: u64 = 1;
const NODE_OUTPUT: u64 = 2;

/// The network cut off at `tap`, whose values are `dim` for each input; `name` is for error messages.
///
/// # Errors
/// [`Error::Model`] when the bytes are damaged or have no such layer.
pub(super) fn cut(onnx: &[u8], tap: &Tap, dim: usize, name: &str) -> Result<Vec<u8>> {
    let damaged = || Error::model(name, "damaged, or not an ONNX file");
    let model = onnx::fields(onnx).ok_or_else(damaged)?;
    let graph = model.iter().find(|field| field.number == GRAPH).ok_or_else(damaged)?;
    let graph = onnx::fields(graph.bytes()).ok_or_else(damaged)?;

    // Nodes come after those that they need, so one walk backwards finds all that the layer needs.
    let mut needed = BTreeSet::from([tap.layer.clone()]);
    let mut dropped = BTreeSet::new();
    let mut found = false;
    for (i, field) in graph.iter().enumerate().rev().filter(|(_, field)| field.number == NODE) {
        let node = onnx::fields(field.bytes()).ok_or_else(damaged)?;
        if names(&node, NODE_OUTPUT).any(|output| needed.contains(&output)) {
            found |= names(&node, NODE_OUTPUT).any(|output| output == tap.layer);
            needed.extend(names(&node, NODE_INPUT));
        } else {
            dropped.insert(i);
        }
    }
    if !found {
        return Err(Error::model(name, format!("output.tap: no layer {} in the network", tap.layer)));
    }

    let mut kept = Writer::with_capacity(onnx.len());
    for (i, field) in graph.iter().enumerate() {
        let unneeded = match field.number {
            NODE => dropped.contains(&i),
            INITIALIZER => !needed.contains(&onnx::text(&onnx::fields(field.bytes()).ok_or_else(damaged)?, 8)),
            number => number == OUTPUT,
        };
        if !unneeded {
            kept.raw(field.raw);
        }
    }
    let mut last = tap.layer.as_str();
    if let Some(window) = tap.window.map(i64::from) {
        let (window, stride) = ([window; 2], [i64::from(tap.stride); 2]);
        let attributes = [("kernel_shape", Attribute::Ints(&window)), ("strides", Attribute::Ints(&stride))];
        onnx::node(&mut kept, "AveragePool", &[last], "tap.means", &attributes);
        last = "tap.means";
    }
    onnx::node(&mut kept, "Flatten", &[last], "tap", &[("axis", Attribute::Int(1))]);
    onnx::output(&mut kept, "tap", &[Axis::Free("N"), Axis::Fixed(dim)]);

    let mut rest = Writer::default();
    model.iter().filter(|field| field.number != GRAPH).for_each(|field| rest.raw(field.raw));
    Ok(onnx::model(&rest.finish(), &kept.finish()))
}

fn names<'a>(node: &'a [Field<'_>], number: u64) -> impl Iterator<Item = String> + 'a {
    let named = node.iter().filter(move |field| field.number == number);
    named.map(|field| String::from_utf8_lossy(field.bytes()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Backend, Engine, EngineConfig, Precision, Tensor};

    /// x, 1 x 1 x 3 x 3 -> Relu -> a; a + two -> b; Flatten -> y.
    fn network() -> Vec<u8> {
        let mut graph = Writer::default();
        onnx::node(&mut graph, "Relu", &["x"], "a", &[]);
        onnx::node(&mut graph, "Add", &["a", "two"], "b", &[]);
        onnx::node(&mut graph, "Flatten", &["b"], "y", &[("axis", Attribute::Int(1))]);
        graph.bytes(2, b"g");
        onnx::initializer(&mut graph, "two", &[1], &[2.0]);
        let shape = [Axis::Free("N"), Axis::Fixed(1), Axis::Fixed(3), Axis::Fixed(3)];
        onnx::input(&mut graph, "x", &shape);
        onnx::output(&mut graph, "y", &[Axis::Free("N"), Axis::Fixed(9)]);
        onnx::model(&onnx::head(&[]), &graph.finish())
    }

    fn values(layer: &str, window: Option<u32>, dim: usize) -> Vec<f32> {
        let tap = Tap { layer: layer.into(), window, stride: 1 };
        let cut = cut(&network(), &tap, dim, "x").unwrap();
        let engine =
            Engine::open(&EngineConfig { backend: Backend::Rten, threads: 1, ..EngineConfig::default() }).unwrap();
        let session = engine.load("x", cut, Precision::Full).unwrap();
        let data = vec![-1.0, 2.0, 3.0, 4.0, -5.0, 6.0, 7.0, 8.0, 9.0];
        let output = session.run(Tensor { shape: vec![1, 1, 3, 3], data }).unwrap();
        assert_eq!((output.len(), &output[0].shape), (1, &vec![1, dim]));
        output[0].data.clone()
    }

    #[test]
    fn a_layer_becomes_the_only_output() {
        assert_eq!(values("a", None, 9), [0.0, 2.0, 3.0, 4.0, 0.0, 6.0, 7.0, 8.0, 9.0]);
        assert_eq!(values("b", Some(2), 4), [3.5, 4.75, 6.75, 7.75]);
    }

    #[test]
    fn what_the_layer_does_not_need_is_left_out() {
        let tap = Tap { layer: "a".into(), window: None, stride: 1 };
        let cut = cut(&network(), &tap, 9, "x").unwrap();
        let holds = |name: &[u8]| cut.windows(name.len()).any(|window| window == name);
        assert!(holds(b"Relu") && !holds(b"Add") && !holds(b"two"));
    }

    #[test]
    fn unknown_layers_and_damage_are_refused() {
        let tap = Tap { layer: "z".into(), window: None, stride: 1 };
        let says = |bytes: &[u8]| cut(bytes, &tap, 9, "odd").unwrap_err().to_string();
        assert!(says(&network()).contains("no layer z"));
        // An input is no layer.
        assert!(cut(&network(), &Tap { layer: "x".into(), ..tap.clone() }, 9, "odd").is_err());
        let whole = network();
        for length in 0..whole.len() {
            assert!(says(&whole[..length]).contains("odd"));
        }
    }
}
