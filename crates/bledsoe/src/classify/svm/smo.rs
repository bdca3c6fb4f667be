//! The two-class support vector machine: sequential minimal optimisation with second-order working sets.
//!
//! Solves `min 1/2 a'Qa - e'a` with `0 <= a <= C`, `y'a = 0`, `Q_st = y_s y_t K(x_s, x_t)`, as LIBSVM does.
//! R.-E. Fan, P.-H. Chen, C.-J. Lin, "Working set selection using second order information for training support vector
//! machines", JMLR 6 (2005). Only the rows of K that are asked for are computed: well-separated people need few.

use std::{
    collections::{HashMap, VecDeque},
    ops::Deref,
    rc::Rc,
};

use super::Kernel;
use crate::embed::dot;

/// Kernel rows kept for one problem, in numbers (32 MB).
const CACHE: usize = 8 << 20;
/// Least curvature along a step, for copies of one sample.
const TAU: f64 = 1e-12;

/// Two classes: the rows of the positive, then those of the negative.
pub struct Problem<'a> {
    /// Length of a row.
    pub dim: usize,
    /// Rows with label +1.
    pub positive: &'a [f32],
    /// Rows with label -1.
    pub negative: &'a [f32],
    /// The kernel.
    pub kernel: Kernel,
    /// Upper bound of a coefficient.
    pub c: f64,
    /// The optimality conditions may be missed by this much; LIBSVM's is 0.001.
    pub tolerance: f64,
}

/// The decision value of x is `sum of coefficients[s] K(x_s, x) - offset`; positive for the first class.
#[derive(Debug, Clone, PartialEq)]
pub struct Solution {
    /// `y_s a_s`; zero for samples that are no support vectors.
    pub coefficients: Vec<f64>,
    /// LIBSVM's rho.
    pub offset: f64,
}

impl<'a> Problem<'a> {
    fn row(&self, i: usize) -> &'a [f32] {
        let positives = self.positive.len() / self.dim;
        match i.checked_sub(positives) {
            None => &self.positive[i * self.dim..][..self.dim],
            Some(i) => &self.negative[i * self.dim..][..self.dim],
        }
    }

    /// Solves the problem.
    pub fn solve(&self) -> Solution {
        let positives = self.positive.len() / self.dim;
        let n = positives + self.negative.len() / self.dim;
        solve(&mut Rows::new(self, n), positives, self.c, self.tolerance)
    }
}

/// The same problem with its kernel matrix at hand, for those who solve it several times.
pub struct MatrixProblem<'a> {
    /// The kernel of all pairs of samples, row after row; those of the positive class come first.
    pub kernel: &'a [f32],
    /// Samples with label +1.
    pub positives: usize,
    /// Samples of both classes.
    pub samples: usize,
    /// Upper bound of a coefficient.
    pub c: f64,
    /// The optimality conditions may be missed by this much.
    pub tolerance: f64,
}

impl MatrixProblem<'_> {
    /// Solves the problem.
    pub fn solve(&self) -> Solution {
        solve(&mut Matrix::new(self.kernel, self.samples), self.positives, self.c, self.tolerance)
    }
}

/// Where the solver has the kernel from.
trait KernelRows {
    type Row: Deref<Target = [f32]>;
    /// The kernel of each sample with itself.
    fn diagonal(&self) -> &[f64];
    /// The kernel of sample `i` with all.
    fn get(&mut self, i: usize) -> Self::Row;
}

