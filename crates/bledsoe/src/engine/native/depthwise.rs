//! Convolutions of each channel by itself.

use std::ops::Range;

use super::{
    activation::{Activation, panels},
    arithmetic::{Arithmetic, LANES},
    layer::Rows,
    window::Window,
};

/// Pixels of the output that are computed side by side.
const TILE: usize = 4;

/// A convolution of each channel by itself, with what follows it.
pub(super) struct Depthwise {
    pub window: Window,
    channels: usize,
    /// For each sixteen channels, the weights of every place in the window.
    weights: Vec<Vec<[f32; LANES]>>,
    bias: Vec<[f32; LANES]>,
    activation: Activation,
}

impl Depthwise {
    /// Of weights by channel and place in the window.
    pub fn new(window: Window, channels: usize, weights: &[f32], bias: &[f32], activation: Activation) -> Self {
        let area = window.area();
        let weight =
            |channel: usize, place: usize| if channel < channels { weights[channel * area + place] } else { 0.0 };
        let panel =
            |first: usize| (0..area).map(|place| std::array::from_fn(|lane| weight(first + lane, place))).collect();
        let weights = (0..channels).step_by(LANES).map(panel).collect();
        Self { window, channels, weights, bias: panels(bias), activation }
    }

    pub fn channels(&self) -> usize {
        self.channels
    }

    #[inline(always)]
    pub fn compute<A: Arithmetic>(&self, rows: Rows<'_>) {
        let (input, shape) = (rows.inputs[0], rows.shape);
        for (i, out) in rows.out.chunks_exact_mut(shape.row()).enumerate() {
            let (item, y) = ((rows.first + i) / shape.height, (rows.first + i) % shape.height);
            let (down, top) = self.window.inside(0, y, input.shape.height);
            let top = item * input.shape.height + top;
            let input = input.rows(top..top + down.len());
            let mut row = Row { input, width: rows.inputs[0].shape.width, step: shape.step, down, out };
            match (self.window.size, self.window.steps, shape.width) {
                ([3, 3], [1, 1], TILE..) => self.row_of_tiles::<A, 1>(&mut row, shape.width),
                ([3, 3], [2, 2], TILE..) => self.row_of_tiles::<A, 2>(&mut row, shape.width),
                _ => self.row_of_pixels::<A>(&mut row, shape.width),
            }
        }
    }

    #[inline(always)]
    fn row_of_pixels<A: Arithmetic>(&self, row: &mut Row<'_>, width: usize) {
        for x in 0..width {
            let (across, left) = self.window.inside(1, x, row.width);
            for (panel, weights) in self.weights.iter().enumerate() {
                let mut sum = A::load(&self.bias[panel]);
                for (input, ky) in row.input.chunks_exact(row.width * row.step).zip(row.down.clone()) {
                    let pixels = input[left * row.step..].chunks_exact(row.step);
                    for (numbers, kx) in pixels.zip(across.clone()) {
                        let weights = A::load(&weights[ky * self.window.size[1] + kx]);
                        sum = A::multiply_add(sum, A::load(&numbers.as_chunks::<LANES>().0[panel]), weights);
                    }
                }
                row.store::<A>(x, panel, self.activation.of::<A>(panel, sum));
            }
        }
    }

    /// Windows of 3 x 3 with steps of S, some side by side: what they share is loaded once.
    #[inline(always)]
    fn row_of_tiles<A: Arithmetic, const S: usize>(&self, row: &mut Row<'_>, width: usize) {
        for x in (0..width).step_by(TILE) {
            // The last ones are computed again with those that are left.
            let x = x.min(width - TILE);
            let (left, columns) = (x * S, (TILE - 1) * S + 3);
            let is_inside = left >= self.window.before[1] && left + columns <= row.width + self.window.before[1];
            if is_inside {
                self.tile::<A, S, true>(row, x);
            } else {
                self.tile::<A, S, false>(row, x);
            }
        }
    }

    /// If it is not `INSIDE`, columns may be missing.
    #[inline(always)]
    fn tile<A: Arithmetic, const S: usize, const INSIDE: bool>(&self, row: &mut Row<'_>, x: usize) {
        let zero = A::splat(0.0);
        let left = (x * S).wrapping_sub(self.window.before[1]);
        for (panel, weights) in self.weights.iter().enumerate() {
            let mut sums = [A::load(&self.bias[panel]); TILE];
            for (input, ky) in row.input.chunks_exact(row.width * row.step).zip(row.down.clone()) {
                let mut columns = [zero; 9];
                for (column, numbers) in columns.iter_mut().enumerate().take((TILE - 1) * S + 3) {
                    let place = left.wrapping_add(column);
                    if INSIDE || place < row.width {
                        // SAFETY: a column of the row, which has all panels.
                        *numbers = A::load(unsafe { lanes(input, place * row.step + panel * LANES) });
                    }
                }
                for kx in 0..3 {
                    let weights = A::load(&weights[ky * 3 + kx]);
                    for (t, sum) in sums.iter_mut().enumerate() {
                        *sum = A::multiply_add(*sum, columns[t * S + kx], weights);
                    }
                }
            }
            for (t, sum) in sums.into_iter().enumerate() {
                row.store::<A>(x + t, panel, self.activation.of::<A>(panel, sum));
            }
        }
    }
}

/// Sixteen numbers.
///
/// # Safety
/// They must lie within the slice.
#[inline(always)]
unsafe fn lanes(numbers: &[f32], at: usize) -> &[f32; LANES] {
    debug_assert!(at + LANES <= numbers.len());
    // SAFETY: the caller's.
    unsafe { &*numbers.as_ptr().add(at).cast() }
}

/// A row of the output, and those of the input that its windows reach.
struct Row<'a> {
    input: &'a [f32],
    width: usize,
    step: usize,
    /// Which rows of the window these are.
    down: Range<usize>,
    out: &'a mut [f32],
}

impl Row<'_> {
    #[inline(always)]
    fn store<A: Arithmetic>(&mut self, x: usize, panel: usize, made: A::Lanes) {
        if let Some(out) = self.out[x * self.step + panel * LANES..].first_chunk_mut() {
            A::store(made, out);
        }
    }
}
