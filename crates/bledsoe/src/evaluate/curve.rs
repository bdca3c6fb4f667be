//! The trade between hits and false alarms as a threshold falls: what ROC and DET curves are made of. A score at or above
//! the threshold is accepted. Positives are what should be accepted, negatives what should not.

/// Most points of a curve.
const POINTS: usize = 200;

/// Scores of both kinds from the highest down; those without a score are never accepted.
pub(super) struct Curve {
    scored: Vec<Entry>,
    /// Numbers of all positives and of all negatives, those without a score too.
    positives: Vec<u32>,
    negatives: Vec<u32>,
}

/// One score.
struct Entry {
    score: f64,
    /// Which of the items given: where its weight stands.
    item: u32,
    positive: bool,
    /// Whether the next score is lower: a threshold can stand only there.
    last: bool,
}

/// A threshold and what it accepts.
pub(super) struct Operating {
    /// The least score accepted.
    pub(super) threshold: f64,
    /// Share of negatives accepted.
    pub(super) false_alarms: f64,
}

impl Curve {
    /// Of items in the order of their weights: finite score, and whether it should be accepted.
    pub(super) fn new(items: impl IntoIterator<Item = (Option<f64>, bool)>) -> Self {
        let mut curve = Self { scored: Vec::new(), positives: Vec::new(), negatives: Vec::new() };
        for (item, (score, positive)) in (0..).zip(items) {
            if positive {
                curve.positives.push(item)
            } else {
                curve.negatives.push(item)
            }
            if let Some(score) = score {
                curve.scored.push(Entry { score, item, positive, last: true });
            }
        }
        curve.scored.sort_by(|a, b| b.score.total_cmp(&a.score));
        for i in 1..curve.scored.len() {
            curve.scored[i - 1].last = curve.scored[i - 1].score > curve.scored[i].score;
        }
        curve
    }

    /// Weights of all positives and of all negatives; `None` where one kind is missing.
    fn totals(&self, weights: &[f64]) -> Option<(f64, f64)> {
        let sum = |items: &[u32]| items.iter().map(|&item| weights[item as usize]).sum::<f64>();
        let totals = (sum(&self.positives), sum(&self.negatives));
        (totals.0 > 0.0 && totals.1 > 0.0).then_some(totals)
    }

    /// The share of positives accepted at the lowest threshold that accepts at most each share of negatives. `limits`
    /// ascend. Weights are whole numbers, so that sums are exact.
    pub(super) fn hits(&self, weights: &[f64], limits: &[f64]) -> Option<Vec<f64>> {
        let (positives, negatives) = self.totals(weights)?;
        let mut hits = Vec::with_capacity(limits.len());
        let (mut accepted, mut hit, mut alarms) = (0.0, 0.0, 0.0);
        for entry in &self.scored {
            if entry.positive {
                hit += weights[entry.item as usize]
            } else {
                alarms += weights[entry.item as usize]
            }
            if entry.last {
                while hits.len() < limits.len() && alarms / negatives > limits[hits.len()] {
                    hits.push(accepted / positives);
                }
                accepted = hit;
            }
        }
        hits.resize(limits.len(), accepted / positives);
        Some(hits)
    }

    /// The least score given that at most a share `limit` of negatives reaches; where each is reached by more, the next
    /// number above the highest. `None` without any score.
    pub(super) fn operating(&self, limit: f64) -> Option<Operating> {
        let negatives = self.negatives.len() as f64;
        let mut found = Operating { threshold: self.scored.first()?.score.next_up(), false_alarms: 0.0 };
        let mut alarms = 0.0;
        for entry in &self.scored {
            alarms += f64::from(u8::from(!entry.positive));
            if alarms / negatives > limit {
                break;
            }
            if entry.last {
                found = Operating { threshold: entry.score, false_alarms: alarms / negatives };
            }
        }
        Some(found)
    }

    /// Shares of negatives to draw the curve at: none, and from one to all, evenly spread by their logarithm.
    pub(super) fn limits(&self) -> Vec<f64> {
        let n = self.negatives.len() as f64;
        let step = n.ln() / (POINTS - 2) as f64;
        let mut counts: Vec<f64> = (0..POINTS - 1).map(|i| (step * i as f64).exp().round().min(n)).collect();
        counts.insert(0, 0.0);
        counts.dedup();
        counts.into_iter().map(|count| count / n).collect()
    }

