//! Rows of whole numbers from -7 to 7, two to a byte, sixteen rows side by side.
//!
//! A word of a row is eight numbers: number `j` of the first four is the lower half of byte `j`, number `4 + j` the
//! upper. A block is sixteen rows, word after word, each of all rows: so a vector register holds one word of many rows,
//! is multiplied by one word of the probe, and nothing is left to be added up within it. Each half is raised by
//! [`RAISED`], for vector registers multiply unsigned bytes by signed ones.
//!
//! Source of the layout: André, Kermarrec and Le Scouarnec, *Cache locality is not enough: high-performance nearest
//! neighbor search with product quantization fast scan*, PVLDB 9, 2015, there for tables instead of products.

use std::ops::Range;

use rayon::prelude::*;

use super::kernel::Simd;

/// Rows that lie side by side.
pub(super) const LANES: usize = 16;
/// Numbers in a word.
pub(super) const WORD: usize = 8;
/// What every half is raised by.
pub(super) const RAISED: u8 = 8;

/// How much more a half stands for than a byte.
const COARSER: f32 = 127.0 / 7.0;
/// Blocks that stay in the fastest cache while several probes are multiplied with them, and the most of them.
const TILE_BYTES: usize = 16 << 10;
const MOST_IN_TILE: usize = 16;

/// A probe's with the rows of a tile.
type Similarities = [[f32; LANES]; MOST_IN_TILE];

/// One word of each row of a block.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[repr(C, align(64))]
pub(super) struct Lanes(pub(super) [[u8; WORD / 2]; LANES]);

/// `n` rows of `dim` numbers, each with a scale that turns its numbers back into a vector's.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct HalfBytes {
    dim: usize,
    rows: usize,
    words: Vec<Lanes>,
    /// Of each block.
    scales: Vec<[f32; LANES]>,
}

/// A vector as bytes, made ready to be multiplied with these rows.
#[derive(Debug, Clone)]
pub(super) struct Probe {
    /// What meets each word of a row: four bytes for the lower halves, and four for the upper.
    pub(super) words: Vec<[i32; 2]>,
    /// Of the bytes.
    pub(super) sum: i32,
    pub(super) scale: f32,
}

impl Probe {
    pub(super) fn new(bytes: &[i8], scale: f32) -> Self {
        let four = |bytes: &[i8]| {
            let mut four = [0; WORD / 2];
            four.iter_mut().zip(bytes).for_each(|(y, x)| *y = x.cast_unsigned());
            i32::from_ne_bytes(four)
        };
        let word = |bytes: &[i8]| [four(bytes), four(bytes.get(WORD / 2..).unwrap_or_default())];
        let words = bytes.chunks(WORD).map(word).collect();
        Self { words, sum: bytes.iter().map(|&x| i32::from(x)).sum(), scale }
    }
}

