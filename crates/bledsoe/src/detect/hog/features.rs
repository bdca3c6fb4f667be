//! FHOG features: for each cell 18 signed orientations, 9 unsigned ones and 4 of texture.

use std::ops::Range;

use super::{
    gradient::{Gradients, Parts, place},
    image::Image,
    screen::{self, CellBytes},
};
use crate::{model::dlib::hog::PLANES, processor::for_each_processor};

/// Signed orientations.
pub const ORIENTATIONS: usize = 18;
/// Unsigned ones: opposite directions count as one.
pub const UNSIGNED: usize = ORIENTATIONS / 2;
/// A cell's features, filled up with a zero.
pub type Cell = [f32; 32];
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
    /// Columns and rows of zeros before the first cell.
    margin: (usize, usize),
    /// Cells of a row.
    pitch: usize,
    cells: Vec<Cell>,
    /// The same as bytes, and one cell more; none where these do not pay.
    bytes: Vec<CellBytes>,
}

impl Features {
    /// The features of `image` for filters of so many columns and rows; none for an image of less than 3 x 3 cells.
    pub fn new(image: &Image, cell: usize, (filter_columns, filter_rows): (usize, usize)) -> Self {
        let cells = |pixels: usize| (pixels as f32 / cell as f32 + 0.5) as usize;
        let (across, down) = (cells(image.width()), cells(image.height()));
        if across < 3 || down < 3 {
            return Self { rows: 0, columns: 0, margin: (0, 0), pitch: 0, cells: Vec::new(), bytes: Vec::new() };
        }
        // The outermost cells lack a neighbour to be normalised with.
        let (rows, columns) = (down - 2, across - 2);
        let pitch = columns + filter_columns - 1;
        let margin = ((filter_columns - 1) / 2, (filter_rows - 1) / 2);
        let cells = vec![[0.0; 32]; (rows + filter_rows - 1) * pitch];
        let bytes = if screen::pays() { vec![[0; 32]; cells.len() + 1] } else { Vec::new() };
        let mut features = Self { rows, columns, margin, pitch, cells, bytes };
        let histograms = Histograms::new(image, cell, across, down);
        let first = margin.1 * pitch + margin.0;
        for y in 0..rows {
            let row = first + y * pitch..first + y * pitch + columns;
            normalise(&mut features.cells[row.clone()], &histograms, y);
            if let Some(bytes) = features.bytes.get_mut(row.clone()) {
                screen::round(&features.cells[row], bytes);
            }
        }
        features
    }

    /// The rows that are not zeros throughout.
    pub fn filled_rows(&self) -> Range<usize> {
        self.margin.1..self.margin.1 + self.rows
    }

    /// The columns that are not zeros throughout.
    pub fn filled_columns(&self) -> Range<usize> {
        self.margin.0..self.margin.0 + self.columns
    }

    /// A row of cells.
    pub fn row(&self, y: usize) -> &[Cell] {
        &self.cells[y * self.pitch..][..self.pitch]
    }

    /// All cells from the beginning of row `y`, as bytes, and one more.
    pub fn bytes(&self, y: usize) -> &[CellBytes] {
        &self.bytes[y * self.pitch..]
    }
}

/// Each cell's histogram of gradients, weighted by their length, shared bilinearly among the four nearest cells.
struct Histograms {
    /// Signed orientations, unsigned ones, zeros.
    cells: Vec<Cell>,
    /// Blocks of 2 x 2 cells, by their upper left one: where bins are cut, and what they are multiplied by.
    blocks: Vec<(f32, f32)>,
    across: usize,
}

