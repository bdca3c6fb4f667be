//! From how alike a stranger is to the most alike of some people to how alike among any number.

use serde::Deserialize;

use super::tail::Strangers;

/// The similarities of strangers to the most alike of `among` people.
#[derive(Debug, Clone, Deserialize)]
pub(in crate::gallery) struct Tops {
    among: usize,
    /// The mean of all similarities, not only of the most alike.
    pub(in crate::gallery) mean: f64,
    /// At the middles of equal steps from 0 to 1.
    quantiles: Vec<f64>,
}

impl Tops {
    /// Similarities to the most alike of `people`: `count` of them, which stand for the distribution. Each person is
    /// reached or not independently of the others, so the share of strangers that is below a similarity is raised to
    /// the power of `people / among`. `None` for too few quantiles.
    pub(in crate::gallery) fn among(&self, people: usize, count: usize) -> Option<Vec<f64>> {
        let strangers = Strangers::fit(self.quantiles.iter().map(|&quantile| (quantile, 1.0)).collect())?;
        let power = self.among as f64 / people as f64;
        // 1 - (1 - rate)^power, without losing what is near 0.
        let rate_among = |rate: f64| -f64::exp_m1(power * f64::ln_1p(-rate));
        Some((0..count).map(|i| strangers.quantile(rate_among(1.0 - (i as f64 + 0.5) / count as f64))).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The most alike of `people` by similarities whose tail is exponential: each of scale 0.02.
    fn quantile(people: f64, share: f64) -> f64 {
        let one = -(share.ln() / people).exp_m1();
        0.4 - 0.02 * one.ln()
    }

    #[test]
    fn more_people_are_more_alike_as_extreme_value_theory_has_it() {
        let quantiles = (0..200).map(|i| quantile(1500.0, (f64::from(i) + 0.5) / 200.0)).collect();
        let tops = Tops { among: 1500, mean: 0.4, quantiles };
        for people in [200, 1500, 13_000, 200_000] {
            let found = tops.among(people, 1000).unwrap();
            assert!(found.is_sorted());
            for (i, share) in [(500, 0.5005), (900, 0.9005), (990, 0.9905)] {
                let expected = quantile(people as f64, share);
                assert!((found[i] - expected).abs() < 0.006, "{people}, {share}: {} and {expected}", found[i]);
            }
        }
    }
}
