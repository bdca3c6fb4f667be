//! Convolutions over all channels: products of matrices, pixels by weights.

use std::ops::Range;

use rayon::prelude::*;

use super::{
    activation::{Activation, panels},
    arithmetic::{Aligned, Arithmetic, LANES},
    layer::Rows,
    map::Map,
    window::Window,
};

/// Words of the pixels that are multiplied at once: they stay in the second cache while all weights pass.
const BLOCK: usize = 16 << 10;

/// A convolution, with what follows it.
pub(super) struct Convolution<A: Arithmetic> {
    pub window: Window,
    inputs: usize,
    outputs: usize,
    /// For each sixteen outputs, the weights of every word of the window.
    weights: Vec<Vec<Aligned<A::Word>>>,
    bias: Vec<[f32; LANES]>,
    activation: Activation,
}

impl<A: Arithmetic> Convolution<A> {
    /// Of weights by output, input and place in the window, for maps whose pixels are `step` numbers apart.
    pub fn new(
        window: Window,
        [outputs, inputs]: [usize; 2],
        step: usize,
        weights: &[f32],
        bias: &[f32],
        activation: Activation,
    ) -> Self {
        let area = window.area();
        let panel = |first: usize| -> Vec<Aligned<A::Word>> {
            // The numbers of a word of each lane, gathered one after the other.
            let mut panel = Vec::with_capacity(area * step / A::NUMBERS);
            for place in 0..area {
                for input in (0..step).step_by(A::NUMBERS) {
                    let mut words = [A::Word::default(); LANES];
                    for (output, word) in (first..outputs).zip(&mut words) {
                        let mut numbers = [0.0; 2];
                        for (input, number) in (input..inputs).zip(&mut numbers[..A::NUMBERS]) {
                            *number = weights[(output * inputs + input) * area + place];
                        }
                        *word = A::word(&numbers[..A::NUMBERS]);
                    }
                    panel.push(Aligned(words));
                }
            }
            panel
        };
        let weights = (0..outputs.div_ceil(LANES)).into_par_iter().map(|i| panel(i * LANES)).collect();
        Self { window, inputs, outputs, weights, bias: panels(bias), activation }
    }

    /// Bytes of the weights.
    pub fn bytes(&self) -> usize {
        self.weights.iter().map(|panel| size_of_val(panel.as_slice())).sum()
    }

    pub fn inputs(&self) -> usize {
        self.inputs
    }

    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// The second input, if there is one, is added before the activation.
    #[inline(always)]
    pub fn compute(&self, rows: Rows<'_>) {
        let (input, added, shape) = (rows.inputs[0], rows.inputs.get(1), rows.shape);
        // Words of a pixel's window.
        let depth = self.weights[0].len();
        let pixels = (BLOCK / depth / 12).max(1) * 12;
        let (mut room, mut block) = (Vec::new(), Vec::new());
        let first = rows.first * shape.width;
        if self.window == Window::PIXEL {
            for (i, out) in rows.out.chunks_mut(pixels * shape.step).enumerate() {
                let (place, count) = (first + i * pixels, out.len() / shape.step);
                let numbers = &input.data[place * input.shape.step..][..count * input.shape.step];
                self.multiply(A::words(numbers, &mut room), depth, out, added_from(added, place));
            }
            return;
        }
        // Picture by picture, as the window does not reach from one into the next.
        let mut out = rows.out;
        let mut row = rows.first;
        while !out.is_empty() {
            let (item, y) = (row / shape.height, row % shape.height);
            let count = (out.len() / shape.row()).min(shape.height - y);
            let (these, rest) = out.split_at_mut(count * shape.row());
            let source = Source::new(self.window, input, item, y..y + count);
            let words = A::words(input.rows(source.rows.clone()), &mut room);
            for (i, out) in these.chunks_mut(pixels * shape.step).enumerate() {
                let (start, count) = (i * pixels, out.len() / shape.step);
                block.resize(pixels * depth + WHOLE, A::Word::default());
                let mut pixel = 0;
                while pixel < count {
                    let (down, x) = ((start + pixel) / shape.width, (start + pixel) % shape.width);
                    let across = (shape.width - x).min(count - pixel);
                    source.gather(words, y + down, x..x + across, depth, &mut block[pixel * depth..]);
                    pixel += across;
                }
                self.multiply(&block[..count * depth], depth, out, added_from(added, row * shape.width + start));
            }
            (out, row) = (rest, row + count);
        }
    }

    /// Multiplies pixels of `depth` words with all weights.
    #[inline(always)]
    fn multiply(&self, words: &[A::Word], depth: usize, out: &mut [f32], added: Option<&[f32]>) {
        let mut panel = 0;
        while panel < self.weights.len() {
            match &self.weights[panel..] {
                [a, b, ..] if A::WIDE => {
                    self.columns([a, b], panel, words, depth, out, added);
                    panel += 2;
                }
                [a, ..] => {
                    self.columns([a], panel, words, depth, out, added);
                    panel += 1;
                }
                [] => return,
            }
        }
    }

    /// Multiplies pixels with the weights of some panels.
    #[inline(always)]
    fn columns<const P: usize>(
        &self,
        weights: [&[Aligned<A::Word>]; P],
        panel: usize,
        words: &[A::Word],
        depth: usize,
        out: &mut [f32],
        added: Option<&[f32]>,
    ) {
        let pixels = words.len() / depth;
        let tile = Tile { words, depth, weights, panel };
        match pixels {
            0 => {}
            12.. if A::WIDE => self.tiles::<P, 12>(&tile, pixels, out, added),
            6.. => self.tiles::<P, 6>(&tile, pixels, out, added),
            3.. => self.tiles::<P, 3>(&tile, pixels, out, added),
            _ => self.tiles::<P, 1>(&tile, pixels, out, added),
        }
    }

