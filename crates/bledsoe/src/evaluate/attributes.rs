//! Labels and numbers said of faces, against the true ones. In: guesses, with whose face each is of. Out: figures with
//! intervals by resampling people.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Bootstrap, bootstrap::quantile};
use crate::{Error, Result};

/// What was said of a face.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Guess<T> {
    /// What is true.
    pub truth: T,
    /// What was said.
    pub said: T,
    /// Whose face it is, numbered from 0 without gaps.
    pub person: usize,
}

/// How often a class was recognised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassCount {
    /// Its faces.
    pub faces: usize,
    /// Of these, those called so.
    pub right: usize,
}

/// How well classes were told apart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassFigures {
    /// Faces.
    pub faces: usize,
    /// People (or photos, where nobody knows whose they are).
    pub people: usize,
    /// Share of the faces that were called rightly, 0 to 1.
    pub accuracy: f64,
    /// 95 % interval of the accuracy.
    pub interval: [f64; 2],
    /// The mean over classes of the share called rightly: what rare classes count for as much as common ones.
    pub balanced_accuracy: f64,
    /// The accuracy of always saying the commonest class.
    pub baseline: f64,
    /// Class by class.
    pub classes: BTreeMap<String, ClassCount>,
}

/// How near numbers came.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NumberFigures {
    /// Faces.
    pub faces: usize,
    /// People (or photos, where nobody knows whose they are).
    pub people: usize,
    /// Mean of the errors' sizes.
    pub mean_absolute_error: f64,
    /// 95 % interval of the mean absolute error.
    pub interval: [f64; 2],
    /// Median of the errors' sizes.
    pub median_absolute_error: f64,
    /// The mean absolute error of always saying the median.
    pub baseline: f64,
}

/// Scores classes, numbered as in `names`.
///
/// # Errors
/// [`Error::Invalid`] without a guess, or for a class beyond the last.
pub fn classes<S: AsRef<str>>(names: &[S], guesses: &[Guess<usize>], bootstrap: &Bootstrap) -> Result<ClassFigures> {
    if guesses.is_empty() || guesses.iter().any(|g| g.truth.max(g.said) >= names.len()) {
        return Err(Error::Invalid("no guesses to score, or of a class without a name".into()));
    }
    let mut counts = vec![ClassCount { faces: 0, right: 0 }; names.len()];
    for guess in guesses {
        counts[guess.truth].faces += 1;
        counts[guess.truth].right += usize::from(guess.truth == guess.said);
    }
    let n = guesses.len() as f64;
    let accuracy = counts.iter().map(|c| c.right).sum::<usize>() as f64 / n;
    let recalls: Vec<f64> = counts.iter().filter(|c| c.faces > 0).map(|c| c.right as f64 / c.faces as f64).collect();
    let right = |g: &Guess<usize>| f64::from(u8::from(g.truth == g.said));
    let (people, interval) = interval_of_mean(guesses, right, accuracy, bootstrap);
    Ok(ClassFigures {
        faces: guesses.len(),
        people,
        accuracy,
        interval,
        balanced_accuracy: recalls.iter().sum::<f64>() / recalls.len() as f64,
        baseline: counts.iter().map(|c| c.faces).max().unwrap_or(0) as f64 / n,
        classes: names.iter().map(|name| name.as_ref().to_owned()).zip(counts).collect(),
    })
}

/// Scores numbers.
///
/// # Errors
/// [`Error::Invalid`] without a guess, or for a number that is not finite.
pub fn numbers(guesses: &[Guess<f64>], bootstrap: &Bootstrap) -> Result<NumberFigures> {
    if guesses.is_empty() || guesses.iter().any(|g| !(g.truth - g.said).is_finite()) {
        return Err(Error::Invalid("no guesses to score, or one that is not finite".into()));
    }
    let error = |g: &Guess<f64>| (g.truth - g.said).abs();
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let median = |mut values: Vec<f64>| {
        values.sort_unstable_by(f64::total_cmp);
        quantile(&values, 0.5).unwrap_or_default()
    };
    let errors: Vec<f64> = guesses.iter().map(error).collect();
    let truths: Vec<f64> = guesses.iter().map(|g| g.truth).collect();
    let middle = median(truths.clone());
    // The bootstrap takes figures of 0 to 1.
    let worst = errors.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
    let (people, interval) = interval_of_mean(guesses, |g| error(g) / worst, mean(&errors) / worst, bootstrap);
    Ok(NumberFigures {
        faces: guesses.len(),
        people,
        mean_absolute_error: mean(&errors),
        interval: interval.map(|x| x * worst),
        median_absolute_error: median(errors),
        baseline: mean(&truths.iter().map(|t| (t - middle).abs()).collect::<Vec<_>>()),
    })
}

/// The number of people, and the interval of the mean of `value` over faces.
fn interval_of_mean<T: Sync>(
    guesses: &[Guess<T>],
    value: impl Fn(&Guess<T>) -> f64 + Sync,
    mean: f64,
    bootstrap: &Bootstrap,
) -> (usize, [f64; 2]) {
    let mut people: Vec<usize> = guesses.iter().map(|g| g.person).collect();
    people.sort_unstable();
    people.dedup();
    // Of each person the sum and the number of faces.
    let mut sums = vec![(0.0, 0.0); people.len()];
    for guess in guesses {
        if let Ok(place) = people.binary_search(&guess.person) {
            sums[place].0 += value(guess);
            sums[place].1 += 1.0;
        }
    }
    let interval = bootstrap.intervals(people.len(), &[mean], |drawn| {
        let (sum, faces) =
            sums.iter().zip(drawn).fold((0.0, 0.0), |(s, n), ((sum, faces), w)| (s + w * sum, n + w * faces));
        (faces > 0.0).then(|| vec![sum / faces])
    });
    (people.len(), interval.first().copied().unwrap_or([0.0, 1.0]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rare_classes_count_in_the_balanced_accuracy() {
        let guess = |truth, said, person| Guess { truth, said, person };
        let mut guesses: Vec<_> = (0..8).map(|i| guess(0, 0, i)).collect();
        guesses.extend([guess(1, 0, 8), guess(1, 1, 9)]);
        let figures = classes(&["no", "yes", "never"], &guesses, &Bootstrap::default()).unwrap();
        assert_eq!((figures.accuracy, figures.balanced_accuracy, figures.baseline), (0.9, 0.75, 0.8));
        assert_eq!(figures.classes["yes"], ClassCount { faces: 2, right: 1 });
        assert!(figures.interval[0] < 0.85 && figures.interval[1] >= 0.9, "{figures:?}");
        assert!(classes(&["no"], &guesses, &Bootstrap::default()).is_err());
    }

    #[test]
    fn a_person_of_many_faces_widens_the_interval() {
        // A hundred faces with errors 0 and 10: of a hundred people, or of four.
        let width = |people: usize| {
            let said = |i: usize| if (i % people).is_multiple_of(2) { 0.0 } else { 10.0 };
            let guesses: Vec<_> = (0..100).map(|i| Guess { truth: 0.0, said: said(i), person: i % people }).collect();
            let figures = numbers(&guesses, &Bootstrap::default()).unwrap();
            assert_eq!((figures.mean_absolute_error, figures.people, figures.baseline), (5.0, people, 0.0));
            figures.interval[1] - figures.interval[0]
        };
        // The standard error is 5 / sqrt(people).
        assert!((width(100) - 2.0 * 1.96 * 0.5).abs() < 0.3, "{}", width(100));
        assert!(width(4) > 3.0 * width(100));
    }
}
