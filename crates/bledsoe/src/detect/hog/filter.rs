//! Scores of all sub-detectors at all positions.

use std::ops::Range;

use super::{features::Features, screen::Screen};
use crate::model::dlib::hog::{HogDetector, HogFilter};

/// dlib's detector of frontal faces has five sub-detectors; so many are worked on at once.
const GROUP: usize = 5;
/// Numbers that are worked on at once, and how many of them a cell has.
type Lanes = [f32; 16];
const CELL_LANES: usize = 2;
/// Positions that share each load of the weights.
const POSITIONS: usize = 4;

/// The filters of a detector, arranged for [`Bank::scan`].
#[derive(Debug)]
pub struct Bank {
    fives: Vec<Group<GROUP>>,
    ones: Vec<Group<1>>,
}

impl Bank {
    /// Arranges the filters.
    pub fn new(model: &HogDetector) -> Self {
        let (fives, ones) = model.filters.as_chunks::<GROUP>();
        let (columns, rows) = model.cells();
        Self {
            fives: fives.iter().map(|filters| Group::new(filters, columns, rows)).collect(),
            ones: ones.iter().map(|filter| Group::new(std::array::from_ref(filter), columns, rows)).collect(),
        }
    }

    /// Calls `found` with row, column and score for each score that is not below `min_score`.
    pub fn scan(&self, features: &Features, min_score: f64, mut found: impl FnMut(usize, usize, f32)) {
        self.fives.iter().for_each(|group| group.scan(features, min_score, &mut found));
        self.ones.iter().for_each(|group| group.scan(features, min_score, &mut found));
    }
}

/// `N` filters that share each load of the features.
#[derive(Debug)]
struct Group<const N: usize> {
    thresholds: [f64; N],
    screen: Option<Screen<N>>,
    /// For each row of cells, each cell and each half of its features: the weights of each filter.
    weights: Vec<[Lanes; N]>,
    row_length: usize,
}

impl<const N: usize> Group<N> {
    fn new(filters: &[HogFilter; N], columns: usize, rows: usize) -> Self {
        let row_length = columns * CELL_LANES;
        let mut weights = vec![[[0.0; 16]; N]; rows * row_length];
        for (n, filter) in filters.iter().enumerate() {
            for (i, &weight) in filter.weights.iter().enumerate() {
                let (plane, cell) = (i / (rows * columns), i % (rows * columns));
                weights[cell * CELL_LANES + plane / 16][n][plane % 16] = weight;
            }
        }
        let screen = Screen::new(filters, columns, rows);
        Self { thresholds: std::array::from_fn(|n| filters[n].threshold), screen, weights, row_length }
    }

    fn scan(&self, features: &Features, min_score: f64, found: &mut impl FnMut(usize, usize, f32)) {
        let mut tell = |row: usize, column: usize, sums: &[Lanes; N]| {
            for (sum, threshold) in sums.iter().zip(self.thresholds) {
                let score = f64::from(total(sum)) - threshold;
                if score >= min_score {
                    found(row, column, score as f32);
                }
            }
        };
        let mut sums = vec![[[0.0; 16]; N]; features.columns];
        for row in 0..features.rows {
            if let Some(screen) = &self.screen {
                for column in screen.columns(features, row, self.thresholds.map(|threshold| min_score + threshold)) {
                    let mut sums = [[[0.0; 16]; N]];
                    self.each_row(features, row, |cells, weights| {
                        add_block(&mut sums, column, cells, &features.filled_columns(), weights);
                    });
                    tell(row, column, &sums[0]);
                }
                continue;
            }
            sums.fill([[0.0; 16]; N]);
            self.each_row(features, row, |cells, weights| {
                add_row(&mut sums, cells, &features.filled_columns(), weights);
            });
            sums.iter().enumerate().for_each(|(column, sums)| tell(row, column, sums));
        }
    }

