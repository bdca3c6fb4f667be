//! Pairwise coupling: from the probabilities of pairs of classes to those of all classes.
//!
//! T.-F. Wu, C.-J. Lin, R. C. Weng, "Probability estimates for multi-class classification by pairwise coupling",
//! JMLR 5 (2004), the second method.

/// The probabilities of `k` classes, where `pair(i, j)` for `i < j` is the probability of `i` given that it is one of
/// the two, strictly between 0 and 1.
pub fn couple(k: usize, pair: impl Fn(usize, usize) -> f64) -> Vec<f64> {
    let mut q = vec![0.0; k * k];
    for i in 0..k {
        for j in i + 1..k {
            let (r_ij, r_ji) = (pair(i, j), 1.0 - pair(i, j));
            q[i * k + i] += r_ji * r_ji;
            q[j * k + j] += r_ij * r_ij;
            q[i * k + j] = -r_ji * r_ij;
            q[j * k + i] = -r_ji * r_ij;
        }
    }
    let mut p = vec![1.0 / k as f64; k];
    let mut qp = vec![0.0; k];
    let enough = 0.005 / k as f64;
    for _ in 0..k.max(100) {
        // Computed afresh in each round, so that rounding does not build up.
        let mut pqp = 0.0;
        for t in 0..k {
            qp[t] = q[t * k..][..k].iter().zip(&p).map(|(q, p)| q * p).sum();
            pqp += p[t] * qp[t];
        }
        if qp.iter().all(|v| (v - pqp).abs() < enough) {
            break;
        }
        for t in 0..k {
            let step = (pqp - qp[t]) / q[t * k + t];
            p[t] += step;
            pqp = (pqp + step * (step * q[t * k + t] + 2.0 * qp[t])) / (1.0 + step) / (1.0 + step);
            let share = 1.0 / (1.0 + step);
            for j in 0..k {
                qp[j] = (qp[j] + step * q[t * k + j]) * share;
                p[j] *= share;
            }
        }
    }
    p
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consistent_pairs_give_back_the_probabilities() {
        let truth = [0.5, 0.2, 0.2, 0.1];
        let p = couple(4, |i, j| truth[i] / (truth[i] + truth[j]));
        for (p, t) in p.iter().zip(truth) {
            assert!((p - t).abs() < 0.005, "{p} {t}");
        }
    }

    proptest::proptest! {
        #[test]
        fn the_result_is_a_distribution(r in proptest::collection::vec(1e-7f64..1.0 - 1e-7, 36)) {
            let p = couple(9, |i, j| r[i * (17 - i) / 2 + j - i - 1]);
            proptest::prop_assert!((p.iter().sum::<f64>() - 1.0).abs() < 1e-6);
            proptest::prop_assert!(p.iter().all(|p| (-1e-9..=1.0 + 1e-9).contains(p)));
        }
    }
}
