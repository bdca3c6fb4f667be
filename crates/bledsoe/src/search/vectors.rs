//! Rows of numbers in one contiguous buffer, of one precision, and their inner products.

use std::{borrow::Cow, ops::Range};

use half::f16;
use rayon::prelude::*;

use super::{half_bytes, kernel::Simd};

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
    /// Each row is its half-bytes times its scale: the greatest of a row is ±7.
    Int4 {
        pairs: Vec<u8>,
        scales: Vec<f32>,
    },
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
}

/// How many rows fit a tile that stays in the fastest cache while several probes are multiplied with it.
const TILE_BYTES: usize = 16 << 10;
/// The most of them.
const MOST_IN_TILE: usize = 256;

impl Vectors {
    pub(super) fn new(dim: usize, numbers: Numbers) -> Self {
        Self { dim, numbers, simd: Simd::detect() }
    }

    /// Bytes once more, as half-bytes; none if these are no bytes.
    pub(super) fn halved(&self) -> Option<Self> {
        let Numbers::Int8 { bytes, scales } = &self.numbers else { return None };
        let width = self.dim.div_ceil(2);
        let mut pairs = vec![0; scales.len() * width];
        let rows = pairs.par_chunks_mut(width.max(1)).zip(bytes.par_chunks(self.dim.max(1)));
        rows.for_each(|(pairs, bytes)| half_bytes::pack(bytes, pairs));
        let scales = scales.iter().map(|scale| scale * half_bytes::COARSER).collect();
        Some(Self::new(self.dim, Numbers::Int4 { pairs, scales }))
    }

    /// How many rows there are.
    pub(super) fn rows(&self) -> usize {
        match &self.numbers {
            Numbers::F32(v) => v.len() / self.dim,
            Numbers::F16(v) => v.len() / self.dim,
            Numbers::Int8 { scales, .. } | Numbers::Int4 { scales, .. } => scales.len(),
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
            Numbers::Int4 { pairs, scales } => {
                pairs.reserve_exact(rows * self.dim.div_ceil(2));
                scales.reserve_exact(rows);
            }
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
            Numbers::Int4 { pairs, scales } => {
                pairs.resize(pairs.len() + self.dim.div_ceil(2), 0);
                scales.push(0.0);
            }
        }
    }

