//! 95 % intervals by resampling people, or whatever else was drawn independently.
//!
//! Two scores that share a person are not independent; drawing pairs anew would call them so and give intervals that are
//! too narrow. So people are drawn, with replacement, and bring their scores: a person drawn `w` times weighs `w` (the
//! subsets bootstrap: R. M. Bolle, N. K. Ratha, S. Pankanti, CVIU 93, 2004), a pair of two people weighs the product of
//! their weights (the pigeonhole bootstrap: A. B. Owen, Annals of Applied Statistics 1, 2007).
//!
//! Products overstate how much pairs of two people vary each for itself: threefold in variance, which is much where each
//! person is in few pairs, as in LFW. How much that is shows when these pairs are drawn independently of each other;
//! twice that variance is taken off, and the interval drawn in about its figure accordingly. What is left is the variance
//! that holds for scores of pairs (P. M. Aronow, C. Samii, V. A. Assenova: Cluster-robust variance estimation for dyadic
//! data, Political Analysis 23, 2015).
//!
//! Two limits of every percentile bootstrap: where no error was seen the interval has no width, which proves nothing; and
//! rates that rest on the few highest scores (a FAR of one pair in all) have intervals that are too narrow.

use rayon::prelude::*;
use serde::Serialize;

/// How intervals are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Bootstrap {
    /// How often people are drawn anew; 0 gives intervals as narrow as the figure.
    pub replicates: usize,
    /// The same seed draws the same people.
    pub seed: u64,
}

impl Default for Bootstrap {
    fn default() -> Self {
        Self { replicates: 1000, seed: 0 }
    }
}

impl Bootstrap {
    /// The 95 % percentile intervals of `figures`, which must lie in 0..=1, over replicates in which `units` people (or
    /// photos) are drawn with replacement from as many.
    ///
    /// `replicate` gets how often each unit was drawn (whole numbers that add up to `units`) and gives the same figures,
    /// or `None` where the draw allows none; such draws are passed over. An interval always holds its figure; it is
    /// `[0, 1]` where no draw allowed any. The result depends on the seed, not on the number of threads.
    pub(super) fn intervals<F>(&self, units: usize, figures: &[f64], replicate: F) -> Vec<[f64; 2]>
    where
        F: Fn(&[f64]) -> Option<Vec<f64>> + Sync,
    {
        let draws = Draws::make(&self.seeds(), |seed| replicate(&draw(units, seed)));
        figures.iter().enumerate().map(|(i, &figure)| draws.interval(i, figure)).collect()
    }

    /// As [`Bootstrap::intervals`], for figures of pairs of people: `members` are the people of each pair, below `people`;
    /// `replicate` gets how much each pair weighs.
    pub(super) fn pair_intervals<F>(
        &self,
        people: usize,
        members: &[[usize; 2]],
        figures: &[f64],
        replicate: F,
    ) -> Vec<[f64; 2]>
    where
        F: Fn(&[f64]) -> Option<Vec<f64>> + Sync,
    {
        let seeds = self.seeds_of(2 * self.replicates);
        let (first, second) = seeds.split_at(self.replicates);
        let by_people = Draws::make(first, |seed| {
            let drawn = draw(people, seed);
            let weigh = |&[a, b]: &[usize; 2]| if a == b { drawn[a] } else { drawn[a] * drawn[b] };
            replicate(&members.iter().map(weigh).collect::<Vec<f64>>())
        });
        let crossed: Vec<usize> = (0..members.len()).filter(|&i| members[i][0] != members[i][1]).collect();
        let by_pairs = Draws::make(second, |seed| {
            let mut weights = vec![1.0; members.len()];
            for (&pair, drawn) in crossed.iter().zip(draw(crossed.len(), seed)) {
                weights[pair] = drawn;
            }
            replicate(&weights)
        });
        let interval = |(i, &figure): (usize, &f64)| {
            let [low, high] = by_people.interval(i, figure);
            let (all, own) = (by_people.variance(i), by_pairs.variance(i));
            // Products never overstate more than threefold; chance in the draws may say so.
            let kept = if all > 0.0 { (1.0 - 2.0 * own / all).max(1.0 / 3.0).sqrt() } else { 1.0 };
            [figure - kept * (figure - low), figure + kept * (high - figure)]
        };
        figures.iter().enumerate().map(interval).collect()
    }

    /// One for each replicate.
    pub(super) fn seeds(&self) -> Vec<u64> {
        self.seeds_of(self.replicates)
    }

    fn seeds_of(&self, count: usize) -> Vec<u64> {
        let mut random = fastrand::Rng::with_seed(self.seed);
        (0..count).map(|_| random.u64(..)).collect()
    }
}

/// Figures of all replicates.
struct Draws {
    wanted: usize,
    /// Of those that allowed any.
    figures: Vec<Vec<f64>>,
}

impl Draws {
    fn make(seeds: &[u64], replicate: impl Fn(u64) -> Option<Vec<f64>> + Sync) -> Self {
        let figures = seeds.par_iter().filter_map(|&seed| replicate(seed)).collect();
        Self { wanted: seeds.len(), figures }
    }

    fn values(&self, i: usize) -> Vec<f64> {
        self.figures.iter().filter_map(|figures| figures.get(i).copied()).collect()
    }

    fn interval(&self, i: usize, figure: f64) -> [f64; 2] {
        if self.wanted == 0 {
            return [figure; 2];
        }
        let mut values = self.values(i);
        values.sort_unstable_by(f64::total_cmp);
        match (quantile(&values, 0.025), quantile(&values, 0.975)) {
            (Some(low), Some(high)) => [low.min(figure), high.max(figure)],
            _ => [0.0, 1.0],
        }
    }

