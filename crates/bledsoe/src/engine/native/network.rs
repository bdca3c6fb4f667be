//! A loaded network.

use std::sync::{Arc, Mutex, PoisonError};

use rayon::prelude::*;

use super::{
    arithmetic::Arithmetic,
    layer::Rows,
    map::{self, Map, Room, Shape},
    plan::{Output, Plan},
};
use crate::{
    Error, Result,
    engine::{Session, Tensor},
    model::graph::Graph,
};

/// A picture more goes through all layers together for so many bytes of weights: what is read once for several saves
/// more than is lost where their maps leave the cache.
const BYTES_A_PICTURE: usize = 4 << 20;

/// Layers with their memory and threads.
pub(super) struct Network<A: Arithmetic> {
    name: String,
    plan: Plan<A>,
    /// Pictures that go through all layers together.
    group: usize,
    threads: Arc<rayon::ThreadPool>,
    /// Rooms of runs that are done: to ask the system for memory takes as long as some layers.
    rooms: Mutex<Vec<Rooms>>,
}

/// The memory of a run's maps.
type Rooms = Vec<Room>;

impl<A: Arithmetic> Network<A> {
    /// The error says what there is no layer for.
    pub fn new(name: &str, graph: &Graph<'_>, threads: Arc<rayon::ThreadPool>) -> Result<Self, String> {
        let plan = Plan::new(graph)?;
        let group = (plan.weights() / BYTES_A_PICTURE).max(1);
        Ok(Self { name: name.to_owned(), plan, group, threads, rooms: Mutex::default() })
    }

    fn fail(&self, reason: &str, input: &Tensor) -> Error {
        Error::engine("native", format!("{}: an input of {:?}: {reason}", self.name, input.shape))
    }

    /// The planes of each output for some pictures; `together`: all threads share each layer. `shapes` are those of the
    /// plan's maps.
    fn outputs(&self, planes: &[f32], shapes: &[Shape], together: bool) -> Vec<Vec<f32>> {
        let free = self.rooms.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut rooms = free.unwrap_or_else(|| (0..self.plan.rooms).map(|_| Room::default()).collect());
        let input = shapes[0];
        map::from_planes(planes, input, rooms[0].numbers(input.len()));
        for (step, &shape) in self.plan.steps.iter().zip(&shapes[1..]) {
            let mut taken = std::mem::take(&mut rooms[step.room]);
            let out = taken.numbers(shape.len());
            let map = |&map: &usize| Map { shape: shapes[map], data: rooms[self.plan.room(map)].read() };
            let inputs: Vec<Map<'_>> = step.inputs.iter().map(map).collect();
            let compute = |(first, out): (usize, &mut [f32])| {
                A::compute(&step.layer, Rows { inputs: &inputs, shape, first, out });
            };
            if together {
                let rows = shape.rows().div_ceil(self.threads.current_num_threads());
                let parts = out.par_chunks_mut(rows * shape.row()).enumerate();
                parts.map(|(i, out)| (i * rows, out)).for_each(compute);
            } else {
                compute((0, out));
            }
            rooms[step.room] = taken;
        }
        let planes = |output: &Output| {
            let shape = shapes[output.map];
            map::to_planes(Map { shape, data: rooms[self.plan.room(output.map)].read() })
        };
        let outputs = self.plan.outputs.iter().map(planes).collect();
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner).push(rooms);
        outputs
    }
}

impl<A: Arithmetic> Session for Network<A> {
    fn run(&self, input: Tensor) -> Result<Vec<Tensor>> {
        let &[items, channels, height, width] = input.shape.as_slice() else {
            return Err(self.fail("no batch of pictures", &input));
        };
        let picture = channels * height * width;
        if channels != self.plan.channels || input.data.len() != items * picture {
            return Err(self.fail("it takes another number of channels", &input));
        }
        let shapes = |items| {
            let shapes = self.plan.shapes(self.plan.input(items, [height, width]));
            shapes.ok_or_else(|| self.fail("pictures of another size are wanted", &input))
        };
        let threads = self.threads.current_num_threads();
        // As many groups for each thread.
        let groups = items.div_ceil(self.group).next_multiple_of(threads);
        let group = items.div_ceil(groups.max(1)).max(1);
        let (of_group, of_rest, whole) = (shapes(group)?, shapes((items % group).max(1))?, shapes(items)?);
        let together = items.div_ceil(group) < threads;
        let groups: Vec<Vec<Vec<f32>>> = self.threads.install(|| {
            let groups = input.data.par_chunks((group * picture).max(1));
            let shapes = |planes: &[f32]| if planes.len() == group * picture { &of_group } else { &of_rest };
            groups.map(|planes| self.outputs(planes, shapes(planes), together)).collect()
        });
        let output = |(place, output): (usize, &Output)| {
            let Shape { height, width, channels, .. } = whole[output.map];
            let shape = match output.is_vector {
                true => vec![items, channels * height * width],
                false => vec![items, channels, height, width],
            };
            let parts: Vec<&[f32]> = groups.iter().map(|outputs| outputs[place].as_slice()).collect();
            Tensor { shape, data: parts.concat() }
        };
        Ok(self.plan.outputs.iter().enumerate().map(output).collect())
    }
}
