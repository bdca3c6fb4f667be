//! Reliability: are probabilities what happens?
//!
//! Of the answers given with a probability near 0.8, eight of ten should be right. The expected calibration error is
//! the mean gap between probability and share of right answers, over bins of equal width, by how many answers are in
//! each (Naeini, Cooper and Hauskrecht, *Obtaining Well Calibrated Probabilities Using Bayesian Binning*, AAAI 2015).
//!
//! ```
//! use bledsoe::evaluate::reliability::{Answer, reliability};
//! let answers = [(0.9, true), (0.9, true), (0.1, false), (0.1, true)];
//! let answers = answers.map(|(probability, right)| Answer { probability, right, weight: 1.0 });
//! assert!((reliability(&answers, 10)?.expected_calibration_error - 0.25).abs() < 1e-9);
//! # Ok::<(), bledsoe::Error>(())
//! ```

use serde::Serialize;

use crate::{Error, Result};

/// An answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Answer {
    /// How sure it was, 0 to 1.
    pub probability: f64,
    /// Whether it was right.
    pub right: bool,
    /// How much it counts: above 0. Answers can so be made as frequent as they will be in use.
    pub weight: f64,
}

/// Answers of about one probability.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Bin {
    /// The least and the greatest probability that the bin is for.
    pub range: [f64; 2],
    /// Their mean probability.
    pub probability: f64,
    /// The share that was right.
    pub right: f64,
    /// The share of all answers that they are, by weight.
    pub share: f64,
    /// How many there are.
    pub answers: usize,
}

/// How far probabilities can be relied on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reliability {
    /// The bins that have answers, by probability.
    pub bins: Vec<Bin>,
    /// The mean gap between probability and share of right answers, 0 to 1.
    pub expected_calibration_error: f64,
}

/// Compares probabilities with what happened, in `bins` bins of equal width.
///
/// # Errors
/// [`Error::Invalid`] without answers or bins, and for a probability or weight out of range.
pub fn reliability(answers: &[Answer], bins: usize) -> Result<Reliability> {
    if answers.is_empty() || bins == 0 {
        return Err(Error::Invalid("reliability needs answers and bins".into()));
    }
    if let Some(wrong) =
        answers.iter().find(|a| !((0.0..=1.0).contains(&a.probability) && a.weight > 0.0 && a.weight.is_finite()))
    {
        return Err(Error::Invalid(format!("{wrong:?}: a probability from 0 to 1 and a positive weight are expected")));
    }
    let total: f64 = answers.iter().map(|answer| answer.weight).sum();
    let width = 1.0 / bins as f64;
    let bin = |i: usize| {
        let inside = |answer: &&Answer| ((answer.probability / width) as usize).min(bins - 1) == i;
        let (mut weight, mut probability, mut right, mut answers_inside) = (0.0, 0.0, 0.0, 0);
        for answer in answers.iter().filter(inside) {
            weight += answer.weight;
            probability += answer.weight * answer.probability;
            right += if answer.right { answer.weight } else { 0.0 };
            answers_inside += 1;
        }
        (answers_inside > 0).then(|| Bin {
            range: [i as f64 * width, (i + 1) as f64 * width],
            probability: probability / weight,
            right: right / weight,
            share: weight / total,
            answers: answers_inside,
        })
    };
    let bins: Vec<Bin> = (0..bins).filter_map(bin).collect();
    let expected_calibration_error = bins.iter().map(|bin| bin.share * (bin.probability - bin.right).abs()).sum();
    Ok(Reliability { bins, expected_calibration_error })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(probability: f64, right: bool, weight: f64) -> Answer {
        Answer { probability, right, weight }
    }

    #[test]
    fn what_happens_as_often_as_said_has_no_error() {
        let answers: Vec<Answer> = (0..10).map(|i| answer(0.7, i < 7, 2.0)).collect();
        let found = reliability(&answers, 10).unwrap();
        assert!(found.expected_calibration_error < 1e-9, "{found:?}");
        assert_eq!((found.bins.len(), found.bins[0].answers), (1, 10));
        assert!((found.bins[0].share - 1.0).abs() < 1e-12);
    }

    #[test]
    fn weights_count_and_the_ends_are_inside() {
        let found =
            reliability(&[answer(0.0, false, 1.0), answer(1.0, true, 3.0), answer(1.0, false, 1.0)], 5).unwrap();
        assert!((found.expected_calibration_error - 0.2).abs() < 1e-9, "{found:?}");
        assert_eq!(found.bins.len(), 2);
        assert!((found.bins[1].right - 0.75).abs() < 1e-12 && (found.bins[1].share - 0.8).abs() < 1e-12);
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(reliability(&[], 10).is_err());
        assert!(reliability(&[answer(0.5, true, 1.0)], 0).is_err());
        for wrong in [answer(1.1, true, 1.0), answer(f64::NAN, true, 1.0), answer(0.5, true, 0.0)] {
            assert!(reliability(&[wrong], 10).is_err());
        }
    }
}
