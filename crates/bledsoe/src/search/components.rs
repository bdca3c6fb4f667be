//! What a scan reads of rows: their principal components.
//!
//! An embedder's numbers are far from independent, so that a few directions hold most of what tells faces apart. The
//! directions are those of the second moments, for inner products are compared, and are then turned at random, so that
//! all components are of one size: half-bytes round to a share of the greatest.
//!
//! Sources: Jégou, Perronnin, Douze, Sánchez, Pérez and Schmid, *Aggregating local image descriptors into compact
//! codes*, PAMI 34, 2012, for both.

use rayon::prelude::*;

use super::{
    half_bytes::WORD,
    vectors::{Numbers, Vectors},
};
use crate::{
    embed::dot,
    projection::{main_directions, orthonormalize},
};

/// An orthogonal projection onto fewer numbers, or as many.
#[derive(Debug, Clone)]
pub(super) struct Components {
    directions: Vectors,
}

/// Sampled vectors that the directions are made of.
const SAMPLE: usize = 1 << 14;
/// Multiplications of the moments with the directions. These need not be told apart, only from all others.
const MULTIPLICATIONS: usize = 12;
/// No more components than this.
const MOST: usize = 128;
/// What components leave out of the inner product of two vectors, at most: its root mean square. Rounding to half-bytes
/// costs as much.
const LEFT_OUT: f64 = 0.01;

impl Components {
    /// Of the `of` unit vectors of `dim` numbers that `vector` gives by number. `None` if too much would be left out.
    pub(super) fn learn(dim: usize, of: usize, vector: impl Fn(usize) -> Vec<f32> + Sync) -> Option<Self> {
        let mut chosen: Vec<usize> = (0..of).collect();
        fastrand::Rng::with_seed(0).shuffle(&mut chosen);
        chosen.truncate(SAMPLE);
        let count = chosen.len() as f32;
        let sample: Vec<Vec<f32>> = chosen.into_par_iter().map(&vector).collect();
        // By axis: each moment is then one inner product.
        let axes: Vec<Vec<f32>> = (0..dim).into_par_iter().map(|i| sample.iter().map(|v| v[i]).collect()).collect();
        let moments: Vec<Vec<f32>> =
            axes.par_iter().map(|a| axes.iter().map(|b| dot(a, b) / count).collect()).collect();

        let mut directions = main_directions(&moments, dim.min(MOST), MULTIPLICATIONS);
        // Of moments M and the projection P onto the first of the directions, the squared norm of (1 - P) M (1 - P): what
        // inner products leave out.
        let square = |x: f32| f64::from(x).powi(2);
        let multiplied: Vec<Vec<f32>> =
            directions.par_iter().map(|d| moments.iter().map(|row| dot(row, d)).collect()).collect();
        let mut left_out: f64 = moments.iter().flatten().map(|&x| square(x)).sum();
        let mut enough = None;
        for (i, (direction, along)) in directions.iter().zip(&multiplied).enumerate() {
            let shared: f64 = multiplied[..i].iter().map(|other| square(dot(direction, other))).sum();
            left_out += square(dot(direction, along)) + 2.0 * (shared - along.iter().map(|&x| square(x)).sum::<f64>());
            if left_out <= LEFT_OUT * LEFT_OUT {
                enough = Some(i + 1);
                break;
            }
        }
        // Words are read whole.
        directions.truncate(enough?.next_multiple_of(WORD));
        let count = directions.len();
        let mut random = fastrand::Rng::with_seed(0);
        let mut turn: Vec<Vec<f32>> = (0..count).map(|_| (0..count).map(|_| random.f32() - 0.5).collect()).collect();
        orthonormalize(&mut turn);
        let turned = turn.par_iter().flat_map_iter(|shares| {
            let directions = &directions;
            (0..dim).map(move |i| shares.iter().zip(directions).map(|(share, direction)| share * direction[i]).sum())
        });
        Some(Self { directions: Vectors::new(dim, Numbers::F32(turned.collect())) })
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.directions.rows()
    }

    /// Those of `vector`.
    pub(super) fn of(&self, vector: &[f32]) -> Vec<f32> {
        let mut components = vec![0.0; self.count()];
        self.directions.scan(0..self.count(), &[&self.directions.probe(vector)], |_, first, some| {
            components[first..first + some.len()].copy_from_slice(some);
        });
        components
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::testing::{direction, similarity, unit},
        *,
    };

    /// Unit vectors that vary less along each axis than along the one before, turned to no axis.
    fn varied(count: usize, dim: usize) -> Vec<Vec<f32>> {
        let mut random = fastrand::Rng::with_seed(1);
        let mut turn: Vec<Vec<f32>> = (0..dim).map(|_| direction(&mut random, dim)).collect();
        orthonormalize(&mut turn);
        let vector = |random: &mut fastrand::Rng| {
            let along = direction(random, dim).into_iter().zip(0..).map(|(x, i)| x / (1.0 + i as f32 / 4.0));
            let along: Vec<f32> = along.collect();
            unit((0..dim).map(|i| along.iter().zip(&turn).map(|(x, axis)| x * axis[i]).sum()).collect())
        };
        (0..count).map(|_| vector(&mut random)).collect()
    }

    #[test]
    fn few_components_have_the_inner_products_of_all_numbers() {
        let vectors = varied(4000, 96);
        let components = Components::learn(96, vectors.len(), |i| vectors[i].clone()).unwrap();
        assert!(components.count() < 64 && components.count().is_multiple_of(WORD), "{}", components.count());
        let pairs = vectors.chunks_exact(2).map(|pair| {
            let [a, b] = [&pair[0], &pair[1]].map(|vector| components.of(vector));
            similarity(&a, &b) - similarity(&pair[0], &pair[1])
        });
        let error = (pairs.map(|error| error * error).sum::<f64>() / 2000.0).sqrt();
        assert!(error < 1.1 * LEFT_OUT && error > 0.3 * LEFT_OUT, "{error}");
        // All of one size.
        let sizes: Vec<f32> = (0..components.count())
            .map(|i| vectors.iter().map(|vector| components.of(vector)[i].powi(2)).sum::<f32>().sqrt())
            .collect();
        let [least, most] = [f32::min, f32::max].map(|of| sizes.iter().copied().reduce(of).unwrap());
        assert!(most < 4.0 * least, "{least} to {most}");
    }

    #[test]
    fn where_all_directions_matter_there_are_none() {
        let mut random = fastrand::Rng::with_seed(2);
        let vectors: Vec<_> = (0..4000).map(|_| direction(&mut random, 256)).collect();
        assert!(Components::learn(256, vectors.len(), |i| vectors[i].clone()).is_none());
        assert!(Components::learn(12, 1, |_| direction(&mut fastrand::Rng::with_seed(3), 12)).is_some());
    }
}
