//! One fold of the cross-validation, for all settings of one embedder and augmentation at once.

use std::time::{Duration, Instant};

use rayon::prelude::*;

use super::machines;
use crate::{
    Result,
    classify::{
        Centroids, ClassifierKind, Neighbours, Samples, Softmax,
        fitting::{REST_TOLERANCE, SOFTMAX},
        softmax::{HeldOutScores, least},
        svm::{Kernel, Rest},
    },
};

/// What one setting said of the photos held out in one fold.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Answers {
    /// Whether each was named rightly.
    pub right: Vec<bool>,
    /// The sum of the negative logarithms of the right names' probabilities.
    pub log_loss: f64,
    /// Time of one core.
    pub time: Duration,
}

/// What is trained on, and what is held out: rows of unit length with their classes.
pub(super) struct Fold {
    pub train: Samples,
    pub asked: Vec<f32>,
    pub truth: Vec<usize>,
    /// Whether linear machines compare pairs; decided by all people, of whom a fold may have fewer.
    pub paired: bool,
}

impl Fold {
    /// What each of `kinds` answers. Probabilities are a softmax of the scores, with the scale that suits this fold best.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid), as fitting; never for parameters in range.
    pub fn answers(&self, kinds: &[&ClassifierKind], seed: u64) -> Result<Vec<Answers>> {
        let mut answers: Vec<Option<Answers>> = vec![None; kinds.len()];
        self.by_neighbours(kinds, &mut answers);
        self.by_pairs(kinds, &mut answers);
        for (kind, answers) in kinds.iter().zip(&mut answers) {
            let start = Instant::now();
            let scores: Vec<Vec<f32>> = match kind {
                ClassifierKind::Centroid => {
                    let centroids = Centroids::fit(&self.train, SOFTMAX);
                    self.rows().map(|x| centroids.similarities(x)).collect()
                }
                ClassifierKind::SvmLinear { c } if answers.is_none() => {
                    let rest = Rest::fit(&self.train, *c, seed, REST_TOLERANCE, SOFTMAX);
                    self.rows().map(|x| rest.decide(x)).collect()
                }
                _ => continue,
            };
            // Both use all cores.
            *answers = Some(self.score(scores, Duration::ZERO));
            if let Some(answers) = answers {
                answers.time = start.elapsed() * rayon::current_num_threads() as u32;
            }
        }
        Ok(answers.into_iter().flatten().collect())
    }

    fn rows(&self) -> impl IndexedParallelIterator<Item = &[f32]> {
        self.asked.par_chunks_exact(self.train.dim())
    }

    /// Neighbours are looked for once, as many as the setting with most asks for.
    fn by_neighbours(&self, kinds: &[&ClassifierKind], answers: &mut [Option<Answers>]) {
        let most =
            kinds.iter().filter_map(|kind| if let ClassifierKind::Knn { k } = kind { Some(*k) } else { None }).max();
        let Some(most) = most else { return };
        let start = Instant::now();
        let all = Neighbours::fit(&self.train, most, SOFTMAX);
        let nearest: Vec<Vec<(f32, u32)>> = self.rows().map(|x| all.nearest(x, None)).collect();
        let searched = start.elapsed() * rayon::current_num_threads() as u32;
        for (kind, answers) in kinds.iter().zip(answers) {
            let ClassifierKind::Knn { k } = kind else { continue };
            let start = Instant::now();
            let votes = |softmax: Softmax| -> Vec<Vec<f32>> {
                nearest.iter().map(|nearest| all.vote(&nearest[..nearest.len().min(*k)], softmax)).collect()
            };
            let loss = |votes: &[Vec<f32>]| -> f64 {
                votes.iter().zip(&self.truth).map(|(votes, &own)| loss_of(votes[own])).sum()
            };
            let log_scale = least(|log_scale| loss(&votes(Softmax { scale: log_scale.exp() })), -2.0, 5.0);
            let votes = votes(Softmax { scale: log_scale.exp() });
            let right = votes.iter().zip(&self.truth).map(|(votes, &own)| most_likely(votes) == Some(own)).collect();
            *answers = Some(Answers { right, log_loss: loss(&votes), time: searched + start.elapsed() });
        }
    }

    /// Machines of pairs are trained and asked all together.
    fn by_pairs(&self, kinds: &[&ClassifierKind], answers: &mut [Option<Answers>]) {
        let mut kernels: Vec<(Kernel, Vec<(f64, usize)>)> = Vec::new();
        for (number, kind) in kinds.iter().enumerate() {
            let (kernel, c) = match kind {
                ClassifierKind::SvmLinear { c } if self.paired => (Kernel::Linear, *c),
                ClassifierKind::SvmRbf { c, gamma: Some(gamma) } => (Kernel::Rbf { gamma: *gamma }, *c),
                _ => continue,
            };
            match kernels.iter_mut().find(|(known, _)| *known == kernel) {
                Some((_, penalties)) => penalties.push((c, number)),
                None => kernels.push((kernel, vec![(c, number)])),
            }
        }
        kernels.iter_mut().for_each(|(_, penalties)| penalties.sort_by(|a, b| a.0.total_cmp(&b.0)));
        let asked: Vec<(Kernel, Vec<f64>)> =
            kernels.iter().map(|(kernel, penalties)| (*kernel, penalties.iter().map(|(c, _)| *c).collect())).collect();
        let said = machines::ask(&self.train, &self.asked, &asked);
        let numbered = kernels.iter().flat_map(|(_, penalties)| penalties.iter().map(|(_, number)| *number));
        let scored: Vec<(usize, Answers)> = numbered
            .zip(said.into_iter().flatten())
            .collect::<Vec<_>>()
            .into_par_iter()
            .map(|(number, said)| (number, self.score(said.votes, said.time)))
            .collect();
        scored.into_iter().for_each(|(number, scored)| answers[number] = Some(scored));
    }

    fn score(&self, scores: Vec<Vec<f32>>, time: Duration) -> Answers {
        let start = Instant::now();
        let right = scores.iter().zip(&self.truth).map(|(scores, &own)| most_likely(scores) == Some(own)).collect();
        let held_out: Vec<HeldOutScores> =
            scores.iter().zip(&self.truth).map(|(scores, &own)| HeldOutScores::new(scores, own)).collect();
        let softmax = Softmax::fit(&held_out).unwrap_or(SOFTMAX);
        let log_loss = held_out.iter().map(|scores| scores.log_loss(softmax)).sum();
        Answers { right, log_loss, time: time + start.elapsed() }
    }
}

/// The class of the highest score; the first of equals.
fn most_likely(scores: &[f32]) -> Option<usize> {
    let mut best: Option<(usize, f32)> = None;
    for (class, &score) in scores.iter().enumerate() {
        if best.is_none_or(|(_, highest)| score > highest) {
            best = Some((class, score));
        }
    }
    best.map(|(class, _)| class)
}

/// The log loss of a photo whose person has this share of the votes; rounded, it may be a little more than one.
fn loss_of(vote: f32) -> f64 {
    -f64::from(vote.clamp(f32::MIN_POSITIVE, 1.0)).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_vote_makes_a_loss_below_nothing_or_without_end() {
        assert_eq!(loss_of(1.0 + f32::EPSILON), 0.0);
        assert!((loss_of(0.5) - 2f64.ln()).abs() < 1e-12);
        assert!(loss_of(0.0).is_finite());
    }
}
