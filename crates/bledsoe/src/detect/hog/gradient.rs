//! The gradients of a row of pixels, and the orientations that they count for.

use super::{
    features::{ORIENTATIONS, UNSIGNED},
    image::Image,
};
use crate::processor::for_each_processor;

/// For each orientation, what a row of pixels gives to the upper left, upper right, lower left and lower right of the
/// four cells whose centres are around.
pub type Parts = [[f32; 4]; ORIENTATIONS];

/// Cells that are worked on in turns: neighbouring pixels often count for the same orientation, and each addition would
/// wait for the one before.
const TURNS: usize = 4;
/// Pixels that are worked on at once. Rows are made multiples of it: what is left over would take as long as all others.
const LANES: usize = 16;

/// The gradients of a row's pixels but the outermost.
///
/// Pixels stand in groups, one for each strip between the centres of cells; the first and the last group are not full,
/// their gradients have no length.
pub struct Gradients {
    /// For each place in a group, how near it is to the right centre, 0 to 1.
    right: Vec<f32>,
    /// Where pixel 1 is.
    first: usize,
    pixels: usize,
    orientation: Vec<u8>,
    length: Vec<f32>,
}

impl Gradients {
    /// Room for so many pixels without the outermost, in so many groups.
    pub fn new(cell: usize, pixels: usize, groups: usize) -> Self {
        // Half a cell lies before the first centre.
        let first = 1 + cell.div_ceil(2);
        let room = (groups * cell).max(first + pixels.next_multiple_of(LANES));
        let right = (0..cell).map(|at| place(at + cell / 2, cell).1).collect();
        Self { right, first, pixels, orientation: vec![0; room], length: vec![0.0; room] }
    }

    /// For each pixel of row `y` the gradient of the channel where it is longest; of equals the last.
    pub fn compute(&mut self, image: &Image, y: usize) {
        let own = self.first..self.first + self.pixels.next_multiple_of(LANES);
        let rows = [y - 1, y, y + 1].map(|y| [0, 1, 2].map(|plane| image.onwards(y, plane)));
        longest(self.orientation[own.clone()].as_chunks_mut().0, self.length[own].as_chunks_mut().0, &rows);
        // What was computed beyond the row is none of its.
        self.length[self.first + self.pixels..].fill(0.0);
    }

    /// Adds the row to the parts of each group; `lower` is the share of the lower cells.
    pub fn add_to(&self, between: &mut [Parts], lower: f32) {
        let cell = self.right.len();
        let (blocks, rest) = between.as_chunks_mut::<TURNS>();
        let pixels = |first: usize, n: usize| {
            let range = first * cell..(first + n) * cell;
            (&self.orientation[range.clone()], &self.length[range])
        };
        for (i, block) in blocks.iter_mut().enumerate() {
            add_groups(block, (&self.right, lower), pixels(i * TURNS, TURNS));
        }
        let done = blocks.len() * TURNS;
        for (i, group) in rest.iter_mut().enumerate() {
            add_groups(std::array::from_mut(group), (&self.right, lower), pixels(done + i, 1));
        }
    }
}

/// Adds the pixels of `N` groups, orientations and lengths, by the shares of the right and the lower cells.
#[inline(always)]
fn add_groups<const N: usize>(
    groups: &mut [Parts; N],
    (right, lower): (&[f32], f32),
    (orientation, length): (&[u8], &[f32]),
) {
    let (cell, upper) = (right.len(), 1.0 - lower);
    let (orientation, length) = (&orientation[..N * cell], &length[..N * cell]);
    for (at, right) in right.iter().enumerate() {
        let left = 1.0 - right;
        let shares = [upper * left, upper * right, lower * left, lower * right];
        for (k, group) in groups.iter_mut().enumerate() {
            let i = k * cell + at;
            let part = &mut group[usize::from(orientation[i])];
            // By value: only where nothing written could be read again are the four worked on at once.
            let (sums, length) = (*part, length[i]);
            *part = std::array::from_fn(|k| sums[k] + shares[k] * length);
        }
    }
}

/// Between which centres of cells a pixel lies (0: before the first), and how near it is to the latter, 0 to 1.
pub fn place(pixel: usize, cell: usize) -> (usize, f32) {
    let halves = 2 * pixel + 1 + cell;
    (halves / (2 * cell), (halves % (2 * cell)) as f32 / (2 * cell) as f32)
}