    /// Calls `add` with each row of cells that is not zeros, and the weights upon it when the filters are at `row`.
    fn each_row(&self, features: &Features, row: usize, mut add: impl FnMut(&[Lanes], &[[Lanes; N]])) {
        for (y, weights) in self.weights.chunks_exact(self.row_length).enumerate() {
            if features.filled_rows().contains(&(row + y)) {
                add(features.row(row + y).as_flattened().as_chunks().0, weights);
            }
        }
    }
}

/// The sum, in pairs, for a running sum would wait for each addition.
fn total(lanes: &Lanes) -> f32 {
    let eight: [f32; 8] = std::array::from_fn(|i| lanes[i] + lanes[i + 8]);
    let four: [f32; 4] = std::array::from_fn(|i| eight[i] + eight[i + 4]);
    (four[0] + four[2]) + (four[1] + four[3])
}

/// Adds to each position's sums the products of one row of the filters with the cells under it, of which those outside
/// of `filled` are zeros.
///
/// Multiplications are fused with additions where the processor does so: the last bits of a score depend on it.
fn add_row<const N: usize>(sums: &mut [[Lanes; N]], cells: &[Lanes], filled: &Range<usize>, weights: &[[Lanes; N]]) {
    let (blocks, rest) = sums.as_chunks_mut::<POSITIONS>();
    let alone = blocks.len() * POSITIONS;
    for (i, sums) in blocks.iter_mut().enumerate() {
        add_block(sums, i * POSITIONS, cells, filled, weights);
    }
    for (i, sum) in rest.iter_mut().enumerate() {
        add_block(std::array::from_mut(sum), alone + i, cells, filled, weights);
    }
}

/// The same for `P` neighbouring positions from `first`.
fn add_block<const N: usize, const P: usize>(
    sums: &mut [[Lanes; N]; P],
    first: usize,
    cells: &[Lanes],
    filled: &Range<usize>,
    weights: &[[Lanes; N]],
) {
    // The part of the filters under which there are filled cells at any of the positions.
    let from = filled.start.saturating_sub(first + P - 1) * CELL_LANES;
    let to = (filled.end.saturating_sub(first) * CELL_LANES).min(weights.len());
    if from >= to {
        return;
    }
    let (cells, weights) = (&cells[first * CELL_LANES + from..], &weights[from..to]);
    let cells = &cells[..weights.len() + (P - 1) * CELL_LANES];
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::is_x86_feature_detected as has;
        if has!("avx512f") {
            // SAFETY: the processor has what the function is compiled for.
            return unsafe { add_avx512(sums, cells, weights) };
        }
        if has!("avx2") && has!("fma") {
            // SAFETY: the same.
            return unsafe { add_avx2(sums, cells, weights) };
        }
    }
    add_portable::<N, P, { cfg!(target_arch = "aarch64") }>(sums, cells, weights);
}

