//! Where the cells are: spherical k-means.

use std::ops::Range;

use rayon::prelude::*;

use super::super::{
    copies::Copies,
    vectors::{Numbers, Vectors},
};

/// Bytes, for only their order matters: a row goes to the centre it is most like. One without rows is zeros.
pub(super) type Centres = Vectors;

/// Sampled vectors a centre, and how often the centres move.
const SAMPLE: usize = 32;
const ROUNDS: usize = 8;
/// Vectors compared with the centres at once.
const BLOCK: usize = 64;

pub(super) fn none(dim: usize) -> Centres {
    Vectors::new(dim, Numbers::Int8 { bytes: Vec::new(), scales: Vec::new() })
}

/// The nearest centre of each of the vectors that `vector` gives by number, all of unit length; the first if there is
/// none.
pub(super) fn nearest(centres: &Centres, count: usize, vector: impl Fn(usize) -> Vec<f32> + Sync) -> Vec<usize> {
    let of_block = |block: usize| {
        let vectors: Vec<_> = (block * BLOCK..count.min((block + 1) * BLOCK)).map(&vector).collect();
        let probes: Vec<_> = vectors.iter().map(|vector| centres.probe(&**vector)).collect();
        let mut best = vec![(f32::NEG_INFINITY, 0); probes.len()];
        centres.scan(0..centres.rows(), &probes.iter().collect::<Vec<_>>(), |p, first, similarities| {
            // Without branches, so that all are compared at once.
            if similarities.iter().fold(false, |any, &similarity| any | (similarity > best[p].0)) {
                for (centre, &similarity) in (first..).zip(similarities) {
                    if similarity > best[p].0 {
                        best[p] = (similarity, centre);
                    }
                }
            }
        });
        best.into_iter().map(|(_, centre)| centre)
    };
    (0..count.div_ceil(BLOCK)).into_par_iter().flat_map_iter(of_block).collect()
}

/// At most `count` centres of the `of` vectors that `vector` gives by number. The same on any number of threads.
///
/// Source: Dhillon and Modha, *Concept decompositions for large sparse text data using clustering*, Machine Learning 42,
/// 2001, on a sample.
pub(super) fn train(dim: usize, count: usize, of: usize, vector: impl Fn(usize) -> Vec<f32> + Sync) -> Centres {
    let mut chosen: Vec<usize> = (0..of).collect();
    fastrand::Rng::with_seed(0).shuffle(&mut chosen);
    chosen.truncate(count.saturating_mul(SAMPLE));
    let sample: Vec<Vec<f32>> = chosen.into_par_iter().map(&vector).collect();
    let mut centres = none(dim);
    for (centre, vector) in sample.iter().take(count).enumerate() {
        centres.push_zeros();
        centres.set(centre, vector);
    }
    for _ in 0..ROUNDS {
        let cells = nearest(&centres, sample.len(), |i| sample[i].clone());
        let mut members: Vec<(usize, usize)> = cells.into_iter().zip(0..).collect();
        members.sort_unstable();
        let middle = |members: &[(usize, usize)]| Some((members[0].0, middle(members.iter().map(|m| &*sample[m.1]))?));
        let moved: Vec<_> = members.par_chunk_by(|a, b| a.0 == b.0).filter_map(middle).collect();
        // One that nobody is near stays where it is.
        moved.into_iter().for_each(|(centre, vector)| centres.set(centre, &vector));
    }
    centres
}

/// The centres of `cells`, which are places of `copies`, among what is scanned.
pub(super) fn middles(copies: &Copies, cells: &[Range<usize>]) -> Centres {
    let of_cell =
        |places: &Range<usize>| middle(places.clone().map(|place| copies.components(copies.best().get(place))));
    let middles: Vec<_> = cells.par_iter().map(of_cell).collect();
    let mut centres = none(copies.scanned.dim);
    for (centre, middle) in middles.into_iter().enumerate() {
        centres.push_zeros();
        if let Some(middle) = middle {
            centres.set(centre, &middle);
        }
    }
    centres
}

/// The direction of the sum.
fn middle(vectors: impl Iterator<Item = impl AsRef<[f32]>>) -> Option<Vec<f32>> {
    let mut sum: Vec<f32> = Vec::new();
    for vector in vectors {
        sum.resize(vector.as_ref().len(), 0.0);
        sum.iter_mut().zip(vector.as_ref()).for_each(|(sum, x)| *sum += x);
    }
    let length = sum.iter().map(|x| x * x).sum::<f32>().sqrt();
    (length > 0.0).then(|| sum.into_iter().map(|x| x / length).collect())
}
