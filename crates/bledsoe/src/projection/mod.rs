//! Projections: embeddings as points of two or three dimensions, to be looked at.
//!
//! In: unit vectors. Out: points, centred, the farthest at a distance of 1. [`pca`] keeps as much of the variance as
//! can be and gives the same points each time; [`tsne`] keeps neighbours together, so that people become islands, but
//! its distances between islands mean little, and sums that threads add up in another order may move its points a
//! little.
//!
//! ```
//! use bledsoe::projection::pca;
//! let faces = [vec![1.0, 0.0, 0.0], vec![0.0, 1.0, 0.0], vec![0.6, 0.8, 0.0]];
//! let points = pca::<2>(&faces)?;
//! assert!((points[0][0] - points[1][0]).abs() > 1.0);
//! # Ok::<(), bledsoe::Error>(())
//! ```

mod pca;
mod tsne;

pub use pca::pca;
pub(crate) use pca::{main_directions, orthonormalize};
pub use tsne::{Perplexity, tsne};

use crate::{Error, Result};

/// Checks that all vectors have one length, and that there are enough.
fn check(vectors: &[Vec<f32>], least: usize) -> Result<usize> {
    let dim = vectors.first().map_or(0, Vec::len);
    if vectors.len() < least || dim == 0 {
        return Err(Error::Invalid(format!("{} embeddings: a projection takes {least} or more", vectors.len())));
    }
    if vectors.iter().any(|v| v.len() != dim) {
        return Err(Error::Mismatch("embeddings of different lengths cannot be projected together".into()));
    }
    if vectors.iter().flatten().any(|x| !x.is_finite()) {
        return Err(Error::Invalid("an embedding has a number that is not finite".into()));
    }
    Ok(dim)
}

/// Centres points, and scales the farthest to a distance of 1.
fn fit_into_ball<const D: usize>(points: &mut [[f32; D]]) {
    for axis in 0..D {
        let mean = points.iter().map(|p| f64::from(p[axis])).sum::<f64>() / points.len().max(1) as f64;
        points.iter_mut().for_each(|p| p[axis] -= mean as f32);
    }
    let far = points.iter().map(|p| p.iter().map(|x| x * x).sum::<f32>().sqrt()).fold(0.0, f32::max);
    if far > 0.0 {
        points.iter_mut().flatten().for_each(|x| *x /= far);
    }
}