    /// 0 without values.
    fn variance(&self, i: usize) -> f64 {
        let values = self.values(i);
        let n = values.len().max(1) as f64;
        let mean = values.iter().sum::<f64>() / n;
        values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n
    }
}

/// How often each of `units` is drawn in as many draws.
pub(super) fn draw(units: usize, seed: u64) -> Vec<f64> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut weights = vec![0.0; units];
    for _ in 0..units {
        weights[random.usize(..units)] += 1.0;
    }
    weights
}

/// The quantile of ascending values, linear between neighbours (number 7 of Hyndman and Fan, numpy's default).
pub(super) fn quantile(values: &[f64], share: f64) -> Option<f64> {
    let place = share * values.len().checked_sub(1)? as f64;
    let (below, above) = (values[place.floor() as usize], values[place.ceil() as usize]);
    Some(below + (above - below) * place.fract())
}

/// People as numbers from 0 without gaps.
pub(super) struct People(Vec<u32>);

impl People {
    pub(super) fn new(numbers: impl IntoIterator<Item = u32>) -> Self {
        let mut numbers: Vec<u32> = numbers.into_iter().collect();
        numbers.sort_unstable();
        numbers.dedup();
        Self(numbers)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Where the person stands; `person` must be one of those given.
    pub(super) fn index(&self, person: u32) -> usize {
        self.0.partition_point(|&p| p < person)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_numpys() {
        // numpy.quantile([1, 2, 4, 8], [0, 0.025, 0.5, 0.975, 1])
        for (share, expected) in [(0.0, 1.0), (0.025, 1.075), (0.5, 3.0), (0.975, 7.7), (1.0, 8.0)] {
            let found = quantile(&[1.0, 2.0, 4.0, 8.0], share).unwrap();
            assert!((found - expected).abs() < 1e-12, "{share}: {found}");
        }
        assert_eq!(quantile(&[], 0.5), None);
    }

    /// The interval of a mean of independent values is that of the normal distribution.
    #[test]
    fn the_interval_of_a_share_is_as_wide_as_theory_says() {
        let (n, right) = (400, 300);
        let share = |w: &[f64]| Some(vec![w[..right].iter().sum::<f64>() / n as f64]);
        let found = Bootstrap { replicates: 4000, seed: 7 }.intervals(n, &[0.75], share)[0];
        let half = 1.96 * (0.75 * 0.25 / n as f64).sqrt();
        assert!((found[0] - (0.75 - half)).abs() < 0.004 && (found[1] - (0.75 + half)).abs() < 0.004, "{found:?}");
    }

    #[test]
    fn draws_are_by_seed_and_not_by_threads() {
        let mean = |w: &[f64]| Some(vec![w.iter().enumerate().map(|(i, w)| i as f64 * w).sum::<f64>() / 2500.0]);
        let on = |threads, seed| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| Bootstrap { replicates: 50, seed }.intervals(50, &[0.49], mean))
        };
        assert_eq!(on(1, 3), on(3, 3));
        assert_ne!(on(1, 3), on(1, 4));
    }

    /// A mean over pairs, in sparse and in dense designs, with scores that are people's alone, pairs' alone, or both.
    #[test]
    fn intervals_of_pairs_are_as_wide_as_those_of_dyadic_data() {
        const PEOPLE: usize = 60;
        let mut random = fastrand::Rng::with_seed(2);
        for (turns, person, own) in [(1, 0.0, 1.0), (1, 1.0, 0.0), (3, 0.5, 0.5), (25, 1.0, 0.0), (25, 0.1, 0.9)] {
            let effects: Vec<f64> = (0..PEOPLE).map(|_| random.f64()).collect();
            let pairs: Vec<[usize; 2]> =
                (0..PEOPLE).flat_map(|a| (1..=turns).map(move |t| [a, (a + t) % PEOPLE])).collect();
            let scores: Vec<f64> =
                pairs.iter().map(|&[a, b]| person * (effects[a] + effects[b]) / 2.0 + own * random.f64()).collect();
            let mean = scores.iter().sum::<f64>() / scores.len() as f64;
            let figure = |w: &[f64]| {
                let total = w.iter().sum::<f64>();
                (total > 0.0).then(|| vec![w.iter().zip(&scores).map(|(w, s)| w * s).sum::<f64>() / total])
            };
            let [low, high] =
                Bootstrap { replicates: 2000, seed: 3 }.pair_intervals(PEOPLE, &pairs, &[mean], figure)[0];
            // Products of residuals of all pairs that share a person.
            let shared = |p: &[usize; 2], q: &[usize; 2]| p.iter().any(|person| q.contains(person));
            let mut variance = 0.0;
            for (p, x) in pairs.iter().zip(&scores) {
                let sharing = pairs.iter().zip(&scores).filter(|(q, _)| shared(p, q));
                variance += sharing.map(|(_, y)| (x - mean) * (y - mean)).sum::<f64>();
            }
            let expected = 2.0 * 1.96 * variance.sqrt() / scores.len() as f64;
            let ratio = (high - low) / expected;
            assert!((0.85..1.15).contains(&ratio), "{turns} {person} {own}: {ratio}");
        }
    }

    #[test]
    fn draws_that_allow_no_figure_are_passed_over() {
        let bootstrap = Bootstrap { replicates: 100, seed: 0 };
        assert_eq!(bootstrap.intervals(3, &[0.5], |_| None), [[0.0, 1.0]]);
        let some = |w: &[f64]| (w[0] > 0.0).then(|| vec![0.25]);
        assert_eq!(bootstrap.intervals(3, &[0.25], some), [[0.25, 0.25]]);
        assert_eq!(Bootstrap { replicates: 0, seed: 0 }.intervals(3, &[0.5], |_| None), [[0.5, 0.5]]);
    }
}