for_each_processor! {
    fn longest(orientation: &mut [[u8; LANES]], length: &mut [[f32; LANES]], rows: &[[&[u8]; 3]; 3]) = longest_of_channels
}

#[inline(always)]
fn longest_of_channels(
    orientation: &mut [[u8; LANES]],
    length: &mut [[f32; LANES]],
    [above, here, below]: &[[&[u8]; 3]; 3],
) {
    for (block, (orientation, length)) in orientation.iter_mut().zip(length).enumerate() {
        let (mut most, mut along, mut up) = ([0; LANES], [0; LANES], [0; LANES]);
        for channel in 0..3 {
            let lanes = |row: &[&[u8]; 3], first: usize| -> [u8; LANES] {
                row[channel][block * LANES + first..].first_chunk().copied().unwrap_or_default()
            };
            let (top, left, right, bottom) = (lanes(above, 1), lanes(here, 0), lanes(here, 2), lanes(below, 1));
            for i in 0..LANES {
                let x = i32::from(right[i]) - i32::from(left[i]);
                let y = i32::from(bottom[i]) - i32::from(top[i]);
                let squared = x * x + y * y;
                (along[i], up[i]) = if squared >= most[i] { (x, y) } else { (along[i], up[i]) };
                most[i] = squared.max(most[i]);
            }
        }
        for i in 0..LANES {
            orientation[i] = nearest(along[i], up[i]);
            length[i] = (most[i] as f32).sqrt();
        }
    }
}

/// dlib's unit vectors of the orientations from 0 to 90 degrees, in steps of 20: four digits.
const UNIT: [(i32, i32); 5] = [(10_000, 0), (9397, 3420), (7660, 6428), (5000, 8660), (1736, 9848)];

/// Where two neighbours of them are equally near: up by this much along.
const BETWEEN: [f32; 4] = {
    let mut between = [0.0; 4];
    let mut i = 0;
    while i < between.len() {
        let ((x, y), (next_x, next_y)) = (UNIT[i], UNIT[i + 1]);
        between[i] = (x - next_x) as f32 / (next_y - y) as f32;
        i += 1;
    }
    between
};

/// The orientation nearest to a gradient of 8-bit pixels.
#[inline(always)]
fn nearest(x: i32, y: i32) -> u8 {
    let (along, up) = (x.abs() as f32, y.abs() as f32);
    let steps: i32 = BETWEEN.map(|tangent| i32::from(up > tangent * along)).into_iter().sum();
    let down = y < 0;
    // Straight down is opposite to straight up.
    let left = x < 0 || (x == 0 && down);
    let axis = match (left, down) {
        (true, _) => UNSIGNED as i32,
        (false, true) => ORIENTATIONS as i32,
        (false, false) => 0,
    };
    let orientation = if left == down { axis + steps } else { axis - steps };
    if orientation == ORIENTATIONS as i32 { 0 } else { orientation as u8 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_gradient_goes_where_dlib_puts_it() {
        let digits = |(x, y): (i32, i32)| (x as f32 / 1e4, y as f32 / 1e4);
        let unit: [(f32, f32); UNSIGNED] = std::array::from_fn(|o| match UNIT.get(o) {
            Some(&unit) => digits(unit),
            // The rest mirrors them.
            None => digits((-UNIT[UNSIGNED - o].0, UNIT[UNSIGNED - o].1)),
        });
        for (x, y) in (-255..256).flat_map(|x| (-255..256).map(move |y| (x, y))) {
            let (mut best, mut orientation) = (0.0, 0);
            for (o, (ux, uy)) in unit.iter().enumerate() {
                let product = x as f32 * ux + y as f32 * uy;
                if product > best {
                    (best, orientation) = (product, o);
                } else if -product > best {
                    (best, orientation) = (-product, o + UNSIGNED);
                }
            }
            assert_eq!(usize::from(nearest(x, y)), orientation, "({x}, {y})");
        }
    }

    #[test]
    fn unit_vectors_are_twenty_degrees_apart() {
        for (o, unit) in UNIT.into_iter().enumerate() {
            let (sin, cos) = (20.0 * o as f64).to_radians().sin_cos();
            assert_eq!(unit, ((cos * 1e4).round() as i32, (sin * 1e4).round() as i32));
        }
    }
}
