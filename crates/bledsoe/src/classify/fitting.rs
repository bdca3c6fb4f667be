//! Fitting a classifier, and its probabilities to held-out data.

use rayon::prelude::*;

use super::{
    Centroids, Classifier, ClassifierKind, Neighbours, Samples, Softmax, centroid,
    softmax::{HeldOutScores, least},
    svm::{Kernel, MAX_PAIRED, MAX_RBF, Pairs, Rest, Sigmoid},
};
use crate::{Error, Result};

/// Folds of the cross-validation.
const FOLDS: usize = 5;
/// Stopping tolerance of the one-against-the-rest machine; LIBLINEAR's is 0.1.
pub(super) const REST_TOLERANCE: f64 = 0.01;
/// Where nothing could be held out: the margin's edge counts as 95 %.
const SIGMOID: Sigmoid = Sigmoid { slope: -3.0, shift: 0.0 };
/// Where nothing could be held out: a lead of 0.1 in cosine similarity counts as e to 1.
pub(super) const SOFTMAX: Softmax = Softmax { scale: 10.0 };

/// A trained classifier.
#[derive(Debug, Clone, PartialEq)]
pub enum Model {
    /// A machine for every two people.
    Pairs(Pairs),
    /// A machine a person against the rest.
    Rest(Rest),
    /// The nearest neighbours.
    Neighbours(Neighbours),
    /// The nearest centroid.
    Centroids(Centroids),
}

impl Model {
    /// The classifier inside.
    pub fn classifier(&self) -> &dyn Classifier {
        match self {
            Self::Pairs(c) => c,
            Self::Rest(c) => c,
            Self::Neighbours(c) => c,
            Self::Centroids(c) => c,
        }
    }
}

/// What a classifier said of a photo that it had not learnt from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HeldOut {
    /// Whether the most probable class was right.
    pub right: bool,
    /// The probability of that class.
    pub probability: f32,
}

/// A classifier with what is known of its probabilities.
#[derive(Debug, Clone, PartialEq)]
pub struct Fitted {
    /// The classifier.
    pub model: Model,
    /// One for each photo of people with two or more. Empty where nobody has: then the probabilities are a guess.
    pub held_out: Vec<HeldOut>,
}

/// Fits a classifier to all samples, and its probabilities by five-fold cross-validation (leaving out one photo at a
/// time for neighbours and centroids) on one sample of each photo. Deterministic for a seed, on any number of cores.
///
/// # Errors
/// [`Error::Invalid`] for parameters out of range, or more people than the RBF machine can take.
pub fn fit(kind: &ClassifierKind, samples: &Samples, seed: u64) -> Result<Fitted> {
    kind.check()?;
    let single = samples.one_a_photo()?;
    match kind {
        ClassifierKind::SvmLinear { c } if samples.classes() <= MAX_PAIRED => {
            fit_pairs(samples, &single, Kernel::Linear, *c)
        }
        ClassifierKind::SvmLinear { c } => fit_rest(samples, &single, *c, seed),
        ClassifierKind::SvmRbf { .. } if samples.classes() > MAX_RBF => Err(Error::Invalid(format!(
            "svm-rbf compares all pairs of people, and {} are too many (at most {MAX_RBF}): use svm-linear",
            samples.classes()
        ))),
        ClassifierKind::SvmRbf { c, gamma } => {
            let gamma = gamma.unwrap_or_else(|| 1.0 / (samples.dim() as f64 * variance(samples.vectors())));
            fit_pairs(samples, &single, Kernel::Rbf { gamma }, *c)
        }
        ClassifierKind::Knn { k } => Ok(fit_neighbours(samples, &single, *k)),
        ClassifierKind::Centroid => Ok(fit_centroids(samples, &single)),
    }
}

/// The variance of all numbers, as `numpy.var`.
fn variance(values: &[f32]) -> f64 {
    let n = values.len() as f64;
    let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
    let variance = values.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / n;
    variance.max(1e-12)
}

/// Trains on each fold's complement and gives `decide`'s values of the rows held out, in order of fold and row.
fn cross_validate<M>(
    single: &Samples,
    train: impl Fn(&Samples) -> M,
    decide: impl Fn(&M, &[f32]) -> Vec<f32> + Sync,
) -> Result<Vec<(usize, Vec<f32>)>>
where
    M: Sync,
{
    let held = single.folds(FOLDS);
    let mut values = Vec::new();
    for fold in 0..FOLDS {
        let rows: Vec<usize> = (0..single.len()).filter(|&i| held[i] == Some(fold)).collect();
        if rows.is_empty() {
            continue;
        }
        let model = train(&single.subset(|i| held[i] != Some(fold))?);
        values.par_extend(rows.into_par_iter().map(|i| (single.class(i), decide(&model, single.row(i)))));
    }
    Ok(values)
}

fn fit_pairs(samples: &Samples, single: &Samples, kernel: Kernel, c: f64) -> Result<Fitted> {
    let train = |s: &Samples| Pairs::fit(s, kernel, c, SIGMOID);
    let values = cross_validate(single, train, Pairs::decide)?;
    let mut pairs = Pairs::fit(samples, kernel, c, SIGMOID);
    let pooled: Vec<(f32, bool)> = values.iter().flat_map(|(class, v)| pairs.against_others(v, *class)).collect();
    // Nothing was held out, or what was does not tell the people apart.
    let fitted = Sigmoid::fit(&pooled);
    pairs.sigmoid = fitted.unwrap_or(SIGMOID);
    let held_out = match fitted {
        Some(_) => values.par_iter().map(|(class, v)| held_out(*class, &pairs.couple(v))).collect(),
        None => Vec::new(),
    };
    Ok(Fitted { model: Model::Pairs(pairs), held_out })
}

