//! A loaded network.

use std::sync::{Arc, Mutex, PoisonError};

use rayon::prelude::*;

use super::{
    arithmetic::Arithmetic,
    map::{self, Map, Room, Shape},
    plan::{Output, Plan},
    run::Run,
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
    /// Memory of maps, and of bands, that is not in use: to ask the system for it takes as long as some layers.
    rooms: Mutex<Vec<Rooms>>,
    bands: Mutex<Vec<Rooms>>,
}

type Rooms = Vec<Room>;

/// Rooms out of those that are not in use, so many at least.
fn taken(free: &Mutex<Vec<Rooms>>, count: usize) -> Rooms {
    let mut rooms = free.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
    rooms.resize_with(count.max(rooms.len()), Room::default);
    rooms
}

impl<A: Arithmetic> Network<A> {
    /// The error says what there is no layer for.
    pub fn new(name: &str, graph: &Graph<'_>, threads: Arc<rayon::ThreadPool>) -> Result<Self, String> {
        let plan = Plan::new(graph)?;
        let group = (plan.weights() / BYTES_A_PICTURE).max(1);
        Ok(Self { name: name.to_owned(), plan, group, threads, rooms: Mutex::default(), bands: Mutex::default() })
    }

    fn fail(&self, reason: &str, input: &Tensor) -> Error {
        Error::engine("native", format!("{}: an input of {:?}: {reason}", self.name, input.shape))
    }

    /// The planes of each output for some pictures; `share`: all threads share the rows of each run. `shapes` are those of
    /// the plan's maps.
    fn outputs(&self, planes: &[f32], shapes: &[Shape], share: bool) -> Vec<Vec<f32>> {
        let plan = &self.plan;
        let mut rooms = taken(&self.rooms, plan.rooms.iter().max().map_or(1, |most| most + 1));
        map::from_planes(planes, shapes[0], rooms[0].numbers(shapes[0].len()));
        for run in &plan.runs {
            let shape = shapes[run.end];
            let mut made = std::mem::take(&mut rooms[plan.rooms[run.end]]);
            let out = made.numbers(shape.len());
            let map = |map: usize| Map { shape: shapes[map], first: 0, data: rooms[plan.rooms[map]].read() };
            let steps = Run::new(&plan.steps[run.clone()], &shapes[run.start + 1..=run.end], map);
            let parts = if share { self.threads.current_num_threads() } else { 1 };
            let rows = shape.rows().div_ceil(parts);
            out.par_chunks_mut(rows * shape.row()).enumerate().for_each(|(i, out)| {
                let mut bands = taken(&self.bands, run.len() - 1);
                steps.compute(i * rows, out, &mut bands);
                self.bands.lock().unwrap_or_else(PoisonError::into_inner).push(bands);
            });
            rooms[plan.rooms[run.end]] = made;
        }
        let planes = |output: &Output| {
            let data = rooms[plan.rooms[output.map]].read();
            map::to_planes(Map { shape: shapes[output.map], first: 0, data })
        };
        let outputs = plan.outputs.iter().map(planes).collect();
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
        let share = items.div_ceil(group) < threads;
        let groups: Vec<Vec<Vec<f32>>> = self.threads.install(|| {
            let groups = input.data.par_chunks((group * picture).max(1));
            let shapes = |planes: &[f32]| if planes.len() == group * picture { &of_group } else { &of_rest };
            groups.map(|planes| self.outputs(planes, shapes(planes), share)).collect()
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
