//! A network's layers in order, and where their maps are kept.

use super::{arithmetic::Arithmetic, layer::Layer, map::Shape, reading::Drafts};
use crate::model::graph::Graph;

/// A network's layers, in order.
pub(super) struct Plan<A: Arithmetic> {
    pub steps: Vec<Step<A>>,
    pub outputs: Vec<Output>,
    /// Of the input.
    pub channels: usize,
    /// Rooms for maps; the first is the input's.
    pub rooms: usize,
    /// Maps that must be of one pixel: layers read them as vectors.
    pub vectors: Vec<usize>,
}

/// A layer, and the maps that it reads and makes. The input is map 0, and each step makes the next one.
pub(super) struct Step<A: Arithmetic> {
    pub layer: Layer<A>,
    pub inputs: Vec<usize>,
    /// Where the map that it makes is kept.
    pub room: usize,
}

/// What is read of the network.
pub(super) struct Output {
    pub map: usize,
    /// N numbers of all planes instead of N x C x H x W.
    pub is_vector: bool,
}

impl<A: Arithmetic> Plan<A> {
    /// Reads a network; the error says what it has that there is no layer for.
    pub fn new(graph: &Graph<'_>) -> Result<Self, String> {
        let [channels, sides @ ..] = graph.input_lengths().ok_or("its input is no batch of pictures")?;
        let channels = channels.ok_or("its input has no fixed number of channels")?;
        let mut drafts = Drafts::new(graph, channels);
        graph.nodes().iter().try_for_each(|node| drafts.add(node))?;
        let plan = drafts.finish()?;
        // Networks for pictures of any size halve them some times.
        let sides = sides.map(|side| side.unwrap_or(256));
        plan.shapes(plan.input(1, sides)).ok_or("its layers do not fit together")?;
        Ok(plan)
    }

    /// The shape of an input.
    pub fn input(&self, items: usize, sides: [usize; 2]) -> Shape {
        Shape { step: step_of_input(self.channels), ..Shape::new(items, sides, self.channels) }
    }

    /// The shapes of all maps, the input first; `None` if it is too small.
    pub fn shapes(&self, input: Shape) -> Option<Vec<Shape>> {
        if input.height.min(input.width) == 0 {
            return None;
        }
        let mut shapes = vec![input];
        for step in &self.steps {
            let inputs: Vec<Shape> = step.inputs.iter().map(|&map| shapes[map]).collect();
            let shape = step.layer.shape(&inputs)?;
            shapes.push(shape);
        }
        let is_pixel = |&map: &usize| shapes.get(map).is_some_and(|shape| (shape.height, shape.width) == (1, 1));
        self.vectors.iter().all(is_pixel).then_some(shapes)
    }

    /// Bytes of the weights.
    pub fn weights(&self) -> usize {
        let bytes = |step: &Step<A>| if let Layer::Convolution(layer) = &step.layer { layer.bytes() } else { 0 };
        self.steps.iter().map(bytes).sum()
    }

    /// Where a map is kept.
    pub fn room(&self, map: usize) -> usize {
        map.checked_sub(1).map_or(0, |step| self.steps[step].room)
    }
}

/// Whole words of bf16.
pub(super) fn step_of_input(channels: usize) -> usize {
    channels.next_multiple_of(2)
}
