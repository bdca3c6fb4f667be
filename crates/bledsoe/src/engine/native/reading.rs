//! From a graph to layers: what follows a convolution is put into it, and maps that nobody wants any more give their room
//! to the next.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    activation::Activation,
    arithmetic::Arithmetic,
    convolution::Convolution,
    depthwise::Depthwise,
    layer::Layer,
    map::Shape,
    plan::{Output, Plan, Step},
    pool::Pool,
    window::Window,
};
use crate::model::graph::{Constant, Graph, Node};

/// A tensor of the graph.
#[derive(Clone, Copy)]
struct Value {
    map: usize,
    channels: usize,
    is_vector: bool,
}

/// A layer that may still take in what follows it.
enum Draft<A: Arithmetic> {
    Convolution(Weights),
    Depthwise(Weights),
    Done(Layer<A>),
}

struct Weights {
    window: Window,
    outputs: usize,
    inputs: usize,
    weights: Vec<f32>,
    bias: Vec<f32>,
    activation: Activation,
}

/// Layers that are being read.
pub(super) struct Drafts<'g, 'a, A: Arithmetic> {
    graph: &'g Graph<'a>,
    values: BTreeMap<String, Value>,
    /// How often each tensor is read.
    uses: BTreeMap<String, usize>,
    /// Maps with several names, of which more than the last is read.
    shared: BTreeSet<usize>,
    /// What makes each map but the first, and of which.
    drafts: Vec<(Draft<A>, Vec<usize>)>,
    vectors: Vec<usize>,
    /// Of the input.
    channels: usize,
}

impl<'g, 'a, A: Arithmetic> Drafts<'g, 'a, A> {
    /// Of none yet; `channels` are the input's.
    pub fn new(graph: &'g Graph<'a>, channels: usize) -> Self {
        let mut uses = BTreeMap::new();
        let read = graph.nodes().iter().flat_map(|node| node.inputs.clone());
        read.chain(graph.outputs()).for_each(|tensor| *uses.entry(tensor).or_default() += 1);
        let input = Value { map: 0, channels, is_vector: false };
        let values = BTreeMap::from([(graph.input().to_owned(), input)]);
        Self { graph, values, uses, shared: BTreeSet::new(), drafts: Vec::new(), vectors: Vec::new(), channels }
    }

    /// Adds what a node does; the error says what there is no layer for.
    pub fn add(&mut self, node: &Node<'_>) -> Result<(), String> {
        self.read(node).map_err(|reason| format!("{} {}: {reason}", node.operator, node.label()))
    }

