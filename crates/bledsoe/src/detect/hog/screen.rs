//! Which positions could reach a score: the filters in bytes, four times as many products at once as in floats.
//!
//! Roundings are many and hardly depend on each other, so what they cost together has a known deviation. Only positions
//! that are farther below the score than many of these are left out, and what is left is scored in floats.

use super::features::{Cell, Features};
use crate::{
    model::dlib::hog::{HogFilter, PLANES},
    processor::for_each_processor,
};

/// A cell's features as bytes.
pub type CellBytes = [u8; 32];
/// Cells whose products are added up together: as many as a vector register holds.
const CELLS: usize = 2;
/// Positions that share each load of the weights.
const POSITIONS: usize = 4;
/// Filters of more cells could overflow 32 bits.
const MOST_CELLS: usize = 2000;
/// Planes of texture, the last ones, are up to 0.85; all others, sums of four cut bins, up to 0.4.
const TEXTURE: usize = PLANES - 4;
const TEXTURE_SCALE: f32 = 300.0;
const SCALE: f32 = 600.0;
/// Deviations that are allowed for, of features as large as they can be. No proof that nothing is lost: the tests show it.
const DEVIATIONS: f64 = 8.0;

fn scale(plane: usize) -> f32 {
    if plane < TEXTURE { SCALE } else { TEXTURE_SCALE }
}

/// Whether this processor multiplies bytes fast enough.
pub fn pays() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::is_x86_feature_detected as has;
        has!("avx512f") && has!("avx512bw") && has!("avx512vnni")
    }
    #[cfg(not(target_arch = "x86_64"))]
    false
}

for_each_processor! {
    /// Rounds features, each to a share of the most that it can be.
    pub fn round(features: &[Cell], bytes: &mut [CellBytes]) = round_row
}

#[inline(always)]
fn round_row(features: &[Cell], bytes: &mut [CellBytes]) {
    for (features, bytes) in features.iter().zip(bytes) {
        for (plane, (x, byte)) in features.iter().zip(bytes).enumerate() {
            *byte = (x * scale(plane) + 0.5) as u8;
        }
    }
}

#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
struct Weights([i8; 32 * CELLS]);

/// `N` filters in bytes.
#[derive(Debug)]
pub struct Screen<const N: usize> {
    /// For each row of cells, in pieces of [`CELLS`]: the weights of each filter.
    weights: Vec<[Weights; N]>,
    /// Of a row.
    pieces: usize,
    /// What a product stands for.
    step: [f64; N],
    /// What rounding is allowed to cost.
    slack: [f64; N],
}

impl<const N: usize> Screen<N> {
    /// `None` where it would not pay.
    pub fn new(filters: &[HogFilter; N], columns: usize, rows: usize) -> Option<Self> {
        if !pays() || rows * columns > MOST_CELLS {
            return None;
        }
        let pieces = columns.div_ceil(CELLS);
        let mut weights = vec![[Weights([0; 32 * CELLS]); N]; rows * pieces];
        let (mut steps, mut variance) = ([0.0; N], [0.0; N]);
        for (n, filter) in filters.iter().enumerate() {
            let plane = |i: usize| i / (rows * columns);
            let scaled = |i: usize| f64::from(filter.weights[i] / scale(plane(i)));
            let greatest = (0..filter.weights.len()).fold(0.0, |most, i| scaled(i).abs().max(most));
            let step = if greatest > 0.0 { greatest / 127.0 } else { 1.0 };
            steps[n] = step;
            for i in 0..filter.weights.len() {
                let (row, column) = (i % (rows * columns) / columns, i % columns);
                let rounded = (scaled(i) / step).round();
                weights[row * pieces + column / CELLS][n].0[column % CELLS * 32 + plane(i)] = rounded as i8;
                // Of a number between two wholes: 1 / 12.
                variance[n] += (step * rounded).powi(2) / 12.0;
                variance[n] += ((step * rounded - scaled(i)) * f64::from(u8::MAX)).powi(2);
            }
        }
        Some(Self { weights, pieces, step: steps, slack: variance.map(|variance| DEVIATIONS * variance.sqrt()) })
    }

    /// The columns of `row` where one of the weighted sums could be as large as `least` says.
    pub fn columns(&self, features: &Features, row: usize, least: [f64; N]) -> Vec<usize> {
        let need = std::array::from_fn(|n| ((least[n] - self.slack[n]) / self.step[n]).floor() as i32);
        let mut found = Vec::new();
        let (blocks, rest) = (features.columns / POSITIONS, features.columns % POSITIONS);
        for first in (0..blocks).map(|block| block * POSITIONS) {
            self.block::<POSITIONS>(features, (row, first), need, &mut found);
        }
        for column in features.columns - rest..features.columns {
            self.block::<1>(features, (row, column), need, &mut found);
        }
        found
    }

    /// [`Screen::columns`] of `P` neighbouring ones.
    fn block<const P: usize>(
        &self,
        features: &Features,
        (row, column): (usize, usize),
        need: [i32; N],
        found: &mut Vec<usize>,
    ) {
        let mut sums = [[0; N]; P];
        #[cfg(target_arch = "x86_64")]
        // SAFETY: there is a screen only where `pays` found the features.
        unsafe {
            self.add_up(features, (row, column), &mut sums);
        }
        for (p, sums) in sums.into_iter().enumerate() {
            if sums.iter().zip(need).any(|(sum, need)| *sum >= need) {
                found.push(column + p);
            }
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    fn add_up<const P: usize>(&self, features: &Features, (row, column): (usize, usize), sums: &mut [[i32; N]; P]) {
        use std::arch::x86_64::{
            _mm512_dpbusd_epi32, _mm512_load_si512, _mm512_loadu_si512, _mm512_reduce_add_epi32, _mm512_setzero_si512,
        };
        let mut totals = [[_mm512_setzero_si512(); N]; P];
        for (y, weights) in self.weights.chunks_exact(self.pieces).enumerate() {
            if !features.filled_rows().contains(&(row + y)) {
                continue;
            }
            let cells = &features.bytes(row + y)[column..][..CELLS * self.pieces + P - 1];
            for (i, weights) in weights.iter().enumerate() {
                // SAFETY: 64 bytes each.
                let weights = weights.each_ref().map(|w| unsafe { _mm512_load_si512(w.0.as_ptr().cast()) });
                for (p, totals) in totals.iter_mut().enumerate() {
                    let two = cells[CELLS * i + p..][..CELLS].as_ptr();
                    // SAFETY: two cells are 64 bytes.
                    let two = unsafe { _mm512_loadu_si512(two.cast()) };
                    for (total, weights) in totals.iter_mut().zip(weights) {
                        *total = _mm512_dpbusd_epi32(*total, two, weights);
                    }
                }
            }
        }
        for (sums, totals) in sums.iter_mut().zip(totals) {
            for (sum, total) in sums.iter_mut().zip(totals) {
                *sum = _mm512_reduce_add_epi32(total);
            }
        }
    }
}
