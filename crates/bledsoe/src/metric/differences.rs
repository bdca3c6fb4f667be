//! For tests: derivatives by small steps.

use candle_core::{Device, Tensor, Var};

const STEP: f64 = 1e-6;

/// By finite differences, how `loss` changes with some numbers of `variable`, each `every` from the last: their places
/// and slopes. The variable is afterwards as it was.
pub(super) fn slopes(variable: &Var, every: usize, loss: impl Fn() -> f64) -> Vec<(usize, f64)> {
    let old: Vec<f64> = variable.flatten_all().unwrap().to_vec1().unwrap();
    let at = |i: usize, step: f64| {
        let mut moved = old.clone();
        moved[i] += step;
        variable.set(&Tensor::from_vec(moved, variable.shape(), &Device::Cpu).unwrap()).unwrap();
        loss()
    };
    let slope = |i: usize| {
        let slope = (at(i, STEP) - at(i, -STEP)) / (2.0 * STEP);
        at(i, 0.0);
        (i, slope)
    };
    (0..old.len()).step_by(every).map(slope).collect()
}
