//! The numbers that a head is linear in.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::cholesky::Cholesky;
use crate::{Error, Result, embed::dot};

/// Added to the kernel's diagonal: centres that are nearly alike would make it singular.
const JITTER: f64 = 1e-6;

/// How alike two embeddings are to a head.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Kernel {
    /// Their inner product.
    Linear,
    /// Their inner product, each number measured from its mean over the training, in its standard deviations.
    Standardised,
    /// `exp(-gamma |x - y|²)`.
    Rbf {
        /// Above 0. Unit vectors are at most 2 apart, so 1 is a good guess.
        gamma: f64,
    },
}

/// What an embedding is turned into before a head's weights meet it.
#[derive(Debug, Clone, PartialEq)]
pub enum Basis {
    /// The embedding itself.
    Linear {
        /// Length of an embedding.
        dim: usize,
    },
    /// How near it is to each of some centres.
    Rbf {
        /// The kernel's width.
        gamma: f64,
        /// The centres.
        centres: Centres,
    },
}

/// Embeddings in eight bits, with a scale each.
#[derive(Debug, Clone, PartialEq)]
pub struct Centres {
    dim: usize,
    codes: Vec<i8>,
    scales: Vec<f32>,
    /// Code times scale.
    vectors: Vec<f32>,
    squares: Vec<f32>,
}

impl Centres {
    /// From rows of `dim` codes and a scale for each row.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the lengths do not fit or a scale is not finite.
    pub fn new(dim: usize, codes: Vec<i8>, scales: Vec<f32>) -> Result<Self> {
        if dim == 0 || scales.len().checked_mul(dim) != Some(codes.len()) || scales.iter().any(|s| !s.is_finite()) {
            return Err(Error::Invalid(format!("{} codes are not {} centres of {dim}", codes.len(), scales.len())));
        }
        let vectors: Vec<f32> = codes
            .chunks_exact(dim)
            .zip(&scales)
            .flat_map(|(row, s)| row.iter().map(move |&c| f32::from(c) * s))
            .collect();
        let squares = vectors.chunks_exact(dim).map(|v| dot(v, v)).collect();
        Ok(Self { dim, codes, scales, vectors, squares })
    }

    fn of(dim: usize, vectors: &[f32]) -> Result<Self> {
        let (mut codes, mut scales) = (Vec::with_capacity(vectors.len()), Vec::new());
        for row in vectors.chunks_exact(dim) {
            let scale = row.iter().fold(0.0f32, |most, x| most.max(x.abs())) / 127.0;
            codes.extend(row.iter().map(|x| if scale > 0.0 { (x / scale).round_ties_even() as i8 } else { 0 }));
            scales.push(scale);
        }
        Self::new(dim, codes, scales)
    }

    /// Row by row.
    pub fn codes(&self) -> &[i8] {
        &self.codes
    }

    /// One a centre.
    pub fn scales(&self) -> &[f32] {
        &self.scales
    }
}

impl Basis {
    /// The basis of `kernel` for rows of `dim` numbers, with `most` of them as centres: all where there are no more,
    /// else drawn by randomly pivoted Cholesky (Y. Chen, E. Epperly, J. Tropp, R. Webber, "Randomly pivoted Cholesky",
    /// 2022), which prefers those that the others say least of.
    ///
    /// # Errors
    /// As [`Centres::new`].
    pub(super) fn choose(kernel: Kernel, dim: usize, rows: &[f32], most: usize, seed: u64) -> Result<Self> {
        match kernel {
            Kernel::Linear | Kernel::Standardised => Ok(Self::Linear { dim }),
            Kernel::Rbf { gamma } => {
                let n = rows.len() / dim;
                let chosen = if n <= most { (0..n).collect() } else { pivots(gamma, dim, rows, most, seed) };
                let vectors: Vec<f32> = chosen.into_iter().flat_map(|i| &rows[i * dim..][..dim]).copied().collect();
                Ok(Self::Rbf { gamma, centres: Centres::of(dim, &vectors)? })
            }
        }
    }

    /// Length of an embedding.
    pub fn dim(&self) -> usize {
        match self {
            Self::Linear { dim } => *dim,
            Self::Rbf { centres, .. } => centres.dim,
        }
    }

    /// How many numbers an embedding becomes.
    pub fn width(&self) -> usize {
        match self {
            Self::Linear { dim } => *dim,
            Self::Rbf { centres, .. } => centres.scales.len(),
        }
    }

    /// What the embedding `x` becomes.
    pub(super) fn of(&self, x: &[f32]) -> Vec<f64> {
        match self {
            Self::Linear { .. } => x.iter().map(|&v| f64::from(v)).collect(),
            Self::Rbf { gamma, centres } => {
                let square = dot(x, x);
                let near = |(centre, own): (&[f32], &f32)| rbf(*gamma, square + own - 2.0 * dot(x, centre));
                centres.vectors.chunks_exact(centres.dim).zip(&centres.squares).map(near).collect()
            }
        }
    }

