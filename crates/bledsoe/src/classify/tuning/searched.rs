//! What a search tried and found, as it is kept in the classifier's file.

use serde::{Deserialize, Serialize};

use super::{Score, Setting};

/// More settings are in no file.
const MOST_TRIED: usize = 100_000;
/// More rungs are in no file.
const MOST_RUNGS: usize = 16;

/// What was tried and found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Searched {
    /// The settings that the classifier was fitted with: of those on the last rung the first, in the order in which ties
    /// are decided, that is behind the best by at most a tenth of a point and one standard error of the difference.
    pub chosen: Setting,
    /// Its score on the last rung that was finished.
    pub score: Score,
    /// Folds of the whole cross-validation.
    pub folds: usize,
    /// What decided the folds.
    pub seed: u64,
    /// Training faces.
    pub faces: usize,
    /// Of these, near-duplicates of another of the same person, which share its fold.
    pub copies: usize,
    /// The rungs that were finished.
    pub rungs: Vec<Rung>,
    /// All that was tried: those who came furthest first, among them the best.
    pub tried: Vec<Tried>,
    /// Whether it was stopped before the last rung.
    pub stopped: bool,
}

/// A rung of successive halving.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rung {
    /// Settings tried on it.
    pub settings: usize,
    /// People trained on and named.
    pub people: usize,
    /// Folds held out, each in turn.
    pub folds: usize,
    /// Photos held out in them.
    pub photos: usize,
}

/// A setting that was tried.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tried {
    /// What.
    pub setting: Setting,
    /// How it did on each rung that it reached.
    pub scores: Vec<Score>,
    /// Time of one core that all its trials took, in seconds; 0 when read from a file, whose bytes depend on the seed
    /// alone. Where settings share work, each is charged with what it does not share, neighbours with all of it.
    #[serde(skip)]
    pub seconds: f64,
}

impl Searched {
    /// Checks what the types do not.
    pub(crate) fn check(&self) -> Result<(), String> {
        let sound = |score: &Score| {
            (0.0..=1.0).contains(&score.accuracy) && score.standard_error >= 0.0 && score.log_loss >= 0.0
        };
        if self.tried.len() > MOST_TRIED || self.rungs.len() > MOST_RUNGS {
            return Err("search: too much".into());
        }
        if !sound(&self.score) || !self.tried.iter().all(|tried| tried.scores.iter().all(sound)) {
            return Err("search: a score out of range".into());
        }
        if self.tried.iter().any(|tried| tried.scores.len() > self.rungs.len()) {
            return Err("search: more scores than rungs".into());
        }
        let mut settings = self.tried.iter().map(|tried| &tried.setting).chain([&self.chosen]);
        settings.try_for_each(|setting| setting.classifier.check()).map_err(|e| format!("search: {e}"))
    }
}