fn solve<R: KernelRows>(rows: &mut R, positives: usize, c: f64, tolerance: f64) -> Solution {
    let n = rows.diagonal().len();
    let y: Vec<f64> = (0..n).map(|i| if i < positives { 1.0 } else { -1.0 }).collect();
    let mut alpha = vec![0.0f64; n];
    let mut gradient = vec![-1.0f64; n];
    // Far beyond what well-posed data take; stops data that do not converge, as LIBSVM does.
    let most = 10_000_000.max(100 * n);
    for _ in 0..most {
        let Some((i, up)) = first(&y, &alpha, &gradient, c) else { break };
        let near = rows.get(i);
        let diagonal = rows.diagonal();
        let Some(j) = second(i, up, &near, diagonal, &y, &alpha, &gradient, c, tolerance) else { break };
        let curvature = (diagonal[i] + diagonal[j] - 2.0 * f64::from(near[j])).max(TAU);
        let room_i = if y[i] > 0.0 { c - alpha[i] } else { alpha[i] };
        let room_j = if y[j] > 0.0 { alpha[j] } else { c - alpha[j] };
        let step = ((up + y[j] * gradient[j]) / curvature).min(room_i).min(room_j);
        alpha[i] = snap(alpha[i] + y[i] * step, c);
        alpha[j] = snap(alpha[j] - y[j] * step, c);
        let far = rows.get(j);
        for ((g, y), (a, b)) in gradient.iter_mut().zip(&y).zip(near.iter().zip(far.iter())) {
            *g += y * step * f64::from(a - b);
        }
    }
    let offset = offset(&y, &alpha, &gradient, c);
    Solution { coefficients: alpha.iter().zip(&y).map(|(a, y)| a * y).collect(), offset }
}

/// A coefficient within rounding of its bound is on it.
fn snap(alpha: f64, c: f64) -> f64 {
    if alpha < 1e-12 * c {
        0.0
    } else if alpha > c * (1.0 - 1e-12) {
        c
    } else {
        alpha
    }
}

fn can_rise(y: f64, alpha: f64, c: f64) -> bool {
    if y > 0.0 { alpha < c } else { alpha > 0.0 }
}

fn can_fall(y: f64, alpha: f64, c: f64) -> bool {
    if y > 0.0 { alpha > 0.0 } else { alpha < c }
}

/// The sample that violates optimality most among those that can rise.
fn first(y: &[f64], alpha: &[f64], gradient: &[f64], c: f64) -> Option<(usize, f64)> {
    let mut best: Option<(usize, f64)> = None;
    for i in 0..y.len() {
        let value = -y[i] * gradient[i];
        if can_rise(y[i], alpha[i], c) && best.is_none_or(|(_, b)| value > b) {
            best = Some((i, value));
        }
    }
    best
}

/// The partner that lowers the objective most; `None` at the optimum.
#[allow(clippy::too_many_arguments)]
fn second(
    i: usize,
    up: f64,
    row: &[f32],
    diagonal: &[f64],
    y: &[f64],
    alpha: &[f64],
    gradient: &[f64],
    c: f64,
    tolerance: f64,
) -> Option<usize> {
    let (mut worst, mut best) = (f64::NEG_INFINITY, None);
    let mut least = 0.0;
    for t in 0..y.len() {
        if !can_fall(y[t], alpha[t], c) {
            continue;
        }
        let value = y[t] * gradient[t];
        worst = worst.max(value);
        let gain = up + value;
        if gain > 0.0 {
            let curvature = (diagonal[i] + diagonal[t] - 2.0 * f64::from(row[t])).max(TAU);
            let change = -gain * gain / curvature;
            if change < least {
                (least, best) = (change, Some(t));
            }
        }
    }
    if up + worst < tolerance { None } else { best }
}

fn offset(y: &[f64], alpha: &[f64], gradient: &[f64], c: f64) -> f64 {
    let (mut sum, mut free) = (0.0, 0usize);
    let (mut upper, mut lower) = (f64::INFINITY, f64::NEG_INFINITY);
    for i in 0..y.len() {
        let value = y[i] * gradient[i];
        match (can_rise(y[i], alpha[i], c), can_fall(y[i], alpha[i], c)) {
            (true, true) => {
                sum += value;
                free += 1;
            }
            (true, false) => upper = upper.min(value),
            (false, true) => lower = lower.max(value),
            (false, false) => {}
        }
    }
    if free > 0 { sum / free as f64 } else { f64::midpoint(upper, lower) }
}

/// Rows of the kernel matrix, computed when first asked for; the oldest goes when the cache is full.
struct Rows<'p, 'a> {
    problem: &'p Problem<'a>,
    n: usize,
    squares: Vec<f32>,
    diagonal: Vec<f64>,
    known: HashMap<usize, Rc<[f32]>>,
    order: VecDeque<usize>,
    capacity: usize,
}