    /// Writes `vector` over `row`.
    pub(super) fn set(&mut self, row: usize, vector: &[f32]) {
        let place = self.place(row);
        match &mut self.numbers {
            Numbers::F32(v) => v[place].copy_from_slice(vector),
            Numbers::F16(v) => v[place].iter_mut().zip(vector).for_each(|(y, &x)| *y = f16::from_f32(x)),
            Numbers::Int8 { bytes, scales } => scales[row] = quantise(vector, &mut bytes[place]),
            Numbers::Int4 { pairs, scales } => {
                let mut bytes = vec![0; vector.len()];
                scales[row] = quantise(vector, &mut bytes) * half_bytes::COARSER;
                half_bytes::pack(&bytes, &mut pairs[place]);
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
            Numbers::Int4 { pairs, scales } => {
                pairs[place].fill(0);
                scales[row] = 0.0;
            }
        }
    }

    /// Writes `from` over `to`.
    pub(super) fn copy(&mut self, from: usize, to: usize) {
        let (source, start) = (self.place(from), self.place(to).start);
        match &mut self.numbers {
            Numbers::F32(v) => v.copy_within(source, start),
            Numbers::F16(v) => v.copy_within(source, start),
            Numbers::Int8 { bytes, scales } => {
                bytes.copy_within(source, start);
                scales.copy_within(from..=from, to);
            }
            Numbers::Int4 { pairs, scales } => {
                pairs.copy_within(source, start);
                scales.copy_within(from..=from, to);
            }
        }
    }

    /// Row `i` becomes what row `order[i]` was; what `order` does not name goes. Within the same memory.
    pub(super) fn arrange(&mut self, order: &[u32]) {
        let width = self.width();
        match &mut self.numbers {
            Numbers::F32(v) => arrange(v, width, order),
            Numbers::F16(v) => arrange(v, width, order),
            Numbers::Int8 { bytes, scales } => {
                arrange(bytes, width, order);
                arrange(scales, 1, order);
            }
            Numbers::Int4 { pairs, scales } => {
                arrange(pairs, width, order);
                arrange(scales, 1, order);
            }
        }
    }

    /// What `row` stands for.
    pub(super) fn get(&self, row: usize) -> Vec<f32> {
        let place = self.place(row);
        match &self.numbers {
            Numbers::F32(v) => v[place].to_vec(),
            Numbers::F16(v) => v[place].iter().map(|x| x.to_f32()).collect(),
            Numbers::Int8 { bytes, scales } => bytes[place].iter().map(|&x| f32::from(x) * scales[row]).collect(),
            Numbers::Int4 { pairs, scales } => {
                half_bytes::unpack(&pairs[place]).take(self.dim).map(|x| f32::from(x) * scales[row]).collect()
            }
        }
    }

    /// `vector` ready for these rows.
    pub(super) fn probe<'a>(&self, vector: &'a [f32]) -> Probe<'a> {
        match &self.numbers {
            Numbers::F32(_) | Numbers::F16(_) => Probe::Float(vector.into()),
            Numbers::Int8 { .. } | Numbers::Int4 { .. } => {
                let mut bytes = vec![0; vector.len()];
                let scale = quantise(vector, &mut bytes);
                Probe::Int8 { scale, sum: sum(&bytes), bytes: bytes.into() }
            }
        }
    }

    /// The similarity of `probe` and `row`.
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
            (Numbers::Int4 { pairs, scales }, Probe::Int8 { bytes: values, scale, sum }) => {
                self.simd.int4(&pairs[place], [values], [*sum], &mut int);
                float = [[rescaled(int[0][0], scales[row], *scale)]];
            }
            _ => debug_assert!(false, "a probe made for other rows"),
        }
        float[0][0]
    }

    /// Calls `found(probe, first row, similarities)` for each of `probes` and some rows of `rows` after the others.
    pub(super) fn scan(&self, rows: Range<usize>, probes: &[&Probe<'_>], mut found: impl FnMut(usize, usize, &[f32])) {
        let bytes = match &self.numbers {
            Numbers::F32(_) => 4,
            Numbers::F16(_) => 2,
            Numbers::Int8 { .. } | Numbers::Int4 { .. } => 1,
        };
        let tile = (TILE_BYTES / (bytes * self.width())).clamp(4, MOST_IN_TILE);
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

    /// How many places of the buffer a row takes.
    fn width(&self) -> usize {
        if let Numbers::Int4 { .. } = self.numbers { self.dim.div_ceil(2) } else { self.dim }
    }

    fn place(&self, row: usize) -> Range<usize> {
        row * self.width()..(row + 1) * self.width()
    }

    #[inline]
    fn products<const P: usize>(&self, rows: Range<usize>, probes: [&Probe<'_>; P], out: &mut [[f32; P]]) {
        let numbers = rows.start * self.width()..rows.end * self.width();
        let floats = || {
            probes.map(|probe| match probe {
                Probe::Float(values) => &**values,
                Probe::Int8 { .. } => &[],
            })
        };
        let mut stack = [[0; P]; MOST_IN_TILE];
        let products = &mut stack[..out.len()];
        let ints = || {
            probes.map(|probe| match probe {
                Probe::Int8 { bytes, .. } => &**bytes,
                Probe::Float(_) => &[],
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
            Numbers::Int4 { pairs, scales } => {
                self.simd.int4(&pairs[numbers], ints(), sums, products);
                scales
            }
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
    fn sum(&self) -> i32 {
        match self {
            Self::Float(_) => 0,
            Self::Int8 { sum, .. } => *sum,
        }
    }

    fn scale(&self) -> f32 {
        match self {
            Self::Float(_) => 1.0,
            Self::Int8 { scale, .. } => *scale,
        }
    }
}

/// In this order a pair of rows has one similarity, whichever is the probe.
#[inline]
fn rescaled(product: i32, row: f32, probe: f32) -> f32 {
    product as f32 * (row * probe)
}

/// [`Vectors::arrange`] of rows of `width` numbers. No row is named twice.
fn arrange<T: Copy + Default>(numbers: &mut Vec<T>, width: usize, order: &[u32]) {
    let mut named = vec![false; numbers.len() / width];
    order.iter().for_each(|&row| named[row as usize] = true);
    let mut from: Vec<Option<u32>> = order.iter().copied().map(Some).collect();
    let mut first = vec![T::default(); width];
    // Chains begin where nobody needs what was there; what is left then are cycles.
    let chains = (0..order.len()).filter(|&row| !named[row]);
    for start in chains.chain(0..order.len()) {
        let mut to = start;
        first.copy_from_slice(&numbers[start * width..(start + 1) * width]);
        while let Some(source) = from.get_mut(to).and_then(Option::take) {
            let source = source as usize;
            if source == start {
                numbers[to * width..(to + 1) * width].copy_from_slice(&first);
                break;
            }
            numbers.copy_within(source * width..(source + 1) * width, to * width);
            to = source;
        }
    }
    // Nothing of a row stays in memory that is not its own.
    numbers[order.len() * width..].fill(T::default());
    numbers.truncate(order.len() * width);
}

/// Bytes proportional to `vector`, the greatest ±127, and the scale that turns them back.
fn quantise(vector: &[f32], bytes: &mut [i8]) -> f32 {
    let greatest = vector.iter().fold(0.0f32, |m, x| m.max(x.abs()));
    if greatest == 0.0 {
        bytes.fill(0);
        return 0.0;
    }
    let scale = greatest / 127.0;
    for (byte, x) in bytes.iter_mut().zip(vector) {
        *byte = (x / scale).round() as i8;
    }
    scale
}

fn sum(bytes: &[i8]) -> i32 {
    bytes.iter().map(|&x| i32::from(x)).sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn rows_are_arranged_as_told(rows in 0..60usize, kept in 0..60usize, width in 1..4usize, seed: u64) {
            let before: Vec<u32> = (1..=(rows * width) as u32).collect();
            let mut order: Vec<u32> = (0..rows as u32).collect();
            fastrand::Rng::with_seed(seed).shuffle(&mut order);
            order.truncate(kept);
            let after: Vec<u32> = order.iter().flat_map(|&row| &before[row as usize * width..][..width]).copied().collect();
            let mut arranged = before.clone();
            arrange(&mut arranged, width, &order);
            prop_assert_eq!(arranged, after);
        }
    }
}
