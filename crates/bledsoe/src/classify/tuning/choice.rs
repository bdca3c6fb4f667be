//! Scores of settings, and which one is taken.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

/// Accuracies nearer than this are a tie, if chance explains them too.
const TIE: f64 = 0.001;

/// How a setting did on photos held out.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Score {
    /// Share of the photos that were named rightly, 0 to 1.
    pub accuracy: f64,
    /// Its standard error: photos of one person are not independent, so people are what is drawn.
    pub standard_error: f64,
    /// Mean negative logarithm of the right name's probability, at least 0.
    pub log_loss: f64,
}

impl Score {
    /// `Less` for the worse: by accuracy, and among equals by the loss.
    pub(super) fn rank(&self, other: &Self) -> Ordering {
        self.accuracy.total_cmp(&other.accuracy).then(other.log_loss.total_cmp(&self.log_loss))
    }
}

/// Which photos a setting named rightly, with the person of each; the same photos in the same order for all settings.
pub(super) struct Ballot<'a> {
    pub right: &'a [bool],
    pub people: &'a [usize],
}

impl Ballot<'_> {
    pub fn score(&self, log_loss: f64) -> Score {
        let n = self.right.len().max(1) as f64;
        let values: Vec<f64> = self.right.iter().map(|&right| f64::from(u8::from(right))).collect();
        let (accuracy, standard_error) = mean(&values, self.people);
        Score { accuracy, standard_error, log_loss: log_loss / n }
    }

    /// By how much another is better, and the standard error of that.
    fn behind(&self, other: &Self) -> (f64, f64) {
        let value = |right: bool| f64::from(u8::from(right));
        let differences: Vec<f64> =
            self.right.iter().zip(other.right).map(|(own, other)| value(*other) - value(*own)).collect();
        mean(&differences, self.people)
    }
}

/// The mean of values, and its standard error when people are drawn and each brings all values of theirs.
fn mean(values: &[f64], people: &[usize]) -> (f64, f64) {
    if values.is_empty() {
        return (0.0, 0.0);
    }
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let mut sums = vec![None; people.iter().max().map_or(0, |most| most + 1)];
    for (value, &person) in values.iter().zip(people) {
        *sums[person].get_or_insert(0.0) += value - mean;
    }
    let sums: Vec<f64> = sums.into_iter().flatten().collect();
    let drawn = sums.len() as f64;
    let few = if drawn > 1.0 { drawn / (drawn - 1.0) } else { 1.0 };
    (mean, (few * sums.iter().map(|sum| sum * sum).sum::<f64>()).sqrt() / n)
}

/// The setting to take, of `finalists` in the order in which ties are decided: the first that is behind the best by at most
/// a tenth of a point, and by at most one standard error of the difference. (The rule of one standard error, L. Breiman et
/// al., "Classification and regression trees", 1984, but of the difference, since all named the same photos, and bounded.)
pub(super) fn choose(finalists: &[(Ballot<'_>, Score)]) -> Option<usize> {
    let best = (0..finalists.len()).reduce(|a, b| if finalists[b].1.rank(&finalists[a].1).is_gt() { b } else { a })?;
    (0..finalists.len()).find(|&i| {
        let (behind, error) = finalists[i].0.behind(&finalists[best].0);
        i == best || behind <= error.min(TIE)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standard_error_counts_people_not_photos() {
        // A hundred people alone: the binomial's. The same photos, ten of each of ten people who are all right or wrong:
        // that of ten people.
        let alone: Vec<bool> = (0..100).map(|i| i % 5 > 0).collect();
        let score = Ballot { right: &alone, people: &(0..100).collect::<Vec<_>>() }.score(7.0);
        assert!((score.accuracy - 0.8).abs() < 1e-12 && (score.log_loss - 0.07).abs() < 1e-12);
        assert!((score.standard_error - (0.16f64 / 99.0).sqrt()).abs() < 1e-12, "{score:?}");
        let tens: Vec<usize> = (0..100).map(|i| i / 10).collect();
        let alike: Vec<bool> = tens.iter().map(|person| person % 5 > 0).collect();
        let score = Ballot { right: &alike, people: &tens }.score(0.0);
        assert!((score.standard_error - (0.16f64 / 9.0).sqrt()).abs() < 1e-12, "{score:?}");
    }

    /// Settings that name all of 2,000 photos rightly but those numbered.
    fn chosen(wrong: &[&[usize]]) -> Option<usize> {
        let people: Vec<usize> = (0..2000).map(|i| i / 10).collect();
        let rights: Vec<Vec<bool>> =
            wrong.iter().map(|wrong| (0..2000).map(|i| !wrong.contains(&i)).collect()).collect();
        let ballot = |right| Ballot { right, people: &people };
        let finalists: Vec<(Ballot, Score)> =
            rights.iter().map(|right| (ballot(right), ballot(right).score(right.len() as f64))).collect();
        choose(&finalists)
    }

    #[test]
    fn ties_go_to_the_first_and_what_is_better_wins() {
        assert_eq!(chosen(&[]), None);
        assert_eq!(chosen(&[&[1], &[1]]), Some(0), "equal");
        assert_eq!(chosen(&[&[1], &[]]), Some(0), "one photo of 2,000, by chance");
        assert_eq!(chosen(&[&[1, 20, 300], &[]]), Some(1), "more than a tenth of a point");
        assert_eq!(chosen(&[&[1, 20, 300, 400], &[1, 20], &[1]]), Some(1));
    }
}
