//! Rows of numbers in one contiguous buffer, of one precision, and their inner products.

use std::{borrow::Cow, ops::Range};

use super::{
    half_bytes::{self, HalfBytes},
    kernel::Simd,
};
use half::f16;

/// The rows themselves. One buffer for all, so that a scan reads memory from end to end.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Numbers {
    F32(Vec<f32>),
    F16(Vec<f16>),
    /// Each row is its bytes times its scale: the greatest of a row is ±127.
    Int8 {
        bytes: Vec<i8>,
        scales: Vec<f32>,
    },
    /// As bytes, but the greatest of a row is ±7.
    Int4(HalfBytes),
}

/// `n x dim` numbers.
#[derive(Debug, Clone)]
pub(super) struct Vectors {
    pub(super) dim: usize,
    pub(super) numbers: Numbers,
    simd: Simd,
}

/// A vector made ready to be multiplied with rows of one precision.
#[derive(Debug, Clone)]
pub(super) enum Probe<'a> {
    Float(Cow<'a, [f32]>),
    Int8 { bytes: Cow<'a, [i8]>, scale: f32, sum: i32 },
    Int4(half_bytes::Probe),
}

/// How many rows fit a tile that stays in the fastest cache while several probes are multiplied with it.
const TILE_BYTES: usize = 16 << 10;
/// The most of them.
const MOST_IN_TILE: usize = 256;

impl Vectors {
    pub(super) fn new(dim: usize, numbers: Numbers) -> Self {
        Self { dim, numbers, simd: Simd::detect() }
    }

    /// Half-bytes of the `rows` vectors of `dim` numbers that `vector` gives by number.
    pub(super) fn halves<'a>(dim: usize, rows: usize, vector: impl Fn(usize) -> Cow<'a, [f32]> + Sync) -> Self {
        let half_bytes = HalfBytes::of_bytes(dim, rows, |row, bytes| quantise(&vector(row), bytes));
        Self::new(dim, Numbers::Int4(half_bytes))
    }

    /// How many rows there are.
    pub(super) fn rows(&self) -> usize {
        match &self.numbers {
            Numbers::F32(v) => v.len() / self.dim,
            Numbers::F16(v) => v.len() / self.dim,
            Numbers::Int8 { scales, .. } => scales.len(),
            Numbers::Int4(rows) => rows.rows(),
        }
    }

    /// What a scan reads of each.
    pub(super) fn row_bytes(&self) -> usize {
        match &self.numbers {
            Numbers::F32(_) => 4 * self.dim,
            Numbers::F16(_) => 2 * self.dim,
            Numbers::Int8 { .. } => self.dim,
            Numbers::Int4(_) => self.dim.div_ceil(2),
        }
    }

    /// Makes room for `rows` more.
    pub(super) fn reserve(&mut self, rows: usize) {
        match &mut self.numbers {
            Numbers::F32(v) => v.reserve_exact(rows * self.dim),
            Numbers::F16(v) => v.reserve_exact(rows * self.dim),
            Numbers::Int8 { bytes, scales } => {
                bytes.reserve_exact(rows * self.dim);
                scales.reserve_exact(rows);
            }
            Numbers::Int4(v) => v.reserve(rows),
        }
    }

    /// Adds a row of zeros.
    pub(super) fn push_zeros(&mut self) {
        match &mut self.numbers {
            Numbers::F32(v) => v.resize(v.len() + self.dim, 0.0),
            Numbers::F16(v) => v.resize(v.len() + self.dim, f16::ZERO),
            Numbers::Int8 { bytes, scales } => {
                bytes.resize(bytes.len() + self.dim, 0);
                scales.push(0.0);
            }
            Numbers::Int4(rows) => rows.push_zeros(),
        }
    }

    /// Writes `vector` over `row`.
    pub(super) fn set(&mut self, row: usize, vector: &[f32]) {
        let place = self.place(row);
        match &mut self.numbers {
            Numbers::F32(v) => v[place].copy_from_slice(vector),
            Numbers::F16(v) => v[place].iter_mut().zip(vector).for_each(|(y, &x)| *y = f16::from_f32(x)),
            Numbers::Int8 { bytes, scales } => scales[row] = quantise(vector, &mut bytes[place]),
            Numbers::Int4(rows) => {
                let mut bytes = vec![0; vector.len()];
                let scale = quantise(vector, &mut bytes);
                rows.set(row, &bytes, scale);
            }
        }
    }

    /// Writes zeros over `row`: nothing of the vector stays in memory.
    pub(super) fn erase(&mut self, row: usize) {
        let place = self.place(row);
        match &mut self.numbers {
            Numbers::F32(v) => v[place].fill(0.0),
            Numbers::F16(v) => v[place].fill(f16::ZERO),
            Numbers::Int8 { bytes, scales } => {
                bytes[place].fill(0);
                scales[row] = 0.0;
            }
            Numbers::Int4(rows) => rows.erase(row),
        }
    }

    /// Puts each of two rows in the place of the other.
    pub(super) fn swap(&mut self, a: usize, b: usize) {
        match &mut self.numbers {
            Numbers::F32(v) => swap(v, self.dim, a, b),
            Numbers::F16(v) => swap(v, self.dim, a, b),
            Numbers::Int8 { bytes, scales } => {
                swap(bytes, self.dim, a, b);
                scales.swap(a, b);
            }
            Numbers::Int4(rows) => rows.swap(a, b),
        }
    }

    /// Only the first `rows` stay.
    fn truncate(&mut self, rows: usize) {
        match &mut self.numbers {
            Numbers::F32(v) => v.truncate(rows * self.dim),
            Numbers::F16(v) => v.truncate(rows * self.dim),
            Numbers::Int8 { bytes, scales } => {
                bytes.truncate(rows * self.dim);
                scales.truncate(rows);
            }
            Numbers::Int4(v) => v.truncate(rows),
        }
    }

    /// Row `i` becomes what row `order[i]` was; what `order` does not name goes. No row is named twice. Within the same
    /// memory.
    pub(super) fn arrange(&mut self, order: &[u32]) {
        let mut named = vec![false; self.rows()];
        order.iter().for_each(|&row| named[row as usize] = true);
        let mut from: Vec<Option<u32>> = order.iter().copied().map(Some).collect();
        // Chains begin where nobody needs what is there; what is left then are cycles. Either way the first row is
        // carried along, to where the last came from.
        let chains = (0..order.len()).filter(|&row| !named[row]);
        for start in chains.chain(0..order.len()) {
            let mut to = start;
            while let Some(source) = from.get_mut(to).and_then(Option::take) {
                if source as usize == start {
                    break;
                }
                self.swap(source as usize, to);
                to = source as usize;
            }
        }
        // Nothing of a row stays in memory that is not its own.
        (order.len()..self.rows()).for_each(|row| self.erase(row));
        self.truncate(order.len());
    }

    /// What `row` stands for.
    pub(super) fn get(&self, row: usize) -> Vec<f32> {
        let place = self.place(row);
        match &self.numbers {
            Numbers::F32(v) => v[place].to_vec(),
            Numbers::F16(v) => v[place].iter().map(|x| x.to_f32()).collect(),
            Numbers::Int8 { bytes, scales } => bytes[place].iter().map(|&x| f32::from(x) * scales[row]).collect(),
            Numbers::Int4(rows) => rows.get(row),
        }
    }

    /// `vector` ready for these rows.
    pub(super) fn probe<'a>(&self, vector: impl Into<Cow<'a, [f32]>>) -> Probe<'a> {
        let vector = vector.into();
        match &self.numbers {
            Numbers::F32(_) | Numbers::F16(_) => Probe::Float(vector),
            Numbers::Int8 { .. } | Numbers::Int4(_) => {
                let mut bytes = vec![0; vector.len()];
                let scale = quantise(&vector, &mut bytes);
                if let Numbers::Int4(_) = self.numbers {
                    return Probe::Int4(half_bytes::Probe::new(&bytes, scale));
                }
                Probe::Int8 { scale, sum: bytes.iter().map(|&x| i32::from(x)).sum(), bytes: bytes.into() }
            }
        }
    }

    /// The similarity of `probe` and `row`; not of half-bytes, which are only scanned.
    #[inline]
    pub(super) fn similarity(&self, row: usize, probe: &Probe<'_>) -> f32 {
        let place = self.place(row);
        let (mut float, mut int) = ([[0.0]], [[0]]);
        match (&self.numbers, probe) {
            (Numbers::F32(v), Probe::Float(values)) => self.simd.f32(&v[place], [values], &mut float),
            (Numbers::F16(v), Probe::Float(values)) => self.simd.f16(&v[place], [values], &mut float),
            (Numbers::Int8 { bytes, scales }, Probe::Int8 { bytes: values, scale, sum }) => {
                self.simd.int8(&bytes[place], [values], [*sum], &mut int);
                float = [[rescaled(int[0][0], scales[row], *scale)]];
            }
            _ => debug_assert!(false, "a probe made for other rows"),
        }
        float[0][0]
    }

    /// Calls `found(probe, first row, similarities)` for each of `probes` and some rows of `rows` after the others.
    pub(super) fn scan(&self, rows: Range<usize>, probes: &[&Probe<'_>], mut found: impl FnMut(usize, usize, &[f32])) {
        if let Numbers::Int4(halves) = &self.numbers {
            let probes: Vec<_> = probes.iter().filter_map(|&probe| probe.of_half_bytes()).collect();
            return halves.scan(self.simd, rows, &probes, found);
        }
        let tile = (TILE_BYTES / self.row_bytes()).clamp(4, MOST_IN_TILE);
        let (fours, rest) = probes.as_chunks::<4>();
        // A scan may be short: only what is needed.
        let of_fours = if fours.is_empty() { 0 } else { tile };
        let (mut four, mut column) = (vec![[0.0; 4]; of_fours], vec![0.0; of_fours]);
        let mut one = [[0.0; 1]; MOST_IN_TILE];
        for start in rows.clone().step_by(tile) {
            let end = rows.end.min(start + tile);
            for (i, probes) in fours.iter().enumerate() {
                let out = &mut four[..end - start];
                self.products(start..end, *probes, out);
                for p in 0..4 {
                    column.iter_mut().zip(&*out).for_each(|(similarity, out)| *similarity = out[p]);
                    found(4 * i + p, start, &column[..end - start]);
                }
            }
            for (p, probe) in (4 * fours.len()..).zip(rest) {
                let out = &mut one[..end - start];
                self.products(start..end, [probe], out);
                found(p, start, out.as_flattened());
            }
        }
    }

    fn place(&self, row: usize) -> Range<usize> {
        row * self.dim..(row + 1) * self.dim
    }

    #[inline]
    fn products<const P: usize>(&self, rows: Range<usize>, probes: [&Probe<'_>; P], out: &mut [[f32; P]]) {
        let numbers = rows.start * self.dim..rows.end * self.dim;
        let floats = || {
            probes.map(|probe| match probe {
                Probe::Float(values) => &**values,
                Probe::Int8 { .. } | Probe::Int4(_) => &[],
            })
        };
        let mut stack = [[0; P]; MOST_IN_TILE];
        let products = &mut stack[..out.len()];
        let ints = || {
            probes.map(|probe| match probe {
                Probe::Int8 { bytes, .. } => &**bytes,
                Probe::Float(_) | Probe::Int4(_) => &[],
            })
        };
        let sums = probes.map(Probe::sum);
        let scales = match &self.numbers {
            Numbers::F32(v) => return self.simd.f32(&v[numbers], floats(), out),
            Numbers::F16(v) => return self.simd.f16(&v[numbers], floats(), out),
            Numbers::Int8 { bytes, scales } => {
                self.simd.int8(&bytes[numbers], ints(), sums, products);
                scales
            }
            // Scanned as they lie.
            Numbers::Int4(_) => return,
        };
        let scale = probes.map(Probe::scale);
        for ((out, product), row) in out.iter_mut().zip(products).zip(&scales[rows]) {
            for ((out, &mut product), scale) in out.iter_mut().zip(product).zip(scale) {
                *out = rescaled(product, *row, scale);
            }
        }
    }
}

impl Probe<'_> {
    fn of_half_bytes(&self) -> Option<&half_bytes::Probe> {
        if let Self::Int4(probe) = self { Some(probe) } else { None }
    }

    fn sum(&self) -> i32 {
        match self {
            Self::Float(_) | Self::Int4(_) => 0,
            Self::Int8 { sum, .. } => *sum,
        }
    }

    fn scale(&self) -> f32 {
        match self {
            Self::Float(_) | Self::Int4(_) => 1.0,
            Self::Int8 { scale, .. } => *scale,
        }
    }
}

