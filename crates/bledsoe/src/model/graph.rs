//! The graph of an ONNX network: read, cut in two, and written again with other outputs or other numbers.
//!
//! In: ONNX bytes. Out: nodes and constants by name; the [`End`] of a network, behind a tensor through which all goes;
//! ONNX bytes, also of the network's front alone. Field numbers are those of `onnx.proto`, the public schema.

use std::collections::{BTreeMap, BTreeSet};

use super::onnx::{self, Field, Value, Writer};
use crate::{Error, Result};

const GRAPH: u64 = 7;
const NODE: u64 = 1;
const INITIALIZER: u64 = 5;
const INPUT: u64 = 11;
const OUTPUT: u64 = 12;
const METADATA: u64 = 14;

/// A network's graph, with one input and one output.
pub struct Graph<'a> {
    name: String,
    /// Fields of the ModelProto and of its GraphProto.
    model: Vec<Field<'a>>,
    graph: Vec<Field<'a>>,
    nodes: Vec<Node<'a>>,
    constants: BTreeMap<String, Constant<'a>>,
    input: String,
    output: String,
}

/// One operation.
pub struct Node<'a> {
    /// What it does.
    pub operator: String,
    /// The tensors and constants that it takes; an empty name is one left out.
    pub inputs: Vec<String>,
    /// What it gives.
    pub outputs: Vec<String>,
    name: String,
    attributes: BTreeMap<String, Vec<Field<'a>>>,
}

/// An array of the file.
pub struct Constant<'a> {
    /// Lengths of its axes.
    pub shape: Vec<usize>,
    fields: Vec<Field<'a>>,
}

/// The end of a network: everything behind one tensor.
pub struct End<'g, 'a> {
    /// The tensor in front; every way from the input to the output goes through it.
    pub tensor: String,
    /// What is behind it, in order.
    pub nodes: Vec<&'g Node<'a>>,
    /// How many of these are layers with weights.
    pub layers: usize,
    /// Constants that these nodes take and no other does.
    pub constants: BTreeSet<&'g str>,
}

impl<'a> Node<'a> {
    /// How messages call it.
    pub fn label(&self) -> &str {
        if self.name.is_empty() { self.outputs.first().map_or("", String::as_str) } else { &self.name }
    }

    /// An attribute that is an integer.
    pub fn int(&self, name: &str) -> Option<i64> {
        if let Value::Int(value) = self.attribute(name, 3)? { Some(value as i64) } else { None }
    }

    /// An attribute that is a number.
    pub fn float(&self, name: &str) -> Option<f32> {
        let Value::Fixed(bytes) = self.attribute(name, 2)? else { return None };
        bytes.try_into().ok().map(f32::from_le_bytes)
    }

    /// An attribute that is a list of integers.
    pub fn ints(&self, name: &str) -> Option<Vec<i64>> {
        let values = onnx::integers(self.attributes.get(name)?, 8)?;
        Some(values.into_iter().map(|value| value as i64).collect())
    }

    /// An attribute that is a text.
    pub fn text(&self, name: &str) -> Option<String> {
        let Value::Bytes(text) = self.attribute(name, 4)? else { return None };
        Some(String::from_utf8_lossy(text).into_owned())
    }

    /// The array that a node is which does nothing but give one.
    fn value(&self) -> Option<&'a [u8]> {
        match self.attribute("value", 5).filter(|_| self.operator == "Constant")? {
            Value::Bytes(bytes) => Some(bytes),
            Value::Int(_) | Value::Fixed(_) => None,
        }
    }

    fn attribute(&self, name: &str, number: u64) -> Option<Value<'a>> {
        self.attributes.get(name)?.iter().find(|field| field.number == number).map(|field| field.value)
    }

    /// Whether it is one of those that are counted as layers, with weights from `constants`.
    fn is_layer(&self, constants: &BTreeMap<String, Constant<'_>>) -> bool {
        matches!(self.operator.as_str(), "Conv" | "ConvTranspose" | "Gemm" | "MatMul")
            && self.inputs.iter().any(|input| constants.contains_key(input))
    }
}

