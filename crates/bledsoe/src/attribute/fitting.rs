//! Fitting: from examples and settings to weights.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{
    Basis, Examples, Kernel, Truth,
    cholesky::dot,
    regression::{self, Design, Weights},
    scaling::Scaling,
};
use crate::{Error, Result};

/// What is decided before weights are fitted.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// How alike two embeddings are.
    pub kernel: Kernel,
    /// What long weights cost; above 0.
    pub penalty: f64,
    /// Centres of the RBF kernel, at most.
    pub centres: usize,
}

/// A basis, and for each output a bias and a weight for each number of the basis.
#[derive(Debug, Clone, PartialEq)]
pub struct Fitted {
    /// What the weights are of.
    pub basis: Basis,
    /// Output by output.
    pub weights: Vec<f64>,
    /// One an output.
    pub biases: Vec<f64>,
}

impl Fitted {
    /// The outputs for an embedding, which must have the basis's length: the logarithms of the classes' probabilities
    /// but for a constant, or the number.
    pub fn outputs(&self, embedding: &[f32]) -> Vec<f64> {
        let features = self.basis.of(embedding);
        self.biases.iter().zip(self.weights.chunks_exact(features.len())).map(|(b, w)| b + dot(w, &features)).collect()
    }
}

/// Fits to all examples. Deterministic for a seed, on any number of cores.
///
/// # Errors
/// [`Error::Invalid`] for settings out of range, or embeddings that are all alike.
pub fn fit(examples: &Examples, settings: &Settings, seed: u64) -> Result<Fitted> {
    let gamma = if let Kernel::Rbf { gamma } = settings.kernel { gamma } else { 1.0 };
    let positive = |x: f64| x.is_finite() && x > 0.0;
    if !(positive(settings.penalty) && positive(gamma) && settings.centres > 0) {
        return Err(Error::Invalid("penalty, gamma and centres must be above 0".into()));
    }
    let prepared = Prepared::new(examples, settings.kernel, settings.centres, seed)?;
    let weights = prepared.weights(examples.truth(), settings.penalty)?;
    Ok(prepared.fitted(&weights))
}

/// All that does not depend on the penalty.
pub(super) struct Prepared {
    basis: Basis,
    scaling: Scaling,
    design: Design,
}

impl Prepared {
    pub(super) fn new(examples: &Examples, kernel: Kernel, centres: usize, seed: u64) -> Result<Self> {
        let basis = Basis::choose(kernel, examples.dim(), examples.vectors(), centres, seed)?;
        let scaling = match (kernel, basis.whitening()?) {
            (Kernel::Standardised, _) => Scaling::standard(examples),
            (_, Some(whitening)) => Scaling::Whitened(whitening),
            (_, None) => Scaling::None,
        };
        let design = Design { width: basis.width(), features: Vec::new() };
        let mut prepared = Self { basis, scaling, design };
        prepared.design = prepared.design_of(examples);
        Ok(prepared)
    }

    /// The scaled features of examples.
    pub(super) fn design_of(&self, examples: &Examples) -> Design {
        let features = |x: &[f32]| {
            let mut features = self.basis.of(x);
            self.scaling.apply(&mut features);
            features
        };
        let features = examples.vectors().par_chunks_exact(examples.dim()).flat_map_iter(features).collect();
        Design { width: self.basis.width(), features }
    }

    pub(super) fn weights(&self, truth: &Truth, penalty: f64) -> Result<Weights> {
        match truth {
            Truth::Classes { names, of } => regression::softmax(&self.design, of, names.len(), penalty),
            Truth::Numbers(numbers) => regression::ridge(&self.design, numbers, penalty),
        }
    }

    /// The same weights for features that are not scaled.
    pub(super) fn fitted(self, weights: &Weights) -> Fitted {
        let (mut plain, mut biases) = (weights.weights.clone(), weights.biases.clone());
        for (weights, bias) in plain.chunks_exact_mut(self.design.width).zip(&mut biases) {
            *bias -= self.scaling.undo(weights);
        }
        Fitted { basis: self.basis, weights: plain, biases }
    }
}
