//! A network's layers in order, and where their maps are kept.

use std::ops::Range;

use super::{arithmetic::Arithmetic, layer::Layer, map::Shape, reading::Drafts};
use crate::model::graph::Graph;

/// A network's layers, in order.
pub(super) struct Plan<A: Arithmetic> {
    pub steps: Vec<Step<A>>,
    /// Steps that are computed together: each but the last makes what the next alone reads, a few rows at a time.
    pub runs: Vec<Range<usize>>,
    /// Where each map is kept that a run makes; the first is the input.
    pub rooms: Vec<usize>,
    pub outputs: Vec<Output>,
    /// Of the input.
    pub channels: usize,
    /// Maps that must be of one pixel: layers read them as vectors.
    vectors: Vec<usize>,
}

/// A layer, and the maps that it reads and makes. The input is map 0, and each step makes the next one.
pub(super) struct Step<A: Arithmetic> {
    pub layer: Layer<A>,
    pub inputs: Vec<usize>,
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

    /// Of layers in order, with the steps that read each map, [`usize::MAX`] for the one who runs the network.
    pub fn of(
        steps: Vec<Step<A>>,
        readers: &[Vec<usize>],
        outputs: Vec<Output>,
        channels: usize,
        vectors: Vec<usize>,
    ) -> Self {
        let goes_on = |&step: &usize| {
            readers[step] == [step] && steps[step].inputs[0] == step && steps[step].layer.window().is_some()
        };
        let starts = (0..steps.len()).filter(|step| *step == 0 || !goes_on(step));
        let ends = starts.clone().skip(1).chain([steps.len()]);
        let runs: Vec<Range<usize>> = starts.zip(ends).map(|(start, end)| start..end).collect();
        let rooms = rooms(&runs, readers);
        Self { steps, runs, rooms, outputs, channels, vectors }
    }

    /// The shape of an input.
    pub fn input(&self, items: usize, sides: [usize; 2]) -> Shape {
        Shape::of_input(items, sides, self.channels)
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
}

/// Where to keep the maps that runs make: one that nobody reads any more gives its room to another.
fn rooms(runs: &[Range<usize>], readers: &[Vec<usize>]) -> Vec<usize> {
    let mut rooms = vec![0; readers.len()];
    let (mut count, mut free, mut wanted) = (1, Vec::new(), Vec::new());
    for run in runs {
        rooms[run.end] = free.pop().unwrap_or(count);
        count = count.max(rooms[run.end] + 1);
        wanted.push(run.end);
        wanted.retain(|&map| {
            let is_wanted = readers[map].iter().any(|&reader| reader >= run.end);
            if !is_wanted {
                free.push(rooms[map]);
            }
            is_wanted
        });
    }
    rooms
}
