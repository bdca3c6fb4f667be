//! How much a network computes: the multiply-adds of its convolutions and matrix products.
//!
//! In: ONNX bytes and an input. Out: a count. Lengths inside a network follow from its input by the rules of every
//! operator in it; rather than know them all, [`multiply_adds`] lets the built-in engine run the network once and looks
//! at the shapes of what comes out of its products.

use std::collections::BTreeMap;

use super::onnx::{self, Writer};
use crate::{
    Error, Result,
    engine::{Backend, Engine, EngineConfig, Precision, Tensor},
};

/// A convolution or matrix product with constant weights.
struct Product {
    /// The tensor with one number for each use of a weight column: what comes out, or goes into a transposed convolution.
    tensor: String,
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
    let (products, observed) = observe(onnx).ok_or_else(|| Error::model(name, "damaged, or not an ONNX file"))?;
    if products.is_empty() {
        return Err(Error::model(name, "no convolution or matrix product in it"));
    }
    let engine = Engine::open(&EngineConfig { backend: Backend::Rten, ..EngineConfig::default() })?;
    let session = engine.load(name, observed, Precision::Full)?;
    let outputs = session.run(Tensor { shape: shape.to_vec(), data: vec![0.0; shape.iter().product()] })?;
    let of_product = |(product, output): (&Product, &Tensor)| {
        let channels = match product.axis {
            ChannelAxis::Second => output.shape.get(1),
            ChannelAxis::Last => output.shape.last(),
        };
        output.data.len() as u64 * product.weights / channels.map_or(1, |&n| n.max(1) as u64)
    };
    Ok(products.iter().zip(&outputs).map(of_product).sum())
}

/// The products of a network, and the network with their tensors as its only outputs; `None` if the bytes are damaged.
fn observe(onnx: &[u8]) -> Option<(Vec<Product>, Vec<u8>)> {
    const GRAPH: u64 = 7;
    const NODE: u64 = 1;
    const INITIALIZER: u64 = 5;
    const OUTPUT: u64 = 12;
    let model = onnx::fields(onnx)?;
    let graph = onnx::fields(model.iter().find(|field| field.number == GRAPH)?.bytes())?;

    let mut weights = BTreeMap::new();
    for tensor in graph.iter().filter(|field| field.number == INITIALIZER) {
        let tensor = onnx::fields(tensor.bytes())?;
        let elements = onnx::integers(&tensor, 1)?.into_iter().try_fold(1u64, u64::checked_mul)?;
        weights.insert(onnx::text(&tensor, 8), elements);
    }
    let mut products = Vec::new();
    for node in graph.iter().filter(|field| field.number == NODE) {
        let node = onnx::fields(node.bytes())?;
        let names = |number| {
            let named = node.iter().filter(move |field| field.number == number);
            named.map(|field| String::from_utf8_lossy(field.bytes()).into_owned())
        };
        let (tensor, axis) = match onnx::text(&node, 4).as_str() {
            "Conv" => (names(2).next()?, ChannelAxis::Second),
            "ConvTranspose" => (names(1).next()?, ChannelAxis::Second),
            "Gemm" | "MatMul" => (names(2).next()?, ChannelAxis::Last),
            _ => continue,
        };
        if let Some(&weights) = names(1).nth(1).and_then(|weight| weights.get(&weight)) {
            products.push(Product { tensor, weights, axis });
        }
    }

    let mut observed = Writer::with_capacity(onnx.len());
    graph.iter().filter(|field| field.number != OUTPUT).for_each(|field| observed.raw(field.raw));
    for product in &products {
        let mut output = Writer::default();
        output.bytes(1, product.tensor.as_bytes());
        observed.bytes(OUTPUT as u32, &output.finish());
    }
    let mut rest = Writer::default();
    model.iter().filter(|field| field.number != GRAPH).for_each(|field| rest.raw(field.raw));
    Some((products, onnx::model(&rest.finish(), &observed.finish())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        Store,
        onnx::{Attribute, Axis},
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

    const EXPECTED: [(&str, [usize; 4], u64); 4] = [
        ("facenet", [1, 3, 160, 160], 1_417_662_304),
        ("mobilefacenet", [1, 3, 112, 112], 234_105_344),
        ("dlib", [1, 3, 150, 150], 270_854_144),
        ("centerface", [1, 3, 256, 256], 394_993_664),
    ];
}
