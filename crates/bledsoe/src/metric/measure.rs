//! How well people held out are told apart: by what training is stopped.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::Examples;
use crate::embed::dot;

/// So many pairs of different people must be beyond the threshold, or its rate says little.
const BEYOND: f64 = 100.0;
/// Rates that are tried, the lowest first.
const RATES: [f64; 2] = [1e-3, 1e-2];
/// Margin of the held-out loss.
const MARGIN: f32 = 0.2;
/// More pairs are not looked at: whole people are left out.
const MOST_PAIRS: usize = 8_000_000;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum Measure {
    /// The share of pairs of one person that is accepted where the share `far` of pairs of different people is.
    TarAtFar {
        /// The false accept rate.
        far: f64,
    },
    /// The mean of `max(0, d(anchor, positive) - d(anchor, negative) + 0.2)` over all triplets, where people are too few
    /// for a rate.
    TripletLoss,
}

/// A measurement.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// The rate or the loss.
    pub figure: f64,
    /// The least similarity accepted, where that is a part of the measure.
    pub threshold: Option<f32>,
}

impl Measure {
    /// The strictest that the people of `examples` are enough for.
    pub fn of(examples: &Examples) -> Self {
        let different = different_pairs(examples, people_looked_at(examples));
        let enough = RATES.into_iter().find(|rate| different as f64 * rate >= BEYOND);
        enough.map_or(Self::TripletLoss, |far| Self::TarAtFar { far })
    }

    /// Whether a figure is better than another.
    pub fn better(self, figure: f64, than: f64) -> bool {
        match self {
            Self::TarAtFar { .. } => figure > than,
            Self::TripletLoss => figure < than,
        }
    }

    /// Measures `vectors`, one for each row of `examples`.
    pub fn measure(self, examples: &Examples, vectors: &[Vec<f32>]) -> Measured {
        match self {
            Self::TarAtFar { far } => tar_at_far(examples, vectors, far),
            Self::TripletLoss => Measured { figure: triplet_loss(examples, vectors), threshold: None },
        }
    }

    /// Its name, for people.
    pub fn describe(self) -> String {
        match self {
            Self::TarAtFar { far } => format!("TAR at FAR {far:e}"),
            Self::TripletLoss => "triplet loss".into(),
        }
    }
}

/// The first so many people have no more pairs than are looked at.
fn people_looked_at(examples: &Examples) -> usize {
    let pairs = |people: usize| examples.rows(people - 1).end.pow(2) / 2;
    (1..=examples.people()).rev().find(|&people| pairs(people) <= MOST_PAIRS).unwrap_or(1)
}

fn different_pairs(examples: &Examples, people: usize) -> usize {
    let sizes: Vec<usize> = (0..people).map(|person| examples.rows(person).len()).collect();
    let total: usize = sizes.iter().sum();
    (total * total - sizes.iter().map(|n| n * n).sum::<usize>()) / 2
}

fn tar_at_far(examples: &Examples, vectors: &[Vec<f32>], far: f64) -> Measured {
    let people = people_looked_at(examples);
    let end = examples.rows(people - 1).end;
    let similarities = |of_one: bool| -> Vec<f32> {
        (0..end)
            .into_par_iter()
            .flat_map_iter(|row| {
                let own = examples.rows(examples.person(row)).end;
                let others = if of_one { row + 1..own } else { own..end };
                others.map(move |other| dot(&vectors[row], &vectors[other]))
            })
            .collect()
    };
    let (same, mut different) = (similarities(true), similarities(false));
    let accepted = ((different.len() as f64 * far) as usize).clamp(1, different.len().max(1));
    if different.is_empty() || same.is_empty() {
        return Measured { figure: 0.0, threshold: None };
    }
    let (_, &mut threshold, _) = different.select_nth_unstable_by(accepted - 1, |a, b| b.total_cmp(a));
    let figure = same.iter().filter(|&&s| s >= threshold).count() as f64 / same.len() as f64;
    Measured { figure, threshold: Some(threshold.clamp(-1.0, 1.0)) }
}

