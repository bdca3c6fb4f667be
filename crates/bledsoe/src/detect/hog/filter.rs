//! Scores of all sub-detectors at all positions.

use super::features::{CELL_LANES, Features, Lanes};
use crate::model::dlib::hog::{HogDetector, HogFilter};

/// dlib's detector of frontal faces has five sub-detectors; so many are worked on at once.
const GROUP: usize = 5;

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
    /// For each row of cells, each cell and each 8 of its features: the weights of each filter.
    weights: Vec<[Lanes; N]>,
    row_length: usize,
}

impl<const N: usize> Group<N> {
    fn new(filters: &[HogFilter; N], columns: usize, rows: usize) -> Self {
        let row_length = columns * CELL_LANES;
        let mut weights = vec![[[0.0; 8]; N]; rows * row_length];
        for (n, filter) in filters.iter().enumerate() {
            for (i, &weight) in filter.weights.iter().enumerate() {
                let (plane, cell) = (i / (rows * columns), i % (rows * columns));
                weights[cell * CELL_LANES + plane / 8][n][plane % 8] = weight;
            }
        }
        Self { thresholds: std::array::from_fn(|n| filters[n].threshold), weights, row_length }
    }

    fn scan(&self, features: &Features, min_score: f64, found: &mut impl FnMut(usize, usize, f32)) {
        let mut sums = vec![[[0.0; 8]; N]; features.columns];
        for row in 0..features.rows {
            sums.fill([[0.0; 8]; N]);
            for (y, weights) in self.weights.chunks_exact(self.row_length).enumerate() {
                add_row(&mut sums, features.row(row + y), weights);
            }
            for (column, sums) in sums.iter().enumerate() {
                for (sum, threshold) in sums.iter().zip(self.thresholds) {
                    let score = f64::from(sum.iter().sum::<f32>()) - threshold;
                    if score >= min_score {
                        found(row, column, score as f32);
                    }
                }
            }
        }
    }
}

/// Adds to each position's sums the products of one row of the filters with the cells under it.
fn add_row<const N: usize>(sums: &mut [[Lanes; N]], cells: &[Lanes], weights: &[[Lanes; N]]) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2.
        return unsafe { add_row_avx2(sums, cells, weights) };
    }
    add_row_portable(sums, cells, weights);
}

/// The same sums in wider registers, without fused multiply-add: scores do not depend on the processor.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn add_row_avx2<const N: usize>(sums: &mut [[Lanes; N]], cells: &[Lanes], weights: &[[Lanes; N]]) {
    add_row_portable(sums, cells, weights);
}

#[inline(always)]
fn add_row_portable<const N: usize>(sums: &mut [[Lanes; N]], cells: &[Lanes], weights: &[[Lanes; N]]) {
    for (column, sums) in sums.iter_mut().enumerate() {
        let mut total = *sums;
        for (x, weights) in cells[column * CELL_LANES..].iter().zip(weights) {
            for (total, weights) in total.iter_mut().zip(weights) {
                for lane in 0..8 {
                    total[lane] += x[lane] * weights[lane];
                }
            }
        }
        *sums = total;
    }
}
