//! Every kind of processor that this one can play, against rten.

use std::sync::Arc;

use proptest::prelude::*;

use super::{
    arithmetic::{Aligned, Arithmetic, LANES, Plain, TileProduct},
    instructions::Instructions,
    layer::{Layer, Rows},
    network::Network,
};
use crate::{
    engine::{Backend, Engine, EngineConfig, Precision, Session, Tensor},
    model::{
        Format, Registry, Store, Task,
        graph::Graph,
        onnx::{self, Attribute, Axis, Writer},
    },
};

/// Numbers that look like chance, between -1 and 1.
fn numbers(seed: u64, length: usize) -> Vec<f32> {
    let mut random = fastrand::Rng::with_seed(seed);
    (0..length).map(|_| random.f32() * 2.0 - 1.0).collect()
}

fn by_rten(onnx: &[u8], input: Tensor) -> Vec<Tensor> {
    let engine = Engine::open(&EngineConfig { backend: Backend::Rten, ..EngineConfig::default() }).unwrap();
    engine.load("reference", onnx.to_vec(), Precision::Full).unwrap().run(input).unwrap()
}

fn pool(threads: usize) -> Arc<rayon::ThreadPool> {
    Arc::new(rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap())
}

fn load(instructions: Instructions, onnx: &[u8], threads: usize) -> Result<Box<dyn Session>, String> {
    instructions.load("tested", &Graph::read(onnx, "tested").unwrap(), &pool(threads))
}

/// A processor that multiplies whole tiles, played by plain loops.
struct Tiled;

impl Arithmetic for Tiled {
    type Word = f32;
    type Lanes = [f32; LANES];
    const NUMBERS: usize = 1;
    const WIDE: bool = false;
    const TILES: Option<TileProduct<f32>> = Some(product_of_tiles);

    fn compute(layer: &Layer<Self>, rows: Rows<'_>) {
        layer.compute(rows);
    }
    fn word(numbers: &[f32]) -> f32 {
        Plain::word(numbers)
    }
    fn words<'a>(numbers: &'a [f32], _: &'a mut Vec<f32>) -> &'a [f32] {
        numbers
    }
    fn splat(number: f32) -> Self::Lanes {
        Plain::splat(number)
    }
    fn load(numbers: &[f32; LANES]) -> Self::Lanes {
        *numbers
    }
    fn store(lanes: Self::Lanes, numbers: &mut [f32; LANES]) {
        *numbers = lanes;
    }
    fn add(a: Self::Lanes, b: Self::Lanes) -> Self::Lanes {
        Plain::add(a, b)
    }
    fn max(a: Self::Lanes, b: Self::Lanes) -> Self::Lanes {
        Plain::max(a, b)
    }
    fn min(a: Self::Lanes, b: Self::Lanes) -> Self::Lanes {
        Plain::min(a, b)
    }
    fn multiply_add(sum: Self::Lanes, a: Self::Lanes, b: Self::Lanes) -> Self::Lanes {
        Plain::multiply_add(sum, a, b)
    }
    fn load_words(words: &[f32; LANES]) -> Self::Lanes {
        *words
    }
    fn product(_: Self::Lanes, _: f32, _: Self::Lanes) -> Self::Lanes {
        unreachable!("it has tiles")
    }
}

unsafe fn product_of_tiles(
    pixels: [*const f32; 2],
    pitch: usize,
    weights: [&[Aligned<f32>]; 2],
    sums: &mut [Aligned<f32>; 4 * LANES],
) {
    assert!(weights.iter().all(|panel| panel.len() == weights[0].len() && panel.len().is_multiple_of(LANES)));
    for (place, sums) in sums.iter_mut().enumerate() {
        let (tile, row) = (place / LANES, place % LANES);
        let mut sum = [0.0; LANES];
        for (k, weights) in weights[tile % 2].iter().enumerate() {
            // SAFETY: the caller's.
            let number = unsafe { *pixels[tile / 2].add(row * pitch + k) };
            sum = Plain::multiply_add(sum, [number; LANES], weights.0);
        }
        sums.0 = sum;
    }
}

/// A network of `nodes` with an input x of so many channels, and all of `outputs`.
fn network(channels: usize, outputs: &[&str], nodes: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut graph = Writer::default();
    nodes(&mut graph);
    graph.bytes(2, b"g");
    let axes = [Axis::Free("n"), Axis::Fixed(channels), Axis::Free("h"), Axis::Free("w")];
    onnx::input(&mut graph, "x", &axes);
    outputs.iter().for_each(|output| onnx::output(&mut graph, output, &[]));
    onnx::model(&onnx::head(&[]), &graph.finish())
}

