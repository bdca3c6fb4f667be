//! What is known of a classifier's answers before it is used.

use serde::{Deserialize, Serialize};

use super::{GuardRates, HeldOut, guard::quantile};

/// Share of the answers above the least probability that may be wrong.
const ERRORS: f64 = 0.01;

/// The threshold of a classifier, and how it did on photos held out in training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// The least probability that names a person, 0 to 1.
    pub min_probability: f32,
    /// Photos that the probabilities were fitted to; 0 where nobody had two: then they are a guess.
    pub photos: usize,
    /// Share of these for which the most probable person was right.
    pub accuracy: Option<f64>,
    /// Share of these that the guard against strangers rejects.
    pub own_rejected: Option<f64>,
    /// Share of known people's photos, taken for strangers, that the guard accepts as somebody else.
    pub strangers_accepted: f64,
}

impl Calibration {
    /// From the answers to photos held out, and the guard's rates.
    pub fn new(held_out: &[HeldOut], guard: GuardRates) -> Self {
        let right = held_out.iter().filter(|h| h.right).count();
        Self {
            min_probability: least_probability(held_out),
            photos: held_out.len(),
            accuracy: (!held_out.is_empty()).then(|| right as f64 / held_out.len() as f64),
            own_rejected: guard.own_rejected,
            strangers_accepted: guard.strangers_accepted,
        }
    }
}

/// The probability above which 99 % of the answers are right; where no error was seen below it, the one that 99 % of the
/// right answers reach, and at most one half. One half without any answers.
fn least_probability(held_out: &[HeldOut]) -> f32 {
    let mut answers: Vec<&HeldOut> = held_out.iter().collect();
    answers.sort_by(|a, b| b.probability.total_cmp(&a.probability));
    let (mut wrong, mut strict) = (0usize, None);
    for (i, answer) in answers.iter().enumerate() {
        wrong += usize::from(!answer.right);
        if wrong as f64 <= ERRORS * (i + 1) as f64 {
            strict = Some(answer.probability);
        }
    }
    let mut right: Vec<f64> = held_out.iter().filter(|h| h.right).map(|h| f64::from(h.probability)).collect();
    right.sort_by(f64::total_cmp);
    let usual = if right.is_empty() { 0.5 } else { quantile(&right, 0.01).min(0.5) as f32 };
    // Where even the surest answers are wrong too often, only certainty would do: the classifier is of no use as it is.
    let strict = if answers.is_empty() { usual } else { strict.unwrap_or(1.0) };
    strict.max(usual)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(right: &[(f32, bool)]) -> Vec<HeldOut> {
        right.iter().map(|&(probability, right)| HeldOut { right, probability }).collect()
    }

    #[test]
    fn the_threshold_keeps_wrong_answers_out() {
        let mut sure: Vec<(f32, bool)> = (0..100).map(|i| (0.8 + 0.001 * i as f32, true)).collect();
        sure.extend([(0.3, false), (0.35, false), (0.4, false)]);
        let least = least_probability(&answers(&sure));
        assert!((0.5..=0.81).contains(&least), "{least}");
        assert_eq!(least_probability(&[]), 0.5);
        assert_eq!(least_probability(&answers(&[(0.9, false), (0.8, false)])), 1.0);
        let easy = least_probability(&answers(&[(0.9, true); 20]));
        assert!((0.5..=0.9).contains(&easy), "{easy}");
    }
}
