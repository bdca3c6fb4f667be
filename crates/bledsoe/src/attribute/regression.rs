//! Ridge and softmax regression. In: rows of features, and what they should give. Out: weights and biases.

use rayon::prelude::*;

use super::cholesky::{Cholesky, dot};
use crate::{Error, Result};

/// The softmax regression stops when no step of a weight is longer, in units of the longest weight.
const TOLERANCE: f64 = 1e-5;
const MOST_STEPS: usize = 2000;
/// Rows that one thread adds up.
const BLOCK: usize = 256;

/// Rows of `width` features each.
pub(super) struct Design {
    pub(super) width: usize,
    pub(super) features: Vec<f64>,
}

/// For each output a bias and `width` weights.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Weights {
    pub(super) weights: Vec<f64>,
    pub(super) biases: Vec<f64>,
}

impl Design {
    pub(super) fn len(&self) -> usize {
        self.features.len() / self.width
    }

    fn rows(&self) -> impl IndexedParallelIterator<Item = &[f64]> {
        self.features.par_chunks_exact(self.width)
    }

    fn means(&self) -> Vec<f64> {
        let mut means = vec![0.0; self.width];
        for row in self.features.chunks_exact(self.width) {
            means.iter_mut().zip(row).for_each(|(mean, x)| *mean += x);
        }
        let n = self.len() as f64;
        means.iter_mut().for_each(|mean| *mean /= n);
        means
    }

    /// The lower triangle of the features' scatter about `means`, times `factor`, plus `penalty` on the diagonal.
    fn scatter(&self, means: &[f64], factor: f64, penalty: f64) -> Vec<f64> {
        let width = self.width;
        let mut columns = vec![0.0; self.features.len()];
        let n = self.len();
        columns.par_chunks_exact_mut(n.max(1)).enumerate().for_each(|(j, column)| {
            let own = self.features.iter().skip(j).step_by(width);
            column.iter_mut().zip(own).for_each(|(x, feature)| *x = feature - means[j]);
        });
        let mut matrix = vec![0.0; width * width];
        matrix.par_chunks_exact_mut(width).enumerate().for_each(|(i, row)| {
            for j in 0..=i {
                row[j] = factor * dot(&columns[i * n..][..n], &columns[j * n..][..n]);
            }
            row[i] += penalty;
        });
        matrix
    }
}

fn factor(matrix: Vec<f64>, size: usize) -> Result<Cholesky> {
    Cholesky::new(matrix, size).ok_or_else(|| Error::Invalid("the training photos' embeddings are not finite".into()))
}

/// The weights `w` and bias `b` with the least `Σ (y - b - w·x)² + penalty |w|²` (A. Hoerl, R. Kennard, Technometrics
/// 12, 1970). `penalty` is above 0.
pub(super) fn ridge(design: &Design, y: &[f64], penalty: f64) -> Result<Weights> {
    let means = design.means();
    let middle = y.iter().sum::<f64>() / y.len() as f64;
    let cholesky = factor(design.scatter(&means, 1.0, penalty), design.width)?;
    let mut weights = vec![0.0; design.width];
    for (row, y) in design.features.chunks_exact(design.width).zip(y) {
        weights.iter_mut().zip(row.iter().zip(&means)).for_each(|(w, (x, mean))| *w += (x - mean) * (y - middle));
    }
    cholesky.solve(&mut weights);
    let bias = middle - dot(&weights, &means);
    Ok(Weights { weights, biases: vec![bias] })
}

