//! Agreement with scikit-learn, from golden/attribute.json made by tools/reference/attribute.py.

use bledsoe::attribute::{Examples, Kernel, Settings, Truth, fit};
use serde::Deserialize;

use super::svm::gauss;

const TRAIN: usize = 90;
const TEST: usize = 30;
const DIM: usize = 16;

#[derive(Deserialize)]
struct Golden {
    first: Vec<f32>,
    ridge: Kernels<f64>,
    softmax: Kernels<[f64; 3]>,
}

#[derive(Deserialize)]
struct Kernels<T> {
    linear: Vec<T>,
    standardised: Vec<T>,
    rbf: Vec<T>,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("golden/attribute.json")).unwrap()
}

/// Embeddings, and the number of each.
fn data() -> (Vec<f32>, Vec<f64>) {
    let rows = TRAIN + TEST;
    let (mut vectors, mut numbers) = (Vec::new(), Vec::new());
    for row in 0..rows {
        let x: Vec<f64> = (0..DIM).map(|d| gauss(row * DIM + d)).collect();
        let norm = x.iter().map(|v| v * v).sum::<f64>().sqrt();
        let x: Vec<f32> = x.into_iter().map(|v| (v / norm) as f32).collect();
        let at = |d: usize| f64::from(x[d]);
        numbers.push(40.0 + 20.0 * at(0) + 30.0 * at(1) * at(2) + gauss(1_000_000 + row));
        vectors.extend(x);
    }
    (vectors, numbers)
}

/// The outputs for the test rows of a head fitted to the training rows.
fn outputs(truth: Truth, kernel: Kernel) -> Vec<Vec<f64>> {
    let (vectors, _) = data();
    let (train, test) = vectors.split_at(TRAIN * DIM);
    let examples = Examples::new(DIM, train.to_vec(), truth, (0..TRAIN).collect()).unwrap();
    let fitted = fit(&examples, &Settings { kernel, penalty: 0.1, centres: TRAIN }, 0).unwrap();
    test.chunks_exact(DIM).map(|x| fitted.outputs(x)).collect()
}

const RBF: Kernel = Kernel::Rbf { gamma: 1.0 };

#[test]
fn the_set_is_the_same() {
    assert_eq!(data().0[..4], golden().first);
}

#[test]
fn ridge_regression_agrees() {
    let golden = golden().ridge;
    for (kernel, expected) in
        [(Kernel::Linear, golden.linear), (Kernel::Standardised, golden.standardised), (RBF, golden.rbf)]
    {
        let truth = Truth::Numbers(data().1[..TRAIN].to_vec());
        let found = outputs(truth, kernel);
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(&expected) {
            assert!((found[0] - expected).abs() < 1e-3, "{kernel:?}: {} instead of {expected}", found[0]);
        }
    }
}

#[test]
fn softmax_regression_agrees() {
    let golden = golden().softmax;
    for (kernel, expected) in
        [(Kernel::Linear, golden.linear), (Kernel::Standardised, golden.standardised), (RBF, golden.rbf)]
    {
        let class = |x: &f64| usize::from(*x > 36.0) + usize::from(*x > 44.0);
        let names = ["low", "middle", "high"].map(str::to_owned).to_vec();
        let truth = Truth::Classes { names, of: data().1[..TRAIN].iter().map(class).collect() };
        let found = outputs(truth, kernel);
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(&expected) {
            for k in 0..3 {
                let difference = found[k] - found[0] - expected[k];
                assert!(difference.abs() < 0.01, "{kernel:?}: {found:?} instead of {expected:?}");
            }
        }
    }
}
