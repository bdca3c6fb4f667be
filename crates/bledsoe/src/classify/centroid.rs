//! The nearest centroid.

use rayon::prelude::*;

use super::{Classifier, Softmax, check_rows, samples::Samples};
use crate::{Result, embed::dot};

/// Scores a class by the cosine similarity to the mean direction of its samples.
#[derive(Debug, Clone, PartialEq)]
pub struct Centroids {
    /// Length of an embedding.
    pub dim: usize,
    /// `classes x dim` numbers, each row of unit length.
    pub centroids: Vec<f32>,
    /// From similarities to probabilities.
    pub softmax: Softmax,
}

impl Centroids {
    /// The centroids of `samples`.
    pub fn fit(samples: &Samples, softmax: Softmax) -> Self {
        let means = |k: usize| unit(sum(samples, samples.range(k)));
        let centroids = (0..samples.classes()).into_par_iter().flat_map_iter(means).collect();
        Self { dim: samples.dim(), centroids, softmax }
    }

    /// The similarity of one embedding to every class.
    pub fn similarities(&self, x: &[f32]) -> Vec<f32> {
        self.centroids.chunks_exact(self.dim).map(|c| dot(c, x)).collect()
    }
}

/// For each row its similarity to its own class's centroid without the row's photo; `None` where the class has no other.
pub fn left_out(samples: &Samples) -> Vec<Option<f32>> {
    let of_class = |k: usize| {
        let range = samples.range(k);
        let whole = sum(samples, range.clone());
        let one = move |i: usize| {
            let same = range.clone().filter(|&r| samples.photo(r) == samples.photo(i));
            let own = same.clone().count();
            let mut rest = whole.clone();
            for row in same {
                for (r, x) in rest.iter_mut().zip(samples.row(row)) {
                    *r -= f64::from(*x);
                }
            }
            (own < range.len()).then(|| dot(&unit(rest), samples.row(i)))
        };
        samples.range(k).map(one).collect::<Vec<_>>()
    };
    (0..samples.classes()).into_par_iter().flat_map_iter(of_class).collect()
}

fn sum(samples: &Samples, rows: std::ops::Range<usize>) -> Vec<f64> {
    let mut sum = vec![0.0; samples.dim()];
    for i in rows {
        for (s, x) in sum.iter_mut().zip(samples.row(i)) {
            *s += f64::from(*x);
        }
    }
    sum
}

/// The direction of `v`; zero stays zero.
fn unit(v: Vec<f64>) -> Vec<f32> {
    let norm = v.iter().map(|x| x * x).sum::<f64>().sqrt();
    v.into_iter().map(|x| if norm > 1e-12 { (x / norm) as f32 } else { 0.0 }).collect()
}

impl Classifier for Centroids {
    fn classes(&self) -> usize {
        self.centroids.len() / self.dim
    }

    fn dim(&self) -> usize {
        self.dim
    }

    fn probabilities(&self, embeddings: &[f32]) -> Result<Vec<f32>> {
        check_rows(embeddings, self.dim)?;
        Ok(embeddings.par_chunks_exact(self.dim).flat_map_iter(|x| self.softmax.of(self.similarities(x))).collect())
    }
}