/// All sums stay in registers.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn add_avx512<const N: usize, const P: usize>(sums: &mut [[Lanes; N]; P], cells: &[Lanes], weights: &[[Lanes; N]]) {
    use std::arch::x86_64::{__m512, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_setzero_ps, _mm512_storeu_ps};
    let mut totals: [[__m512; N]; P] = [[_mm512_setzero_ps(); N]; P];
    for (i, weights) in weights.iter().enumerate() {
        for (p, totals) in totals.iter_mut().enumerate() {
            // SAFETY: 16 numbers are there.
            let cell = unsafe { _mm512_loadu_ps(cells[p * CELL_LANES + i].as_ptr()) };
            for (total, weight) in totals.iter_mut().zip(weights) {
                // SAFETY: 16 numbers are there.
                *total = _mm512_fmadd_ps(cell, unsafe { _mm512_loadu_ps(weight.as_ptr()) }, *total);
            }
        }
    }
    for (totals, sums) in totals.iter().zip(sums) {
        for (total, sum) in totals.iter().zip(sums) {
            let mut lanes = [0.0; 16];
            // SAFETY: there is room for 16 numbers.
            unsafe { _mm512_storeu_ps(lanes.as_mut_ptr(), *total) };
            for (sum, lane) in sum.iter_mut().zip(lanes) {
                *sum += lane;
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn add_avx2<const N: usize, const P: usize>(sums: &mut [[Lanes; N]; P], cells: &[Lanes], weights: &[[Lanes; N]]) {
    add_portable::<N, P, true>(sums, cells, weights);
}

/// `FUSED` where the processor multiplies and adds in one instruction; elsewhere `mul_add` is slow.
#[inline(always)]
fn add_portable<const N: usize, const P: usize, const FUSED: bool>(
    sums: &mut [[Lanes; N]; P],
    cells: &[Lanes],
    weights: &[[Lanes; N]],
) {
    for (p, sums) in sums.iter_mut().enumerate() {
        let mut total = *sums;
        for (x, weights) in cells[p * CELL_LANES..].iter().zip(weights) {
            for (total, weights) in total.iter_mut().zip(weights) {
                for lane in 0..16 {
                    let (x, weight) = (x[lane], weights[lane]);
                    total[lane] = if FUSED { x.mul_add(weight, total[lane]) } else { x * weight + total[lane] };
                }
            }
        }
        *sums = total;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{detect::hog::image::Image, model::dlib::hog::PLANES, photo::Photo};

    /// Filters of random weights over a picture of random blocks.
    fn scores<const N: usize>(seed: u64, columns: usize, rows: usize) {
        let mut random = fastrand::Rng::with_seed(seed);
        let side = 160;
        let blocks: Vec<u8> = (0..side * side / 16).map(|_| random.u8(..)).collect();
        let grey = (0..side * side).map(|i| blocks[i / side / 4 * (side / 4) + i % side / 4]);
        let photo = Photo::new(side as u32, side as u32, grey.flat_map(|x| [x; 3]).collect()).unwrap();
        let features = Features::new(&Image::from(&photo), 8, (columns, rows));
        let filters: [HogFilter; N] = std::array::from_fn(|_| HogFilter {
            weights: (0..PLANES * columns * rows).map(|_| 0.1 * (random.f32() - 0.5)).collect(),
            threshold: f64::from(random.f32()) - 0.5,
        });
        let mut group = Group::new(&filters, columns, rows);
        let screened = |group: &Group<N>, least: f64| {
            let mut found = Vec::new();
            group.scan(&features, least, &mut |row, column, score| found.push((row, column, score.to_bits())));
            found
        };
        let screen = group.screen.take();
        let all = screened(&group, f64::NEG_INFINITY);
        assert_eq!(all.len(), N * features.rows * features.columns);
        let mut sorted: Vec<f32> = all.iter().map(|(_, _, score)| f32::from_bits(*score)).collect();
        sorted.sort_by(|a, b| b.total_cmp(a));
        let least: Vec<f64> = [3, 30].map(|i| f64::from(sorted[i])).to_vec();
        let plain: Vec<_> = least.iter().map(|&least| screened(&group, least)).collect();
        let Some(screen) = screen else {
            return eprintln!("SKIPPED: this processor has no fast products of bytes");
        };
        let need = group.thresholds.map(|threshold| least[0] + threshold);
        let left: usize = (0..features.rows).map(|row| screen.columns(&features, row, need).len()).sum();
        // Of one cell's products, rounding is the greater part.
        assert!(2 * left < features.rows * features.columns || columns * rows == 1, "{left} positions are left");
        group.screen = Some(screen);
        let by_bytes: Vec<_> = least.iter().map(|&least| screened(&group, least)).collect();
        assert_eq!(plain, by_bytes);
    }

    #[test]
    fn nothing_is_lost_and_most_is_left_out_by_bytes() {
        scores::<5>(1, 10, 10);
        scores::<1>(2, 7, 9);
        scores::<1>(3, 1, 1);
    }
}
