//! The k nearest neighbours.

use rayon::prelude::*;

use super::{Classifier, Softmax, check_rows, samples::Samples};
use crate::{Result, embed::dot};

/// Lets the `k` nearest photos vote, each with the weight `exp(scale similarity)`. A photo votes once, by the nearest of
/// its copies. One more vote, as heavy as the least, is shared by all classes, so that none has probability zero.
#[derive(Debug, Clone, PartialEq)]
pub struct Neighbours {
    /// Length of an embedding.
    pub dim: usize,
    /// Number of classes.
    pub classes: usize,
    /// How many photos vote.
    pub k: usize,
    /// `samples x dim` numbers.
    pub vectors: Vec<f32>,
    /// The class of each sample.
    pub labels: Vec<u32>,
    /// The photo of each sample. Samples of one photo are neighbours in this list.
    pub photos: Vec<u32>,
    /// Its scale weighs the votes.
    pub softmax: Softmax,
}

impl Neighbours {
    /// Keeps all samples.
    pub fn fit(samples: &Samples, k: usize, softmax: Softmax) -> Self {
        Self {
            dim: samples.dim(),
            classes: samples.classes(),
            k,
            vectors: samples.vectors().to_vec(),
            labels: (0..samples.len()).map(|i| samples.class(i) as u32).collect(),
            photos: (0..samples.len()).map(|i| samples.photo(i)).collect(),
            softmax,
        }
    }

    /// The nearest photos with their classes, leaving out the photo `without`.
    pub fn nearest(&self, x: &[f32], without: Option<u32>) -> Vec<(f32, u32)> {
        let mut photos: Vec<(f32, u32)> = Vec::new();
        let mut last = None;
        for ((vector, &label), &photo) in self.vectors.chunks_exact(self.dim).zip(&self.labels).zip(&self.photos) {
            if Some(photo) == without {
                continue;
            }
            let similarity = dot(vector, x);
            match photos.last_mut() {
                Some(nearest) if last == Some((photo, label)) => nearest.0 = nearest.0.max(similarity),
                _ => photos.push((similarity, label)),
            }
            last = Some((photo, label));
        }
        photos.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        photos.truncate(self.k);
        photos
    }

    /// The probabilities by these votes.
    pub fn vote(&self, nearest: &[(f32, u32)], softmax: Softmax) -> Vec<f32> {
        let highest = nearest.first().map_or(0.0, |n| n.0);
        let weight = |similarity: f32| (softmax.scale * f64::from(similarity - highest)).exp();
        let shared = nearest.last().map_or(1.0, |n| weight(n.0));
        let sum = shared + nearest.iter().map(|n| weight(n.0)).sum::<f64>();
        let mut p = vec![(shared / self.classes as f64 / sum) as f32; self.classes];
        for &(similarity, label) in nearest {
            if let Some(p) = p.get_mut(label as usize) {
                *p += (weight(similarity) / sum) as f32;
            }
        }
        p
    }
}

impl Classifier for Neighbours {
    fn classes(&self) -> usize {
        self.classes
    }

    fn dim(&self) -> usize {
        self.dim
    }

    fn probabilities(&self, embeddings: &[f32]) -> Result<Vec<f32>> {
        check_rows(embeddings, self.dim)?;
        let one = |x: &[f32]| self.vote(&self.nearest(x, None), self.softmax);
        Ok(embeddings.par_chunks_exact(self.dim).flat_map_iter(one).collect())
    }
}