fn fit_rest(samples: &Samples, single: &Samples, c: f64, seed: u64) -> Result<Fitted> {
    let train = |s: &Samples| Rest::fit(s, c, seed, REST_TOLERANCE, SOFTMAX);
    let values = cross_validate(single, train, Rest::decide)?;
    let softmax = fit_softmax(&values);
    let model = Model::Rest(Rest::fit(samples, c, seed, REST_TOLERANCE, softmax));
    let held_out = values.into_par_iter().map(|(class, v)| held_out(class, &softmax.of(v))).collect();
    Ok(Fitted { model, held_out })
}

fn fit_centroids(samples: &Samples, single: &Samples) -> Fitted {
    let whole = Centroids::fit(single, SOFTMAX);
    let own = centroid::left_out(single);
    let values: Vec<(usize, Vec<f32>)> = (0..single.len())
        .into_par_iter()
        .filter_map(|i| {
            let class = single.class(i);
            let mut similarities = whole.similarities(single.row(i));
            similarities[class] = own[i]?;
            Some((class, similarities))
        })
        .collect();
    let softmax = fit_softmax(&values);
    let held_out = values.into_iter().map(|(class, v)| held_out(class, &softmax.of(v))).collect();
    Fitted { model: Model::Centroids(Centroids::fit(samples, softmax)), held_out }
}

fn fit_softmax(values: &[(usize, Vec<f32>)]) -> Softmax {
    let scores: Vec<HeldOutScores> = values.par_iter().map(|(class, v)| HeldOutScores::new(v, *class)).collect();
    Softmax::fit(&scores).unwrap_or(SOFTMAX)
}

fn fit_neighbours(samples: &Samples, single: &Samples, k: usize) -> Fitted {
    let whole = Neighbours::fit(single, k, SOFTMAX);
    let folds = single.folds(FOLDS);
    let found: Vec<(usize, Vec<(f32, u32)>)> = (0..single.len())
        .into_par_iter()
        .filter(|&i| folds[i].is_some())
        .map(|i| (single.class(i), whole.nearest(single.row(i), Some(single.photo(i)))))
        .collect();
    let loss = |log_scale: f64| -> f64 {
        let softmax = Softmax { scale: log_scale.exp() };
        found.iter().map(|(class, nearest)| -f64::from(whole.vote(nearest, softmax)[*class]).ln()).sum()
    };
    let softmax = if found.is_empty() { SOFTMAX } else { Softmax { scale: least(loss, -2.0, 5.0).exp() } };
    let held_out = found.iter().map(|(class, nearest)| held_out(*class, &whole.vote(nearest, softmax))).collect();
    Fitted { model: Model::Neighbours(Neighbours::fit(samples, k, softmax)), held_out }
}

fn held_out(class: usize, probabilities: &[f32]) -> HeldOut {
    let mut best = (0, f32::NEG_INFINITY);
    for (k, &p) in probabilities.iter().enumerate() {
        if p > best.1 {
            best = (k, p);
        }
    }
    HeldOut { right: best.0 == class, probability: best.1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `classes` people at random, `photos` photos each.
    fn people(classes: usize, photos: usize, dim: usize) -> Samples {
        let mut rng = fastrand::Rng::with_seed(11);
        let mut vectors = Vec::new();
        for _ in 0..classes {
            let centre: Vec<f32> = (0..dim).map(|_| 2.0 * rng.f32() - 1.0).collect();
            for _ in 0..photos {
                let v: Vec<f32> = centre.iter().map(|c| c + 0.2 * (2.0 * rng.f32() - 1.0)).collect();
                let norm = v.iter().map(|x| x * x).sum::<f32>().sqrt();
                vectors.extend(v.iter().map(|x| x / norm));
            }
        }
        Samples::new(dim, vectors, &vec![photos; classes], (0..(classes * photos) as u32).collect()).unwrap()
    }

    #[test]
    fn many_people_are_told_apart_one_against_the_rest() {
        let samples = people(MAX_PAIRED + 20, 4, 32);
        let fitted = fit(&ClassifierKind::SvmLinear { c: 1.0 }, &samples, 0).unwrap();
        assert!(matches!(fitted.model, Model::Rest(_)));
        let right = fitted.held_out.iter().filter(|h| h.right).count();
        assert!(right as f64 > 0.97 * fitted.held_out.len() as f64, "{right} of {}", fitted.held_out.len());
        let p = fitted.model.classifier().probabilities(samples.row(0)).unwrap();
        assert!(p[0] > 0.5, "{}", p[0]);
    }

    #[test]
    fn people_of_one_photo_can_be_trained_on() {
        for kind in ["svm-linear", "svm-rbf", "knn", "centroid"] {
            let fitted = fit(&kind.parse().unwrap(), &people(4, 1, 8), 0).unwrap();
            assert!(fitted.held_out.is_empty(), "{kind}");
            let p = fitted.model.classifier().probabilities(people(4, 1, 8).row(2)).unwrap();
            assert!((0..4).all(|k| p[k] <= p[2]), "{kind}: {p:?}");
        }
    }

    #[test]
    fn what_cannot_be_fitted_is_refused() {
        let many = people(MAX_RBF + 1, 1, 2);
        assert!(fit(&ClassifierKind::SvmRbf { c: 1.0, gamma: None }, &many, 0).is_err());
        assert!(fit(&ClassifierKind::Knn { k: 0 }, &people(2, 2, 2), 0).is_err());
        let fitted = fit(&ClassifierKind::Centroid, &people(2, 2, 4), 0).unwrap();
        assert!(fitted.model.classifier().probabilities(&[0.0; 5]).is_err());
    }
}
