//! One linear machine a class, against all others.

use rayon::prelude::*;

use crate::{
    Result,
    classify::{Classifier, Softmax, samples::Samples},
    embed::dot,
};

/// Passes over the samples of one class's problem; well-posed data take some ten.
const MAX_PASSES: usize = 200;

/// A linear machine a class. Its dual is solved coordinate by coordinate: C.-J. Hsieh et al., "A dual coordinate descent
/// method for large-scale linear SVM", ICML 2008, hinge loss, with shrinking; the offset is the weight of a constant 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Rest {
    /// Length of an embedding.
    pub dim: usize,
    /// `classes x dim` numbers.
    pub weights: Vec<f32>,
    /// One a class, added to its decision value.
    pub offsets: Vec<f32>,
    /// From decision values to probabilities.
    pub softmax: Softmax,
}

impl Rest {
    /// Trains all classes, on all cores; the result depends on `seed`, not on how many cores there are.
    pub fn fit(samples: &Samples, c: f64, seed: u64, tolerance: f64, softmax: Softmax) -> Self {
        let (dim, classes) = (samples.dim(), samples.classes());
        let squares: Vec<f32> = samples.vectors().par_chunks_exact(dim).map(|x| dot(x, x) + 1.0).collect();
        let mut weights = vec![0.0f32; classes * dim];
        let offsets = weights
            .par_chunks_exact_mut(dim)
            .enumerate()
            .map(|(k, weights)| one(samples, &squares, k, c as f32, tolerance as f32, seed, weights))
            .collect();
        Self { dim, weights, offsets, softmax }
    }

    /// The decision value of every class for one embedding.
    pub fn decide(&self, x: &[f32]) -> Vec<f32> {
        self.weights.chunks_exact(self.dim).zip(&self.offsets).map(|(w, offset)| dot(w, x) + offset).collect()
    }
}

/// Solves the problem of class `k` into `weights` and gives the offset.
fn one(samples: &Samples, squares: &[f32], k: usize, c: f32, tolerance: f32, seed: u64, weights: &mut [f32]) -> f32 {
    let mut rng = fastrand::Rng::with_seed(seed ^ (k as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let own = samples.range(k);
    let mut alpha = vec![0.0f32; samples.len()];
    let mut active: Vec<u32> = (0..samples.len() as u32).collect();
    let mut offset = 0.0f32;
    // Samples whose gradient lies beyond these bounds of the last pass are left out until the rest has converged.
    let (mut above, mut below) = (f32::INFINITY, f32::NEG_INFINITY);
    for _ in 0..MAX_PASSES {
        rng.shuffle(&mut active);
        let (mut most, mut least) = (f32::NEG_INFINITY, f32::INFINITY);
        active.retain(|&i| {
            let i = i as usize;
            let x = samples.row(i);
            let y = if own.contains(&i) { 1.0 } else { -1.0 };
            let gradient = y * (dot(weights, x) + offset) - 1.0;
            let projected = if alpha[i] <= 0.0 {
                if gradient > above {
                    return false;
                }
                gradient.min(0.0)
            } else if alpha[i] >= c {
                if gradient < below {
                    return false;
                }
                gradient.max(0.0)
            } else {
                gradient
            };
            most = most.max(projected);
            least = least.min(projected);
            if projected.abs() > 1e-12 {
                let before = alpha[i];
                alpha[i] = (before - gradient / squares[i]).clamp(0.0, c);
                let step = (alpha[i] - before) * y;
                for (w, x) in weights.iter_mut().zip(x) {
                    *w += step * x;
                }
                offset += step;
            }
            true
        });
        if most - least <= tolerance {
            if active.len() == samples.len() {
                break;
            }
            active = (0..samples.len() as u32).collect();
            (above, below) = (f32::INFINITY, f32::NEG_INFINITY);
            continue;
        }
        above = if most > 0.0 { most } else { f32::INFINITY };
        below = if least < 0.0 { least } else { f32::NEG_INFINITY };
    }
    offset
}

impl Classifier for Rest {
    fn classes(&self) -> usize {
        self.offsets.len()
    }

    fn dim(&self) -> usize {
        self.dim
    }

    fn probabilities(&self, embeddings: &[f32]) -> Result<Vec<f32>> {
        crate::classify::check_rows(embeddings, self.dim)?;
        Ok(embeddings.par_chunks_exact(self.dim).flat_map_iter(|x| self.softmax.of(self.decide(x))).collect())
    }
}