/// rten wants to be told.
const ONCE: &[(&str, Attribute<'_>)] = &[
    ("dilations", Attribute::Ints(&[1, 1])),
    ("pads", Attribute::Ints(&[0, 0, 0, 0])),
    ("strides", Attribute::Ints(&[1, 1])),
];

fn weights(graph: &mut Writer, name: &str, shape: &[usize], seed: u64) {
    onnx::initializer(graph, name, shape, &numbers(seed, shape.iter().product()));
}

/// A network of the layers that are no convolutions of the common kinds.
fn other_layers() -> Vec<u8> {
    network(3, &["y", "up", "likely", "flat"], |graph| {
        weights(graph, "w", &[24, 3, 3, 3], 1);
        let pads = [ONCE[0], ("pads", Attribute::Ints(&[1, 1, 1, 1])), ONCE[2]];
        onnx::node(graph, "Conv", &["x", "w"], "map", &pads);
        let halve =
            [ONCE[0], ONCE[1], ("kernel_shape", Attribute::Ints(&[2, 2])), ("strides", Attribute::Ints(&[2, 2]))];
        onnx::node(graph, "MaxPool", &["map"], "most", &halve);
        onnx::node(graph, "AveragePool", &["map"], "mean", &halve);
        onnx::node(graph, "Concat", &["most", "mean", "most"], "both", &[("axis", Attribute::Int(1))]);
        onnx::int_initializer(graph, "more", &[0, 0, 0, 0, 0, 5, 1, 1]);
        onnx::node(graph, "Pad", &["both", "more"], "wide", &[]);
        weights(graph, "t", &[24, 5, 2, 2], 2);
        onnx::node(graph, "ConvTranspose", &["mean", "t"], "twice", &halve);
        for (i, name) in ["scale", "shift", "middle"].into_iter().enumerate() {
            weights(graph, name, &[5], i as u64);
        }
        onnx::initializer(graph, "variance", &[5], &[0.5, 1.0, 2.0, 0.1, 3.0]);
        let inputs = ["twice", "scale", "shift", "middle", "variance"];
        onnx::node(graph, "BatchNormalization", &inputs, "level", &[]);
        onnx::node(graph, "Relu", &["level"], "up", &[]);
        onnx::node(graph, "Sigmoid", &["wide"], "likely", &[]);
        onnx::node(graph, "GlobalAveragePool", &["wide"], "middles", &[]);
        onnx::node(graph, "Flatten", &["middles"], "vector", &[]);
        weights(graph, "m", &[77, 6], 3);
        weights(graph, "b", &[6], 4);
        onnx::node(graph, "Gemm", &["vector", "m", "b"], "sums", &[]);
        onnx::node(graph, "Softmax", &["sums"], "shares", &[("axis", Attribute::Int(1))]);
        onnx::node(graph, "Concat", &["shares", "vector"], "y", &[("axis", Attribute::Int(1))]);
        // A map under two names, one of which something follows.
        onnx::node(graph, "Conv", &["x", "w"], "map2", &pads);
        onnx::node(graph, "Identity", &["map2"], "same", &[]);
        onnx::node(graph, "Relu", &["same"], "positive", &[]);
        onnx::node(graph, "Add", &["map2", "positive"], "twofold", &[]);
        onnx::node(graph, "Flatten", &["twofold"], "flat", &[]);
    })
}

/// Fails unless all processors give what rten gives, but for rounding: of f32, or of bf16 in each product.
fn compare(onnx: &[u8], input: &Tensor) {
    let expected = by_rten(onnx, input.clone());
    let near = |session: &dyn Session, allowed: f32, name: &str| {
        let made = session.run(input.clone()).unwrap();
        assert_eq!(made.len(), expected.len());
        for (place, (made, expected)) in made.iter().zip(&expected).enumerate() {
            assert_eq!(made.shape, expected.shape, "{name}");
            let scale = expected.data.iter().fold(1.0f32, |most, x| most.max(x.abs()));
            let off = made.data.iter().zip(&expected.data).fold(0.0f32, |most, (a, b)| most.max((a - b).abs()));
            assert!(off <= allowed * scale, "{name}, output {place}: off by {off} of {scale}");
        }
    };
    for threads in [1, 3] {
        for instructions in Instructions::available() {
            let allowed = if instructions.is_narrow() { 0.02 } else { 1e-5 };
            let name = format!("{instructions:?}, {threads} threads");
            near(&*load(instructions, onnx, threads).unwrap(), allowed, &name);
        }
        let tiled = Network::<Tiled>::new("tested", &Graph::read(onnx, "tested").unwrap(), pool(threads)).unwrap();
        near(&tiled, 1e-5, &format!("tiles, {threads} threads"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Convolutions, whole and by channel, with bias, slopes and a sum behind them.
    #[test]
    fn convolutions_give_what_rten_gives(
        items in 1usize..6,
        channels in 1usize..40,
        outputs in 1usize..70,
        [height, width] in [11usize..25, 11usize..25],
        [tall, wide] in [1usize..6, 1usize..6],
        steps in 1i64..4,
        pads: [bool; 4],
        by_channel in any::<bool>(),
        seed: u64,
    ) {
        let pads: Vec<i64> = pads.iter().zip([tall, wide, tall, wide]).map(|(&pad, k)| i64::from(pad) * (k as i64 / 2)).collect();
        let onnx = network(channels, &["y", "slim"], |graph| {
            // The input goes through a convolution first, as in all networks.
            weights(graph, "w1", &[channels, channels, tall, wide], seed);
            onnx::node(graph, "Conv", &["x", "w1"], "first", &[ONCE[0], ("pads", Attribute::Ints(&pads)), ONCE[2]]);
            let group = if by_channel { channels } else { 1 };
            let outputs = if by_channel { channels } else { outputs };
            weights(graph, "w2", &[outputs, channels / group, tall, wide], seed + 1);
            weights(graph, "b2", &[outputs], seed + 2);
            weights(graph, "slopes", &[outputs, 1, 1], seed + 3);
            let attributes = [
                ("kernel_shape", Attribute::Ints(&[tall as i64, wide as i64])),
                ("strides", Attribute::Ints(&[steps, steps])),
                ("pads", Attribute::Ints(&pads)),
                ("group", Attribute::Int(group as i64)),
                ONCE[0],
            ];
            onnx::node(graph, "Conv", &["first", "w2", "b2"], "convolved", &attributes);
            onnx::node(graph, "PRelu", &["convolved", "slopes"], "y", &[]);
            weights(graph, "w3", &[outputs, outputs, 1, 1], seed + 4);
            onnx::node(graph, "Conv", &["y", "w3"], "again", ONCE);
            onnx::node(graph, "Add", &["y", "again"], "sum", &[]);
            onnx::node(graph, "Relu", &["sum"], "slim", &[]);
        });
        let shape = vec![items, channels, height, width];
        compare(&onnx, &Tensor { data: numbers(seed, shape.iter().product()), shape });
    }

    /// A damaged network is refused, or it computes something.
    #[test]
    fn no_byte_makes_it_panic(at: prop::sample::Index, byte: u8) {
        let mut onnx = other_layers();
        let at = at.index(onnx.len());
        onnx[at] = byte;
        if let Ok(graph) = Graph::read(&onnx, "damaged")
            && let Ok(session) = Instructions::Plain.load("damaged", &graph, &pool(1))
        {
            let _ = session.run(Tensor { shape: vec![2, 3, 10, 14], data: numbers(1, 2 * 3 * 140) });
        }
    }

    /// What else is in a batch changes no bit.
    #[test]
    fn pictures_of_a_batch_are_alone(items in 1usize..20, seed: u64) {
        let onnx = network(3, &["y"], |graph| {
            weights(graph, "w", &[20, 3, 3, 3], seed);
            onnx::node(graph, "Conv", &["x", "w"], "map", ONCE);
            onnx::node(graph, "GlobalAveragePool", &["map"], "mean", &[]);
            onnx::node(graph, "Flatten", &["mean"], "y", &[]);
        });
        let data = numbers(seed, items * 3 * 81);
        for instructions in Instructions::available() {
            let session = load(instructions, &onnx, 2).unwrap();
            let together = session.run(Tensor { shape: vec![items, 3, 9, 9], data: data.clone() }).unwrap().remove(0);
            assert_eq!(together.shape, [items, 20]);
            for (picture, together) in data.chunks(3 * 81).zip(together.data.chunks(20)) {
                let alone = session.run(Tensor { shape: vec![1, 3, 9, 9], data: picture.to_vec() }).unwrap().remove(0);
                assert_eq!(alone.data, together, "{instructions:?}");
            }
        }
    }
}

#[test]
fn other_layers_give_what_rten_gives() {
    compare(&other_layers(), &Tensor { shape: vec![3, 3, 10, 14], data: numbers(7, 3 * 3 * 140) });
}

/// Layers that are computed some rows at a time: the maps between them are larger than what that is for.
#[test]
fn bands_give_what_rten_gives() {
    let onnx = network(3, &["y"], |graph| {
        let convolution = |graph: &mut Writer, names: [&str; 2], shape: [usize; 4], step: i64, group: usize, seed| {
            let weights_name = format!("{}w", names[1]);
            weights(graph, &weights_name, &shape, seed);
            let margin = shape[2] as i64 / 2;
            let attributes = [
                ("strides", Attribute::Ints(&[step, step])),
                ("pads", Attribute::Ints(&[margin; 4])),
                ("group", Attribute::Int(group as i64)),
                ONCE[0],
            ];
            onnx::node(graph, "Conv", &[names[0], &weights_name], names[1], &attributes);
        };
        convolution(graph, ["x", "a"], [40, 3, 3, 3], 1, 1, 1);
        convolution(graph, ["a", "b"], [40, 1, 3, 3], 2, 40, 2);
        convolution(graph, ["b", "c"], [64, 40, 1, 1], 1, 1, 3);
        convolution(graph, ["c", "d"], [16, 64, 5, 5], 1, 1, 4);
        let halve =
            [ONCE[0], ONCE[1], ("kernel_shape", Attribute::Ints(&[2, 2])), ("strides", Attribute::Ints(&[2, 2]))];
        onnx::node(graph, "MaxPool", &["d"], "e", &halve);
        convolution(graph, ["e", "y"], [20, 16, 3, 3], 3, 1, 5);
    });
    for sides in [[150, 97], [61, 230], [20, 20]] {
        let shape = vec![3, 3, sides[0], sides[1]];
        compare(&onnx, &Tensor { data: numbers(3, shape.iter().product()), shape });
    }
}

/// All embedded networks, with embedders in what they are run in.
#[test]
fn embedded_networks_give_what_rten_gives() {
    let registry = Registry::embedded().unwrap();
    let native = Engine::open(&EngineConfig { backend: Backend::Native, ..EngineConfig::default() }).unwrap();
    let networks = registry.models().iter().filter(|model| model.embedded && model.format == Format::Pack);
    for model in networks {
        let (id, onnx) = (&*model.id, model.cut(Store::new(None).onnx(&model.id).unwrap()).unwrap());
        // Detectors take pictures of any size.
        let side = model.input.as_ref().map(|input| input.size as usize).filter(|&side| side > 0).unwrap_or(128);
        let precision = if model.task == Task::Embed { Precision::Fast } else { Precision::Full };
        let input = Tensor { shape: vec![2, 3, side, side], data: numbers(side as u64, 6 * side * side) };
        let made = native.load(id, onnx.clone(), precision).unwrap().run(input.clone()).unwrap();
        for (made, expected) in made.iter().zip(by_rten(&onnx, input)) {
            assert_eq!(made.shape, expected.shape, "{id}");
            let [mut product, mut a, mut b] = [0.0f64; 3];
            for (&x, &y) in made.data.iter().zip(&expected.data) {
                (product, a, b) = (product + f64::from(x * y), a + f64::from(x * x), b + f64::from(y * y));
            }
            let least = if precision == Precision::Fast { 0.9999 } else { 0.999_999_9 };
            let cosine = product / (a * b).sqrt();
            assert!(cosine > least, "{id}: {cosine}");
        }
    }
}

#[test]
fn what_there_is_no_layer_for_is_named() {
    let refused = |channels, nodes: &dyn Fn(&mut Writer)| {
        load(Instructions::Plain, &network(channels, &["y"], nodes), 1).err().unwrap()
    };
    let unknown = refused(3, &|graph| onnx::node(graph, "Tanh", &["x"], "y", &[]));
    assert_eq!(unknown, "Tanh y: no such layer");
    let groups = refused(4, &|graph| {
        weights(graph, "w", &[4, 2, 1, 1], 1);
        onnx::node(graph, "Conv", &["x", "w"], "y", &[("group", Attribute::Int(2))]);
    });
    assert_eq!(groups, "Conv y: groups of several channels");
    let flat = refused(3, &|graph| {
        weights(graph, "w", &[4, 3, 1, 1], 1);
        onnx::node(graph, "Conv", &["x", "w"], "map", &[]);
        onnx::node(graph, "Flatten", &["map"], "numbers", &[]);
        onnx::node(graph, "Relu", &["numbers"], "y", &[]);
    });
    assert_eq!(flat, "its layers do not fit together");
    let first = refused(3, &|graph| onnx::node(graph, "Relu", &["x"], "y", &[]));
    assert_eq!(first, "its input goes into something else than a convolution");
}

#[test]
fn pictures_of_a_wrong_shape_are_refused() {
    let onnx = network(3, &["y"], |graph| {
        weights(graph, "w", &[4, 3, 3, 3], 1);
        onnx::node(graph, "Conv", &["x", "w"], "y", &[]);
    });
    let session = load(Instructions::Plain, &onnx, 1).unwrap();
    for shape in [vec![1, 3, 2, 9], vec![1, 4, 9, 9], vec![3, 9, 9], vec![1, 3, 9, 0]] {
        let data = vec![0.0; shape.iter().product()];
        let refused = session.run(Tensor { shape, data }).err().unwrap().to_string();
        assert!(refused.contains("an input of"), "{refused}");
    }
    let none = session.run(Tensor { shape: vec![0, 3, 9, 9], data: Vec::new() }).unwrap();
    assert_eq!(none, [Tensor { shape: vec![0, 4, 7, 7], data: Vec::new() }]);
}