    fn read(&mut self, node: &Node<'_>) -> Result<(), String> {
        let value = self.value(node, 0)?;
        let made = match node.operator.as_str() {
            "Conv" => self.convolution(node, value)?,
            "ConvTranspose" => self.transposed(node, value)?,
            "Gemm" => self.product(node, value)?,
            "BatchNormalization" => self.normalization(node, value)?,
            "Relu" => self.activation(node, value, Activation::Relu),
            "PRelu" => {
                let constant = self.constant(node, 1)?;
                let slopes = constant.floats().ok_or("its slopes are no f32")?;
                let slopes = match (slopes.as_slice(), constant.shape.as_slice(), value.is_vector) {
                    (&[one], ..) => vec![one; value.channels],
                    (_, [.., channels, 1, 1], false) | (_, [.., channels], true) if *channels == slopes.len() => slopes,
                    _ => return Err("not one slope for each channel".into()),
                };
                wants(slopes.len() == value.channels, "not one slope for each channel")?;
                self.activation(node, value, Activation::prelu(&slopes))
            }
            "Sigmoid" => self.layer(Layer::Sigmoid, &[value], value.channels),
            "Softmax" => {
                wants(
                    matches!(node.int("axis"), Some(1)) || value.is_vector && node.int("axis") == Some(-1),
                    "not of channels",
                )?;
                self.layer(Layer::Softmax, &[value], value.channels)
            }
            "Add" => self.sum(node, value)?,
            "Concat" => {
                wants(node.int("axis") == Some(1), "not of channels")?;
                let parts = (0..node.inputs.len()).map(|i| self.value(node, i)).collect::<Result<Vec<_>, _>>()?;
                self.layer(Layer::Concat, &parts, parts.iter().map(|part| part.channels).sum())
            }
            "Pad" => {
                wants(node.text("mode").is_none_or(|mode| mode == "constant"), "not of a constant")?;
                wants(node.inputs.len() < 3, "not of zeros")?;
                let pads = self.constant(node, 1)?.ints().unwrap_or_default();
                let pads = pads.into_iter().map(|n| usize::try_from(n).ok()).collect::<Option<Vec<_>>>();
                match pads.as_deref() {
                    Some(&[0, 0, 0, 0, 0, channels, height, width])
                        if channels <= LONGEST && height.max(width) <= MOST =>
                    {
                        let layer = Layer::Extend { channels, sides: [height, width] };
                        self.layer(layer, &[value], value.channels + channels)
                    }
                    _ => return Err("not behind the others".into()),
                }
            }
            "MaxPool" | "AveragePool" => {
                let mean = node.operator == "AveragePool";
                let window = window(node, None)?;
                wants(node.int("ceil_mode").unwrap_or(0) == 0, "rounds up")?;
                wants(!mean || (window.before, window.after) == ([0, 0], [0, 0]), "has a margin")?;
                self.layer(Layer::Pool(Pool { window, mean }), &[value], value.channels)
            }
            "GlobalAveragePool" => self.layer(Layer::GlobalAverage, &[value], value.channels),
            "Resize" => {
                let is = |name: &str, wanted: &str| node.text(name).is_some_and(|text| text == wanted);
                wants(
                    is("mode", "nearest")
                        && is("coordinate_transformation_mode", "asymmetric")
                        && is("nearest_mode", "floor"),
                    "not of the nearest pixel",
                )?;
                match self.constant(node, 2)?.floats().as_deref() {
                    Some(&[1.0, 1.0, down, across]) if down == across && (1..=MOST).any(|n| n as f32 == down) => {
                        self.layer(Layer::Enlarge(down as usize), &[value], value.channels)
                    }
                    _ => return Err("not by a whole number".into()),
                }
            }
            "Identity" => self.same(node, value),
            "Flatten" => {
                wants(node.int("axis").unwrap_or(1) == 1, "not of all but pictures")?;
                Value { is_vector: true, ..self.same(node, value) }
            }
            "Reshape" => {
                let channels = value.channels as i64;
                match self.constant(node, 1)?.ints().as_deref() {
                    Some(&[-1 | 0, to, 1, 1]) if to == channels => {
                        self.vectors.push(value.map);
                        Value { is_vector: false, ..self.same(node, value) }
                    }
                    Some(&[-1 | 0, -1]) => Value { is_vector: true, ..self.same(node, value) },
                    _ => return Err("not of one pixel".into()),
                }
            }
            _ => return Err("no such layer".into()),
        };
        let output = node.outputs.first().filter(|_| node.outputs.len() == 1).ok_or("more than one output")?;
        self.values.insert(output.clone(), made);
        Ok(())
    }

    /// The map that a node reads, under another name too.
    fn same(&mut self, node: &Node<'_>, value: Value) -> Value {
        if self.uses.get(&node.inputs[0]) != Some(&1) {
            self.shared.insert(value.map);
        }
        value
    }

    /// What a node reads.
    fn value(&mut self, node: &Node<'_>, place: usize) -> Result<Value, String> {
        let name = node.inputs.get(place).ok_or("an input is missing")?;
        let value = *self.values.get(name).ok_or_else(|| format!("nothing computes {name:?}"))?;
        if value.is_vector {
            self.vectors.push(value.map);
        }
        Ok(value)
    }

    fn constant(&self, node: &Node<'_>, place: usize) -> Result<&'g Constant<'a>, String> {
        let name = node.inputs.get(place).ok_or("an input is missing")?;
        self.graph.constant(name).ok_or_else(|| format!("{name:?} is no constant"))
    }

    fn floats(&self, node: &Node<'_>, place: usize, length: usize) -> Result<Vec<f32>, String> {
        let floats = self.constant(node, place)?.floats().filter(|floats| floats.len() == length);
        floats.ok_or_else(|| format!("its input {place} is not {length} f32"))
    }

    /// The numbers of a bias, zeros if there is none.
    fn bias(&self, node: &Node<'_>, length: usize) -> Result<Vec<f32>, String> {
        if node.inputs.get(2).is_some_and(|name| !name.is_empty()) {
            self.floats(node, 2, length)
        } else {
            Ok(vec![0.0; length])
        }
    }

    fn draft(&mut self, draft: Draft<A>, inputs: &[Value], channels: usize) -> Value {
        self.drafts.push((draft, inputs.iter().map(|input| input.map).collect()));
        Value { map: self.drafts.len(), channels, is_vector: false }
    }

    fn layer(&mut self, layer: Layer<A>, inputs: &[Value], channels: usize) -> Value {
        let is_vector = inputs.iter().all(|input| input.is_vector);
        Value { is_vector, ..self.draft(Draft::Done(layer), inputs, channels) }
    }

