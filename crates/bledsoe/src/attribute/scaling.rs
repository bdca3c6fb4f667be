//! What is done to the numbers of a basis before weights are fitted to them, and undone in the weights.

use super::{Examples, cholesky::Cholesky};

/// A number that varies by less than this share of its mean, squared, varies by rounding.
const ROUNDING: f64 = 1e-12;

/// A change of coordinates, in which short weights are likely ones.
pub(super) enum Scaling {
    /// The numbers as they are.
    None,
    /// By the inverse of this factor.
    Whitened(Cholesky),
    /// `(x - mean) * factor` for each number.
    Standard { means: Vec<f64>, factors: Vec<f64> },
}

impl Scaling {
    /// Each number from its mean over `examples`, in its standard deviations, over the root of how many numbers there
    /// are: rows are then about as long as embeddings, whose squares sum to 1. A number that never changes becomes 0.
    pub(super) fn standard(examples: &Examples) -> Self {
        let (dim, count) = (examples.dim(), examples.len() as f64);
        let rows = || examples.vectors().chunks_exact(dim);
        let mut means = vec![0.0; dim];
        rows().for_each(|row| means.iter_mut().zip(row).for_each(|(mean, &x)| *mean += f64::from(x) / count));
        let mut variances = vec![0.0; dim];
        for row in rows() {
            for ((variance, &x), mean) in variances.iter_mut().zip(row).zip(&means) {
                *variance += (f64::from(x) - mean).powi(2) / count;
            }
        }
        let factor = |(variance, mean): (f64, &f64)| {
            if variance > ROUNDING * mean * mean { (variance * dim as f64).sqrt().recip() } else { 0.0 }
        };
        let factors = variances.into_iter().zip(&means).map(factor).collect();
        Self::Standard { means, factors }
    }

    /// Changes a row of numbers.
    pub(super) fn apply(&self, numbers: &mut [f64]) {
        match self {
            Self::None => {}
            Self::Whitened(factor) => factor.forward(numbers),
            Self::Standard { means, factors } => {
                numbers.iter_mut().zip(means.iter().zip(factors)).for_each(|(x, (mean, f))| *x = (*x - mean) * f);
            }
        }
    }

    /// Makes weights of changed numbers into weights of those unchanged, and gives what is to be subtracted from the
    /// bias.
    pub(super) fn undo(&self, weights: &mut [f64]) -> f64 {
        match self {
            Self::None => 0.0,
            Self::Whitened(factor) => {
                factor.backward(weights);
                0.0
            }
            Self::Standard { means, factors } => {
                weights.iter_mut().zip(factors).for_each(|(w, factor)| *w *= factor);
                weights.iter().zip(means).map(|(w, mean)| w * mean).sum()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribute::Truth;

    #[test]
    fn standardised_numbers_have_mean_0_and_rows_of_length_1() {
        // The third number never changes.
        let vectors: Vec<f32> = (0..10).flat_map(|i| [i as f32, 100.0 - 7.0 * i as f32, 4.0]).collect();
        let truth = Truth::Numbers((0..10).map(f64::from).collect());
        let examples = Examples::new(3, vectors, truth, (0..10).collect()).unwrap();
        let scaling = Scaling::standard(&examples);
        let rows: Vec<Vec<f64>> = (0..10)
            .map(|i| {
                let mut row: Vec<f64> = examples.vectors()[3 * i..][..3].iter().map(|&x| f64::from(x)).collect();
                scaling.apply(&mut row);
                row
            })
            .collect();
        for column in 0..3 {
            assert!(rows.iter().map(|row| row[column]).sum::<f64>().abs() < 1e-9);
            let squares: f64 = rows.iter().map(|row| row[column].powi(2)).sum();
            assert!((squares - if column < 2 { 10.0 / 3.0 } else { 0.0 }).abs() < 1e-9, "{squares}");
        }
        // Weights answer alike before and after.
        let mut weights = [0.5, -2.0, 3.0];
        let scaled: f64 = weights.iter().zip(&rows[7]).map(|(w, x)| w * x).sum();
        let shift = scaling.undo(&mut weights);
        let plain: f64 = weights.iter().zip([7.0, 51.0, 4.0]).map(|(w, x)| w * x).sum::<f64>() - shift;
        assert!((scaled - plain).abs() < 1e-9, "{scaled} {plain}");
    }
}