    /// Area under the ROC curve, ties as half (Mann and Whitney 1947), and equal error rate: the share of negatives
    /// accepted where it equals that of positives refused, linear between neighbouring points of the ROC curve. Those
    /// without a score are ties below all others.
    pub(super) fn area_and_equal_error(&self, weights: &[f64]) -> Option<(f64, f64)> {
        let (positives, negatives) = self.totals(weights)?;
        let (mut area, mut equal) = (0.0, None);
        let (mut hit, mut alarms) = (0.0, 0.0);
        let mut advance = |hits: f64, more: f64| {
            area += more * (hit + hits / 2.0);
            let (far, excess) = (alarms / negatives, hit / positives + alarms / negatives - 1.0);
            hit += hits;
            alarms += more;
            let next = hit / positives + alarms / negatives - 1.0;
            if next >= 0.0 && equal.is_none() {
                let share = if next > excess { -excess / (next - excess) } else { 1.0 };
                equal = Some(far + share * (alarms / negatives - far));
            }
        };
        let (mut hits, mut more) = (0.0, 0.0);
        let (mut all_hits, mut all_more) = (0.0, 0.0);
        for entry in &self.scored {
            if entry.positive {
                hits += weights[entry.item as usize]
            } else {
                more += weights[entry.item as usize]
            }
            if entry.last {
                advance(hits, more);
                all_hits += hits;
                all_more += more;
                (hits, more) = (0.0, 0.0);
            }
        }
        advance(positives - all_hits, negatives - all_more);
        // Rounding may leave the last point a little below 1 + 1 - 1 = 1 > 0, never below 0.
        Some((area / (positives * negatives), equal.unwrap_or(1.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMITS: [f64; 7] = [0.0, 1e-3, 0.01, 0.1, 0.3, 0.7, 1.0];

    /// Scores with ties and gaps, and how often each was drawn.
    fn items() -> impl Strategy<Value = Vec<(Option<f64>, bool, u8)>> {
        let score = prop::option::weighted(0.9, (-9..9_i32).prop_map(|s| f64::from(s) / 8.0));
        prop::collection::vec((score, any::<bool>(), 0..4_u8), 2..60)
    }

    fn curve(items: &[(Option<f64>, bool, u8)]) -> Curve {
        Curve::new(items.iter().map(|&(score, positive, _)| (score, positive)))
    }

    fn ones(n: usize) -> Vec<f64> {
        vec![1.0; n]
    }

    #[test]
    fn limits_are_few_and_reach_from_none_to_all() {
        for n in [1_usize, 2, 50, 3000, 100_000] {
            let limits = Curve::new((0..n).map(|_| (None, false))).limits();
            assert!(limits.len() <= POINTS && limits.is_sorted(), "{n}: {}", limits.len());
            assert_eq!(limits[..2], [0.0, 1.0 / n as f64]);
            assert_eq!(limits[limits.len() - 1], 1.0);
            assert!(limits.len() > POINTS / 2 || n < 100);
        }
    }

    #[test]
    fn where_no_score_will_do_the_threshold_is_above_all() {
        let curve = Curve::new([(Some(0.5), false), (Some(0.5), true), (Some(0.2), true)]);
        let operating = curve.operating(0.5).unwrap();
        assert_eq!((operating.threshold, operating.false_alarms), (0.5_f64.next_up(), 0.0));
        assert_eq!(curve.operating(1.0).unwrap().threshold, 0.2);
        assert!(Curve::new([(None, true)]).operating(0.5).is_none());
    }

    proptest! {
        /// What the bootstrap relies on.
        #[test]
        fn a_weight_of_n_is_n_copies(items in items()) {
            let weights: Vec<f64> = items.iter().map(|i| f64::from(i.2)).collect();
            let copies: Vec<_> = items.iter().flat_map(|&i| (0..i.2).map(move |_| i)).collect();
            let (weighted, copied) = (curve(&items), curve(&copies));
            let one = ones(copies.len());
            prop_assert_eq!(weighted.hits(&weights, &LIMITS), copied.hits(&one, &LIMITS));
            prop_assert_eq!(weighted.area_and_equal_error(&weights), copied.area_and_equal_error(&one));
        }

        #[test]
        fn only_the_order_of_scores_counts(items in items()) {
            let bent: Vec<_> = items.iter().map(|&(s, p, w)| (s.map(|s| (3.0 * s).exp() - 7.0), p, w)).collect();
            let one = ones(items.len());
            prop_assert_eq!(curve(&items).hits(&one, &LIMITS), curve(&bent).hits(&one, &LIMITS));
            prop_assert_eq!(curve(&items).area_and_equal_error(&one), curve(&bent).area_and_equal_error(&one));
        }

        #[test]
        fn hits_grow_with_the_limit_and_are_those_of_the_threshold(items in items()) {
            let curve = curve(&items);
            let Some(hits) = curve.hits(&ones(items.len()), &LIMITS) else { return Ok(()) };
            prop_assert!(hits.is_sorted());
            for (limit, hits) in LIMITS.iter().zip(hits) {
                let Some(operating) = curve.operating(*limit) else { return Ok(()) };
                let share = |positive: bool| {
                    let of: Vec<_> = items.iter().filter(|i| i.1 == positive).collect();
                    of.iter().filter(|i| i.0.is_some_and(|s| s >= operating.threshold)).count() as f64 / of.len() as f64
                };
                prop_assert_eq!(share(true), hits);
                prop_assert_eq!(share(false), operating.false_alarms);
                prop_assert!(operating.false_alarms <= *limit);
            }
        }

        /// Scores turned over, and so the kinds: nothing else changes.
        #[test]
        fn area_and_equal_error_are_symmetric(items in items()) {
            let found: Vec<_> = items.into_iter().filter(|i| i.0.is_some()).collect();
            let turned: Vec<_> = found.iter().map(|&(s, p, w)| (s.map(|s| -s), !p, w)).collect();
            let figures = |items: &[_]| curve(items).area_and_equal_error(&ones(items.len()));
            match (figures(&found), figures(&turned)) {
                (Some(a), Some(b)) => {
                    prop_assert!((a.0 - b.0).abs() < 1e-12 && (a.1 - b.1).abs() < 1e-12, "{:?} {:?}", a, b);
                }
                (a, b) => prop_assert_eq!(a, b),
            }
        }
    }
}
