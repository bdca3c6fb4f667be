//! The guard against strangers: how like a class a face must be, whatever the classifier's probability.
//!
//! A classifier shares its probability among the people it knows, so a stranger may get a high one. The guard compares
//! the face itself with the class's centroid. Its floors are fitted by taking each person in turn for a stranger to all
//! others.

use rayon::prelude::*;

use super::{
    centroid::{Centroids, left_out},
    samples::{Samples, dot},
    softmax::Softmax,
};

/// Share of known people, taken for strangers, that the floors let through.
pub const FALSE_ACCEPT: f64 = 0.01;
/// Share of a person's own photos that a floor may cost beyond what the strangers need.
pub const FALSE_REJECT: f64 = 0.01;
/// Least spread of strangers' similarities that is believed.
const LEAST_SPREAD: f64 = 0.02;

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
    /// Class `k` is approached by other people's photos with a mean and spread of its own, which make similarities to
    /// different classes compare. The floor of each class lies so many spreads above its mean that 99 % of photos pass no
    /// floor but their own person's. It is raised from there half way to the similarity of a person's own photos, as long
    /// as that rejects no more than 1 % of them: with few people few strangers were seen.
    pub fn fit(samples: &Samples) -> (Self, GuardRates) {
        let Centroids { dim, centroids, .. } = Centroids::fit(samples, Softmax { scale: 1.0 });
        let spread = |k: usize| {
            let (centroid, own) = (&centroids[k * dim..][..dim], samples.range(k));
            let (mut n, mut sum, mut squares) = (0.0, 0.0, 0.0);
            for i in (0..samples.len()).filter(|i| !own.contains(i)) {
                let similarity = f64::from(dot(centroid, samples.row(i)));
                n += 1.0;
                sum += similarity;
                squares += similarity * similarity;
            }
            let mean = sum / n;
            (mean, (squares / n - mean * mean).max(0.0).sqrt().max(LEAST_SPREAD))
        };
        let strangers: Vec<(f64, f64)> = (0..samples.classes()).into_par_iter().map(spread).collect();
        let farthest = |i: usize| {
            let own = samples.class(i);
            let others = centroids.chunks_exact(dim).zip(&strangers).enumerate().filter(|(k, _)| *k != own);
            others
                .map(|(_, (c, (mean, spread)))| (f64::from(dot(c, samples.row(i))) - mean) / spread)
                .fold(f64::NEG_INFINITY, f64::max)
        };
        let mut spreads: Vec<f64> = (0..samples.len()).into_par_iter().map(farthest).collect();
        spreads.sort_by(f64::total_cmp);
        let limit = quantile(&spreads, 1.0 - FALSE_ACCEPT);

        let own = left_out(samples);
        let mut sorted: Vec<f64> = own.iter().flatten().map(|s| f64::from(*s)).collect();
        sorted.sort_by(f64::total_cmp);
        let floors: Vec<f32> = strangers
            .iter()
            .map(|(mean, spread)| {
                let needed = mean + limit * spread;
                let raised = if sorted.is_empty() {
                    needed
                } else {
                    f64::midpoint(*mean, quantile(&sorted, 0.5)).min(quantile(&sorted, FALSE_REJECT))
                };
                needed.max(raised).clamp(-1.0, 0.99) as f32
            })
            .collect();
        let guard = Self { dim, centroids, floors };

        let passes = |i: usize| (0..samples.classes()).any(|k| k != samples.class(i) && guard.accepts(samples.row(i), k));
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

/// The value below which a share `q` of the sorted values lies; `NAN` without values.
pub fn quantile(sorted: &[f64], q: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get((q * last as f64).round() as usize).copied().unwrap_or(f64::NAN)
}