impl HalfBytes {
    /// `rows` rows, of which `row` writes each as bytes from -127 to 127 and gives their scale.
    pub(super) fn of_bytes(dim: usize, rows: usize, row: impl Fn(usize, &mut [i8]) -> f32 + Sync) -> Self {
        let width = dim.div_ceil(WORD);
        let mut half_bytes = Self {
            dim,
            words: vec![Lanes::default(); rows.div_ceil(LANES) * width],
            rows,
            scales: vec![[0.0; LANES]; rows.div_ceil(LANES)],
        };
        let blocks = half_bytes.words.par_chunks_mut(width.max(1)).zip(&mut half_bytes.scales);
        blocks.enumerate().for_each(|(block, (words, scales))| {
            let mut bytes = vec![0; dim];
            for (lane, scale) in scales.iter_mut().take(rows - block * LANES).enumerate() {
                *scale = COARSER * row(block * LANES + lane, &mut bytes);
                pack(&bytes, words, lane);
            }
        });
        half_bytes
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Words of a row, and so [`Lanes`] of a block.
    fn width(&self) -> usize {
        self.dim.div_ceil(WORD)
    }

    /// The words of the block of `row`, and its lane there.
    fn place(&self, row: usize) -> (Range<usize>, usize) {
        let start = row / LANES * self.width();
        (start..start + self.width(), row % LANES)
    }

    /// Makes room for `rows` more.
    pub(super) fn reserve(&mut self, rows: usize) {
        self.words.reserve_exact(rows.div_ceil(LANES) * self.width());
        self.scales.reserve_exact(rows.div_ceil(LANES));
    }

    /// Adds a row of zeros.
    pub(super) fn push_zeros(&mut self) {
        if self.rows.is_multiple_of(LANES) {
            self.words.resize(self.words.len() + self.width(), Lanes::default());
            self.scales.push([0.0; LANES]);
        }
        self.rows += 1;
    }

    /// Writes `bytes`, from -127 to 127, over `row`; `scale` is theirs.
    pub(super) fn set(&mut self, row: usize, bytes: &[i8], scale: f32) {
        let (block, lane) = self.place(row);
        pack(bytes, &mut self.words[block], lane);
        self.scales[row / LANES][lane] = scale * COARSER;
    }

    /// Writes zeros over `row`.
    pub(super) fn erase(&mut self, row: usize) {
        let (block, lane) = self.place(row);
        self.words[block].iter_mut().for_each(|word| word.0[lane] = [0; 4]);
        self.scales[row / LANES][lane] = 0.0;
    }

    /// Puts each of two rows in the place of the other.
    pub(super) fn swap(&mut self, a: usize, b: usize) {
        let ((a_block, a_lane), (b_block, b_lane)) = (self.place(a), self.place(b));
        for (i, j) in a_block.zip(b_block) {
            let (x, y) = (self.words[i].0[a_lane], self.words[j].0[b_lane]);
            self.words[i].0[a_lane] = y;
            self.words[j].0[b_lane] = x;
        }
        self.scales.as_flattened_mut().swap(a, b);
    }

    /// Only the first `rows` stay.
    pub(super) fn truncate(&mut self, rows: usize) {
        (rows..self.rows.min(rows.next_multiple_of(LANES))).for_each(|row| self.erase(row));
        self.words.truncate(rows.div_ceil(LANES) * self.width());
        self.scales.truncate(rows.div_ceil(LANES));
        self.rows = rows.min(self.rows);
    }

    /// What `row` stands for.
    pub(super) fn get(&self, row: usize) -> Vec<f32> {
        let (block, lane) = self.place(row);
        let scale = self.scales[row / LANES][lane];
        let lowered = |half: u8| f32::from(half) - f32::from(RAISED);
        let words = self.words[block].iter().map(|word| word.0[lane]);
        let halves = words.flat_map(|word| word.map(|pair| pair & 15).into_iter().chain(word.map(|pair| pair >> 4)));
        halves.take(self.dim).map(|half| lowered(half) * scale).collect()
    }

    /// Calls `found(probe, first row, similarities)` for each of `probes` and some rows of `rows` after the others.
    pub(super) fn scan(
        &self,
        simd: Simd,
        rows: Range<usize>,
        probes: &[&Probe],
        mut found: impl FnMut(usize, usize, &[f32]),
    ) {
        let tile = (TILE_BYTES / (size_of::<Lanes>() * self.width())).clamp(1, MOST_IN_TILE);
        let (fours, rest) = probes.as_chunks::<4>();
        let blocks = rows.start / LANES..rows.end.div_ceil(LANES);
        let (mut of_four, mut of_one) = ([Similarities::default(); 4], [Similarities::default()]);
        for start in blocks.clone().step_by(tile) {
            let blocks = start..blocks.end.min(start + tile);
            for (i, probes) in fours.iter().enumerate() {
                self.similarities(simd, &blocks, &rows, *probes, &mut of_four, |p, first, some| {
                    found(4 * i + p, first, some)
                });
            }
            for (p, probe) in (4 * fours.len()..).zip(rest) {
                self.similarities(simd, &blocks, &rows, [*probe], &mut of_one, |_, first, some| found(p, first, some));
            }
        }
    }

    /// [`HalfBytes::scan`] of those of `rows` that are in `blocks`, at most [`MOST_IN_TILE`].
    #[inline]
    fn similarities<const P: usize>(
        &self,
        simd: Simd,
        blocks: &Range<usize>,
        rows: &Range<usize>,
        probes: [&Probe; P],
        similarities: &mut [Similarities; P],
        mut found: impl FnMut(usize, usize, &[f32]),
    ) {
        let words = &self.words[blocks.start * self.width()..blocks.end * self.width()];
        let out = similarities.each_mut().map(|of_probe| &mut of_probe[..blocks.len()]);
        simd.int4(words, &self.scales[blocks.clone()], probes, out);
        let rows = rows.start.max(blocks.start * LANES)..rows.end.min(blocks.end * LANES);
        for (p, similarities) in similarities.iter().enumerate() {
            found(p, rows.start, &similarities.as_flattened()[rows.start - blocks.start * LANES..][..rows.len()]);
        }
    }
}

/// Writes `bytes`, from -127 to 127, to one lane of a block.
fn pack(bytes: &[i8], block: &mut [Lanes], lane: usize) {
    // Rounds x * 7 / 127: half of 254 and RAISED times 254 make it positive, so that division rounds down.
    let half = |x: i8| ((14 * i16::from(x) + 127 + 254 * i16::from(RAISED)) / 254) as u8;
    for (word, bytes) in block.iter_mut().zip(bytes.chunks(WORD)) {
        let mut halves = [RAISED; WORD];
        halves.iter_mut().zip(bytes).for_each(|(y, &x)| *y = half(x));
        word.0[lane] = std::array::from_fn(|j| halves[j] | halves[j + WORD / 2] << 4);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_comes_back_rounded() {
        let all: Vec<i8> = (-127..=127).collect();
        for bytes in [&all[..], &all[..254], &all[..1], &all[126..128], &all[120..136]] {
            let mut rows = HalfBytes::of_bytes(bytes.len(), 0, |_, _| 0.0);
            for row in 0..20 {
                rows.push_zeros();
                rows.set(row, bytes, 1.0 / COARSER);
                rows.set(row, bytes, (row + 1) as f32 / COARSER);
            }
            for row in 0..20 {
                let scale = (row + 1) as f32;
                let rounded = bytes.iter().map(|&x| (f32::from(x) / COARSER).round());
                // The scale is rounded twice.
                assert!(rows.get(row).iter().zip(rounded).all(|(x, y)| (x / scale - y).abs() < 1e-5));
            }
        }
    }
}
