//! FHOG features: for each cell 18 signed orientations, 9 unsigned ones and 4 of texture.

use std::sync::LazyLock;

use super::image::Image;
use crate::model::dlib::hog::PLANES;

/// Numbers that are worked on at once.
pub type Lanes = [f32; 8];
/// A cell's features, filled up with a zero.
pub const CELL_LANES: usize = 4;

const ORIENTATIONS: usize = 18;
const UNSIGNED: usize = ORIENTATIONS / 2;
/// A histogram's bin counts for no more than this share of its block's energy.
const CLIP: f32 = 0.2;
const EPSILON: f32 = 0.0001;
/// 1 / sqrt(18): makes a texture feature no larger than the others.
const TEXTURE: f32 = 0.2357;

/// The features of an image, with as many zeros around as let a filter's middle be at every cell.
#[derive(Debug)]
pub struct Features {
    /// Filter positions, down.
    pub rows: usize,
    /// Filter positions, across.
    pub columns: usize,
    /// Cells of a row.
    pitch: usize,
    data: Vec<Lanes>,
}

type Histogram = [f32; ORIENTATIONS];

impl Features {
    /// The features of `image` for filters of so many columns and rows; none for an image of less than 3 x 3 cells.
    pub fn new(image: &Image, cell: usize, (filter_columns, filter_rows): (usize, usize)) -> Self {
        let cells = |pixels: usize| (pixels as f32 / cell as f32 + 0.5) as usize;
        let (across, down) = (cells(image.width()), cells(image.height()));
        if across < 3 || down < 3 {
            return Self { rows: 0, columns: 0, pitch: 0, data: Vec::new() };
        }
        // The outermost cells lack a neighbour to be normalised with.
        let (rows, columns) = (down - 2, across - 2);
        let pitch = columns + filter_columns - 1;
        let mut features =
            Self { rows, columns, pitch, data: vec![[0.0; 8]; (rows + filter_rows - 1) * pitch * CELL_LANES] };
        let histograms = histograms(image, cell, across, down);
        let (top, left) = ((filter_rows - 1) / 2, (filter_columns - 1) / 2);
        features.normalise(&histograms, across, top * pitch + left);
        features
    }

    /// A row of cells.
    pub fn row(&self, y: usize) -> &[Lanes] {
        &self.data[y * self.pitch * CELL_LANES..][..self.pitch * CELL_LANES]
    }

    /// Writes the features of each cell but the outermost; the first goes to cell number `start`.
    fn normalise(&mut self, histograms: &[Histogram], across: usize, start: usize) {
        let energy: Vec<f32> = histograms
            .iter()
            .map(|h| (0..UNSIGNED).map(|o| (h[o] + h[o + UNSIGNED]) * (h[o] + h[o + UNSIGNED])).sum())
            .collect();
        // Blocks of 2 x 2 cells, by their upper left one: where bins are cut, and what they are multiplied by.
        let blocks: Vec<(f32, f32)> = (0..energy.len() - across - 1)
            .map(|i| {
                let sum = energy[i] + energy[i + 1] + energy[i + across] + energy[i + across + 1];
                let clip = CLIP * (sum + EPSILON).sqrt();
                (clip, 0.5 * CLIP / clip)
            })
            .collect();
        for y in 0..self.rows {
            for x in 0..self.columns {
                let i = y * across + x;
                let around = [blocks[i + across + 1], blocks[i + 1], blocks[i + across], blocks[i]];
                let values = cell_features(&histograms[i + across + 1], around);
                let at = (start + y * self.pitch + x) * CELL_LANES;
                for (lanes, values) in self.data[at..at + CELL_LANES].iter_mut().zip(values.as_chunks::<8>().0) {
                    *lanes = *values;
                }
            }
        }
    }
}

/// A cell's features from its histogram and its four blocks.
fn cell_features(histogram: &Histogram, blocks: [(f32, f32); 4]) -> [f32; 8 * CELL_LANES] {
    let (clips, scales) = (blocks.map(|b| b.0), blocks.map(|b| b.1));
    let cut = |value: f32| -> [f32; 4] { std::array::from_fn(|k| value.min(clips[k]) * scales[k]) };
    let mut out = [0.0; 8 * CELL_LANES];
    let mut texture = [0.0f32; 4];
    for o in 0..ORIENTATIONS {
        let parts = cut(histogram[o]);
        out[o] = parts.iter().sum();
        for (sum, part) in texture.iter_mut().zip(parts) {
            *sum += part;
        }
    }
    for o in 0..UNSIGNED {
        out[ORIENTATIONS + o] = cut(histogram[o] + histogram[o + UNSIGNED]).iter().sum();
    }
    for (value, sum) in out[PLANES - 4..PLANES].iter_mut().zip(texture) {
        *value = sum * (2.0 * TEXTURE);
    }
    out
}

