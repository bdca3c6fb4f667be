//! Cutting a network off at one of its layers.
//!
//! In: ONNX bytes and a [`Tap`]. Out: ONNX bytes whose only output is that layer, pooled and flattened, without the nodes
//! and weights that it does not need.

use super::{
    contract::Tap,
    graph::Graph,
    onnx::{self, Attribute, Axis},
};
use crate::Result;

/// The network cut off at `tap`, whose values are `dim` for each input; `name` is for error messages.
///
/// # Errors
/// [`crate::Error::Model`] when the bytes are damaged or have no such layer.
pub(super) fn cut(onnx: &[u8], tap: &Tap, dim: usize, name: &str) -> Result<Vec<u8>> {
    Graph::read(onnx, name)?.cut_off(&tap.layer, |graph| {
        let mut last = tap.layer.as_str();
        if let Some(window) = tap.window.map(i64::from) {
            let (window, stride) = ([window; 2], [i64::from(tap.stride); 2]);
            let attributes = [("kernel_shape", Attribute::Ints(&window)), ("strides", Attribute::Ints(&stride))];
            onnx::node(graph, "AveragePool", &[last], "tap.means", &attributes);
            last = "tap.means";
        }
        onnx::node(graph, "Flatten", &[last], "tap", &[("axis", Attribute::Int(1))]);
        onnx::output(graph, "tap", &[Axis::Free("N"), Axis::Fixed(dim)]);
    })
}

#[cfg(test)]
mod tests {
    use super::{super::onnx::Writer, *};
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