impl Constant<'_> {
    /// How many numbers it has.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Its numbers, if they are f32.
    pub fn floats(&self) -> Option<Vec<f32>> {
        const FLOAT: i64 = 1;
        let values = match self.raw(FLOAT)? {
            [] => self.listed(4).flat_map(floats).collect(),
            raw => floats(raw).collect::<Vec<f32>>(),
        };
        (values.len() == self.len()).then_some(values)
    }

    /// Its numbers, if they are i64.
    pub fn ints(&self) -> Option<Vec<i64>> {
        const INT64: i64 = 7;
        let values: Vec<i64> = match self.raw(INT64)? {
            [] => onnx::integers(&self.fields, 7)?.into_iter().map(|value| value as i64).collect(),
            raw => raw.as_chunks::<8>().0.iter().map(|b| i64::from_le_bytes(*b)).collect(),
        };
        (values.len() == self.len()).then_some(values)
    }

    /// Its raw bytes, empty if the numbers are listed elsewhere; `None` if they are of another kind.
    fn raw(&self, kind: i64) -> Option<&[u8]> {
        let found = onnx::integers(&self.fields, 2)?;
        (found == [kind as u64])
            .then(|| self.fields.iter().find(|field| field.number == 9).map_or(&[][..], Field::bytes))
    }

    /// The bytes of a list of f32, packed or not.
    fn listed(&self, number: u64) -> impl Iterator<Item = &[u8]> {
        self.fields.iter().filter(move |field| field.number == number).map(|field| match field.value {
            Value::Fixed(bytes) | Value::Bytes(bytes) => bytes,
            Value::Int(_) => &[],
        })
    }
}

impl<'a> Graph<'a> {
    /// Reads a network; `name` is for error messages.
    ///
    /// # Errors
    /// [`Error::Model`] when the bytes are damaged, or it has not one input and one output or more.
    pub fn read(onnx: &'a [u8], name: &str) -> Result<Self> {
        let damaged = || Error::model(name, "damaged, or not an ONNX file");
        let model = onnx::fields(onnx).ok_or_else(damaged)?;
        let graph = model.iter().find(|field| field.number == GRAPH).ok_or_else(damaged)?;
        let graph = onnx::fields(graph.bytes()).ok_or_else(damaged)?;
        let (mut nodes, mut constants) = (Vec::new(), BTreeMap::new());
        for field in graph.iter().filter(|field| field.number == INITIALIZER) {
            let (name, constant) = constant(field.bytes()).ok_or_else(damaged)?;
            constants.insert(name, constant);
        }
        for field in graph.iter().filter(|field| field.number == NODE) {
            let node = node(field.bytes()).ok_or_else(damaged)?;
            match (node.value(), node.outputs.first()) {
                (Some(value), Some(output)) => {
                    constants.insert(output.clone(), constant(value).ok_or_else(damaged)?.1);
                }
                _ => nodes.push(node),
            }
        }
        let named = |number: u64| -> Option<Vec<String>> {
            let fields = graph.iter().filter(|field| field.number == number);
            fields.map(|field| Some(onnx::text(&onnx::fields(field.bytes())?, 1))).collect()
        };
        let input = named(INPUT).ok_or_else(damaged)?.into_iter().find(|input| !constants.contains_key(input));
        let output = named(OUTPUT).ok_or_else(damaged)?.into_iter().next();
        let (Some(input), Some(output)) = (input, output) else {
            return Err(Error::model(name, "a network without input or output"));
        };
        Ok(Self { name: name.to_owned(), model, graph, nodes, constants, input, output })
    }

    /// Its name, for messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The nodes, each after those whose tensors it takes.
    pub fn nodes(&self) -> &[Node<'a>] {
        &self.nodes
    }