/// Each cell's histogram of gradients, weighted by their length, shared bilinearly among the four nearest cells.
fn histograms(image: &Image, cell: usize, across: usize, down: usize) -> Vec<Histogram> {
    let mut histograms = vec![[0.0; ORIENTATIONS]; across * down];
    // What lies between four cells' centres goes to these four: their parts, for each orientation and column of cells.
    let mut between = vec![[[0.0f32; 4]; ORIENTATIONS]; across + 1];
    let visible = |cells: usize, pixels: usize| (cells * cell).min(pixels).saturating_sub(1);
    let (right, bottom) = (visible(across, image.width()), visible(down, image.height()));
    let place = |pixel: usize| {
        let at = (pixel as f32 + 0.5) / cell as f32 + 0.5;
        let index = at as usize;
        (index, at - index as f32)
    };
    let columns: Vec<(usize, f32)> = (1..right).map(place).collect();
    let mut gradients = Gradients::new(columns.len());
    let mut band = 0;
    for y in 1..bottom {
        let (index, lower) = place(y);
        if index != band {
            share_out(&mut between, &mut histograms, across, down, band);
            band = index;
        }
        gradients.compute(image, y);
        gradients.add_to(&mut between, &columns, lower);
    }
    share_out(&mut between, &mut histograms, across, down, band);
    histograms
}

/// Adds the parts of a band between two rows of cells to these cells, and clears them.
fn share_out(
    between: &mut [[[f32; 4]; ORIENTATIONS]],
    histograms: &mut [Histogram],
    across: usize,
    down: usize,
    band: usize,
) {
    for (x, parts) in between.iter_mut().enumerate() {
        // Upper left, upper right, lower left, lower right; cells outside the image are left out.
        for (k, (dy, dx)) in [(0, 0), (0, 1), (1, 0), (1, 1)].into_iter().enumerate() {
            let (row, column) = (band + dy, x + dx);
            if (1..=down).contains(&row) && (1..=across).contains(&column) {
                let histogram = &mut histograms[(row - 1) * across + column - 1];
                for (bin, part) in histogram.iter_mut().zip(parts.iter()) {
                    *bin += part[k];
                }
            }
        }
        *parts = [[0.0; 4]; ORIENTATIONS];
    }
}

/// The gradients of a row's pixels but the outermost.
struct Gradients {
    /// Index into [`NEAREST`].
    direction: Vec<i32>,
    length: Vec<f32>,
}

impl Gradients {
    fn new(n: usize) -> Self {
        Self { direction: vec![0; n], length: vec![0.0; n] }
    }

    /// For each pixel the gradient of the channel where it is longest; of equals the last.
    fn compute(&mut self, image: &Image, y: usize) {
        self.length.fill(0.0);
        let rows = image.row(y - 1).into_iter().zip(image.row(y)).zip(image.row(y + 1));
        for ((above, here), below) in rows {
            longer(&mut self.direction, &mut self.length, here, &above[1..], &below[1..]);
        }
        self.length.iter_mut().for_each(|length| *length = length.sqrt());
    }

    /// Adds the row to the parts; `lower` is the share of the lower cells.
    fn add_to(&self, between: &mut [[[f32; 4]; ORIENTATIONS]], columns: &[(usize, f32)], lower: f32) {
        let nearest = &*NEAREST;
        let upper = 1.0 - lower;
        for ((&direction, &length), &(index, right)) in self.direction.iter().zip(&self.length).zip(columns) {
            let left = 1.0 - right;
            let parts = &mut between[index][usize::from(nearest[direction as usize])];
            let values =
                [upper * (left * length), upper * (right * length), lower * (left * length), lower * (right * length)];
            for (part, value) in parts.iter_mut().zip(values) {
                *part += value;
            }
        }
    }
}

/// Takes a channel's gradients where they are not shorter than the squared `length`; `here` starts one pixel to the left.
fn longer(direction: &mut [i32], length: &mut [f32], here: &[u8], above: &[u8], below: &[u8]) {
    let n = direction.len();
    let (length, above, below) = (&mut length[..n], &above[..n], &below[..n]);
    let (left, right) = (&here[..n], &here[2..][..n]);
    for i in 0..n {
        let x = i32::from(right[i]) - i32::from(left[i]);
        let y = i32::from(below[i]) - i32::from(above[i]);
        let squared = (x as f32) * (x as f32) + (y as f32) * (y as f32);
        let index = (y + REACH) * SIDE + x + REACH;
        // By mask, for a branch would keep the loop from being vectorised.
        let taken = -i32::from(squared >= length[i]);
        direction[i] = (index & taken) | (direction[i] & !taken);
        length[i] = if squared > length[i] { squared } else { length[i] };
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