    #[inline(always)]
    fn tiles<const P: usize, const M: usize>(
        &self,
        tile: &Tile<'_, A, P>,
        pixels: usize,
        out: &mut [f32],
        added: Option<&[f32]>,
    ) {
        let step = self.weights.len() * LANES;
        let mut pixel = 0;
        while pixel < pixels {
            // The last tile computes again what it shares with the one before.
            let first = pixel.min(pixels - M);
            let mut bias = [A::splat(0.0); P];
            for (bias, numbers) in bias.iter_mut().zip(&self.bias[tile.panel..]) {
                *bias = A::load(numbers);
            }
            let sums = tile.sums::<M>(first, bias);
            for (m, sums) in sums.into_iter().enumerate() {
                let at = (first + m) * step + tile.panel * LANES;
                for (p, mut sum) in sums.into_iter().enumerate() {
                    let at = at + p * LANES;
                    if let Some(added) = added.and_then(|added| added[at..].first_chunk()) {
                        sum = A::add(sum, A::load(added));
                    }
                    let made = self.activation.of::<A>(tile.panel + p, sum);
                    if let Some(out) = out[at..].first_chunk_mut() {
                        A::store(made, out);
                    }
                }
            }
            pixel += M;
        }
    }
}

#[inline(always)]
fn added_from<'a>(added: Option<&Map<'a>>, place: usize) -> Option<&'a [f32]> {
    added.map(|added| &added.data[place * added.shape.step..])
}

/// Pixels and the panels of weights with which they are multiplied.
struct Tile<'a, A: Arithmetic, const P: usize> {
    words: &'a [A::Word],
    depth: usize,
    weights: [&'a [Aligned<A::Word>]; P],
    panel: usize,
}

impl<A: Arithmetic, const P: usize> Tile<'_, A, P> {
    /// The products of M pixels from `first` on, added to `bias`.
    #[inline(always)]
    fn sums<const M: usize>(&self, first: usize, bias: [A::Lanes; P]) -> [[A::Lanes; P]; M] {
        let words = &self.words[first * self.depth..][..M * self.depth];
        let weights = self.weights.map(|weights| &weights[..self.depth]);
        let mut sums = [bias; M];
        for k in 0..self.depth {
            let mut registers = [A::splat(0.0); P];
            for (register, weights) in registers.iter_mut().zip(weights) {
                // SAFETY: the slices above are as long as the indices here need.
                *register = A::load_words(unsafe { &weights.get_unchecked(k).0 });
            }
            for (m, sums) in sums.iter_mut().enumerate() {
                // SAFETY: the same.
                let word = unsafe { *words.get_unchecked(m * self.depth + k) };
                for (sum, weights) in sums.iter_mut().zip(registers) {
                    *sum = A::product(*sum, word, weights);
                }
            }
        }
        sums
    }
}

/// The rows of a picture that windows of some output rows reach.
struct Source {
    window: Window,
    /// Counted through all pictures.
    rows: Range<usize>,
    /// Of one picture.
    height: usize,
    width: usize,
    /// The first of `rows`, in its picture.
    first: usize,
}

impl Source {
    fn new(window: Window, input: Map<'_>, item: usize, outputs: Range<usize>) -> Self {
        let (height, width) = (input.shape.height, input.shape.width);
        let (_, first) = window.inside(0, outputs.start, height);
        let (last, start) = window.inside(0, outputs.end - 1, height);
        let rows = item * height + first..(item * height + start + last.len()).max(item * height + first);
        Self { window, rows, height, width, first }
    }

    /// Writes the windows' words, `depth` of each, for some of row `y` of the output to the beginning of `block`, and
    /// perhaps some words behind.
    #[inline(always)]
    fn gather<W: Copy + Default>(&self, words: &[W], y: usize, xs: Range<usize>, depth: usize, block: &mut [W]) {
        let [_, across] = self.window.size;
        let pixel = depth / self.window.area();
        let (down, top) = self.window.inside(0, y, self.height);
        let rows = &words[(top - self.first) * self.width * pixel..];
        for (i, x) in xs.enumerate() {
            let block = &mut block[i * depth..];
            let (inside, left) = self.window.inside(1, x, self.width);
            let is_whole = down.len() * inside.len() == self.window.area();
            if !is_whole {
                block[..depth].fill(W::default());
            }
            for (row, place) in down.clone().enumerate() {
                let from = &rows[(row * self.width + left) * pixel..];
                let to = &mut block[(place * across + inside.start) * pixel..];
                copy(from, to, inside.len() * pixel, is_whole);
            }
        }
    }
}

/// Words that are copied at once.
const WHOLE: usize = 8;

/// Copies some words, and perhaps a few more if it may: a call for so few would take longer.
#[inline(always)]
fn copy<W: Copy>(from: &[W], to: &mut [W], length: usize, may_more: bool) {
    if may_more && length <= 4 * WHOLE {
        let whole = length.next_multiple_of(WHOLE);
        if let (Some(from), Some(to)) = (from.get(..whole), to.get_mut(..whole)) {
            let (from, to) = (from.as_chunks::<WHOLE>().0, to.as_chunks_mut::<WHOLE>().0);
            from.iter().zip(to).for_each(|(from, to)| *to = *from);
            return;
        }
    }
    to[..length].copy_from_slice(&from[..length]);
}
