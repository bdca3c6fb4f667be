//! Where the cells are: spherical k-means.

use rayon::prelude::*;

use super::super::vectors::{Numbers, Vectors};

/// Bytes, for only their order matters: a row goes to the centre it is most like.
pub(super) type Centres = Vectors;

/// Sampled vectors a centre, and how often the centres move.
const SAMPLE: usize = 32;
const ROUNDS: usize = 8;
/// Vectors compared with the centres at once.
const BLOCK: usize = 64;

/// Centres without a vector.
pub(super) fn none(dim: usize) -> Centres {
    Vectors::new(dim, Numbers::Int8 { bytes: Vec::new(), scales: Vec::new() })
}

/// The nearest centre of each of the vectors that `vector` gives, all of unit length.
pub(super) fn nearest(centres: &Centres, count: usize, vector: impl Fn(usize) -> Vec<f32> + Sync) -> Vec<usize> {
    let blocks = (0..count.div_ceil(BLOCK)).into_par_iter();
    let nearest = |block: usize| {
        let vectors: Vec<_> = (block * BLOCK..count.min((block + 1) * BLOCK)).map(&vector).collect();
        let probes: Vec<_> = vectors.iter().map(|vector| centres.probe(vector)).collect();
        let mut best = vec![(f32::NEG_INFINITY, 0); probes.len()];
        centres.scan(0..centres.rows(), &probes.iter().collect::<Vec<_>>(), |p, first, similarities| {
            let greatest = similarities.iter().fold(f32::NEG_INFINITY, |best, &x| if x > best { x } else { best });
            if greatest > best[p].0
                && let Some(place) = similarities.iter().position(|&x| x == greatest)
            {
                best[p] = (greatest, first + place);
            }
        });
        best.into_iter().map(|(_, centre)| centre).collect::<Vec<_>>()
    };
    blocks.flat_map_iter(nearest).collect()
}

/// `count` centres of the vectors that `vector` gives by number, fewer if there are fewer. The same on any number of threads.
///
/// Source: Dhillon and Modha, *Concept decompositions for large sparse text data using clustering*, Machine Learning 42,
/// 2001, on a sample.
pub(super) fn train(dim: usize, count: usize, of: usize, vector: impl Fn(usize) -> Vec<f32> + Sync) -> Centres {
    let mut chosen: Vec<usize> = (0..of).collect();
    let mut random = fastrand::Rng::with_seed(0);
    let sampled = of.min(count.saturating_mul(SAMPLE));
    for i in 0..sampled {
        chosen.swap(i, random.usize(i..of));
    }
    chosen.truncate(sampled);
    let sample: Vec<Vec<f32>> = chosen.into_par_iter().map(|i| vector(i)).collect();
    let mut centres = none(dim);
    for vector in sample.iter().take(count) {
        centres.push_zeros();
        centres.set(centres.rows() - 1, vector);
    }
    for _ in 0..ROUNDS {
        let cells = nearest(&centres, sample.len(), |i| sample[i].clone());
        let mut members: Vec<(usize, usize)> = cells.into_iter().zip(0..).collect();
        members.sort_unstable();
        let moved: Vec<(usize, Vec<f32>)> = members
            .par_chunk_by(|a, b| a.0 == b.0)
            .map(|members| {
                let mut sum = vec![0.0; dim];
                for (_, i) in members {
                    sum.iter_mut().zip(&sample[*i]).for_each(|(sum, x)| *sum += x);
                }
                (members[0].0, sum)
            })
            .collect();
        // One that nobody is near stays where it is.
        for (centre, sum) in moved {
            let length = sum.iter().map(|x| x * x).sum::<f32>().sqrt();
            if length > 0.0 {
                centres.set(centre, &sum.iter().map(|x| x / length).collect::<Vec<_>>());
            }
        }
    }
    centres
}
