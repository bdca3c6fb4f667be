//! Successive halving: all settings are tried a little, the best of them more, and the best of those in full.
//!
//! K. Jamieson, A. Talwalkar, "Non-stochastic best arm identification and hyperparameter optimization", AISTATS 2016;
//! one bracket of L. Li et al., "Hyperband", JMLR 18 (2018), with a fifth going on from each rung.

use super::Score;
use crate::Result;

/// One of so many settings goes on to the next rung.
const GOES_ON: usize = 5;
/// The last rung has at least so many, where there are.
const FINALISTS: usize = 3;

/// How many of `n` settings each of `rungs` rungs tries.
pub(super) fn sizes(n: usize, rungs: usize) -> Vec<usize> {
    let share = |rung: usize| n.div_ceil(GOES_ON.pow(rung as u32)).max(FINALISTS.min(n));
    (0..rungs).map(share).collect()
}

/// Runs settings 0 to `sizes[0]` on the first rung, and the best on each further one. `run` scores the settings that it is
/// given on a rung, in their order, or says `None` to stop. The result has the settings with their scores of each rung
/// that was finished.
///
/// # Errors
/// What `run` fails with.
pub(super) fn race(
    sizes: &[usize],
    mut run: impl FnMut(usize, &[usize]) -> Result<Option<Vec<Score>>>,
) -> Result<Vec<Vec<(usize, Score)>>> {
    let mut on: Vec<usize> = (0..sizes.first().copied().unwrap_or(0)).collect();
    let mut finished: Vec<Vec<(usize, Score)>> = Vec::new();
    for (rung, &size) in sizes.iter().enumerate() {
        if let Some(last) = finished.last() {
            on = best(last, size);
        }
        let Some(scores) = run(rung, &on)? else { break };
        finished.push(on.iter().copied().zip(scores).collect());
    }
    Ok(finished)
}

/// The `size` best settings, in the order of their numbers; the first of equals.
fn best(scores: &[(usize, Score)], size: usize) -> Vec<usize> {
    let mut order: Vec<&(usize, Score)> = scores.iter().collect();
    order.sort_by(|a, b| b.1.rank(&a.1).then(a.0.cmp(&b.0)));
    let mut best: Vec<usize> = order.into_iter().take(size).map(|(setting, _)| *setting).collect();
    best.sort_unstable();
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(accuracy: f64, log_loss: f64) -> Score {
        Score { accuracy, standard_error: 0.0, log_loss }
    }

    #[test]
    fn a_planted_best_is_found() {
        // Setting 71 is the best by 3 points; the first rung sees it through noise of 2, the next of 1, the last without.
        for seed in 0..200 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut tried = 0;
            let finished = race(&sizes(123, 3), |rung, on| {
                tried += on.len() * [1, 2, 10][rung];
                let noise = [0.02, 0.01, 0.0][rung];
                let mut of = |setting: usize| {
                    let truth = if setting == 71 { 0.95 } else { 0.9 + 0.02 * (setting % 10) as f64 / 9.0 };
                    score(truth + noise * (random.f64() - 0.5), 1.0)
                };
                Ok(Some(on.iter().map(|&setting| of(setting)).collect()))
            })
            .unwrap();
            assert_eq!(finished.iter().map(Vec::len).collect::<Vec<_>>(), [123, 25, 5]);
            assert_eq!(best(&finished[2], 1), [71]);
            assert!(tried * 4 < 123 * 10, "{tried} of {}", 123 * 10);
        }
    }

    #[test]
    fn equals_are_told_apart_by_their_loss_then_by_their_order() {
        let scores = [(0, score(0.9, 0.3)), (1, score(0.9, 0.2)), (2, score(0.9, 0.2)), (3, score(0.8, 0.1))];
        assert_eq!(best(&scores, 1), [1]);
        assert_eq!(best(&scores, 3), [0, 1, 2]);
    }

    #[test]
    fn few_settings_all_go_on_and_a_stopped_race_keeps_what_it_had() {
        assert_eq!(sizes(3, 3), [3, 3, 3]);
        assert_eq!(sizes(1, 3), [1, 1, 1]);
        assert_eq!(sizes(30, 3), [30, 6, 3]);
        let stopped = race(&sizes(30, 3), |rung, on| Ok((rung < 2).then(|| vec![score(0.5, 1.0); on.len()]))).unwrap();
        assert_eq!(stopped.len(), 2);
        assert_eq!(stopped[1].iter().map(|(setting, _)| *setting).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5]);
    }
}
