//! One machine for every two classes.

use rayon::prelude::*;

use super::{Kernel, Problem, Sigmoid, TOLERANCE, couple};
use crate::{
    Result,
    classify::{Classifier, samples::Samples},
    embed::dot,
};

/// How the machines decide. Pairs are in the order (0, 1), (0, 2), …, (1, 2), …; above zero is for the first.
#[derive(Debug, Clone, PartialEq)]
pub enum PairDecisions {
    /// One weight vector a pair, one after the other.
    Linear {
        /// `pairs x dim` numbers.
        weights: Vec<f32>,
    },
    /// Support vectors, shared by all pairs.
    Rbf {
        /// Above zero.
        gamma: f64,
        /// `vectors x dim` numbers.
        vectors: Vec<f32>,
        /// Where each pair's entries begin in `indices` and `coefficients`, and the end.
        starts: Vec<u32>,
        /// Support vectors of the pairs.
        indices: Vec<u32>,
        /// Their signed coefficients.
        coefficients: Vec<f32>,
    },
}

/// A multi-class machine of pairs.
#[derive(Debug, Clone, PartialEq)]
pub struct Pairs {
    /// Length of an embedding.
    pub dim: usize,
    /// Number of classes.
    pub classes: usize,
    /// How the machines decide.
    pub decisions: PairDecisions,
    /// One a pair, subtracted from its decision value.
    pub offsets: Vec<f32>,
    /// From decision values to probabilities, the same for all pairs: a person's few photos do not tell its own.
    pub sigmoid: Sigmoid,
}

impl Pairs {
    /// Trains all pairs, on all cores; the result does not depend on how many there are.
    pub fn fit(samples: &Samples, kernel: Kernel, c: f64, sigmoid: Sigmoid) -> Self {
        let (dim, classes) = (samples.dim(), samples.classes());
        let pairs: Vec<(usize, usize)> = (0..classes).flat_map(|i| (i + 1..classes).map(move |j| (i, j))).collect();
        let solve = |&(i, j): &(usize, usize)| {
            let (positive, negative) = (samples.of_class(i), samples.of_class(j));
            let solution = Problem { dim, positive, negative, kernel, c, tolerance: TOLERANCE }.solve();
            let rows = samples.range(i).chain(samples.range(j));
            let support: Vec<(usize, f64)> = rows.zip(solution.coefficients).filter(|(_, c)| *c != 0.0).collect();
            (support, solution.offset as f32)
        };
        let mut offsets = Vec::with_capacity(pairs.len());
        let decisions = match kernel {
            Kernel::Linear => {
                let mut weights = vec![0.0f32; pairs.len() * dim];
                offsets = pairs
                    .par_iter()
                    .zip(weights.par_chunks_exact_mut(dim))
                    .map(|(pair, weights)| {
                        let (support, offset) = solve(pair);
                        let mut sum = vec![0.0f64; dim];
                        for (row, coefficient) in support {
                            for (sum, x) in sum.iter_mut().zip(samples.row(row)) {
                                *sum += coefficient * f64::from(*x);
                            }
                        }
                        for (weight, sum) in weights.iter_mut().zip(sum) {
                            *weight = sum as f32;
                        }
                        offset
                    })
                    .collect();
                PairDecisions::Linear { weights }
            }
            Kernel::Rbf { gamma } => {
                let solved: Vec<_> = pairs.par_iter().map(solve).collect();
                // Support vectors are numbered in the order in which pairs first name them.
                let mut number = vec![u32::MAX; samples.len()];
                let (mut vectors, mut starts) = (Vec::new(), vec![0u32]);
                let (mut indices, mut coefficients) = (Vec::new(), Vec::new());
                for (support, offset) in solved {
                    for (row, coefficient) in support {
                        if number[row] == u32::MAX {
                            number[row] = (vectors.len() / dim) as u32;
                            vectors.extend_from_slice(samples.row(row));
                        }
                        indices.push(number[row]);
                        coefficients.push(coefficient as f32);
                    }
                    starts.push(indices.len() as u32);
                    offsets.push(offset);
                }
                PairDecisions::Rbf { gamma, vectors, starts, indices, coefficients }
            }
        };
        Self { dim, classes, decisions, offsets, sigmoid }
    }

    /// The decision value of every pair for one embedding.
    pub fn decide(&self, x: &[f32]) -> Vec<f32> {
        match &self.decisions {
            PairDecisions::Linear { weights } => {
                weights.chunks_exact(self.dim).zip(&self.offsets).map(|(w, offset)| dot(w, x) - offset).collect()
            }
            PairDecisions::Rbf { gamma, vectors, starts, indices, coefficients } => {
                let (kernel, square) = (Kernel::Rbf { gamma: *gamma }, dot(x, x));
                let near: Vec<f32> =
                    vectors.chunks_exact(self.dim).map(|v| kernel.of(dot(v, x), dot(v, v), square)).collect();
                let sum = |range: std::ops::Range<usize>| -> f32 {
                    indices[range.clone()].iter().zip(&coefficients[range]).map(|(&i, c)| c * near[i as usize]).sum()
                };
                let ranges = starts.windows(2).map(|w| w[0] as usize..w[1] as usize);
                ranges.zip(&self.offsets).map(|(range, offset)| sum(range) - offset).collect()
            }
        }
    }

    /// The number of the pair `i < j`.
    pub fn pair(&self, i: usize, j: usize) -> usize {
        i * (2 * self.classes - i - 1) / 2 + j - i - 1
    }

    /// Held-out decision values of row `x` of class `class` against every other class, with whether class wins by right.
    pub fn against_others(&self, decisions: &[f32], class: usize) -> Vec<(f32, bool)> {
        let below = (0..class).map(|i| (decisions[self.pair(i, class)], false));
        let above = (class + 1..self.classes).map(|j| (decisions[self.pair(class, j)], true));
        below.chain(above).collect()
    }

    /// The probability of each class, from the decision values of the pairs.
    pub fn couple(&self, decisions: &[f32]) -> Vec<f32> {
        // LIBSVM's bound: a pair is never quite certain.
        const LEAST: f64 = 1e-7;
        let pair = |i, j| {
            let value = f64::from(decisions[self.pair(i, j)]);
            self.sigmoid.probability(value).clamp(LEAST, 1.0 - LEAST)
        };
        couple(self.classes, pair).into_iter().map(|p| p.clamp(0.0, 1.0) as f32).collect()
    }
}

impl Classifier for Pairs {
    fn classes(&self) -> usize {
        self.classes
    }

    fn dim(&self) -> usize {
        self.dim
    }

    fn probabilities(&self, embeddings: &[f32]) -> Result<Vec<f32>> {
        crate::classify::check_rows(embeddings, self.dim)?;
        Ok(embeddings.par_chunks_exact(self.dim).flat_map_iter(|x| self.couple(&self.decide(x))).collect())
    }
}
