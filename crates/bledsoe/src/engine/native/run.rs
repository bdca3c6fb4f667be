//! Layers that follow each other, computed some rows at a time: what one hands on to the next stays in the cache.

use std::{iter, mem, ops::Range};

use super::{
    arithmetic::Arithmetic,
    layer::Rows,
    map::{Map, Room, Shape},
    plan::Step,
    window::Window,
};

/// Bytes of what layers hand on to each other while some rows are computed.
const BAND: usize = 384 << 10;

/// Steps of which each reads first what the one before makes.
pub(super) struct Run<'a, A: Arithmetic> {
    steps: &'a [Step<A>],
    /// Of the maps that they make.
    shapes: &'a [Shape],
    /// What each reads besides.
    others: Vec<Vec<Map<'a>>>,
}

impl<'a, A: Arithmetic> Run<'a, A> {
    /// `map` gives what the steps read of other runs.
    pub fn new(steps: &'a [Step<A>], shapes: &'a [Shape], map: impl Fn(usize) -> Map<'a>) -> Self {
        let others = |(place, step): (usize, &Step<A>)| {
            step.inputs.iter().skip(usize::from(place > 0)).map(|&input| map(input)).collect()
        };
        Self { steps, shapes, others: steps.iter().enumerate().map(others).collect() }
    }

    /// Computes rows of the last map from row `first` on, counted through all pictures. `rooms` are for rows of the maps
    /// before it.
    pub fn compute(&self, first: usize, out: &mut [f32], rooms: &mut [Room]) {
        let Some((last, between)) = self.shapes.split_last() else { return };
        let bands = self.portions(self.bands(first..first + out.len() / last.row()));
        let most = |place: usize| bands.iter().map(|portions| portions[place].held().len()).max().unwrap_or(0);
        let lengths: Vec<usize> = between.iter().enumerate().map(|(i, shape)| most(i) * shape.row()).collect();
        let (mut held, mut rest) = (vec![0..0; between.len()], out);
        for portions in &bands {
            for (place, (step, portion)) in self.steps.iter().zip(portions).enumerate() {
                let shape = self.shapes[place];
                let (read, written) = rooms.split_at_mut(place);
                let made = iter::zip(read, iter::zip(between, &held)).last();
                let made = made.map(|(room, (&shape, held))| Map { shape, first: held.start, data: room.read() });
                let inputs: Vec<Map<'_>> = made.into_iter().chain(self.others[place].iter().copied()).collect();
                let out = match (written.first_mut(), held.get_mut(place)) {
                    (Some(room), Some(held)) => {
                        let numbers = room.numbers(lengths[place]);
                        let at = |row: usize| (row - portion.first) * shape.row();
                        if held.end > portion.first {
                            let start = (portion.first - held.start) * shape.row();
                            numbers.copy_within(start..start + at(held.end), 0);
                        }
                        *held = portion.held();
                        &mut numbers[at(portion.fresh.start)..at(portion.fresh.end)]
                    }
                    _ => {
                        let out;
                        (out, rest) = mem::take(&mut rest).split_at_mut(portion.fresh.len() * shape.row());
                        out
                    }
                };
                A::compute(&step.layer, Rows { inputs: &inputs, shape, first: portion.fresh.start, out });
            }
        }
    }

    /// Rows that are computed together: of whole pictures, or of one.
    fn bands(&self, rows: Range<usize>) -> Vec<Range<usize>> {
        let Some((last, between)) = self.shapes.split_last() else { return Vec::new() };
        let picture: usize = between.iter().map(|shape| size_of::<f32>() * shape.len() / shape.items).sum();
        let count = match picture {
            0 => return vec![rows],
            1..BAND => BAND / picture * last.height,
            _ => last.height.div_ceil(picture.div_ceil(BAND)),
        };
        let mut bands = Vec::new();
        let mut start = rows.start;
        while start < rows.end {
            let item = start / last.height * last.height;
            let end = if count < last.height {
                // Parts of a picture.
                (start + count - (start - item) % count).min(item + last.height)
            } else {
                item + count
            };
            let end = end.min(rows.end);
            bands.push(start..end);
            start = end;
        }
        bands
    }

    /// What of each map is computed for each band.
    fn portions(&self, bands: Vec<Range<usize>>) -> Vec<Vec<Portion>> {
        let mut made = vec![0; self.steps.len()];
        let of_band = |band: Range<usize>| {
            let (mut read, mut portions) = (band, Vec::with_capacity(made.len()));
            for (place, step) in self.steps.iter().enumerate().rev() {
                let fresh = read.start.max(made[place])..read.end.max(made[place]);
                made[place] = fresh.end;
                portions.push(Portion { first: read.start, fresh: fresh.clone() });
                if let Some(before) = place.checked_sub(1) {
                    let window = step.layer.window().unwrap_or(Window::PIXEL);
                    read = match fresh.is_empty() {
                        // Only at the lower border, where nothing is read once more.
                        true => made[before]..made[before],
                        false => window.reach(&fresh, self.shapes[before], self.shapes[place]),
                    };
                }
            }
            portions.reverse();
            portions
        };
        bands.into_iter().map(of_band).collect()
    }
}

/// What of a map is computed for a band.
struct Portion {
    /// The first row that is read, perhaps one of those that are there.
    first: usize,
    /// The rows that are not there yet.
    fresh: Range<usize>,
}

impl Portion {
    /// The rows that are there then.
    fn held(&self) -> Range<usize> {
        self.first..self.fresh.end
    }
}
