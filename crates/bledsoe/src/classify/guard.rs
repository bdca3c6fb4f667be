//! The guard against strangers: how like a class a face must be, whatever the classifier's probability.
//!
//! A classifier shares its probability among the people it knows, so a stranger may get a high one. The guard compares
//! the face itself with the class's centroid. Its floors are fitted by taking each person in turn for a stranger to all
//! others.

use rayon::prelude::*;

use super::{
    centroid::{Centroids, left_out},
    samples::Samples,
    softmax::Softmax,
};
use crate::embed::dot;

/// Share of known people, taken for strangers, that the floors let through.
pub const FALSE_ACCEPT: f64 = 0.01;
/// Share of a person's own photos that a floor may cost beyond what the strangers need.
pub const FALSE_REJECT: f64 = 0.01;

/// A centroid and a least cosine similarity for each class.
#[derive(Debug, Clone, PartialEq)]
pub struct Guard {
    /// Length of an embedding.
    pub dim: usize,
    /// `classes x dim` numbers, each row of unit length.
    pub centroids: Vec<f32>,
    /// The least similarity to the centroid, one a class.
    pub floors: Vec<f32>,
}

/// What the floors do to the data that they were fitted to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GuardRates {
    /// Share of photos that their own person's floor rejects, each compared with the person's other photos.
    pub own_rejected: Option<f64>,
    /// Share of photos that some other person's floor accepts.
    pub strangers_accepted: f64,
}

impl Guard {
    /// Fits the floors; `samples` has one row a photo.
    ///
    /// The least floor is the similarity to the nearest other person that 99 % of the photos stay below. Each class's is
    /// raised from there half way between the similarities of strangers and of a person's own photos, as long as that
    /// rejects no more than 1 % of these: with few people few strangers were seen. (Floors by the spread of each class's
    /// strangers were tried: at the same rate of strangers they rejected 43 % instead of 4 % of LFW's own photos in
    /// FaceNet's embeddings.)
    pub fn fit(samples: &Samples) -> (Self, GuardRates) {
        let Centroids { dim, centroids, .. } = Centroids::fit(samples, Softmax { scale: 1.0 });
        // For each photo its nearest other person, and the sum of its similarities to all others.
        let others = |i: usize| {
            let own = samples.class(i);
            let rows = centroids.chunks_exact(dim).enumerate().filter(|(k, _)| *k != own);
            rows.map(|(_, c)| f64::from(dot(c, samples.row(i))))
                .fold((f64::NEG_INFINITY, 0.0), |(most, sum), s| (f64::max(most, s), sum + s))
        };
        let strangers: Vec<(f64, f64)> = (0..samples.len()).into_par_iter().map(others).collect();
        let nearest = sorted(strangers.iter().map(|s| s.0));
        let comparisons = (samples.len() * (samples.classes() - 1)) as f64;
        let mean = strangers.iter().map(|s| s.1).sum::<f64>() / comparisons;
        let needed = quantile(&nearest, 1.0 - FALSE_ACCEPT);

        let own = left_out(samples);
        let floor = |k: usize| {
            let of_class = sorted(samples.range(k).filter_map(|i| own[i]).map(f64::from));
            if of_class.is_empty() {
                return needed as f32;
            }
            let half_way = f64::midpoint(mean, quantile(&of_class, 0.5));
            needed.max(half_way.min(quantile(&of_class, FALSE_REJECT))).clamp(-1.0, 0.99) as f32
        };
        let floors = (0..samples.classes()).map(floor).collect();
        let guard = Self { dim, centroids, floors };

        let passes =
            |i: usize| (0..samples.classes()).any(|k| k != samples.class(i) && guard.accepts(samples.row(i), k));
        let accepted = (0..samples.len()).into_par_iter().filter(|&i| passes(i)).count();
        let compared = own.iter().flatten().count();
        let rejected = own.iter().enumerate().filter(|(i, s)| s.is_some_and(|s| s < guard.floors[samples.class(*i)]));
        let rates = GuardRates {
            own_rejected: (compared > 0).then(|| rejected.count() as f64 / compared as f64),
            strangers_accepted: accepted as f64 / samples.len() as f64,
        };
        (guard, rates)
    }

    /// The cosine similarity of an embedding to class `k`.
    pub fn similarity(&self, x: &[f32], k: usize) -> f32 {
        dot(&self.centroids[k * self.dim..][..self.dim], x)
    }

    fn accepts(&self, x: &[f32], k: usize) -> bool {
        self.similarity(x, k) >= self.floors[k]
    }
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

/// The value below which a share `q` of the sorted values lies; `NAN` without values.
pub fn quantile(sorted: &[f64], q: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get((q * last as f64).round() as usize).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three people at right angles, eight photos each, scattered by `noise`.
    fn people(noise: f32) -> Samples {
        let mut rng = fastrand::Rng::with_seed(5);
        let mut vectors = Vec::new();
        for row in 0..24 {
            let mut v: Vec<f32> = (0..3).map(|_| noise * (2.0 * rng.f32() - 1.0)).collect();
            v[row / 8] += 1.0;
            let norm = dot(&v, &v).sqrt();
            vectors.extend(v.iter().map(|x| x / norm));
        }
        Samples::new(3, vectors, &[8; 3], (0..24).collect()).unwrap()
    }

    #[test]
    fn strangers_are_turned_away_and_people_are_not() {
        let (guard, rates) = Guard::fit(&people(0.2));
        assert_eq!(rates, GuardRates { own_rejected: Some(0.0), strangers_accepted: 0.0 });
        for stranger in [[0.45, 0.1, -0.88], [-0.577, -0.577, -0.577], [0.4, 0.4, -0.82]] {
            assert!((0..3).all(|k| !guard.accepts(&stranger, k)), "{stranger:?} {guard:?}");
        }
        assert!(guard.accepts(&[0.99, 0.1, 0.1], 0));
    }

    #[test]
    fn the_floor_rises_where_people_are_alike() {
        let (apart, _) = Guard::fit(&people(0.2));
        let (near, rates) = Guard::fit(&people(1.5));
        assert!(near.floors[0] > apart.floors[0], "{near:?}");
        assert!(rates.strangers_accepted < 0.1, "{rates:?}");
    }

    #[test]
    fn people_of_one_photo_have_floors_too() {
        let samples = Samples::new(2, vec![1.0, 0.0, 0.6, 0.8], &[1, 1], vec![0, 1]).unwrap();
        let (guard, rates) = Guard::fit(&samples);
        assert_eq!(rates.own_rejected, None);
        assert!(guard.floors.iter().all(|f| (f - 0.6).abs() < 1e-6));
    }

    #[test]
    fn quantiles() {
        assert_eq!(quantile(&[1.0, 2.0, 3.0], 0.5), 2.0);
        assert_eq!(quantile(&[1.0, 2.0, 3.0], 1.0), 3.0);
        assert!(quantile(&[], 0.5).is_nan());
    }
}