    /// The array called `name`.
    pub fn constant(&self, name: &str) -> Option<&Constant<'a>> {
        self.constants.get(name)
    }

    /// The input's name.
    pub fn input(&self) -> &str {
        &self.input
    }

    /// Of a batch of pictures, the input's channels, height and width, where they are fixed; `None` if it is no such batch.
    pub fn input_lengths(&self) -> Option<[Option<usize>; 3]> {
        let fields = |bytes| onnx::fields(bytes);
        let message = |fields: &[Field<'a>], number: u64| fields.iter().find(|f| f.number == number).map(Field::bytes);
        let infos = self.graph.iter().filter(|field| field.number == INPUT).filter_map(|field| fields(field.bytes()));
        let info = infos.into_iter().find(|info| onnx::text(info, 1) == self.input)?;
        let tensor = fields(message(&fields(message(&info, 2)?)?, 1)?)?;
        let axes = fields(message(&tensor, 2)?)?;
        let lengths = axes.iter().filter(|field| field.number == 1).map(|axis| {
            let length = *onnx::integers(&fields(axis.bytes())?, 1)?.first()?;
            usize::try_from(length).ok().filter(|&length| length > 0)
        });
        <[Option<usize>; 4]>::try_from(lengths.collect::<Vec<_>>()).ok().map(|[_, rest @ ..]| rest)
    }

    /// The outputs' names.
    pub fn outputs(&self) -> Vec<String> {
        let infos = self.graph.iter().filter(|field| field.number == OUTPUT);
        infos.filter_map(|field| onnx::fields(field.bytes())).map(|info| onnx::text(&info, 1)).collect()
    }

    /// The first output's name.
    pub fn output(&self) -> &str {
        &self.output
    }

    /// The shortest end with at least so many layers with weights (convolutions and matrix products) behind a tensor
    /// through which every way from the input to the output goes.
    ///
    /// # Errors
    /// [`Error::Invalid`] for no layers, or more than there are.
    pub fn end(&self, layers: usize) -> Result<End<'_, 'a>> {
        let nodes = self.way_through();
        // No tensor is wanted any more once its last taker is done; the output is to the last.
        let mut last_use: BTreeMap<&str, usize> = BTreeMap::new();
        for (place, node) in nodes.iter().enumerate() {
            node.inputs.iter().for_each(|input| _ = last_use.insert(input, place));
        }
        last_use.insert(&self.output, usize::MAX);
        let layers_from = |start: usize| nodes[start..].iter().filter(|node| node.is_layer(&self.constants)).count();
        let all = layers_from(0);
        if layers == 0 || layers > all {
            return Err(Error::Invalid(format!(
                "{}: it has {all} layers with weights, {layers} were asked for",
                self.name
            )));
        }
        // Each operation comes after those that it needs: where but one tensor is still wanted, all goes through it.
        let mut wanted = BTreeSet::from([self.input.as_str()]);
        let (mut tensor, mut start) = (self.input.as_str(), 0);
        for (place, node) in nodes.iter().enumerate() {
            wanted.extend(node.outputs.iter().map(String::as_str).filter(|output| last_use.contains_key(output)));
            wanted.retain(|tensor| last_use.get(tensor).is_some_and(|&last| last > place));
            if let (1, Some(&only)) = (wanted.len(), wanted.first())
                && layers_from(place + 1) >= layers
            {
                (tensor, start) = (only, place + 1);
            }
        }
        let of = |nodes: &[&'_ Node<'a>]| -> BTreeSet<String> {
            nodes.iter().flat_map(|node| node.inputs.clone()).collect()
        };
        let (front, behind) = (of(&nodes[..start]), of(&nodes[start..]));
        let own = self.constants.keys().filter(|name| behind.contains(*name) && !front.contains(*name));
        Ok(End {
            tensor: tensor.to_owned(),
            layers: layers_from(start),
            constants: own.map(String::as_str).collect(),
            nodes: nodes[start..].to_vec(),
        })
    }

    /// The nodes between the input and the output.
    fn way_through(&self) -> Vec<&Node<'a>> {
        let mut reached = BTreeSet::from([self.input.as_str()]);
        let mut nodes: Vec<&Node<'a>> = Vec::new();
        for node in &self.nodes {
            if node.inputs.iter().any(|input| reached.contains(input.as_str())) {
                reached.extend(node.outputs.iter().map(String::as_str));
                nodes.push(node);
            }
        }
        let mut needed = BTreeSet::from([self.output.as_str()]);
        let mut way = Vec::new();
        for node in nodes.into_iter().rev() {
            if node.outputs.iter().any(|output| needed.contains(output.as_str())) {
                needed.extend(node.inputs.iter().map(String::as_str));
                way.push(node);
            }
        }
        way.reverse();
        way
    }

    /// The network as ONNX, with `tensors` as its only outputs.
    pub fn with_outputs(&self, tensors: &[&str]) -> Vec<u8> {
        let mut graph = Writer::default();
        self.graph.iter().filter(|field| field.number != OUTPUT).for_each(|field| graph.raw(field.raw));
        let infos = |number: u64| self.graph.iter().filter(move |field| field.number == number);
        for &tensor in tensors {
            // As the file declares it, or without its shape, which follows from the rest.
            let declared = infos(OUTPUT)
                .find(|field| onnx::fields(field.bytes()).is_some_and(|fields| onnx::text(&fields, 1) == tensor));
            match declared {
                Some(field) => graph.raw(field.raw),
                None => onnx::output_as_inferred(&mut graph, tensor),
            }
        }
        onnx::model(&self.head(&[]), &graph.finish())
    }

    /// The network as ONNX without what `tensor` does not need, and without outputs: `after` writes what comes behind the
    /// tensor, and the outputs.
    ///
    /// # Errors
    /// [`Error::Model`] when no node gives `tensor`.
    pub fn cut_off(&self, tensor: &str, after: impl FnOnce(&mut Writer)) -> Result<Vec<u8>> {
        // Nodes come after those that they need, so one walk backwards finds all.
        let (mut needed, mut unneeded) = (BTreeSet::from([tensor.to_owned()]), BTreeSet::new());
        let mut given = false;
        for (place, field) in self.graph.iter().enumerate().rev().filter(|(_, field)| field.number == NODE) {
            match node(field.bytes()) {
                Some(node) if node.outputs.iter().any(|output| needed.contains(output)) => {
                    given |= node.outputs.iter().any(|output| output == tensor);
                    needed.extend(node.inputs);
                }
                _ => _ = unneeded.insert(place),
            }
        }
        if !given {
            return Err(Error::model(&self.name, format!("no layer {tensor} in the network")));
        }
        let mut graph = Writer::with_capacity(self.graph.iter().map(|field| field.raw.len()).sum());
        for (place, field) in self.graph.iter().enumerate() {
            let kept = match field.number {
                NODE => !unneeded.contains(&place),
                INITIALIZER => onnx::fields(field.bytes()).is_some_and(|array| needed.contains(&onnx::text(&array, 8))),
                number => number != OUTPUT,
            };
            if kept {
                graph.raw(field.raw);
            }
        }
        after(&mut graph);
        Ok(onnx::model(&self.head(&[]), &graph.finish()))
    }

    /// The network as ONNX with other numbers in the constants of `learnt`, and `metadata` besides its own.
    pub fn with_constants(&self, learnt: &BTreeMap<String, Vec<f32>>, metadata: &[(&str, &str)]) -> Vec<u8> {
        let mut graph = Writer::with_capacity(self.graph.iter().map(|field| field.raw.len()).sum());
        for field in &self.graph {
            let name = match field.number {
                INITIALIZER => onnx::fields(field.bytes()).map(|tensor| onnx::text(&tensor, 8)),
                _ => None,
            };
            let new = name.and_then(|name| Some((self.constants.get(&name)?, learnt.get_key_value(&name)?)));
            match new {
                Some((old, (name, values))) => onnx::initializer(&mut graph, name, &old.shape, values),
                None => graph.raw(field.raw),
            }
        }
        onnx::model(&self.head(metadata), &graph.finish())
    }

    /// The ModelProto without its graph, with `metadata` in place of entries of the same keys.
    fn head(&self, metadata: &[(&str, &str)]) -> Vec<u8> {
        let mut head = Writer::default();
        let replaced = |field: &Field<'_>| {
            let key = onnx::fields(field.bytes()).map(|entry| onnx::text(&entry, 1)).unwrap_or_default();
            field.number == METADATA && metadata.iter().any(|(new, _)| *new == key)
        };
        let kept = self.model.iter().filter(|field| field.number != GRAPH && !replaced(field));
        kept.for_each(|field| head.raw(field.raw));
        metadata.iter().for_each(|(key, value)| onnx::entry(&mut head, key, value));
        head.finish()
    }
}

