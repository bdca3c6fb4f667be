//! Training a head: settings by cross-validation, figures by another one around it.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{
    About, Examples, Figures, Head, Kernel, Output, Ranges, Settings, Truth,
    fitting::{Prepared, fit},
};
use crate::{
    Error, Result,
    classify::{ClassifierFile, HeldOutScores, Softmax},
    evaluate::{
        Bootstrap,
        attributes::{Guess, classes, numbers},
    },
    folds::folds,
};

/// More photos are not trained on: whole people are left out at random.
pub const MOST_PHOTOS: usize = 20_000;
/// Photos that settings are chosen on, at most.
const SELECTED_ON: usize = 1500;
const OUTER_FOLDS: usize = 5;
const INNER_FOLDS: usize = 3;
/// What is tried. Embeddings are of unit length, so the scale of things is known.
const KERNELS: [Kernel; 3] = [Kernel::Linear, Kernel::Standardised, Kernel::Rbf { gamma: 1.0 }];
const PENALTIES: [f64; 5] = [0.01, 0.03, 0.1, 0.3, 1.0];
/// Where no probability was held out.
const SOFTMAX: Softmax = Softmax { scale: 1.0 };

/// How to train.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Training {
    /// Centres of the RBF kernel, at most; with 0 only the linear kernels are tried. More are more exact, and slower.
    pub centres: usize,
    /// Decides the folds and the centres.
    pub seed: u64,
}

impl Default for Training {
    fn default() -> Self {
        Self { centres: 256, seed: 0 }
    }
}

/// Trains a head for `target` on embeddings of `embedder`. Deterministic for a seed, on any number of cores.
///
/// # Errors
/// [`Error::Invalid`] when all embeddings are alike; [`Error::Model`] when the registry is malformed.
pub fn train(embedder: &str, target: &str, examples: &Examples, training: &Training) -> Result<Head> {
    let examples = &examples.at_most(MOST_PHOTOS, training.seed);
    let parts = folds(examples.groups(), |row| examples.key(row), OUTER_FOLDS, training.seed);
    // Of each row the outputs of a head that never saw its person.
    let mut held_out: Vec<Vec<f64>> = vec![Vec::new(); examples.len()];
    for part in 0..OUTER_FOLDS {
        let rows: Vec<usize> = (0..examples.len()).filter(|&row| parts[row] == part).collect();
        let rest = examples.subset(|row| parts[row] != part);
        if rows.is_empty() || rest.is_empty() {
            continue;
        }
        let fitted = fit(&rest, &choose(&rest, training)?, training.seed)?;
        let dim = examples.dim();
        let outputs: Vec<Vec<f64>> =
            rows.par_iter().map(|&row| fitted.outputs(&examples.vectors()[row * dim..][..dim])).collect();
        rows.into_iter().zip(outputs).for_each(|(row, outputs)| held_out[row] = outputs);
    }
    let (figures, output) = score(examples, &held_out)?;
    let settings = choose(examples, training)?;
    let about = About {
        bledsoe: env!("CARGO_PKG_VERSION").to_owned(),
        embedder: embedder.to_owned(),
        models: ClassifierFile::models_of(embedder)?,
        target: target.to_owned(),
        settings,
        training: serde_json::json!({ "photos": examples.len(), "training": training }),
        figures,
    };
    Ok(Head { about, fitted: fit(examples, &settings, training.seed)?, output })
}

/// The settings of least loss on rows held out: the mean negative log-likelihood of classes, the mean absolute error of
/// numbers.
fn choose(examples: &Examples, training: &Training) -> Result<Settings> {
    let few = examples.at_most(SELECTED_ON, training.seed);
    let parts = folds(few.groups(), |row| few.key(row), INNER_FOLDS, training.seed);
    let kernels: Vec<Kernel> =
        KERNELS.into_iter().filter(|kernel| training.centres > 0 || !matches!(kernel, Kernel::Rbf { .. })).collect();
    let tried: Vec<(Kernel, usize)> =
        kernels.iter().flat_map(|&kernel| (0..INNER_FOLDS).map(move |part| (kernel, part))).collect();
    let losses: Vec<[f64; PENALTIES.len()]> = tried
        .into_par_iter()
        .map(|(kernel, part)| {
            let (rest, held) = (few.subset(|row| parts[row] != part), few.subset(|row| parts[row] == part));
            let prepared = Prepared::new(&rest, kernel, training.centres, training.seed)?;
            let design = prepared.design_of(&held);
            let mut losses = [0.0; PENALTIES.len()];
            for (loss, penalty) in losses.iter_mut().zip(PENALTIES) {
                *loss = total_loss(held.truth(), &prepared.weights(rest.truth(), penalty)?.apply(&design));
            }
            Ok(losses)
        })
        .collect::<Result<_>>()?;
    let mut best: Option<(f64, Settings)> = None;
    for (kernel, losses) in kernels.into_iter().zip(losses.chunks_exact(INNER_FOLDS)) {
        for (i, penalty) in PENALTIES.into_iter().enumerate() {
            let loss: f64 = losses.iter().map(|part| part[i]).sum();
            if best.as_ref().is_none_or(|(least, _)| loss < *least) {
                best = Some((loss, Settings { kernel, penalty, centres: training.centres.max(1) }));
            }
        }
    }
    best.map(|(_, settings)| settings).ok_or_else(|| Error::Invalid("no settings to choose from".into()))
}

