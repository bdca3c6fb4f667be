//! A classifier's answers against the truth: accuracy by person, and who is taken for whom.

use std::collections::BTreeMap;

use serde::Serialize;

/// Pairs of people listed as confused.
const CONFUSIONS: usize = 20;

/// A face whose person is known, and the most probable class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// The true class.
    pub truth: usize,
    /// The class answered.
    pub predicted: usize,
}

/// How one person's faces were answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct ClassScore {
    /// Faces named rightly.
    pub correct: usize,
    /// Faces.
    pub total: usize,
    /// `correct / total`, where there are any.
    pub accuracy: Option<f64>,
    /// Photos in which no face was found.
    pub without_face: usize,
}

/// One person taken for another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Confusion {
    /// Who it was.
    pub truth: String,
    /// Who was answered.
    pub predicted: String,
    /// How often.
    pub count: usize,
}

/// The result of closed-set identification: every face is of a known person and is given the most probable one.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Identification {
    /// `correct / total`: over faces found. 0 without faces.
    pub accuracy: f64,
    /// 95 % interval of the accuracy, by Wilson's score: as if photos were drawn independently.
    pub interval: [f64; 2],
    /// `correct / (total + without_face)`: a photo without a face found counts as an error.
    pub accuracy_with_failures: f64,
    /// Faces named rightly.
    pub correct: usize,
    /// Faces.
    pub total: usize,
    /// Photos in which no face was found.
    pub without_face: usize,
    /// By person; people without a photo in the test are absent.
    pub per_class: BTreeMap<String, ClassScore>,
    /// The most frequent confusions, at most 20.
    pub confusions: Vec<Confusion>,
}

/// Scores closed-set identification. `without_face` holds the true class of each photo in which no face was found.
/// Outcomes beyond the last class are passed over.
pub fn identification<S: AsRef<str>>(classes: &[S], outcomes: &[Outcome], without_face: &[usize]) -> Identification {
    let name = |class: usize| classes.get(class).map(|c| c.as_ref().to_owned());
    let mut per_class: BTreeMap<String, ClassScore> = BTreeMap::new();
    let mut confused: BTreeMap<(String, String), usize> = BTreeMap::new();
    let (mut correct, mut total) = (0, 0);
    for outcome in outcomes {
        let (Some(truth), Some(predicted)) = (name(outcome.truth), name(outcome.predicted)) else { continue };
        let right = outcome.truth == outcome.predicted;
        let score = per_class.entry(truth.clone()).or_default();
        score.total += 1;
        score.correct += usize::from(right);
        total += 1;
        correct += usize::from(right);
        if !right {
            *confused.entry((truth, predicted)).or_default() += 1;
        }
    }
    let mut failures = 0;
    for name in without_face.iter().filter_map(|&class| name(class)) {
        per_class.entry(name).or_default().without_face += 1;
        failures += 1;
    }
    for score in per_class.values_mut() {
        score.accuracy = (score.total > 0).then(|| score.correct as f64 / score.total as f64);
    }
    let mut confusions: Vec<Confusion> =
        confused.into_iter().map(|((truth, predicted), count)| Confusion { truth, predicted, count }).collect();
    confusions
        .sort_by(|a, b| b.count.cmp(&a.count).then_with(|| (&a.truth, &a.predicted).cmp(&(&b.truth, &b.predicted))));
    confusions.truncate(CONFUSIONS);
    let share = |n: usize| if n == 0 { 0.0 } else { correct as f64 / n as f64 };
    Identification {
        accuracy: share(total),
        interval: wilson(correct, total),
        accuracy_with_failures: share(total + failures),
        correct,
        total,
        without_face: failures,
        per_class,
        confusions,
    }
}

/// The 95 % interval of a share of `total` trials: E. B. Wilson, JASA 22 (1927). [0, 1] without trials.
pub fn wilson(correct: usize, total: usize) -> [f64; 2] {
    if total == 0 {
        return [0.0, 1.0];
    }
    // The normal distribution's 97.5 % quantile.
    const Z: f64 = 1.959_963_984_540_054;
    let (n, p) = (total as f64, correct as f64 / total as f64);
    let middle = (p + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
    let half = Z / (1.0 + Z * Z / n) * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
    [(middle - half).max(0.0), (middle + half).min(1.0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_by_person_and_pair() {
        let outcome = |truth, predicted| Outcome { truth, predicted };
        let outcomes = [outcome(0, 0), outcome(0, 0), outcome(1, 2), outcome(1, 2), outcome(2, 0), outcome(2, 2)];
        let score = identification(&["a", "b", "c", "d"], &outcomes, &[1, 3]);
        assert_eq!((score.correct, score.total, score.without_face), (3, 6, 2));
        assert_eq!((score.accuracy, score.accuracy_with_failures), (0.5, 0.375));
        assert_eq!(score.per_class["c"], ClassScore { correct: 1, total: 2, accuracy: Some(0.5), without_face: 0 });
        assert_eq!(score.per_class["d"], ClassScore { correct: 0, total: 0, accuracy: None, without_face: 1 });
        assert_eq!(score.confusions[0], Confusion { truth: "b".into(), predicted: "c".into(), count: 2 });
        assert_eq!(score.confusions.len(), 2);
    }

    #[test]
    fn wilson_agrees_with_published_values() {
        // statsmodels' proportion_confint(8, 10, method="wilson").
        let [low, high] = wilson(8, 10);
        assert!((low - 0.490_162).abs() < 1e-5 && (high - 0.943_318).abs() < 1e-5, "{low} {high}");
        assert_eq!(wilson(0, 0), [0.0, 1.0]);
        assert!(wilson(10, 10)[0] > 0.7 && wilson(10, 10)[1] > 0.999);
    }

    #[test]
    fn nothing_to_score_is_no_success() {
        assert_eq!(identification::<&str>(&[], &[], &[]).accuracy, 0.0);
    }
}