    /// What makes an RBF kernel's features independent: `L` where the centres' kernel matrix is `L Lᵀ`. None for the
    /// embedding's own numbers.
    pub(super) fn whitening(&self) -> Result<Option<Cholesky>> {
        let Self::Rbf { centres, .. } = self else { return Ok(None) };
        let size = self.width();
        let mut matrix: Vec<f64> =
            centres.vectors.par_chunks_exact(centres.dim).flat_map_iter(|centre| self.of(centre)).collect();
        matrix.iter_mut().step_by(size + 1).for_each(|x| *x += JITTER);
        Cholesky::new(matrix, size)
            .map(Some)
            .ok_or_else(|| Error::Invalid("the training photos' embeddings are too much alike".into()))
    }
}

fn rbf(gamma: f64, square: f32) -> f64 {
    (-gamma * f64::from(square.max(0.0))).exp()
}

/// Rows by their residual in the kernel matrix given those chosen before.
fn pivots(gamma: f64, dim: usize, rows: &[f32], most: usize, seed: u64) -> Vec<usize> {
    let n = rows.len() / dim;
    let squares: Vec<f32> = rows.par_chunks_exact(dim).map(|v| dot(v, v)).collect();
    let mut random = fastrand::Rng::with_seed(seed);
    let mut residual = vec![1.0f64; n];
    let mut columns: Vec<Vec<f64>> = Vec::with_capacity(most);
    let mut chosen = Vec::with_capacity(most);
    while chosen.len() < most {
        let total: f64 = residual.iter().sum();
        let mut left = random.f64() * total;
        let drawn = residual.iter().position(|r| {
            left -= r;
            *r > 0.0 && left <= 0.0
        });
        // What is left is rounding: the rows chosen say all.
        let Some(pivot) = drawn.filter(|_| total > 1e-9 * n as f64) else { break };
        let own: Vec<f64> = columns.iter().map(|column| column[pivot]).collect();
        let root = residual[pivot].sqrt();
        let centre = &rows[pivot * dim..][..dim];
        let column: Vec<f64> = (0..n)
            .into_par_iter()
            .map(|i| {
                let square = squares[i] + squares[pivot] - 2.0 * dot(&rows[i * dim..][..dim], centre);
                let known: f64 = columns.iter().zip(&own).map(|(column, own)| column[i] * own).sum();
                (rbf(gamma, square) - known) / root
            })
            .collect();
        residual.iter_mut().zip(&column).for_each(|(r, c)| *r = (*r - c * c).max(0.0));
        residual[pivot] = 0.0;
        columns.push(column);
        chosen.push(pivot);
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn centres_are_spread_over_the_rows_and_none_is_taken_twice() {
        // Fifty copies of one direction, and ten others.
        let mut rows = [1.0, 0.0, 0.0].repeat(50);
        rows.extend((0..10).flat_map(|i| [0.0, (0.1 * i as f32).cos(), (0.1 * i as f32).sin()]));
        let Basis::Rbf { centres, .. } = Basis::choose(Kernel::Rbf { gamma: 8.0 }, 3, &rows, 5, 0).unwrap() else {
            panic!()
        };
        let of_copies = centres.vectors.chunks_exact(3).filter(|v| v[0] > 0.5).count();
        assert_eq!((centres.scales.len(), of_copies), (5, 1));
        // Eleven directions: no more can be chosen, however many are asked for.
        let basis = Basis::choose(Kernel::Rbf { gamma: 8.0 }, 3, &rows, 40, 0).unwrap();
        assert!((9..=11).contains(&basis.width()), "{}", basis.width());
        assert!(basis.whitening().is_ok());
    }

    #[test]
    fn near_means_near_one() {
        let basis = Basis::choose(Kernel::Rbf { gamma: 0.5 }, 2, &[1.0, 0.0, 0.0, 1.0], 9, 0).unwrap();
        let near = basis.of(&[1.0, 0.0]);
        assert!((near[0] - 1.0).abs() < 1e-6 && (near[1] - (-1.0f64).exp()).abs() < 1e-6, "{near:?}");
        assert_eq!(Basis::choose(Kernel::Linear, 2, &[], 9, 0).unwrap().of(&[0.5, 1.0]), [0.5, 1.0]);
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(Centres::new(2, vec![1; 5], vec![1.0; 2]).is_err());
        assert!(Centres::new(0, vec![], vec![]).is_err());
        assert!(Centres::new(1, vec![1], vec![f32::NAN]).is_err());
    }
}
