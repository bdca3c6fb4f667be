//! Principal component analysis.

use rayon::prelude::*;

use super::{check, fit_into_ball};
use crate::{Result, embed::dot};

/// Multiplications of the covariance with the directions: enough for gaps between variances of a tenth.
const MULTIPLICATIONS: usize = 60;

/// The vectors in the `D` directions in which they vary most, by orthogonal iteration on the covariance (Golub and Van
/// Loan, *Matrix Computations*, section 8.2). Each direction's largest entry is positive.
///
/// # Errors
/// [`Error::Invalid`](crate::Error::Invalid) for fewer than two vectors or numbers that are not finite,
/// [`Error::Mismatch`](crate::Error::Mismatch) for vectors of different lengths.
pub fn pca<const D: usize>(vectors: &[Vec<f32>]) -> Result<Vec<[f32; D]>> {
    let dim = check(vectors, 2)?;
    let mut points = components(vectors, dim, D)
        .into_iter()
        .map(|row| std::array::from_fn(|i| row.get(i).copied().unwrap_or_default()))
        .collect::<Vec<[f32; D]>>();
    fit_into_ball(&mut points);
    Ok(points)
}

/// Each vector's coordinates in the `count` main directions, or as many as there are dimensions.
pub(super) fn components(vectors: &[Vec<f32>], dim: usize, count: usize) -> Vec<Vec<f32>> {
    let count = count.min(dim);
    let mut mean = vec![0.0f64; dim];
    for vector in vectors {
        mean.iter_mut().zip(vector).for_each(|(sum, x)| *sum += f64::from(*x) / vectors.len() as f64);
    }
    let centred: Vec<Vec<f32>> =
        vectors.par_iter().map(|v| v.iter().zip(&mean).map(|(x, m)| x - *m as f32).collect()).collect();
    // By axis: each entry of the covariance is then one inner product.
    let axes: Vec<Vec<f32>> = (0..dim).into_par_iter().map(|i| centred.iter().map(|v| v[i]).collect()).collect();
    let covariance: Vec<Vec<f32>> =
        axes.par_iter().map(|a| axes.iter().map(|b| dot(a, b) / vectors.len() as f32).collect()).collect();

    let mut directions = main_directions(&covariance, count, MULTIPLICATIONS);
    for direction in &mut directions {
        let largest = direction.iter().copied().max_by(|a, b| a.abs().total_cmp(&b.abs())).unwrap_or_default();
        if largest < 0.0 {
            direction.iter_mut().for_each(|x| *x = -*x);
        }
    }
    centred.par_iter().map(|v| directions.iter().map(|d| dot(v, d)).collect()).collect()
}

/// The eigenvectors of a symmetric `matrix` without negative eigenvalues, of the `count` greatest of these, greatest first:
/// as near as so many multiplications come.
pub(crate) fn main_directions(matrix: &[Vec<f32>], count: usize, multiplications: usize) -> Vec<Vec<f32>> {
    let mut random = fastrand::Rng::with_seed(0);
    let mut directions: Vec<Vec<f32>> =
        (0..count).map(|_| (0..matrix.len()).map(|_| random.f32() - 0.5).collect()).collect();
    orthonormalize(&mut directions);
    for _ in 0..multiplications {
        directions = directions.par_iter().map(|d| matrix.iter().map(|row| dot(row, d)).collect()).collect();
        orthonormalize(&mut directions);
    }
    directions
}

/// What is left of a vector, as a share of it, below which it is rounding.
const ROUNDING: f32 = 1e-6;

/// Makes the vectors orthogonal and of unit length, one after another; what has no direction of its own becomes zero.
pub(crate) fn orthonormalize(vectors: &mut [Vec<f32>]) {
    for i in 0..vectors.len() {
        let (done, rest) = vectors.split_at_mut(i);
        let vector = &mut rest[0];
        let before = dot(vector, vector).sqrt();
        // Twice is enough (Kahan, in Parlett's *The Symmetric Eigenvalue Problem*).
        for _ in 0..2 {
            for other in &*done {
                let shared = dot(other, vector);
                vector.iter_mut().zip(other).for_each(|(x, o)| *x -= shared * o);
            }
        }
        let norm = dot(vector, vector).sqrt();
        let scale = if norm > ROUNDING * before { 1.0 / norm } else { 0.0 };
        vector.iter_mut().for_each(|x| *x *= scale);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variance_goes_by_size_into_the_axes() {
        // Along three known directions with deviations 3, 2 and 1; the rest is empty.
        let mut random = fastrand::Rng::with_seed(1);
        let half = std::f32::consts::FRAC_1_SQRT_2;
        let vectors: Vec<Vec<f32>> = (0..4000)
            .map(|_| {
                let [a, b, c]: [f32; 3] = std::array::from_fn(|i| (3 - i) as f32 * (random.f32() - 0.5));
                vec![half * a + half * b, half * a - half * b, c, 0.0, 5.0]
            })
            .collect();
        let components = components(&vectors, 5, 5);
        let deviation = |i: usize| (components.iter().map(|c| c[i] * c[i]).sum::<f32>() / 4000.0).sqrt();
        for (i, expected) in [3.0, 2.0, 1.0].into_iter().enumerate() {
            // A uniform draw of width w deviates by w / sqrt(12).
            assert!((deviation(i) / (expected / 12f32.sqrt()) - 1.0).abs() < 0.05, "{i}: {}", deviation(i));
        }
        assert!(deviation(3) < 1e-4 && deviation(4) < 1e-4);
        // Distances between points are kept.
        let distance = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| (x - y).powi(2)).sum::<f32>().sqrt();
        for i in 0..50 {
            let (before, after) =
                (distance(&vectors[i], &vectors[i + 1]), distance(&components[i], &components[i + 1]));
            assert!((before - after).abs() < 1e-4);
        }
    }

    #[test]
    fn points_are_centred_and_in_the_ball() {
        let points = pca::<3>(&[vec![1.0, 0.0], vec![0.0, 1.0], vec![0.6, 0.8]]).unwrap();
        let far = points.iter().map(|p| p.iter().map(|x| x * x).sum::<f32>().sqrt()).fold(0.0, f32::max);
        assert!((far - 1.0).abs() < 1e-5 && points.iter().all(|p| p[2] == 0.0));
        assert!((0..3).all(|axis| points.iter().map(|p| p[axis]).sum::<f32>().abs() < 1e-5));
        assert_eq!(points, pca::<3>(&[vec![1.0, 0.0], vec![0.0, 1.0], vec![0.6, 0.8]]).unwrap());
        assert!(pca::<2>(&[vec![1.0]]).is_err());
        assert!(pca::<2>(&[vec![1.0], vec![1.0, 2.0]]).is_err());
        assert!(pca::<2>(&[vec![1.0], vec![f32::NAN]]).is_err());
    }
}
