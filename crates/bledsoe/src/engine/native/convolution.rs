//! Convolutions over all channels: products of matrices, pixels by weights.

use rayon::prelude::*;

use super::{
    activation::{Activation, panels},
    arithmetic::{Aligned, Arithmetic, LANES, lanes, lanes_mut},
    field::{Block, Field},
    layer::Rows,
    map,
    window::Window,
};

/// Words of the pixels that are multiplied at once: they stay in the second cache while all weights pass.
const BLOCK: usize = 16 << 10;

/// The same where each tile of pixels meets all weights before the next: so few blocks are cut off at their ends.
const BLOCK_OF_TILES: usize = 8 * BLOCK;

/// Does something for each number below a constant of at most 12. A loop the compiler does not always take apart, and then
/// the sums are kept in memory.
macro_rules! each {
    ($m:ident < $limit:ident => $body:block) => {
        each!($m < $limit => $body, 0 1 2 3 4 5 6 7 8 9 10 11)
    };
    ($m:ident < $limit:ident => $body:block, $($number:literal)*) => {
        {
            $(if $number < $limit {
                let $m = $number;
                $body
            })*
        }
    };
}

/// A convolution, with what follows it.
pub(super) struct Convolution<A: Arithmetic> {
    pub window: Window,
    inputs: usize,
    outputs: usize,
    /// For each sixteen outputs, the weights of every word of the window; whole tiles where these are multiplied.
    pub weights: Vec<Vec<Aligned<A::Word>>>,
    pub bias: Vec<[f32; LANES]>,
    pub activation: Activation,
}