/// The weights of the least `-Σ ln p + penalty/2 Σ |w|²`, where `p` is the softmax's share of the row's own class,
/// below `classes`; `penalty` is above 0.
///
/// Half the scatter bounds the Hessian everywhere (D. Böhning, Annals of the Institute of Statistical Mathematics 44,
/// 1992), so that one factor serves all steps; Nesterov's momentum, dropped where it leads uphill, makes them few
/// (B. O'Donoghue, E. Candès, Foundations of Computational Mathematics 15, 2015).
pub(super) fn softmax(design: &Design, of: &[usize], classes: usize, penalty: f64) -> Result<Weights> {
    let (width, n) = (design.width, design.len() as f64);
    let means = design.means();
    let cholesky = factor(design.scatter(&means, 0.5, penalty), width)?;
    // Features are taken about their means, so that biases and weights part in the bound.
    let mut now = Weights { weights: vec![0.0; classes * width], biases: vec![0.0; classes] };
    let (mut ahead, mut momentum) = (now.clone(), 1.0f64);
    for _ in 0..MOST_STEPS {
        let (mut slope, bias_slope) = slopes(design, &means, of, &ahead);
        slope.iter_mut().zip(&ahead.weights).for_each(|(slope, w)| *slope += penalty * w);
        let uphill = slope
            .iter()
            .zip(&now.weights)
            .zip(&ahead.weights)
            .map(|((s, was), at)| s * (at - was))
            .sum::<f64>()
            + bias_slope.iter().zip(&now.biases).zip(&ahead.biases).map(|((s, was), at)| s * (at - was)).sum::<f64>()
            > 0.0;
        if uphill && momentum > 1.0 {
            (ahead, momentum) = (now.clone(), 1.0);
            continue;
        }
        slope.par_chunks_exact_mut(width).for_each(|slope| cholesky.solve(slope));
        let next = Weights {
            weights: ahead.weights.iter().zip(&slope).map(|(w, step)| w - step).collect(),
            biases: ahead.biases.iter().zip(&bias_slope).map(|(b, slope)| b - 2.0 * slope / n).collect(),
        };
        let longest = next.weights.iter().fold(0.0f64, |most, w| most.max(w.abs()));
        let step = next.weights.iter().zip(&now.weights).fold(0.0f64, |most, (a, b)| most.max((a - b).abs()));
        let bias_step = next.biases.iter().zip(&now.biases).fold(0.0f64, |most, (a, b)| most.max((a - b).abs()));
        let grown = (1.0 + (1.0 + 4.0 * momentum * momentum).sqrt()) / 2.0;
        let push = (momentum - 1.0) / grown;
        let led = |next: &[f64], now: &[f64]| next.iter().zip(now).map(|(a, b)| a + push * (a - b)).collect();
        ahead = Weights { weights: led(&next.weights, &now.weights), biases: led(&next.biases, &now.biases) };
        (now, momentum) = (next, grown);
        if step <= TOLERANCE * longest && bias_step <= TOLERANCE {
            break;
        }
    }
    for (bias, weights) in now.biases.iter_mut().zip(now.weights.chunks_exact(width)) {
        *bias -= dot(weights, &means);
    }
    Ok(now)
}

/// The gradient of `-Σ ln p` by weights and biases.
fn slopes(design: &Design, means: &[f64], of: &[usize], at: &Weights) -> (Vec<f64>, Vec<f64>) {
    let (width, classes) = (design.width, at.biases.len());
    let offsets: Vec<f64> =
        at.biases.iter().zip(at.weights.chunks_exact(width)).map(|(b, w)| b - dot(w, means)).collect();
    let parts: Vec<(Vec<f64>, Vec<f64>)> = design
        .features
        .par_chunks(BLOCK * width)
        .zip(of.par_chunks(BLOCK))
        .map(|(rows, of)| {
            let (mut slope, mut bias_slope) = (vec![0.0; classes * width], vec![0.0; classes]);
            for (row, &own) in rows.chunks_exact(width).zip(of) {
                let mut shares: Vec<f64> =
                    offsets.iter().zip(at.weights.chunks_exact(width)).map(|(b, w)| b + dot(w, row)).collect();
                let most = shares.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                shares.iter_mut().for_each(|s| *s = (*s - most).exp());
                let sum: f64 = shares.iter().sum();
                for (k, share) in shares.iter().enumerate() {
                    let error = share / sum - f64::from(u8::from(k == own));
                    bias_slope[k] += error;
                    slope[k * width..][..width].iter_mut().zip(row).for_each(|(s, x)| *s += error * x);
                }
            }
            (slope, bias_slope)
        })
        .collect();
    // Added up in order, so that the result does not depend on the threads.
    let (mut slope, mut bias_slope) = (vec![0.0; classes * width], vec![0.0; classes]);
    for (part, bias_part) in parts {
        slope.iter_mut().zip(part).for_each(|(s, x)| *s += x);
        bias_slope.iter_mut().zip(bias_part).for_each(|(s, x)| *s += x);
    }
    for (slope, error) in slope.chunks_exact_mut(width).zip(&bias_slope) {
        slope.iter_mut().zip(means).for_each(|(s, mean)| *s -= error * mean);
    }
    (slope, bias_slope)
}

impl Weights {
    /// For each row its outputs, one after the other.
    pub(super) fn apply(&self, design: &Design) -> Vec<f64> {
        let outputs = |row: &[f64]| -> Vec<f64> {
            self.biases.iter().zip(self.weights.chunks_exact(row.len())).map(|(b, w)| b + dot(w, row)).collect()
        };
        design.rows().flat_map_iter(outputs).collect()
    }
}
