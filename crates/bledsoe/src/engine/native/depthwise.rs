//! Convolutions of each channel by itself.

use std::ops::Range;

use super::{
    activation::{Activation, panels},
    arithmetic::{Arithmetic, LANES, lanes},
    layer::Rows,
    window::Window,
};

/// Rows of the output of which one panel is computed after the other: what they read stays in the second cache.
const BAND: usize = 16;

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
        let row = |i: usize| {
            let (item, y) = ((rows.first + i) / shape.height, (rows.first + i) % shape.height);
            let (down, top) = self.window.inside(0, y, input.shape.height);
            let top = item * input.shape.height + top;
            Source { data: input.rows(top..top + down.len()), width: input.shape.width, step: shape.step, down }
        };
        let Window { size, steps, before, after } = self.window;
        // At most one column is missing on either side, and no window lies outside.
        let is_usual = size == [3, 3] && before.into_iter().chain(after).all(|margin| margin <= 1);
        let count = rows.out.len() / shape.row();
        match steps {
            [1, 1] | [2, 2] if is_usual => {
                for first in (0..count).step_by(BAND) {
                    for panel in 0..self.weights.len() {
                        for i in first..(first + BAND).min(count) {
                            let out = &mut rows.out[i * shape.row() + panel * LANES..(i + 1) * shape.row()];
                            if steps == [1, 1] {
                                self.slide::<A>(&row(i), panel, out);
                            } else {
                                self.stride::<A>(&row(i), panel, out);
                            }
                        }
                    }
                }
            }
            _ => {
                for (i, out) in rows.out.chunks_exact_mut(shape.row()).enumerate() {
                    self.row_of_pixels::<A>(&row(i), shape.width, out);
                }
            }
        }
    }

    #[inline(always)]
    fn row_of_pixels<A: Arithmetic>(&self, source: &Source<'_>, width: usize, out: &mut [f32]) {
        for x in 0..width {
            let (across, left) = self.window.inside(1, x, source.width);
            for (panel, weights) in self.weights.iter().enumerate() {
                let mut sum = A::load(&self.bias[panel]);
                for (input, ky) in source.data.chunks_exact(source.width * source.step).zip(source.down.clone()) {
                    let pixels = input[left * source.step..].chunks_exact(source.step);
                    for (numbers, kx) in pixels.zip(across.clone()) {
                        let weights = A::load(&weights[ky * self.window.size[1] + kx]);
                        sum = A::multiply_add(sum, A::load(&numbers.as_chunks::<LANES>().0[panel]), weights);
                    }
                }
                self.store::<A>(panel, sum, x * source.step + panel * LANES, out);
            }
        }
    }

    /// A row of a panel, windows of 3 x 3 with steps of 1: each column is loaded once, for three windows.
    #[inline(always)]
    fn slide<A: Arithmetic>(&self, source: &Source<'_>, panel: usize, out: &mut [f32]) {
        let lines = source.lines(panel);
        let Some(weights) = self.kernel::<A>(panel, &source.down) else { return };
        let bias = A::load(&self.bias[panel]);
        // The sums of the windows that the next column ends and goes on with.
        let (mut ends, mut goes_on) = (bias, bias);
        // Columns before the first window's last.
        let before = 2 - self.window.before[1];
        for column in 0..source.width {
            let at = column * source.step;
            let mut begins = bias;
            for (line, weights) in lines.into_iter().zip(weights) {
                // SAFETY: a column of the row.
                let number = A::load(unsafe { lanes(line, at) });
                ends = A::multiply_add(ends, number, weights[2]);
                goes_on = A::multiply_add(goes_on, number, weights[1]);
                begins = A::multiply_add(begins, number, weights[0]);
            }
            if column >= before {
                self.store::<A>(panel, ends, (column - before) * source.step, out);
            }
            (ends, goes_on) = (goes_on, begins);
        }
        if self.window.after[1] == 1 && source.width >= before {
            self.store::<A>(panel, ends, (source.width - before) * source.step, out);
        }
    }

    /// The same with steps of 2: each second column is loaded for two windows.
    #[inline(always)]
    fn stride<A: Arithmetic>(&self, source: &Source<'_>, panel: usize, out: &mut [f32]) {
        let lines = source.lines(panel);
        let Some(weights) = self.kernel::<A>(panel, &source.down) else { return };
        let bias = A::load(&self.bias[panel]);
        let (mut sum, mut column) = (bias, 0);
        if self.window.before[1] == 0 {
            for (line, weights) in lines.into_iter().zip(weights) {
                // SAFETY: a column of the row.
                sum = A::multiply_add(sum, A::load(unsafe { lanes(line, 0) }), weights[0]);
            }
            column = 1;
        }
        for x in 0.. {
            // The window's first column is in the sum, or missing.
            if column + 1 - self.window.after[1] >= source.width {
                return;
            }
            let (at, mut begins) = (column * source.step, bias);
            for (line, weights) in lines.into_iter().zip(weights) {
                // SAFETY: a column of the row.
                sum = A::multiply_add(sum, A::load(unsafe { lanes(line, at) }), weights[1]);
            }
            if column + 1 < source.width {
                for (line, weights) in lines.into_iter().zip(weights) {
                    // SAFETY: a column of the row.
                    let number = A::load(unsafe { lanes(line, at + source.step) });
                    sum = A::multiply_add(sum, number, weights[2]);
                    begins = A::multiply_add(begins, number, weights[0]);
                }
            }
            self.store::<A>(panel, sum, x * source.step, out);
            (sum, column) = (begins, column + 2);
        }
    }

    /// Stores what becomes of a pixel's sum.
    #[inline(always)]
    fn store<A: Arithmetic>(&self, panel: usize, sum: A::Lanes, at: usize, out: &mut [f32]) {
        if let Some(out) = out[at..].first_chunk_mut() {
            A::store(self.activation.of::<A>(panel, sum), out);
        }
    }

    /// A panel's weights of 3 x 3; zeros for rows that are missing.
    #[inline(always)]
    fn kernel<A: Arithmetic>(&self, panel: usize, down: &Range<usize>) -> Option<[[A::Lanes; 3]; 3]> {
        let weights = self.weights[panel].first_chunk::<9>()?;
        let mut kernel = [[A::splat(0.0); 3]; 3];
        for (ky, kernel) in kernel.iter_mut().enumerate() {
            if down.contains(&ky) {
                for (kx, lanes) in kernel.iter_mut().enumerate() {
                    *lanes = A::load(&weights[ky * 3 + kx]);
                }
            }
        }
        Some(kernel)
    }
}

/// The rows of the input that the windows of a row of the output reach.
struct Source<'a> {
    data: &'a [f32],
    width: usize,
    step: usize,
    /// Which rows of the window these are.
    down: Range<usize>,
}

impl<'a> Source<'a> {
    /// A panel of three rows; of those that are missing, another stands there.
    #[inline(always)]
    fn lines(&self, panel: usize) -> [&'a [f32]; 3] {
        let mut lines = [&self.data[panel * LANES..self.width * self.step]; 3];
        for (i, ky) in self.down.clone().enumerate() {
            lines[ky] = &self.data[i * self.width * self.step + panel * LANES..(i + 1) * self.width * self.step];
        }
        lines
    }
}