impl Histograms {
    fn new(image: &Image, cell: usize, across: usize, down: usize) -> Self {
        let mut histograms = Self { cells: vec![[0.0; 32]; across * down], blocks: Vec::new(), across };
        // What lies between four cells' centres goes to these four: their parts, for each column of cells.
        let mut between = vec![[[0.0; 4]; ORIENTATIONS]; across + 1];
        let visible = |cells: usize, pixels: usize| (cells * cell).min(pixels).saturating_sub(1);
        let (right, bottom) = (visible(across, image.width()), visible(down, image.height()));
        let mut gradients = Gradients::new(cell, right.saturating_sub(1), across + 1);
        let mut band = 0;
        for y in 1..bottom {
            let (index, lower) = place(y, cell);
            if index != band {
                histograms.share_out(&mut between, down, band);
                band = index;
            }
            gradients.compute(image, y);
            gradients.add_to(&mut between, lower);
        }
        histograms.share_out(&mut between, down, band);
        histograms.finish();
        histograms
    }

    /// Adds the parts of a band between two rows of cells to these cells, and clears them.
    fn share_out(&mut self, between: &mut [Parts], down: usize, band: usize) {
        for (x, parts) in between.iter_mut().enumerate() {
            // Upper left, upper right, lower left, lower right; cells outside the image are left out.
            for (k, (dy, dx)) in [(0, 0), (0, 1), (1, 0), (1, 1)].into_iter().enumerate() {
                let (row, column) = (band + dy, x + dx);
                if (1..=down).contains(&row) && (1..=self.across).contains(&column) {
                    let histogram = &mut self.cells[(row - 1) * self.across + column - 1];
                    for (bin, part) in histogram.iter_mut().zip(parts.iter()) {
                        *bin += part[k];
                    }
                }
            }
            *parts = [[0.0; 4]; ORIENTATIONS];
        }
    }

    /// Fills in the unsigned orientations and the blocks.
    fn finish(&mut self) {
        let energy = |histogram: &mut Cell| {
            let (signed, unsigned) = histogram.split_at_mut(ORIENTATIONS);
            let mut energy = 0.0;
            for (o, bin) in unsigned[..UNSIGNED].iter_mut().enumerate() {
                *bin = signed[o] + signed[o + UNSIGNED];
                energy += *bin * *bin;
            }
            energy
        };
        let energy: Vec<f32> = self.cells.iter_mut().map(energy).collect();
        let block = |i: usize| {
            let sum = energy[i] + energy[i + 1] + energy[i + self.across] + energy[i + self.across + 1];
            let clip = CLIP * (sum + EPSILON).sqrt();
            (clip, 0.5 * CLIP / clip)
        };
        self.blocks = (0..energy.len() - self.across - 1).map(block).collect();
    }
}

for_each_processor! {
    /// Writes the features of row `y` of the cells but the outermost.
    fn normalise(out: &mut [Cell], histograms: &Histograms, y: usize) = normalise_row
}

#[inline(always)]
fn normalise_row(out: &mut [Cell], histograms: &Histograms, y: usize) {
    let across = histograms.across;
    for (x, features) in out.iter_mut().enumerate() {
        let i = y * across + x;
        let bins = &histograms.cells[i + across + 1];
        let mut sums = [0.0; 32];
        for (k, block) in [i + across + 1, i + 1, i + across, i].into_iter().enumerate() {
            let (clip, scale) = histograms.blocks[block];
            let mut cut = [0.0; 32];
            for (cut, (sum, bin)) in cut.iter_mut().zip(sums.iter_mut().zip(bins)) {
                *cut = bin.min(clip) * scale;
                *sum += *cut;
            }
            features[PLANES - 4 + k] = total(&cut) * (2.0 * TEXTURE);
        }
        features[..PLANES - 4].copy_from_slice(&sums[..PLANES - 4]);
    }
}

/// The sum of the signed orientations, in pairs, for a running sum would wait for each addition.
#[inline(always)]
fn total(bins: &Cell) -> f32 {
    let eight: [f32; 8] = std::array::from_fn(|i| bins[i] + bins[i + 8]);
    let four: [f32; 4] = std::array::from_fn(|i| eight[i] + eight[i + 4]);
    (four[0] + four[2]) + (four[1] + four[3]) + (bins[16] + bins[17])
}
