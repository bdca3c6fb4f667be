//! How much a network computes: the multiply-adds of its convolutions and matrix products.
//!
//! In: ONNX bytes and an input. Out: a count. Lengths inside a network follow from its input by the rules of every
//! operator in it; rather than know them all, [`multiply_adds`] lets the built-in engine run the network once and looks
//! at the shapes of what comes out of its products.

use super::graph::{Graph, Node};
use crate::{
    Error, Result,
    engine::{Backend, Engine, EngineConfig, Precision, Tensor},
};

/// A convolution or matrix product with constant weights.
struct Product<'g> {
    /// The tensor with one number for each use of a weight column: what comes out, or goes into a transposed convolution.
    tensor: &'g str,
    /// How many weights there are.
    weights: u64,
    /// The tensor's axis over which the weights are spread.
    axis: ChannelAxis,
}

enum ChannelAxis {
    /// Of N x C x H x W.
    Second,
    /// Of rows.
    Last,
}

/// The multiply-adds of one run of the network with an input of `shape`: those of Conv, ConvTranspose, Gemm and MatMul
/// with constant weights. Sums, activations and pools are a few percent besides, and not counted. `name` is for error
/// messages.
///
/// # Errors
/// [`Error::Model`] when the bytes are damaged or no product is in them, [`Error::Engine`] when the network does not run
/// on such an input.
pub fn multiply_adds(onnx: &[u8], name: &str, shape: &[usize]) -> Result<u64> {
    let graph = Graph::read(onnx, name)?;
    let products: Vec<Product<'_>> = graph.nodes().iter().filter_map(|node| product(&graph, node)).collect();
    if products.is_empty() {
        return Err(Error::model(name, "no convolution or matrix product in it"));
    }
    let engine = Engine::open(&EngineConfig { backend: Backend::Rten, ..EngineConfig::default() })?;
    let tensors: Vec<&str> = products.iter().map(|product| product.tensor).collect();
    let session = engine.load(name, graph.with_outputs(&tensors), Precision::Full)?;
    let outputs = session.run(Tensor { shape: shape.to_vec(), data: vec![0.0; shape.iter().product()] })?;
    let of_product = |(product, output): (&Product<'_>, &Tensor)| {
        let channels = match product.axis {
            ChannelAxis::Second => output.shape.get(1),
            ChannelAxis::Last => output.shape.last(),
        };
        output.data.len() as u64 * product.weights / channels.map_or(1, |&n| n.max(1) as u64)
    };
    Ok(products.iter().zip(&outputs).map(of_product).sum())
}

fn product<'g>(graph: &Graph<'_>, node: &'g Node<'_>) -> Option<Product<'g>> {
    let (tensor, axis) = match node.operator.as_str() {
        "Conv" => (node.outputs.first()?, ChannelAxis::Second),
        "ConvTranspose" => (node.inputs.first()?, ChannelAxis::Second),
        "Gemm" | "MatMul" => (node.outputs.first()?, ChannelAxis::Last),
        _ => return None,
    };
    let weights = graph.constant(node.inputs.get(1)?)?.len() as u64;
    Some(Product { tensor, weights, axis })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        Store,
        onnx::{self, Attribute, Axis, Writer},
    };

    /// 1 x 2 x 4 x 4 -> Conv of 3 x 3, stride 2 -> 1 x 3 x 1 x 1 -> Flatten -> MatMul -> 1 x 5.
    fn network() -> Vec<u8> {
        let mut graph = Writer::default();
        let conv = [
            ("dilations", Attribute::Ints(&[1, 1])),
            ("kernel_shape", Attribute::Ints(&[3, 3])),
            ("pads", Attribute::Ints(&[0; 4])),
            ("strides", Attribute::Ints(&[2, 2])),
        ];
        onnx::node(&mut graph, "Conv", &["x", "w"], "c", &conv);
        onnx::node(&mut graph, "Flatten", &["c"], "f", &[("axis", Attribute::Int(1))]);
        onnx::node(&mut graph, "MatMul", &["f", "m"], "y", &[]);
        graph.bytes(2, b"g");
        onnx::initializer(&mut graph, "w", &[3, 2, 3, 3], &[1.0; 54]);
        onnx::initializer(&mut graph, "m", &[3, 5], &[1.0; 15]);
        onnx::input(&mut graph, "x", &[Axis::Free("n"), Axis::Fixed(2), Axis::Fixed(4), Axis::Fixed(4)]);
        onnx::output(&mut graph, "y", &[Axis::Free("n"), Axis::Fixed(5)]);
        onnx::model(&onnx::head(&[]), &graph.finish())
    }

    #[test]
    fn products_are_counted_by_hand() {
        assert_eq!(multiply_adds(&network(), "small", &[1, 2, 4, 4]).unwrap(), 3 * 2 * 9 + 3 * 5);
        assert_eq!(multiply_adds(&network(), "small", &[7, 2, 4, 4]).unwrap(), 7 * (3 * 2 * 9 + 3 * 5));
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        assert!(multiply_adds(&network(), "small", &[1, 9, 4, 4]).is_err());
        assert!(matches!(multiply_adds(b"no network", "odd", &[1]), Err(Error::Model { .. })));
        let truncated = &network()[..300];
        assert!(multiply_adds(truncated, "odd", &[1, 2, 4, 4]).is_err());
    }

    /// The counts were made with onnx's own shape inference, in Python: see `benches/rivals/networks.py --count`.
    #[test]
    fn the_embedded_networks_are_counted_as_by_shape_inference() {
        let store = Store::new(None);
        let count = |id: &str, shape: &[usize]| multiply_adds(&store.onnx(id).unwrap(), id, shape).unwrap();
        for (id, shape, expected) in EXPECTED {
            assert_eq!(count(id, &shape), expected, "{id}");
        }
    }

    const EXPECTED: [(&str, [usize; 4], u64); 5] = [
        ("facenet", [1, 3, 160, 160], 1_417_662_304),
        ("mobilefacenet", [1, 3, 112, 112], 234_105_344),
        ("dlib", [1, 3, 150, 150], 270_854_144),
        ("centerface", [1, 3, 256, 256], 394_993_664),
        ("yunet", [1, 3, 256, 256], 55_075_840),
    ];
}
