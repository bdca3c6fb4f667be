//! The end of a network against rten, against finite differences, and learnt.

use std::sync::atomic::AtomicBool;

use super::*;
use crate::{
    embed::Embedding,
    engine::{self, Backend, Engine, EngineConfig, Precision},
    metric::{Training, differences::slopes, train_network},
    model::{
        Store,
        onnx::{self, Attribute, Axis, Writer},
    },
    pipeline::Monitor,
};

/// Numbers from -0.5 to 0.5, always the same.
struct Numbers(fastrand::Rng);

impl Numbers {
    fn take(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.0.f32() - 0.5).collect()
    }
}

/// N x 2 x 6 x 6 through every operator that is known, to N x 5.
fn everything() -> Vec<u8> {
    let (mut graph, mut numbers) = (Writer::default(), Numbers(fastrand::Rng::with_seed(5)));
    let ints = |name: &'static str, values: &'static [i64]| (name, Attribute::Ints(values));
    let mut node = |operator: &str, inputs: &[&str], output: &str, attributes: &[(&str, Attribute<'_>)]| {
        onnx::node(&mut graph, operator, inputs, output, attributes);
    };
    let same = [ints("kernel_shape", &[3, 3]), ints("pads", &[1; 4]), ints("strides", &[1, 1])];
    let halving = [ints("kernel_shape", &[3, 3]), ints("pads", &[0, 0, 1, 1]), ints("strides", &[2, 2])];
    node("Conv", &["x", "w1", "b1"], "c1", &same);
    node("BatchNormalization", &["c1", "scale", "bias", "mean", "variance"], "n1", &[]);
    node("PRelu", &["n1", "slope"], "r1", &[]);
    node("MaxPool", &["r1"], "p1", &halving);
    node("Conv", &["r1", "wd", "bd"], "d1", &[&halving[..], &[("group", Attribute::Int(4))]].concat());
    node("AveragePool", &["r1"], "a1", &[ints("kernel_shape", &[2, 2]), ints("strides", &[2, 2])]);
    node("Concat", &["p1", "d1", "a1"], "cat", &[("axis", Attribute::Int(1))]);
    let spread = [ints("dilations", &[2, 1]), ints("kernel_shape", &[2, 1]), ("group", Attribute::Int(3))];
    node("Conv", &["cat", "wg"], "g1", &spread);
    node("Pad", &["g1", "pads"], "padded", &[]);
    node("Mul", &["padded", "factor"], "m1", &[]);
    node("Sub", &["m1", "shift"], "s1", &[]);
    node("Div", &["s1", "divisor"], "v1", &[]);
    node("Conv", &["cat", "wp"], "c2", &[ints("kernel_shape", &[1, 1])]);
    node("Add", &["v1", "c2"], "sum", &[]);
    node("Clip", &["sum", "least", "most"], "clipped", &[]);
    node("Identity", &["clipped"], "same", &[]);
    node("Reshape", &["same", "lengths"], "rows", &[]);
    node("MatMul", &["rows", "wm"], "product", &[]);
    node("Relu", &["sum"], "r2", &[]);
    node("GlobalAveragePool", &["r2"], "pooled", &[]);
    node("Flatten", &["pooled"], "flat", &[("axis", Attribute::Int(1))]);
    node("Gemm", &["flat", "wl", "bl"], "last", &[("transB", Attribute::Int(1))]);
    node("Add", &["product", "last"], "y", &[]);
    graph.bytes(2, b"g");
    let arrays: [(&str, &[usize]); 15] = [
        ("w1", &[4, 2, 3, 3]),
        ("b1", &[4]),
        ("scale", &[4]),
        ("bias", &[4]),
        ("mean", &[4]),
        ("slope", &[4, 1, 1]),
        ("wd", &[4, 1, 3, 3]),
        ("bd", &[4]),
        ("wg", &[6, 4, 2, 1]),
        ("factor", &[6, 1, 1]),
        ("shift", &[]),
        ("wp", &[6, 12, 1, 1]),
        ("wm", &[54, 5]),
        ("wl", &[5, 6]),
        ("bl", &[5]),
    ];
    for (name, shape) in arrays {
        onnx::initializer(&mut graph, name, shape, &numbers.take(shape.iter().product()));
    }
    let positive = |numbers: Vec<f32>| numbers.into_iter().map(|x| x + 1.0).collect::<Vec<f32>>();
    onnx::initializer(&mut graph, "variance", &[4], &positive(numbers.take(4)));
    onnx::initializer(&mut graph, "divisor", &[6, 1, 1], &positive(numbers.take(6)));
    onnx::initializer(&mut graph, "least", &[], &[-0.4]);
    onnx::initializer(&mut graph, "most", &[], &[0.6]);
    onnx::int_initializer(&mut graph, "pads", &[0, 0, 1, 0, 0, 0, 1, 0]);
    onnx::int_initializer(&mut graph, "lengths", &[-1, 54]);
    onnx::input(&mut graph, "x", &[Axis::Free("n"), Axis::Fixed(2), Axis::Fixed(6), Axis::Fixed(6)]);
    onnx::output(&mut graph, "y", &[Axis::Free("n"), Axis::Fixed(5)]);
    onnx::model(&onnx::head(&[]), &graph.finish())
}

fn by_rten(onnx: Vec<u8>, input: engine::Tensor) -> Vec<engine::Tensor> {
    let engine = Engine::open(&EngineConfig { backend: Backend::Rten, ..EngineConfig::default() }).unwrap();
    engine.load("test", onnx, Precision::Full).unwrap().run(input).unwrap()
}

fn units(vectors: &engine::Tensor) -> Vec<Vec<f32>> {
    let dim = vectors.data.len() / vectors.shape[0];
    vectors.data.chunks(dim).map(|vector| Embedding::new("", vector.to_vec()).unwrap().vector).collect()
}

/// A tensor of faces x channels x … as the interpreter takes it.
fn channels_first(tensor: &engine::Tensor, kind: DType) -> Tensor {
    let plain = Tensor::from_slice(&tensor.data, tensor.shape.as_slice(), &Device::Cpu).unwrap();
    plain.transpose(0, 1).unwrap().contiguous().unwrap().to_dtype(kind).unwrap()
}

fn largest_difference(a: &[Vec<f32>], b: &[Vec<f32>]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).flat_map(|(a, b)| a.iter().zip(b)).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

fn faces(count: usize) -> engine::Tensor {
    engine::Tensor { shape: vec![count, 2, 6, 6], data: Numbers(fastrand::Rng::with_seed(8)).take(count * 72) }
}

#[test]
fn every_operator_gives_what_rten_gives() {
    let onnx = everything();
    let graph = Graph::read(&onnx, "everything").unwrap();
    let end = graph.end(6).unwrap();
    assert_eq!((end.tensor.as_str(), end.nodes.len()), ("x", graph.nodes().len()));
    let network = Network::new(&graph, &end, DType::F32, &Device::Cpu).unwrap();
    let made = network.forward(channels_first(&faces(3), DType::F32)).unwrap().to_vec2().unwrap();
    let difference = largest_difference(&made, &units(&by_rten(onnx.clone(), faces(3))[0]));
    assert!(difference < 1e-6, "{difference}");
    // What is measured or set is not learnt.
    let learnt: Vec<&str> = network.variables.keys().map(String::as_str).collect();
    assert_eq!(
        learnt,
        ["b1", "bd", "bias", "bl", "divisor", "factor", "scale", "slope", "w1", "wd", "wg", "wl", "wm", "wp"]
    );
}

#[test]
fn gradients_are_what_small_steps_show() {
    let onnx = everything();
    let graph = Graph::read(&onnx, "everything").unwrap();
    let network = Network::new(&graph, &graph.end(6).unwrap(), DType::F64, &Device::Cpu).unwrap();
    let input = channels_first(&faces(3), DType::F64);
    let weights = Numbers(fastrand::Rng::with_seed(2)).take(15);
    let weights = Tensor::from_vec(weights, (3, 5), &Device::Cpu).unwrap().to_dtype(DType::F64).unwrap();
    let loss = || (network.forward(input.clone()).unwrap() * &weights).unwrap().sum_all().unwrap();
    let gradients = loss().backward().unwrap();
    for (name, variable) in &network.variables {
        let gradient = gradients.get(variable.as_tensor()).unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap();
        let largest = gradient.iter().fold(0.0f64, |most, slope| most.max(slope.abs()));
        assert!(largest > 1e-4, "{name}: nothing depends on it");
        for (i, slope) in slopes(variable, gradient.len() / 6 + 1, || loss().to_scalar().unwrap()) {
            assert!((slope - gradient[i]).abs() < 1e-5 * largest, "{name}[{i}]: {} by candle, {slope}", gradient[i]);
        }
    }
}

/// The embedded networks' ends, of the self-test picture's pixels.
#[test]
fn the_ends_of_real_networks_give_what_rten_gives() {
    let store = Store::new(None);
    for (id, side, layers) in [("facenet", 160, 7), ("mobilefacenet", 112, 9), ("dlib", 150, 4)] {
        let onnx = store.onnx(id).unwrap();
        let graph = Graph::read(&onnx, id).unwrap();
        let end = graph.end(layers).unwrap();
        assert!(end.layers >= layers);
        let data = Numbers(fastrand::Rng::with_seed(1)).take(2 * 3 * side * side);
        let input = engine::Tensor { shape: vec![2, 3, side, side], data };
        let outputs = by_rten(graph.with_outputs(&[graph.output(), &end.tensor]), input);
        let network = Network::new(&graph, &end, DType::F32, &Device::Cpu).unwrap();
        let made = network.forward(channels_first(&outputs[1], DType::F32)).unwrap().to_vec2().unwrap();
        let difference = largest_difference(&made, &units(&outputs[0]));
        assert!(difference < 1e-5, "{id}: {difference}");
    }
}

/// N x 2 x 6 x 6 -> 3 x 3 convolution -> PReLU -> N x 8.
fn small() -> Vec<u8> {
    let (mut graph, mut numbers) = (Writer::default(), Numbers(fastrand::Rng::with_seed(6)));
    let ints = |name: &'static str, values: &'static [i64]| (name, Attribute::Ints(values));
    let same = [ints("kernel_shape", &[3, 3]), ints("pads", &[1; 4]), ints("strides", &[1, 1])];
    onnx::node(&mut graph, "Conv", &["x", "w"], "c", &same);
    onnx::node(&mut graph, "PRelu", &["c", "slope"], "r", &[]);
    onnx::node(&mut graph, "Flatten", &["r"], "flat", &[]);
    onnx::node(&mut graph, "MatMul", &["flat", "m"], "y", &[]);
    graph.bytes(2, b"g");
    let arrays: [(&str, &[usize]); 3] = [("w", &[4, 2, 3, 3]), ("slope", &[4, 1, 1]), ("m", &[144, 8])];
    for (name, shape) in arrays {
        onnx::initializer(&mut graph, name, shape, &numbers.take(shape.iter().product()));
    }
    onnx::input(&mut graph, "x", &[Axis::Free("n"), Axis::Fixed(2), Axis::Fixed(6), Axis::Fixed(6)]);
    onnx::output(&mut graph, "y", &[Axis::Free("n"), Axis::Fixed(8)]);
    onnx::model(&onnx::head(&[]), &graph.finish())
}

/// Forty people of three faces, whom one of two channels tells apart.
fn people() -> (engine::Tensor, Vec<usize>) {
    let mut numbers = Numbers(fastrand::Rng::with_seed(3));
    let mut data = Vec::new();
    for _ in 0..40 {
        let person = numbers.take(36);
        for _ in 0..3 {
            data.extend(person.iter().zip(numbers.take(36)).map(|(own, noise)| 2.0 * own + 0.2 * noise));
            data.extend(numbers.take(36).into_iter().map(|noise| 3.0 * noise));
        }
    }
    (engine::Tensor { shape: vec![120, 2, 6, 6], data }, (0..120).map(|row| row / 3).collect())
}

#[test]
fn layers_learn_and_the_network_that_is_written_is_what_was_learnt() {
    let onnx = small();
    let graph = Graph::read(&onnx, "small").unwrap();
    let end = graph.end(2).unwrap();
    let (faces, whose) = people();
    let vectors = units(&by_rten(onnx.clone(), faces.clone())[0]).concat();
    let examples = Examples::new(8, vectors, whose.clone()).unwrap();
    let mut features = Features::new(1 << 20);
    features.push(&[&faces]).unwrap();
    let training = Training { stay_close: 0.0, learning_rate: 3e-3, epochs: 20, ..Training::default() };
    let stop = AtomicBool::new(false);
    let monitor = Monitor { progress: &|_| {}, stop: &stop };
    let trained = train_network(&graph, &end, &features, &examples, &training, &monitor).unwrap();
    let (before, best) = (trained.course.curve[0].figure, trained.course.best.figure);
    assert!(best < 0.8 * before, "{best} from {before}");
    assert!(trained.course.seconds_per_epoch.is_some());
    let again = train_network(&graph, &end, &features, &examples, &training, &monitor).unwrap();
    assert!(again.learnt == trained.learnt);

    // What rten gives of the network that is written is what was learnt, and as good.
    let written = graph.with_constants(&trained.learnt, &[]);
    let network = Graph::read(&written, "written").unwrap();
    let learnt = Network::new(&network, &network.end(2).unwrap(), DType::F32, &Device::Cpu).unwrap();
    let made = learnt.forward(channels_first(&faces, DType::F32)).unwrap().to_vec2().unwrap();
    let by_engine = units(&by_rten(written.clone(), faces)[0]);
    assert!(largest_difference(&made, &by_engine) < 1e-5);
    // As it was split: people of whom none share a picture are held out by the seed alone.
    let (_, held) = examples.split(training.held_out, training.seed).unwrap();
    let vectors: Vec<Vec<f32>> = (0..held.len()).map(|row| by_engine[held.source(row)].clone()).collect();
    let figure = trained.course.measure.measure(&held, &vectors).figure;
    assert!((figure - best).abs() < 1e-3, "{figure} {best}");
}

#[test]
fn of_two_views_the_sum_counts() {
    let onnx = small();
    let graph = Graph::read(&onnx, "small").unwrap();
    let end = graph.end(2).unwrap();
    let network = Network::new(&graph, &end, DType::F32, &Device::Cpu).unwrap();
    let (faces, whose) = people();
    let mirrored = engine::Tensor { data: faces.data.iter().rev().copied().collect(), ..faces.clone() };
    let mut features = Features::new(1 << 20);
    features.push(&[&faces, &mirrored]).unwrap();
    let sums: Vec<Vec<f32>> = [faces, mirrored].map(|view| units(&by_rten(onnx.clone(), view)[0])).concat();
    let sum = |face: usize| sums[face].iter().zip(&sums[face + 120]).map(|(a, b)| a + b).collect();
    let vectors: Vec<Vec<f32>> = (0..120).map(|face| Embedding::new("", sum(face)).unwrap().vector).collect();
    let examples = Examples::new(8, vectors.concat(), whose).unwrap();
    let unfrozen = Unfrozen { network, features: &features, device: Device::Cpu };
    let made = unfrozen.vectors(&examples, &[5, 119, 0]).unwrap().to_vec2().unwrap();
    let wanted = [5, 119, 0].map(|face: usize| vectors[face].clone());
    // Features are kept in 16 bits.
    assert!(largest_difference(&made, &wanted) < 2e-3);
}

#[test]
fn features_or_embeddings_of_another_network_are_refused() {
    let onnx = small();
    let graph = Graph::read(&onnx, "small").unwrap();
    let end = graph.end(2).unwrap();
    let (faces, whose) = people();
    let other = Numbers(fastrand::Rng::with_seed(9)).take(120 * 8);
    let other = units(&engine::Tensor { shape: vec![120, 8], data: other }).concat();
    let examples = Examples::new(8, other, whose).unwrap();
    let stop = AtomicBool::new(false);
    let monitor = Monitor { progress: &|_| {}, stop: &stop };
    let refused = |features: &Features| {
        train_network(&graph, &end, features, &examples, &Training::default(), &monitor).err().unwrap().to_string()
    };
    let mut features = Features::new(1 << 20);
    assert!(refused(&features).contains("features of 0 faces"), "{}", refused(&features));
    features.push(&[&faces]).unwrap();
    assert!(refused(&features).contains("give other embeddings than the network"), "{}", refused(&features));
}

#[test]
fn an_operator_that_is_not_known_is_named_with_its_node() {
    let network = |operator: &str, attributes: &[(&str, Attribute<'_>)]| {
        let mut graph = Writer::default();
        onnx::node(&mut graph, "Conv", &["x", "w"], "c", &[]);
        onnx::node(&mut graph, operator, &["c"], "odd", attributes);
        onnx::node(&mut graph, "Flatten", &["odd"], "y", &[]);
        onnx::initializer(&mut graph, "w", &[2, 2, 1, 1], &[1.0; 4]);
        onnx::input(&mut graph, "x", &[Axis::Free("n"), Axis::Fixed(2), Axis::Fixed(2), Axis::Fixed(2)]);
        onnx::output(&mut graph, "y", &[Axis::Free("n"), Axis::Fixed(8)]);
        let onnx = onnx::model(&onnx::head(&[]), &graph.finish());
        let graph = Graph::read(&onnx, "mine").unwrap();
        Network::new(&graph, &graph.end(1).unwrap(), DType::F32, &Device::Cpu).map(|_| ()).map_err(|e| e.to_string())
    };
    for (operator, attributes, reason) in [
        ("Tanh", vec![], "this operator is not known here"),
        ("MaxPool", vec![("ceil_mode", Attribute::Int(1))], "ceil_mode"),
        ("Flatten", vec![("axis", Attribute::Int(2))], "only axis 1"),
    ] {
        let refused = network(operator, &attributes).unwrap_err();
        assert!(
            refused.contains(&format!("mine: layers cannot be learnt through its node odd ({operator})")),
            "{refused}"
        );
        assert!(refused.contains(reason), "{refused}");
    }
    assert_eq!(network("Relu", &[]), Ok(()));
}