fn total_loss(truth: &Truth, outputs: &[f64]) -> f64 {
    match truth {
        Truth::Numbers(numbers) => numbers.iter().zip(outputs).map(|(truth, said)| (truth - said).abs()).sum(),
        Truth::Classes { names, of } => {
            let loss = |(scores, &own): (&[f64], &usize)| {
                let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                scores.iter().map(|s| (s - most).exp()).sum::<f64>().ln() + most - scores[own]
            };
            outputs.chunks_exact(names.len()).zip(of).map(loss).sum()
        }
    }
}

/// Figures of what was held out, and what makes outputs into answers.
fn score(examples: &Examples, held_out: &[Vec<f64>]) -> Result<(Figures, Output)> {
    let (bootstrap, groups) = (Bootstrap::default(), examples.groups());
    match examples.truth() {
        Truth::Classes { names, of } => {
            let scores: Vec<Vec<f32>> =
                held_out.iter().map(|outputs| outputs.iter().map(|&x| x as f32).collect()).collect();
            let pairs: Vec<HeldOutScores> = scores
                .iter()
                .zip(of)
                .filter(|(scores, _)| !scores.is_empty())
                .map(|(scores, &own)| HeldOutScores::new(scores, own))
                .collect();
            let softmax = Softmax::fit(&pairs).unwrap_or(SOFTMAX);
            let said = |scores: &[f32]| (0..scores.len()).max_by(|&a, &b| scores[a].total_cmp(&scores[b]));
            let guesses: Vec<Guess<usize>> = scores
                .iter()
                .zip(of)
                .zip(groups)
                .filter_map(|((scores, &truth), &person)| Some(Guess { truth, said: said(scores)?, person }))
                .collect();
            let figures = Figures::Classify(classes(names, &guesses, &bootstrap)?);
            Ok((figures, Output::Classify { names: names.clone(), softmax }))
        }
        Truth::Numbers(truths) => {
            let limits = truths.iter().fold([f64::INFINITY, f64::NEG_INFINITY], |[a, b], &x| [a.min(x), b.max(x)]);
            let within = |x: f64| x.max(limits[0]).min(limits[1]);
            let said: Vec<Option<f64>> = held_out.iter().map(|outputs| outputs.first().copied().map(within)).collect();
            let pairs: Vec<(f64, f64)> =
                said.iter().zip(truths).filter_map(|(said, &truth)| Some(((*said)?, truth))).collect();
            let ranges =
                Ranges::fit(&pairs, limits).ok_or_else(|| Error::Invalid("no photo could be held out".into()))?;
            let guesses: Vec<Guess<f64>> = said
                .iter()
                .zip(truths)
                .zip(groups)
                .filter_map(|((said, &truth), &person)| Some(Guess { truth, said: (*said)?, person }))
                .collect();
            Ok((Figures::Regress(numbers(&guesses, &bootstrap)?), Output::Regress { ranges }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// People with `photos` nearly alike each, and a label that `label` gives.
    fn examples(people: usize, photos: usize, label: impl Fn(&[f32], usize) -> usize) -> Examples {
        const DIM: usize = 8;
        let mut random = fastrand::Rng::with_seed(7);
        let (mut vectors, mut of, mut groups) = (Vec::new(), Vec::new(), Vec::new());
        for person in 0..people {
            let centre: Vec<f32> = (0..DIM).map(|_| random.f32() - 0.5).collect();
            for _ in 0..photos {
                let v: Vec<f32> = centre.iter().map(|x| x + 0.02 * (random.f32() - 0.5)).collect();
                let norm = v.iter().map(|x| x * x).sum::<f32>().sqrt();
                vectors.extend(v.iter().map(|x| x / norm));
                of.push(label(&centre, person));
                groups.push(person);
            }
        }
        let truth = Truth::Classes { names: vec!["no".into(), "yes".into()], of };
        Examples::new(DIM, vectors, truth, groups).unwrap()
    }

    fn accuracy(examples: &Examples) -> f64 {
        match train("example", "label", examples, &Training::default()).unwrap().about.figures {
            Figures::Classify(figures) => figures.accuracy,
            Figures::Regress(_) => panic!(),
        }
    }

    #[test]
    fn what_faces_tell_is_learnt() {
        assert!(accuracy(&examples(80, 2, |centre, _| usize::from(centre[0] > centre[1]))) > 0.85);
    }

    #[test]
    fn knowing_a_person_is_not_taken_for_knowing_the_label() {
        // Labels that say nothing of the face, and six photos of each person: with a person on both sides all would be
        // right.
        let accuracy = accuracy(&examples(60, 6, |_, person| person * 7 % 5 % 2));
        assert!((0.3..0.7).contains(&accuracy), "{accuracy}");
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes() {
        let examples = examples(30, 2, |centre, _| usize::from(centre[0] > 0.0));
        let bytes = || train("example", "label", &examples, &Training::default()).unwrap().to_bytes().unwrap();
        let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap().install(bytes);
        assert!(one == bytes());
    }
}