fn node(bytes: &[u8]) -> Option<Node<'_>> {
    let fields = onnx::fields(bytes)?;
    let names = |number: u64| {
        let named = fields.iter().filter(|field| field.number == number);
        named.map(|field| String::from_utf8_lossy(field.bytes()).into_owned()).collect()
    };
    let attributes = fields.iter().filter(|field| field.number == 5).map(|field| {
        let attribute = onnx::fields(field.bytes())?;
        Some((onnx::text(&attribute, 1), attribute))
    });
    Some(Node {
        operator: onnx::text(&fields, 4),
        inputs: names(1),
        outputs: names(2),
        name: onnx::text(&fields, 3),
        attributes: attributes.collect::<Option<_>>()?,
    })
}

fn constant(bytes: &[u8]) -> Option<(String, Constant<'_>)> {
    let fields = onnx::fields(bytes)?;
    let shape = onnx::integers(&fields, 1)?.into_iter().map(|n| usize::try_from(n).ok()).collect::<Option<Vec<_>>>()?;
    shape.iter().try_fold(1usize, |product, &n| product.checked_mul(n))?;
    Some((onnx::text(&fields, 8), Constant { shape, fields }))
}

fn floats(bytes: &[u8]) -> impl Iterator<Item = f32> {
    bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        engine::{Backend, Engine, EngineConfig, Precision, Tensor},
        model::onnx::{Attribute, Axis},
    };

    /// x -> first -> (second | third) -> sum -> relu -> y, with a matrix product in each but the last two; `first` and
    /// `third` share their weights. The graph has a dead end besides.
    fn network() -> Vec<u8> {
        let mut graph = Writer::default();
        onnx::node(&mut graph, "MatMul", &["x", "a"], "first", &[]);
        onnx::node(&mut graph, "MatMul", &["first", "b"], "second", &[]);
        onnx::node(&mut graph, "MatMul", &["first", "a"], "third", &[]);
        onnx::node(&mut graph, "MatMul", &["first", "b"], "nowhere", &[]);
        onnx::node(&mut graph, "Add", &["second", "third"], "sum", &[]);
        onnx::node(&mut graph, "Relu", &["sum"], "high", &[]);
        onnx::node(&mut graph, "MatMul", &["high", "c"], "y", &[]);
        graph.bytes(2, b"g");
        onnx::initializer(&mut graph, "a", &[2, 2], &[1.0, 2.0, 3.0, 4.0]);
        onnx::initializer(&mut graph, "b", &[2, 2], &[0.0, 1.0, 1.0, 0.0]);
        onnx::initializer(&mut graph, "c", &[2, 1], &[1.0, -1.0]);
        onnx::input(&mut graph, "x", &[Axis::Free("n"), Axis::Fixed(2)]);
        onnx::output(&mut graph, "y", &[Axis::Free("n"), Axis::Fixed(1)]);
        onnx::model(&onnx::head(&[("key", "old"), ("other", "stays")]), &graph.finish())
    }

    fn run(onnx: Vec<u8>, input: [f32; 2]) -> Vec<Vec<f32>> {
        let engine = Engine::open(&EngineConfig { backend: Backend::Rten, ..EngineConfig::default() }).unwrap();
        let session = engine.load("small", onnx, Precision::Full).unwrap();
        let outputs = session.run(Tensor { shape: vec![1, 2], data: input.to_vec() }).unwrap();
        outputs.into_iter().map(|output| output.data).collect()
    }

    #[test]
    fn the_end_begins_at_the_last_tensor_that_all_goes_through() {
        let onnx = network();
        let graph = Graph::read(&onnx, "small").unwrap();
        let cut = |layers| graph.end(layers).map(|end| (end.tensor.clone(), end.layers, end.nodes.len()));
        // Behind `high` there is one; between `first` and `sum` there are two ways; the dead end counts for nothing.
        assert_eq!(cut(1).unwrap(), ("high".into(), 1, 1));
        assert_eq!(cut(2).unwrap(), ("first".into(), 3, 5));
        assert_eq!(cut(3).unwrap(), ("first".into(), 3, 5));
        assert_eq!(cut(4).unwrap(), ("x".into(), 4, 6));
        for wrong in [0, 5] {
            let refused = cut(wrong).unwrap_err().to_string();
            assert!(refused.contains(&format!("it has 4 layers with weights, {wrong} were asked for")), "{refused}");
        }
        // What is in front and behind at once is not the end's own.
        assert_eq!(graph.end(3).unwrap().constants, BTreeSet::from(["b", "c"]));
        assert_eq!(graph.end(4).unwrap().constants, BTreeSet::from(["a", "b", "c"]));
    }

    #[test]
    fn a_way_around_a_tensor_keeps_it_from_being_a_cut() {
        let mut graph = Writer::default();
        onnx::node(&mut graph, "MatMul", &["x", "a"], "inner", &[]);
        onnx::node(&mut graph, "Add", &["inner", "x"], "y", &[]);
        onnx::initializer(&mut graph, "a", &[2, 2], &[1.0; 4]);
        onnx::input(&mut graph, "x", &[Axis::Free("n"), Axis::Fixed(2)]);
        onnx::output(&mut graph, "y", &[Axis::Free("n"), Axis::Fixed(2)]);
        let onnx = onnx::model(&onnx::head(&[]), &graph.finish());
        assert_eq!(Graph::read(&onnx, "residual").unwrap().end(1).unwrap().tensor, "x");
    }

    #[test]
    fn other_outputs_and_other_numbers_are_written() {
        let onnx = network();
        let graph = Graph::read(&onnx, "small").unwrap();
        // first: 7, 10; second: 10, 7; third: 37, 54.
        assert_eq!(run(graph.with_outputs(&["y", "first"]), [1.0, 2.0]), [vec![-14.0], vec![7.0, 10.0]]);
        let learnt = BTreeMap::from([("c".to_owned(), vec![2.0, 0.5])]);
        let new = graph.with_constants(&learnt, &[("key", "new")]);
        assert_eq!(run(new.clone(), [1.0, 2.0]), [vec![124.5]]);
        let metadata = onnx::metadata(&new, "small").unwrap();
        assert_eq!((metadata.len(), &*metadata["key"], &*metadata["other"]), (2, "new", "stays"));
        let read = Graph::read(&new, "small").unwrap();
        assert_eq!(read.constant("a").unwrap().floats(), graph.constant("a").unwrap().floats());
    }

    #[test]
    fn attributes_and_arrays_are_read_however_they_are_written() {
        // A list of f32 that is packed, one of i64 that is not, in a node; and what is no array of such.
        let array = |kind: i64, fill: &dyn Fn(&mut Writer)| {
            let mut array = Writer::default();
            array.int(1, 2);
            array.int(2, kind);
            fill(&mut array);
            array.finish()
        };
        let packed: Vec<u8> = [0.5f32, -2.0].iter().flat_map(|x| x.to_le_bytes()).collect();
        let floats = array(1, &|array| array.bytes(4, &packed));
        let loose = array(1, &|array| [0.5, -2.0].into_iter().for_each(|x| array.float(4, x)));
        let ints = array(7, &|array| [3, -1].into_iter().for_each(|x| array.int(7, x)));
        let read = |bytes: &[u8]| constant(bytes).map(|(_, constant)| (constant.floats(), constant.ints()));
        assert_eq!(read(&floats), Some((Some(vec![0.5, -2.0]), None)));
        assert_eq!(read(&loose), Some((Some(vec![0.5, -2.0]), None)));
        assert_eq!(read(&ints), Some((None, Some(vec![3, -1]))));
        assert_eq!(read(&array(1, &|array| array.float(4, 1.0))), Some((None, None)));
        assert_eq!(read(&array(11, &|array| array.bytes(9, &[0; 16]))), Some((None, None)));

        let (mut attribute, mut node, mut holder) = (Writer::default(), Writer::default(), Writer::default());
        attribute.bytes(1, b"value");
        attribute.bytes(5, &ints);
        node.bytes(2, b"lengths");
        node.bytes(4, b"Constant");
        node.bytes(5, &attribute.finish());
        holder.bytes(1, &node.finish());
        let attributes = [("axis", Attribute::Int(-2)), ("pads", Attribute::Ints(&[1, -1]))];
        onnx::node(&mut holder, "Odd", &["x"], "odd", &attributes);
        onnx::input(&mut holder, "x", &[]);
        onnx::output(&mut holder, "x", &[]);
        let onnx = onnx::model(&onnx::head(&[]), &holder.finish());
        let graph = Graph::read(&onnx, "constants").unwrap();
        assert_eq!(graph.constant("lengths").unwrap().ints(), Some(vec![3, -1]));
        let [odd] = graph.nodes() else { panic!("{} nodes", graph.nodes().len()) };
        assert_eq!((odd.int("axis"), odd.ints("pads"), odd.int("none")), (Some(-2), Some(vec![1, -1]), None));
        assert_eq!((odd.float("axis"), odd.text("axis"), odd.label()), (None, None, "odd"));
    }

    #[test]
    fn what_is_no_network_is_refused() {
        let onnx = network();
        for damaged in [&b""[..], b"no network", &onnx[..onnx.len() / 2]] {
            assert!(matches!(Graph::read(damaged, "odd"), Err(Error::Model { .. })));
        }
        let empty = onnx::model(&onnx::head(&[]), &[]);
        assert!(Graph::read(&empty, "odd").err().unwrap().to_string().contains("without input or output"));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, at: proptest::sample::Index, byte: u8) {
            let look = |onnx: &[u8]| {
                if let Ok(graph) = Graph::read(onnx, "x") {
                    let _ = graph.end(1);
                    graph.with_outputs(&["first"]);
                    graph.nodes().iter().flat_map(|node| &node.inputs).for_each(|input| {
                        let _ = graph.constant(input).map(|constant| (constant.floats(), constant.ints()));
                    });
                }
            };
            look(&bytes);
            let mut onnx = network();
            let at = at.index(onnx.len());
            onnx[at] = byte;
            look(&onnx);
        }
    }
}
