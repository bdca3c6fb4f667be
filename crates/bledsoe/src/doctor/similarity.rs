//! All similarities between the faces of a data set, block by block: time is quadratic in faces, memory linear.

use std::ops::Range;

use rayon::prelude::*;

/// Rows that one task computes: enough to use a column's numbers several times while they are in the cache.
const ROWS: usize = 32;

/// Unit vectors of equal length, one after the other.
#[derive(Debug, Clone, Default)]
pub struct Vectors {
    dim: usize,
    values: Vec<f32>,
}

impl Vectors {
    /// Vectors of `dim` numbers each.
    pub fn new<'a>(dim: usize, vectors: impl Iterator<Item = &'a [f32]>) -> Self {
        Self { dim: dim.max(1), values: vectors.flatten().copied().collect() }
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.values.len() / self.dim.max(1)
    }

    /// Vector number `i`.
    pub fn get(&self, i: usize) -> &[f32] {
        &self.values[i * self.dim..(i + 1) * self.dim]
    }

    /// The cosine similarity of vectors `i` and `j`.
    pub fn similarity(&self, i: usize, j: usize) -> f32 {
        dot(self.get(i), self.get(j))
    }

    /// What `work` makes of each vector's number and its similarities to all of `others`, in order.
    pub fn each_row<T: Send>(&self, others: &Self, work: impl Fn(usize, &[f32]) -> T + Sync) -> Vec<T> {
        let blocks: Vec<Range<usize>> =
            (0..self.len()).step_by(ROWS).map(|first| first..(first + ROWS).min(self.len())).collect();
        let columns = others.len();
        let block = |rows: Range<usize>| {
            let mut similarities = vec![0.0; rows.len() * columns];
            for column in 0..columns {
                let other = others.get(column);
                for (at, row) in rows.clone().enumerate() {
                    similarities[at * columns + column] = dot(self.get(row), other);
                }
            }
            let rows = rows.enumerate().map(|(at, row)| work(row, &similarities[at * columns..(at + 1) * columns]));
            rows.collect::<Vec<T>>()
        };
        blocks.into_par_iter().flat_map_iter(block).collect()
    }
}

/// The sum of products, in eight lanes so that it becomes vector instructions.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let (a8, a_rest) = a.as_chunks::<8>();
    let (b8, b_rest) = b.as_chunks::<8>();
    let mut lanes = [0.0f32; 8];
    for (x, y) in a8.iter().zip(b8) {
        for ((lane, x), y) in lanes.iter_mut().zip(x).zip(y) {
            *lane += x * y;
        }
    }
    lanes.iter().sum::<f32>() + a_rest.iter().zip(b_rest).map(|(x, y)| x * y).sum::<f32>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_is_computed_once_in_order() {
        let mut random = fastrand::Rng::with_seed(1);
        let mut draw =
            |n: usize| -> Vec<Vec<f32>> { (0..n).map(|_| (0..19).map(|_| random.f32() - 0.5).collect()).collect() };
        let (a, b) = (draw(ROWS * 2 + 3), draw(5));
        let vectors = |list: &[Vec<f32>]| Vectors::new(19, list.iter().map(Vec::as_slice));
        let rows = vectors(&a).each_row(&vectors(&b), |row, similarities| (row, similarities.to_vec()));
        for (at, (row, similarities)) in rows.iter().enumerate() {
            assert_eq!((at, similarities.len()), (*row, b.len()));
            for (found, other) in similarities.iter().zip(&b) {
                let expected: f64 = a[at].iter().zip(other).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum();
                assert!((f64::from(*found) - expected).abs() < 1e-5);
            }
        }
        assert_eq!(rows.len(), a.len());
    }

    #[test]
    fn no_vectors_are_no_rows() {
        let none = Vectors::new(3, std::iter::empty());
        assert_eq!((none.len(), none.each_row(&none, |row, _| row)), (0, vec![]));
    }
}
