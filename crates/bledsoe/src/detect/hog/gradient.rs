//! The gradients of a row of pixels, and the orientations that they count for.

use std::sync::LazyLock;

use super::{
    features::{ORIENTATIONS, UNSIGNED},
    image::Image,
    processor::for_each_processor,
};

/// For each orientation, what a row of pixels gives to the upper left, upper right, lower left and lower right of the
/// four cells whose centres are around.
pub type Parts = [[f32; 4]; ORIENTATIONS];

/// Cells that are worked on in turns: neighbouring pixels often count for the same orientation, and each addition would
/// wait for the one before.
const TURNS: usize = 4;

/// The gradients of a row's pixels but the outermost.
///
/// Pixels stand in groups, one for each strip between the centres of cells; the first and the last group are not full,
/// their gradients have no length.
pub struct Gradients {
    cell: usize,
    /// Where pixel 1 is.
    first: usize,
    pixels: usize,
    /// Index into [`NEAREST`].
    direction: Vec<i32>,
    orientation: Vec<u8>,
    length: Vec<f32>,
}

impl Gradients {
    /// Room for so many pixels without the outermost, in so many groups.
    pub fn new(cell: usize, pixels: usize, groups: usize) -> Self {
        // Half a cell lies before the first centre.
        let first = 1 + cell.div_ceil(2);
        let room = (groups * cell).max(first + pixels);
        let (direction, orientation, length) = (vec![0; pixels], vec![0; room], vec![0.0; room]);
        Self { cell, first, pixels, direction, orientation, length }
    }

    /// For each pixel of row `y` the gradient of the channel where it is longest; of equals the last.
    pub fn compute(&mut self, image: &Image, y: usize) {
        let own = self.first..self.first + self.pixels;
        let rows = [y - 1, y, y + 1].map(|y| image.row(y));
        longest(&mut self.direction, &mut self.length[own.clone()], &rows);
        let nearest = &*NEAREST;
        for (orientation, &direction) in self.orientation[own].iter_mut().zip(&self.direction) {
            *orientation = nearest[direction as usize];
        }
    }

    /// Adds the row to the parts of each group; `lower` is the share of the lower cells.
    pub fn add_to(&self, between: &mut [Parts], lower: f32) {
        let upper = 1.0 - lower;
        let share = |at: usize| {
            let (_, right) = place(at + self.cell / 2, self.cell);
            [upper * (1.0 - right), upper * right, lower * (1.0 - right), lower * right]
        };
        let shares: Vec<[f32; 4]> = (0..self.cell).map(share).collect();
        let (blocks, rest) = between.as_chunks_mut::<TURNS>();
        let pixels = |first: usize, n: usize| {
            let range = first * self.cell..(first + n) * self.cell;
            (&self.orientation[range.clone()], &self.length[range])
        };
        for (i, block) in blocks.iter_mut().enumerate() {
            add_groups(block, &shares, pixels(i * TURNS, TURNS));
        }
        let done = blocks.len() * TURNS;
        for (i, group) in rest.iter_mut().enumerate() {
            add_groups(std::array::from_mut(group), &shares, pixels(done + i, 1));
        }
    }
}

/// Adds the pixels of `N` groups, orientations and lengths, by their shares, one for each place in a group.
#[inline(always)]
fn add_groups<const N: usize>(groups: &mut [Parts; N], shares: &[[f32; 4]], (orientation, length): (&[u8], &[f32])) {
    let cell = shares.len();
    let (orientation, length) = (&orientation[..N * cell], &length[..N * cell]);
    for (at, shares) in shares.iter().enumerate() {
        for (k, group) in groups.iter_mut().enumerate() {
            let i = k * cell + at;
            let part = &mut group[usize::from(orientation[i])];
            for (sum, share) in part.iter_mut().zip(shares) {
                *sum += share * length[i];
            }
        }
    }
}

/// Between which centres of cells a pixel lies (0: before the first), and how near it is to the latter, 0 to 1.
pub fn place(pixel: usize, cell: usize) -> (usize, f32) {
    let halves = 2 * pixel + 1 + cell;
    (halves / (2 * cell), (halves % (2 * cell)) as f32 / (2 * cell) as f32)
}

for_each_processor! {
    fn longest(direction: &mut [i32], length: &mut [f32], rows: &[[&[u8]; 3]; 3]) = longest_of_channels
}

#[inline(always)]
fn longest_of_channels(direction: &mut [i32], length: &mut [f32], [above, here, below]: &[[&[u8]; 3]; 3]) {
    let n = direction.len();
    let length = &mut length[..n];
    // Slices of one length, so that the loop needs no check.
    let (above, below) = (above.map(|row| &row[1..][..n]), below.map(|row| &row[1..][..n]));
    let (left, right) = (here.map(|row| &row[..n]), here.map(|row| &row[2..][..n]));
    for i in 0..n {
        let (mut most, mut best) = (0, (REACH * SIDE) + REACH);
        for channel in 0..3 {
            let x = i32::from(right[channel][i]) - i32::from(left[channel][i]);
            let y = i32::from(below[channel][i]) - i32::from(above[channel][i]);
            let squared = x * x + y * y;
            best = if squared >= most { (y + REACH) * SIDE + x + REACH } else { best };
            most = most.max(squared);
        }
        direction[i] = best;
        length[i] = (most as f32).sqrt();
    }
}

/// Gradients of 8-bit pixels are at most 255 in each direction.
const REACH: i32 = 256;
const SIDE: i32 = 2 * REACH;

/// The orientation nearest to each gradient, by (y + 256) * 512 + x + 256.
static NEAREST: LazyLock<Vec<u8>> = LazyLock::new(|| {
    // dlib's unit vectors have four digits.
    let digits = |x: f64| ((x * 1e4).round() / 1e4) as f32;
    let unit: [(f32, f32); UNSIGNED] = std::array::from_fn(|o| {
        let angle = o as f64 * std::f64::consts::PI / UNSIGNED as f64;
        (digits(angle.cos()), digits(angle.sin()))
    });
    let nearest = |x: f32, y: f32| {
        let (mut best, mut orientation) = (0.0, 0);
        for (o, (ux, uy)) in unit.iter().enumerate() {
            let along = x * ux + y * uy;
            if along > best {
                (best, orientation) = (along, o);
            }
            if -along > best {
                (best, orientation) = (-along, o + UNSIGNED);
            }
        }
        orientation as u8
    };
    (-REACH..REACH)
        .flat_map(|y| (-REACH..REACH).map(move |x| (x as f32, y as f32)))
        .map(|(x, y)| nearest(x, y))
        .collect()
});