    fn convolution(&mut self, node: &Node<'_>, value: Value) -> Result<Value, String> {
        let weights = self.constant(node, 1)?;
        let &[outputs, inputs, height, width] = weights.shape.as_slice() else { return Err("not of pictures".into()) };
        wants(outputs > 0, "without outputs")?;
        let window = window(node, Some([height, width]))?;
        let weights = weights.floats().ok_or("its weights are no f32")?;
        let bias = self.bias(node, outputs)?;
        let weights = Weights { window, outputs, inputs, weights, bias, activation: Activation::Linear };
        let group = node.int("group").unwrap_or(1);
        let draft = if group == 1 && inputs == value.channels {
            Draft::Convolution(weights)
        } else if usize::try_from(group) == Ok(outputs) && inputs == 1 && outputs == value.channels {
            Draft::Depthwise(weights)
        } else {
            return Err("groups of several channels".into());
        };
        Ok(self.draft(draft, &[value], outputs))
    }

    /// A transposed convolution without overlap: each pixel gives four, by weights of their own.
    fn transposed(&mut self, node: &Node<'_>, value: Value) -> Result<Value, String> {
        let weights = self.constant(node, 1)?;
        let &[inputs, channels, 2, 2] = weights.shape.as_slice() else { return Err("not of 2 x 2 pixels".into()) };
        let plain = Window { size: [2, 2], steps: [2, 2], ..Window::PIXEL };
        wants(window(node, Some([2, 2]))? == plain, "overlaps, or has a margin")?;
        wants(node.int("group").unwrap_or(1) == 1 && inputs == value.channels && channels > 0, "groups")?;
        wants(node.ints("output_padding").is_none_or(|padding| padding == [0, 0]), "padding")?;
        let (old, one_bias) = (weights.floats().ok_or("its weights are no f32")?, self.bias(node, channels)?);
        let step = Shape::new(1, [1, 1], channels).step;
        let (mut weights, mut bias) = (vec![0.0; 4 * step * inputs], vec![0.0; 4 * step]);
        for place in 0..4 {
            for channel in 0..channels {
                let output = place * step + channel;
                bias[output] = one_bias[channel];
                for input in 0..inputs {
                    weights[output * inputs + input] = old[(input * channels + channel) * 4 + place];
                }
            }
        }
        let (window, activation) = (Window::PIXEL, Activation::Linear);
        let weights = Weights { window, outputs: 4 * step, inputs, weights, bias, activation };
        let four = self.draft(Draft::Convolution(weights), &[value], 4 * step);
        Ok(self.layer(Layer::Spread(channels), &[four], channels))
    }

    fn product(&mut self, node: &Node<'_>, value: Value) -> Result<Value, String> {
        let is_one = |name: &str| node.float(name).is_none_or(|factor| factor == 1.0);
        wants(is_one("alpha") && is_one("beta") && node.int("transA").unwrap_or(0) == 0, "scaled or transposed")?;
        wants(value.is_vector, "not of vectors")?;
        let weights = self.constant(node, 1)?;
        let &[a, b] = weights.shape.as_slice() else { return Err("not of a matrix".into()) };
        let mut weights = weights.floats().ok_or("its weights are no f32")?;
        let transposed = node.int("transB").unwrap_or(0) != 0;
        let (outputs, inputs) = if transposed { (a, b) } else { (b, a) };
        if !transposed {
            weights = (0..outputs * inputs).map(|i| weights[i % inputs * outputs + i / inputs]).collect();
        }
        wants(outputs > 0 && inputs == value.channels, "of another length")?;
        let bias = self.bias(node, outputs)?;
        let (window, activation) = (Window::PIXEL, Activation::Linear);
        let weights = Weights { window, outputs, inputs, weights, bias, activation };
        Ok(Value { is_vector: true, ..self.draft(Draft::Convolution(weights), &[value], outputs) })
    }

    /// A scale and a shift for each channel.
    fn normalization(&mut self, node: &Node<'_>, value: Value) -> Result<Value, String> {
        let channels = value.channels;
        let [scale, shift, mean, variance] = [1, 2, 3, 4].map(|place| self.floats(node, place, channels));
        let (scale, shift, mean, variance) = (scale?, shift?, mean?, variance?);
        let epsilon = node.float("epsilon").unwrap_or(1e-5);
        let weights: Vec<f32> = scale.iter().zip(variance).map(|(scale, v)| scale / (v + epsilon).sqrt()).collect();
        let bias = weights.iter().zip(shift).zip(mean).map(|((weight, shift), mean)| shift - weight * mean).collect();
        let (window, activation) = (Window::PIXEL, Activation::Linear);
        let weights = Weights { window, outputs: channels, inputs: 1, weights, bias, activation };
        Ok(self.draft(Draft::Depthwise(weights), &[value], channels))
    }

    /// The convolution that makes a tensor which only this node reads, if nothing follows it yet.
    fn open(&mut self, name: &str) -> Option<(&mut Draft<A>, &mut Vec<usize>)> {
        let map = self.values.get(name)?.map;
        if self.uses.get(name) != Some(&1) || self.shared.contains(&map) {
            return None;
        }
        let (draft, inputs) = self.drafts.get_mut(map.checked_sub(1)?)?;
        match draft {
            Draft::Convolution(weights) | Draft::Depthwise(weights) if weights.activation == Activation::Linear => {
                Some((draft, inputs))
            }
            _ => None,
        }
    }