/// In this order a pair of rows has one similarity, whichever is the probe.
#[inline]
fn rescaled(product: i32, row: f32, probe: f32) -> f32 {
    product as f32 * (row * probe)
}

/// [`Vectors::swap`] of rows of `dim` numbers.
fn swap<T>(numbers: &mut [T], dim: usize, a: usize, b: usize) {
    if a != b {
        let (before, after) = numbers.split_at_mut(a.max(b) * dim);
        before[a.min(b) * dim..][..dim].swap_with_slice(&mut after[..dim]);
    }
}

/// Bytes proportional to `vector`, the greatest ±127, and the scale that turns them back.
fn quantise(vector: &[f32], bytes: &mut [i8]) -> f32 {
    let greatest = vector.iter().fold(0.0f32, |m, x| m.max(x.abs()));
    if greatest == 0.0 {
        bytes.fill(0);
        return 0.0;
    }
    let inverse = 127.0 / greatest;
    for (byte, x) in bytes.iter_mut().zip(vector) {
        // Half away from zero, as `round` does, which is a call on some processors.
        *byte = (x * inverse + 0.5f32.copysign(*x)) as i8;
    }
    greatest / 127.0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn rows_are_arranged_as_told(rows in 0..60usize, kept in 0..60usize, dim in 1..20usize, seed: u64) {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut order: Vec<u32> = (0..rows as u32).collect();
            random.shuffle(&mut order);
            order.truncate(kept);
            for numbers in [
                Numbers::F32(Vec::new()),
                Numbers::F16(Vec::new()),
                Numbers::Int8 { bytes: Vec::new(), scales: Vec::new() },
                Numbers::Int4(HalfBytes::of_bytes(dim, 0, |_, _| 0.0)),
            ] {
                let mut vectors = Vectors::new(dim, numbers);
                for row in 0..rows {
                    vectors.push_zeros();
                    vectors.set(row, &(0..dim).map(|_| random.f32()).collect::<Vec<_>>());
                }
                let after: Vec<_> = order.iter().map(|&row| vectors.get(row as usize)).collect();
                vectors.arrange(&order);
                let arranged: Vec<_> = (0..vectors.rows()).map(|row| vectors.get(row)).collect();
                prop_assert_eq!(arranged, after);
            }
        }
    }
}
