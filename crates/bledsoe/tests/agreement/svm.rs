//! Agreement with scikit-learn, from golden/svm.json made by tools/reference/svm.py.

use bledsoe::classify::{
    Classifier, ClassifierKind, Model, Samples, Softmax, fit,
    svm::{Kernel, Pairs, Rest, Sigmoid},
};
use serde::Deserialize;

const CLASSES: usize = 40;
const TRAIN: usize = 12;
const TEST: usize = 25;
const DIM: usize = 32;
const NOISE: f64 = 1.125;

#[derive(Deserialize)]
struct Golden {
    first: Vec<f32>,
    accuracy: Accuracy,
    decisions: Decisions,
    gamma: f64,
    platt: Platt,
}

#[derive(Deserialize)]
struct Accuracy {
    linear: f64,
    linear_c10: f64,
    rbf: f64,
}

#[derive(Deserialize)]
struct Decisions {
    linear: Vec<f32>,
    linear_c10: Vec<f32>,
    rbf: Vec<f32>,
    one_vs_rest: Vec<f32>,
}

#[derive(Deserialize)]
struct Platt {
    log_loss: f64,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("golden/svm.json")).unwrap()
}

/// SplitMix64's output for the counter n.
fn splitmix(n: u64) -> u64 {
    let mut z = n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

pub(super) fn gauss(n: usize) -> f64 {
    let sum: f64 = (0..12).map(|j| (splitmix(12 * n as u64 + j) >> 40) as f64).sum();
    sum / f64::from(1 << 24) - 6.0
}

/// Row `i` of class `k`: the first `TRAIN` are to train on.
fn row(k: usize, i: usize) -> Vec<f32> {
    let noise = |d: usize| gauss(1_000_000 + (k * (TRAIN + TEST) + i) * DIM + d);
    let x: Vec<f64> = (0..DIM).map(|d| gauss(k * DIM + d) + NOISE * noise(d)).collect();
    let length = x.iter().fold(0.0, |sum, v| sum + v * v).sqrt();
    x.iter().map(|v| (v / length) as f32).collect()
}

fn training(classes: usize) -> Samples {
    let vectors: Vec<f32> = (0..classes).flat_map(|k| (0..TRAIN).flat_map(move |i| row(k, i))).collect();
    let photos = (0..(classes * TRAIN) as u32).collect();
    Samples::new(DIM, vectors, &vec![TRAIN; classes], photos).unwrap()
}

fn test_rows(classes: usize) -> Vec<(usize, Vec<f32>)> {
    (0..classes).flat_map(|k| (TRAIN..TRAIN + TEST).map(move |i| (k, row(k, i)))).collect()
}

const SIGMOID: Sigmoid = Sigmoid { slope: -3.0, shift: 0.0 };

/// Accuracy by the votes of the pairs, as scikit-learn counts them.
fn voted(pairs: &Pairs) -> f64 {
    let rows = test_rows(CLASSES);
    let right = rows.iter().filter(|(truth, x)| {
        let decisions = pairs.decide(x);
        let mut votes = [0; CLASSES];
        for i in 0..CLASSES {
            for j in i + 1..CLASSES {
                votes[if decisions[pairs.pair(i, j)] > 0.0 { i } else { j }] += 1;
            }
        }
        let most = votes.iter().max().unwrap();
        votes.iter().position(|v| v == most) == Some(*truth)
    });
    right.count() as f64 / rows.len() as f64
}

/// Accuracy and mean log loss by the probabilities.
fn by_probability(classifier: &dyn Classifier) -> (f64, f64) {
    let rows = test_rows(CLASSES);
    let all: Vec<f32> = rows.iter().flat_map(|(_, x)| x.clone()).collect();
    let probabilities = classifier.probabilities(&all).unwrap();
    let (mut right, mut loss) = (0, 0.0);
    for ((truth, _), p) in rows.iter().zip(probabilities.chunks_exact(CLASSES)) {
        assert!((p.iter().sum::<f32>() - 1.0).abs() < 1e-4 && p.iter().all(|p| (0.0..=1.0).contains(p)));
        let best = (0..CLASSES).max_by(|&a, &b| p[a].total_cmp(&p[b])).unwrap();
        right += usize::from(best == *truth);
        loss -= f64::from(p[*truth]).max(1e-15).ln();
    }
    (right as f64 / rows.len() as f64, loss / rows.len() as f64)
}

#[test]
fn the_set_is_that_of_the_reference() {
    assert_eq!(row(0, 0)[..4], golden().first);
}

#[test]
fn decision_values_agree_on_two_classes() {
    let golden = golden();
    for (kernel, c, expected) in [
        (Kernel::Linear, 1.0, &golden.decisions.linear),
        (Kernel::Linear, 10.0, &golden.decisions.linear_c10),
        (Kernel::Rbf { gamma: golden.gamma }, 10.0, &golden.decisions.rbf),
    ] {
        let pairs = Pairs::fit(&training(2), kernel, c, SIGMOID);
        for ((_, x), expected) in test_rows(2).iter().zip(expected) {
            let found = pairs.decide(x)[0];
            assert!((found - expected).abs() < 1e-2, "{kernel:?} C {c}: {found}, scikit-learn {expected}");
        }
    }
}

#[test]
fn one_against_the_rest_agrees_with_liblinear() {
    let rest = Rest::fit(&training(CLASSES), 1.0, 0, 1e-5, Softmax { scale: 1.0 });
    for ((_, x), expected) in test_rows(2).iter().zip(&golden().decisions.one_vs_rest) {
        let found = rest.decide(x)[0];
        assert!((found - expected).abs() < 1e-2, "{found}, scikit-learn {expected}");
    }
}

#[test]
fn accuracies_agree_within_0_3_points() {
    let golden = golden().accuracy;
    for (kind, kernel, expected) in [
        (ClassifierKind::SvmLinear { c: 1.0 }, Kernel::Linear, golden.linear),
        (ClassifierKind::SvmLinear { c: 10.0 }, Kernel::Linear, golden.linear_c10),
        (ClassifierKind::SvmRbf { c: 10.0, gamma: None }, Kernel::Rbf { gamma: 0.0 }, golden.rbf),
    ] {
        let fitted = fit(&kind, &training(CLASSES), 0).unwrap();
        let Model::Pairs(pairs) = &fitted.model else { panic!("{kind:?} compares pairs") };
        let votes = voted(pairs);
        assert!((votes - expected).abs() <= 0.003, "{kernel:?}: {votes}, scikit-learn {expected}");
        // The most probable class uses the margins, not only the votes: it may do better, not worse.
        let (accuracy, _) = by_probability(pairs);
        assert!(accuracy >= expected - 0.003, "{kernel:?}: {accuracy} by probability, scikit-learn {expected}");
    }
}

#[test]
fn probabilities_are_worth_those_of_platt_in_scikit_learn() {
    for kind in ["svm-linear", "svm-rbf", "knn", "centroid"] {
        let fitted = fit(&kind.parse().unwrap(), &training(CLASSES), 0).unwrap();
        let (accuracy, loss) = by_probability(fitted.model.classifier());
        assert!(accuracy > 0.75, "{kind}: accuracy {accuracy}");
        assert!(loss < 1.1 * golden().platt.log_loss, "{kind}: log loss {loss}");
        let known = fitted.held_out.iter().filter(|h| h.right).count() as f64 / fitted.held_out.len() as f64;
        assert!((known - accuracy).abs() < 0.06, "{kind}: {known} cross-validated, {accuracy} tested");
    }
}

#[test]
fn the_result_does_not_depend_on_the_number_of_threads() {
    let samples = training(CLASSES);
    let fit_on = |threads: usize, kind: &ClassifierKind| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| fit(kind, &samples, 3).unwrap())
    };
    for kind in ["svm-linear", "svm-rbf", "knn", "centroid"] {
        let kind = kind.parse().unwrap();
        assert_eq!(fit_on(1, &kind), fit_on(3, &kind), "{kind:?}");
    }
    let rest = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| Rest::fit(&samples, 1.0, 3, 0.01, Softmax { scale: 1.0 }))
    };
    assert_eq!(rest(1), rest(3));
}
