//! How alike faces of one person are.

/// The scores of faces against their own person, by the number of templates enrolled: quantiles at equal steps from 0
/// to 1.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::gallery) struct Mates {
    /// Counts of templates, ascending, each with its quantiles.
    by_templates: Vec<(usize, Vec<f32>)>,
    /// Scores of the user's own.
    shown: Vec<f32>,
}

/// So many scores of the user's own count as much as all that was known before.
const SHOWN_HALF: f64 = 100.0;

impl Mates {
    /// Of quantiles for each count of templates; `None` without any, or with fewer than two or unsorted quantiles.
    pub(in crate::gallery) fn new(mut by_templates: Vec<(usize, Vec<f32>)>) -> Option<Self> {
        by_templates.sort_by_key(|(templates, _)| *templates);
        let sound = |quantiles: &[f32]| {
            quantiles.len() >= 2 && quantiles.is_sorted() && quantiles.iter().all(|q| q.is_finite())
        };
        (!by_templates.is_empty() && by_templates.iter().all(|(_, quantiles)| sound(quantiles)))
            .then_some(Self { by_templates, shown: Vec::new() })
    }

    /// Of scores, whatever the number of templates; `None` for fewer than two.
    pub(in crate::gallery) fn of_scores(scores: &[f32]) -> Option<Self> {
        let mut scores = scores.to_vec();
        scores.sort_by(f32::total_cmp);
        Self::new(vec![(1, scores)])
    }

    /// The same, and scores of the user's own besides.
    pub(in crate::gallery) fn with(&self, shown: &[f32]) -> Self {
        Self { shown: shown.to_vec(), ..self.clone() }
    }

    /// Scores and weights that stand for the distribution with so many templates: of the nearest count known.
    pub(super) fn scores(&self, templates: usize) -> impl Iterator<Item = (f64, f64)> {
        let ratio = |count: usize| (count.max(1) as f64 / templates.max(1) as f64).ln().abs();
        let nearest = self.by_templates.iter().min_by(|a, b| ratio(a.0).total_cmp(&ratio(b.0)));
        let quantiles = nearest.map(|(_, quantiles)| quantiles.as_slice()).unwrap_or_default();
        let steps = quantiles.windows(2).map(|pair| (f64::midpoint(pair[0].into(), pair[1].into()), 1.0));
        let weight = quantiles.len().saturating_sub(1) as f64 / SHOWN_HALF;
        steps.chain(self.shown.iter().map(move |&score| (score.into(), weight)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_count_is_taken() {
        let mates = Mates::new(vec![(4, vec![0.7, 0.9]), (1, vec![0.5, 0.7, 0.9])]).unwrap();
        let middle =
            |templates| mates.scores(templates).map(|(s, _)| s).sum::<f64>() / mates.scores(templates).count() as f64;
        assert!((middle(1) - 0.7).abs() < 1e-6 && (middle(100) - 0.8).abs() < 1e-6);
        assert_eq!(mates.scores(1).count(), 2);
        assert_eq!(mates.scores(3).count(), 1);
        let shown = mates.with(&[0.1; 100]);
        assert!((shown.scores(1).filter(|s| s.0 < 0.2).map(|s| s.1).sum::<f64>() - 2.0).abs() < 1e-9);
    }

    #[test]
    fn nonsense_is_refused() {
        for quantiles in [vec![], vec![0.5], vec![0.6, 0.5], vec![0.5, f32::NAN]] {
            assert_eq!(Mates::new(vec![(1, quantiles)]), None);
        }
        assert_eq!(Mates::new(Vec::new()), None);
        assert_eq!(Mates::of_scores(&[0.3]), None);
    }
}