    fn activation(&mut self, node: &Node<'_>, value: Value, activation: Activation) -> Value {
        match self.open(&node.inputs[0]) {
            Some((Draft::Convolution(weights) | Draft::Depthwise(weights), _)) => {
                weights.activation = activation;
                value
            }
            _ => self.layer(Layer::Activation(activation), &[value], value.channels),
        }
    }

    fn sum(&mut self, node: &Node<'_>, a: Value) -> Result<Value, String> {
        let b = self.value(node, 1)?;
        wants(a.channels == b.channels && a.is_vector == b.is_vector, "of unlike maps")?;
        // Into the later one: then the other is there when it is computed.
        let (later, earlier, name) = if a.map > b.map { (a, b, &node.inputs[0]) } else { (b, a, &node.inputs[1]) };
        match self.open(name) {
            Some((Draft::Convolution(_), inputs)) if inputs.len() == 1 && earlier.map != 0 => {
                inputs.push(earlier.map);
                Ok(later)
            }
            _ => Ok(self.layer(Layer::Add, &[a, b], a.channels)),
        }
    }

    /// Arranges the weights, and gives each map a room that no map has which is still wanted.
    pub fn finish(self) -> Result<Plan<A>, String> {
        let outputs = self.graph.outputs().into_iter().map(|output| {
            let value = self.values.get(&output).ok_or_else(|| format!("nothing gives its output {output}"))?;
            Ok(Output { map: value.map, is_vector: value.is_vector })
        });
        let outputs = outputs.collect::<Result<Vec<_>, String>>()?;
        let mut readers = vec![Vec::new(); self.drafts.len() + 1];
        for (step, (_, inputs)) in self.drafts.iter().enumerate() {
            inputs.iter().for_each(|&map| readers[map].push(step));
        }
        outputs.iter().for_each(|output| readers[output.map].push(usize::MAX));
        let mut steps: Vec<Step<A>> = Vec::new();
        for (draft, inputs) in self.drafts {
            if inputs.contains(&0) && !matches!(draft, Draft::Convolution(_)) {
                return Err("its input goes into something else than a convolution".into());
            }
            let layer = match draft {
                Draft::Convolution(Weights { window, outputs, inputs: depth, weights, bias, activation }) => {
                    Layer::Convolution(Convolution::new(window, [outputs, depth], &weights, &bias, activation))
                }
                Draft::Depthwise(Weights { window, outputs, weights, bias, activation, .. }) => {
                    Layer::Depthwise(Depthwise::new(window, outputs, &weights, &bias, activation))
                }
                Draft::Done(layer) => layer,
            };
            steps.push(Step { layer, inputs });
        }
        Ok(Plan::of(steps, &readers, outputs, self.channels, self.vectors))
    }
}

fn wants(holds: bool, otherwise: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise.to_owned()) }
}

/// No map becomes so many times larger, or by more rows: a damaged file must not take all memory.
const MOST: usize = 16;

/// No window, step or margin is longer: lengths can be added and multiplied.
const LONGEST: usize = 1 << 12;

/// The window of a node, of `size` if its attributes do not say it.
fn window(node: &Node<'_>, size: Option<[usize; 2]>) -> Result<Window, String> {
    wants(node.text("auto_pad").is_none_or(|pad| pad == "NOTSET"), "pads by itself")?;
    wants(node.ints("dilations").is_none_or(|by| by.iter().all(|&by| by == 1)), "dilated")?;
    let list = |name: &str, otherwise: &[usize]| -> Result<Vec<usize>, String> {
        let given = node.ints(name).map(|ints| ints.into_iter().map(|n| usize::try_from(n).ok()).collect());
        given.unwrap_or(Some(otherwise.to_vec())).ok_or_else(|| format!("negative {name}"))
    };
    let (kernel, strides) = (list("kernel_shape", size.as_ref().map_or(&[], |size| size))?, list("strides", &[1, 1])?);
    match (kernel.as_slice(), strides.as_slice(), list("pads", &[0; 4])?.as_slice()) {
        (&[a, b], &[down, across], &[top, left, bottom, right])
            // A window lies never wholly beside the map.
            if top.max(bottom) < a
                && left.max(right) < b
                && a.max(b).max(down).max(across) <= LONGEST
                && down.min(across) > 0 =>
        {
            wants(size.is_none_or(|size| size == [a, b]), "not as large as its weights")?;
            Ok(Window { size: [a, b], steps: [down, across], before: [top, left], after: [bottom, right] })
        }
        _ => Err("not of pictures".into()),
    }
}