impl<A: Arithmetic> Convolution<A> {
    /// Of weights by output, input and place in the window.
    pub fn new(
        window: Window,
        [outputs, inputs]: [usize; 2],
        weights: &[f32],
        bias: &[f32],
        activation: Activation,
    ) -> Self {
        let (area, depth) = (window.area(), map::depth(inputs));
        let panel = |first: usize| -> Vec<Aligned<A::Word>> {
            // The numbers of a word of each lane, gathered one after the other.
            let mut panel = Vec::with_capacity(area * depth / A::NUMBERS);
            for place in 0..area {
                for input in (0..depth).step_by(A::NUMBERS) {
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
            if A::TILES.is_some() {
                panel.resize(panel.len().next_multiple_of(LANES), Aligned([A::Word::default(); LANES]));
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
        let mut field = Field::<A>::new(self.window, input);
        let words = if A::TILES.is_some() { BLOCK_OF_TILES } else { BLOCK };
        let count = (words / field.row(shape.width)).max(1);
        for (i, out) in rows.out.chunks_mut(count * shape.row()).enumerate() {
            let first = rows.first + i * count;
            let rows = first..first + out.len() / shape.row();
            let added = added.map(|added| added.rows(rows.clone()));
            self.multiply(&field.block(rows, shape), out, added);
        }
    }

    /// Multiplies a block's pixels with all weights.
    #[inline(always)]
    fn multiply(&self, block: &Block<'_, A::Word>, out: &mut [f32], added: Option<&[f32]>) {
        if let Some(product) = A::TILES {
            return self.multiply_tiles(product, block, out, added);
        }
        let mut panel = 0;
        while panel < self.weights.len() {
            match &self.weights[panel..] {
                [a, b, ..] if A::WIDE => {
                    self.columns([a, b], panel, block, out, added);
                    panel += 2;
                }
                [a, ..] => {
                    self.columns([a], panel, block, out, added);
                    panel += 1;
                }
                [] => return,
            }
        }
    }

    /// Multiplies a block's pixels with the weights of some panels.
    #[inline(always)]
    fn columns<const P: usize>(
        &self,
        weights: [&[Aligned<A::Word>]; P],
        panel: usize,
        block: &Block<'_, A::Word>,
        out: &mut [f32],
        added: Option<&[f32]>,
    ) {
        let pixels = block.pixels();
        // A tile takes about as long as its pixels and one and a half more.
        let mut best = (usize::MAX, 1);
        for tile in [12, 10, 8, 6, 4, 2, 1] {
            let time = pixels.div_ceil(tile) * (2 * tile + 3);
            if tile <= pixels && (A::WIDE || tile <= 6) && time < best.0 {
                best = (time, tile);
            }
        }
        match best.1 {
            12 if A::WIDE => self.tiles::<P, 12>(weights, panel, block, out, added),
            10 if A::WIDE => self.tiles::<P, 10>(weights, panel, block, out, added),
            8 if A::WIDE => self.tiles::<P, 8>(weights, panel, block, out, added),
            6 => self.tiles::<P, 6>(weights, panel, block, out, added),
            4 => self.tiles::<P, 4>(weights, panel, block, out, added),
            2 => self.tiles::<P, 2>(weights, panel, block, out, added),
            _ => self.tiles::<P, 1>(weights, panel, block, out, added),
        }
    }

    #[inline(always)]
    fn tiles<const P: usize, const M: usize>(
        &self,
        weights: [&[Aligned<A::Word>]; P],
        panel: usize,
        block: &Block<'_, A::Word>,
        out: &mut [f32],
        added: Option<&[f32]>,
    ) {
        let step = self.weights.len() * LANES;
        let mut bias = [A::splat(0.0); P];
        for (bias, numbers) in bias.iter_mut().zip(&self.bias[panel..]) {
            *bias = A::load(numbers);
        }
        for pixel in (0..block.pixels()).step_by(M) {
            // The last tile computes again what it shares with the one before.
            let first = pixel.min(block.pixels() - M);
            let Some(places) = block.places::<M>(first) else { return };
            let place = first * step + panel * LANES;
            let mut sums = [bias; M];
            if let Some(added) = added {
                let added = &added[place..][..(M - 1) * step + P * LANES];
                each!(m < M => {
                    for (p, sum) in sums[m].iter_mut().enumerate() {
                        // SAFETY: the last of them ends where the slice does.
                        *sum = A::add(*sum, A::load(unsafe { lanes(added, m * step + p * LANES) }));
                    }
                });
            }
            for line in 0..block.lines() {
                let words = block.line(line);
                let weights = weights.map(|weights| &weights[line * block.length()..][..block.length()]);
                for k in 0..block.length() {
                    let mut registers = [A::splat(0.0); P];
                    for (register, weights) in registers.iter_mut().zip(weights) {
                        // SAFETY: the slice above is as long.
                        *register = A::load_words(unsafe { &weights.get_unchecked(k).0 });
                    }
                    each!(m < M => {
                        // SAFETY: so many words from each place on are there.
                        let word = unsafe { *words.get_unchecked(places[m] + k) };
                        for (sum, weights) in sums[m].iter_mut().zip(registers) {
                            *sum = A::product(*sum, word, weights);
                        }
                    });
                }
            }
            let (zero, out) = (A::splat(0.0), &mut out[place..][..(M - 1) * step + P * LANES]);
            macro_rules! put {
                ($sum:ident, $p:ident => $made:expr) => {
                    each!(m < M => {
                        for ($p, $sum) in sums[m].into_iter().enumerate() {
                            // SAFETY: the last of them ends where the slice does.
                            A::store($made, unsafe { lanes_mut(out, m * step + $p * LANES) });
                        }
                    })
                };
            }
            match &self.activation {
                Activation::Linear => put!(sum, p => sum),
                Activation::Relu => put!(sum, p => A::max(sum, zero)),
                Activation::PRelu(slopes) => {
                    let mut lanes = [zero; P];
                    for (lanes, slopes) in lanes.iter_mut().zip(&slopes[panel..]) {
                        *lanes = A::load(slopes);
                    }
                    put!(sum, p => A::multiply_add(A::max(sum, zero), A::min(sum, zero), lanes[p]));
                }
            }
        }
    }
}