impl<'p, 'a> Rows<'p, 'a> {
    fn new(problem: &'p Problem<'a>, n: usize) -> Self {
        let squares: Vec<f32> = (0..n).map(|i| dot(problem.row(i), problem.row(i))).collect();
        let diagonal = match problem.kernel {
            Kernel::Linear => squares.iter().map(|&s| f64::from(s)).collect(),
            Kernel::Rbf { .. } => vec![1.0; n],
        };
        let capacity = (CACHE / n.max(1)).max(2);
        Self { problem, n, squares, diagonal, known: HashMap::new(), order: VecDeque::new(), capacity }
    }
}

impl KernelRows for Rows<'_, '_> {
    type Row = Rc<[f32]>;

    fn diagonal(&self) -> &[f64] {
        &self.diagonal
    }

    fn get(&mut self, i: usize) -> Rc<[f32]> {
        if let Some(row) = self.known.get(&i) {
            return Rc::clone(row);
        }
        let x = self.problem.row(i);
        let row: Rc<[f32]> = (0..self.n)
            .map(|t| self.problem.kernel.of(dot(x, self.problem.row(t)), self.squares[i], self.squares[t]))
            .collect();
        if self.order.len() >= self.capacity
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        self.order.push_back(i);
        self.known.insert(i, Rc::clone(&row));
        row
    }
}

/// A whole kernel matrix.
struct Matrix<'a> {
    kernel: &'a [f32],
    diagonal: Vec<f64>,
}

impl<'a> Matrix<'a> {
    fn new(kernel: &'a [f32], samples: usize) -> Self {
        let diagonal = kernel.iter().step_by(samples + 1).map(|&k| f64::from(k)).collect();
        Self { kernel, diagonal }
    }
}

impl<'a> KernelRows for Matrix<'a> {
    type Row = &'a [f32];

    fn diagonal(&self) -> &[f64] {
        &self.diagonal
    }

    fn get(&mut self, i: usize) -> &'a [f32] {
        let n = self.diagonal.len();
        &self.kernel[i * n..(i + 1) * n]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn solve(positive: &[f32], negative: &[f32], c: f64) -> Solution {
        Problem { dim: 1, positive, negative, kernel: Kernel::Linear, c, tolerance: 1e-9 }.solve()
    }

    #[test]
    fn two_points_are_parted_in_the_middle() {
        // Widest margin between 1 and 3: w = -1, so that the decision value is 2 - x.
        let s = solve(&[1.0], &[3.0], 10.0);
        assert!((s.coefficients[0] - 0.5).abs() < 1e-9 && (s.coefficients[1] + 0.5).abs() < 1e-9, "{s:?}");
        assert!((s.offset + 2.0).abs() < 1e-9, "{s:?}");
    }

    #[test]
    fn coefficients_stay_within_their_bound() {
        let s = solve(&[1.0, 3.2], &[3.0, 0.5], 0.25);
        assert!(s.coefficients.iter().all(|c| c.abs() <= 0.25));
        assert!(s.coefficients.iter().sum::<f64>().abs() < 1e-9);
    }

    #[test]
    fn a_matrix_at_hand_gives_the_same() {
        let (positive, negative) = ([1.0, 3.2, 2.0], [3.0, 0.5]);
        let all = [positive.as_slice(), &negative].concat();
        let kernel: Vec<f32> = all.iter().flat_map(|a| all.iter().map(move |b| a * b)).collect();
        for c in [0.25, 10.0] {
            let problem = MatrixProblem { kernel: &kernel, positives: 3, samples: 5, c, tolerance: 1e-9 };
            assert_eq!(problem.solve(), solve(&positive, &negative, c));
        }
    }

    #[test]
    fn copies_of_one_sample_on_both_sides_come_to_an_end() {
        let s = solve(&[1.0, 1.0], &[1.0], 1.0);
        assert!(s.coefficients.iter().all(|c| c.is_finite()) && s.offset.is_finite());
    }
}
