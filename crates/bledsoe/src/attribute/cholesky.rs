//! Cholesky's factor of a symmetric positive definite matrix, and solving by it.

/// The lower triangle `L` with `L Lᵀ = A`.
#[derive(Debug, Clone)]
pub(super) struct Cholesky {
    size: usize,
    /// Row by row, the upper triangle unused.
    lower: Vec<f64>,
}

impl Cholesky {
    /// Factors a matrix of `size` rows, of which only the lower triangle is read. `None` where it is not positive
    /// definite.
    pub(super) fn new(mut matrix: Vec<f64>, size: usize) -> Option<Self> {
        for i in 0..size {
            let (above, row) = matrix.split_at_mut(i * size);
            for j in 0..i {
                let other = &above[j * size..][..=j];
                row[j] = (row[j] - dot(&row[..j], &other[..j])) / other[j];
            }
            let rest = row[i] - dot(&row[..i], &row[..i]);
            if !(rest > 0.0 && rest.is_finite()) {
                return None;
            }
            row[i] = rest.sqrt();
        }
        Some(Self { size, lower: matrix })
    }

    fn row(&self, i: usize) -> &[f64] {
        &self.lower[i * self.size..][..=i]
    }

    /// `x` becomes `L⁻¹ x`.
    pub(super) fn forward(&self, x: &mut [f64]) {
        for i in 0..self.size {
            let row = self.row(i);
            x[i] = (x[i] - dot(&row[..i], &x[..i])) / row[i];
        }
    }

    /// `x` becomes `L⁻ᵀ x`.
    pub(super) fn backward(&self, x: &mut [f64]) {
        for i in (0..self.size).rev() {
            let row = self.row(i);
            x[i] /= row[i];
            let value = x[i];
            x[..i].iter_mut().zip(row).for_each(|(x, l)| *x -= value * l);
        }
    }

    /// `x` becomes `A⁻¹ x`.
    pub(super) fn solve(&self, x: &mut [f64]) {
        self.forward(x);
        self.backward(x);
    }
}

/// The inner product. Eight partial sums let the compiler use vector registers; the order of summing is fixed.
pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let (a, a_rest) = a.as_chunks::<8>();
    let (b, b_rest) = b.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for (a, b) in a.iter().zip(b) {
        sums.iter_mut().zip(a.iter().zip(b)).for_each(|(sum, (x, y))| *sum += x * y);
    }
    sums.iter().sum::<f64>() + a_rest.iter().zip(b_rest).map(|(x, y)| x * y).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn solves_what_it_factors() {
        const N: usize = 21;
        let mut random = fastrand::Rng::with_seed(5);
        let half: Vec<f64> = (0..N * N).map(|_| random.f64() - 0.5).collect();
        let at = |i: usize, j: usize| dot(&half[i * N..][..N], &half[j * N..][..N]) + f64::from(u8::from(i == j));
        let matrix: Vec<f64> = (0..N * N).map(|k| at(k / N, k % N)).collect();
        let truth: Vec<f64> = (0..N).map(|i| i as f64 - 9.0).collect();
        let mut x: Vec<f64> = matrix.chunks_exact(N).map(|row| dot(row, &truth)).collect();
        Cholesky::new(matrix, N).unwrap().solve(&mut x);
        assert!(x.iter().zip(&truth).all(|(x, t)| (x - t).abs() < 1e-9), "{x:?}");
    }

    #[test]
    fn what_is_not_positive_definite_is_refused() {
        assert!(Cholesky::new(vec![1.0, 2.0, 2.0, 1.0], 2).is_none());
        assert!(Cholesky::new(vec![f64::NAN], 1).is_none());
        assert!(Cholesky::new(Vec::new(), 0).is_some());
    }
}