fn triplet_loss(examples: &Examples, vectors: &[Vec<f32>]) -> f64 {
    let of_anchor = |anchor: usize| {
        let own = examples.rows(examples.person(anchor));
        let distance = |other: usize| 2.0 - 2.0 * dot(&vectors[anchor], &vectors[other]);
        let negatives: Vec<f32> = (0..examples.len()).filter(|row| !own.contains(row)).map(distance).collect();
        let mut losses = (0.0, 0);
        for positive in own.filter(|&row| row != anchor).map(distance) {
            losses.0 += negatives.iter().map(|d| f64::from((positive - d + MARGIN).max(0.0))).sum::<f64>();
            losses.1 += negatives.len();
        }
        losses
    };
    // Summed in order, so that the sum does not depend on the number of threads.
    let losses: Vec<(f64, usize)> = (0..examples.len()).into_par_iter().map(of_anchor).collect();
    let count: usize = losses.iter().map(|loss| loss.1).sum();
    losses.iter().map(|loss| loss.0).sum::<f64>() / count.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// People of two faces each, at angles.
    fn at(angles: &[f32]) -> (Examples, Vec<Vec<f32>>) {
        let vectors: Vec<Vec<f32>> = angles.iter().map(|a| vec![a.cos(), a.sin()]).collect();
        let people = (0..angles.len()).map(|i| i / 2).collect();
        (Examples::new(2, vectors.concat(), people).unwrap(), vectors)
    }

    #[test]
    fn the_rate_is_that_of_the_pairs() {
        // Ten people, 180 pairs of different people. Each person's faces are 0.02 apart, but the last one's 3.
        let mut angles: Vec<f32> = (0..10).flat_map(|i| [0.3 * i as f32, 0.3 * i as f32 + 0.02]).collect();
        angles[19] = angles[18] - 3.0;
        let (examples, vectors) = at(&angles);
        let measured = Measure::TarAtFar { far: 1.0 / 180.0 }.measure(&examples, &vectors);
        assert!((measured.figure - 0.9).abs() < 1e-9, "{measured:?}");
        let closest = (0..20).flat_map(|a| (0..20).map(move |b| (a, b))).filter(|(a, b)| a / 2 != b / 2);
        let closest = closest.map(|(a, b)| dot(&vectors[a], &vectors[b])).fold(-1.0, f32::max);
        assert_eq!(measured.threshold, Some(closest));
    }

    #[test]
    fn the_loss_is_that_of_all_triplets() {
        let (examples, vectors) = at(&[0.0, 0.2, 0.5, 0.9]);
        let d = |a: usize, b: usize| f64::from(2.0 - 2.0 * dot(&vectors[a], &vectors[b]));
        let mut losses = Vec::new();
        for (anchor, positive) in [(0, 1), (1, 0), (2, 3), (3, 2)] {
            for negative in (0..4).filter(|n| n / 2 != anchor / 2) {
                losses.push((d(anchor, positive) - d(anchor, negative) + 0.2).max(0.0));
            }
        }
        let wanted = losses.iter().sum::<f64>() / 8.0;
        let measured = Measure::TripletLoss.measure(&examples, &vectors);
        assert!((measured.figure - wanted).abs() < 1e-6 && wanted > 0.0, "{measured:?} {wanted}");
    }

    #[test]
    fn few_people_are_measured_by_loss_and_many_by_a_low_rate() {
        let of = |people: usize| Measure::of(&at(&vec![0.0; 2 * people]).0);
        assert_eq!(of(20), Measure::TripletLoss);
        assert_eq!(of(100), Measure::TarAtFar { far: 1e-2 });
        assert_eq!(of(300), Measure::TarAtFar { far: 1e-3 });
        assert!(Measure::TripletLoss.better(0.1, 0.2) && Measure::TarAtFar { far: 0.1 }.better(0.2, 0.1));
    }
}
