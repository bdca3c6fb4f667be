//! t-SNE.

use bhtsne::{Dim, Morton};

use super::{check, fit_into_ball, pca::components};
use crate::{
    Result,
    search::{Exact, Index, Storage},
};

/// How many neighbours a point is to keep, about.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Perplexity(pub f32);

impl Default for Perplexity {
    /// The paper's own middle.
    fn default() -> Self {
        Self(30.0)
    }
}

/// With fewer points there are no neighbourhoods to keep.
const LEAST: usize = 10;
/// How coarsely far points are taken together.
const THETA: f32 = 0.5;
/// Deviation of the points at the beginning, which are the principal components, so that the result hangs less on
/// chance (Kobak and Linderman, *Nature Biotechnology* 39, 2021).
const FIRST_DEVIATION: f32 = 1e-4;

/// t-SNE with Barnes and Hut's tree (van der Maaten, *Accelerating t-SNE using Tree-Based Algorithms*, JMLR 15, 2014),
/// over neighbours by exact search. `progress` is told each of `epochs` steps.
///
/// # Errors
/// [`Error::Invalid`](crate::Error::Invalid) for fewer than ten vectors, or vectors that are not of unit length;
/// [`Error::Mismatch`](crate::Error::Mismatch) for vectors of different lengths.
pub fn tsne<const D: usize>(
    vectors: &[Vec<f32>],
    perplexity: Perplexity,
    epochs: usize,
    mut progress: impl FnMut(usize),
) -> Result<Vec<[f32; D]>>
where
    Dim<D>: Morton<D>,
{
    let dim = check(vectors, LEAST)?;
    // A point has three times as many neighbours as it is to keep.
    let perplexity = perplexity.0.clamp(2.0, (vectors.len() - 1) as f32 / 3.0);
    let count = ((3.0 * perplexity) as usize).clamp(1, vectors.len() - 1);
    let mut index = Exact::new(dim, Storage::F32)?;
    let slices: Vec<&[f32]> = vectors.iter().map(Vec::as_slice).collect();
    index.add(&slices)?;
    let neighbours: Vec<Vec<bhtsne::Neighbor<f32>>> = index
        .nearest(&slices, count + 1)?
        .into_iter()
        .enumerate()
        .map(|(i, found)| {
            let others = found.into_iter().filter(|n| n.row != i).take(count);
            others
                .map(|n| bhtsne::Neighbor { index: n.row, distance: (2.0 - 2.0 * n.similarity).max(0.0).sqrt() })
                .collect()
        })
        .collect();

    let mut first: Vec<f32> = components(vectors, dim, D)
        .into_iter()
        .flat_map(|row| std::array::from_fn::<f32, D, _>(|i| row.get(i).copied().unwrap_or_default()))
        .collect();
    let deviation = (first.iter().step_by(D).map(|x| x * x).sum::<f32>() / vectors.len() as f32).sqrt();
    first.iter_mut().for_each(|x| *x *= FIRST_DEVIATION / deviation.max(f32::MIN_POSITIVE));
    let embedding = bhtsne::tSNE::<f32, &[f32], D>::new(&slices)
        .perplexity(perplexity)
        .epochs(epochs)
        .initial_embedding(first)
        .epoch_callback(|epoch, _| progress(epoch))
        .barnes_hut_with_neighbors(THETA, &neighbours)
        .embedding();
    let mut points: Vec<[f32; D]> = embedding.as_chunks::<D>().0.to_vec();
    fit_into_ball(&mut points);
    Ok(points)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Photos of some people: directions with a little noise.
    fn photos(people: usize, each: usize) -> Vec<Vec<f32>> {
        let mut random = fastrand::Rng::with_seed(3);
        let unit = |v: Vec<f32>| {
            let norm = v.iter().map(|x| x * x).sum::<f32>().sqrt();
            v.into_iter().map(|x| x / norm).collect::<Vec<f32>>()
        };
        let own: Vec<Vec<f32>> = (0..people).map(|_| (0..16).map(|_| random.f32() - 0.5).collect()).collect();
        (0..people * each)
            .map(|i| unit(own[i / each].iter().map(|x| x + 0.2 * (random.f32() - 0.5)).collect()))
            .collect()
    }

    #[test]
    fn the_nearest_point_is_of_the_same_person() {
        let vectors = photos(8, 12);
        let points = tsne::<2>(&vectors, Perplexity(5.0), 500, |_| ()).unwrap();
        let distance = |a: [f32; 2], b: [f32; 2]| (a[0] - b[0]).hypot(a[1] - b[1]);
        let nearest = |i: usize| {
            let others = (0..points.len()).filter(|&j| j != i);
            others.min_by(|&a, &b| distance(points[i], points[a]).total_cmp(&distance(points[i], points[b]))).unwrap()
        };
        let same = (0..points.len()).filter(|&i| nearest(i) / 12 == i / 12).count();
        assert!(same as f64 > 0.95 * points.len() as f64, "{same} of {}", points.len());
    }

    #[test]
    fn few_points_and_bad_ones_are_refused() {
        assert!(tsne::<3>(&photos(3, 3), Perplexity::default(), 10, |_| ()).is_err());
        let mut vectors = photos(4, 5);
        assert!(tsne::<3>(&vectors, Perplexity::default(), 10, |_| ()).is_ok());
        vectors[3][0] = 7.0;
        assert!(tsne::<3>(&vectors, Perplexity::default(), 10, |_| ()).is_err());
    }
}
