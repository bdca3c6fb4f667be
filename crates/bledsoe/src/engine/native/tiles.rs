//! Convolutions by products of whole tiles, where the processor has them.

use super::{
    activation::Activation,
    arithmetic::{Aligned, Arithmetic, LANES, TileProduct, lanes, lanes_mut},
    convolution::Convolution,
    field::Block,
};

impl<A: Arithmetic> Convolution<A> {
    /// Multiplies a block's pixels with all weights, 2 x 16 pixels at a time.
    #[inline(always)]
    pub fn multiply_tiles(
        &self,
        product: TileProduct<A::Word>,
        block: &Block<'_, A::Word>,
        out: &mut [f32],
        added: Option<&[f32]>,
    ) {
        let step = self.weights.len() * LANES;
        let depth = self.weights[0].len();
        let mut sums = [Aligned([0.0; LANES]); 4 * LANES];
        let mut room = Vec::new();
        for first in (0..block.pixels()).step_by(2 * LANES) {
            let (pixels, pitch) = block.tiles(first, depth, &mut room);
            for panel in (0..self.weights.len()).step_by(2) {
                let panels = [panel, (panel + 1).min(self.weights.len() - 1)];
                let weights = panels.map(|panel| self.weights[panel].as_slice());
                // SAFETY: each pixel has `depth` words from the pointer on, and so have the panels.
                unsafe { product(pixels, pitch, weights, &mut sums) };
                for (tile, sums) in sums.as_chunks::<LANES>().0.iter().enumerate() {
                    let (first, panel) = (first + tile / 2 * LANES, panels[tile % 2]);
                    let count = block.pixels().saturating_sub(first).min(LANES);
                    if count > 0 {
                        self.finish_tile(&sums[..count], panel, first * step + panel * LANES, out, added);
                    }
                }
            }
        }
    }

    /// Adds to a tile's sums what is missing, and puts them where they belong: the first pixel's to `place`.
    #[inline(always)]
    fn finish_tile(&self, sums: &[Aligned<f32>], panel: usize, place: usize, out: &mut [f32], added: Option<&[f32]>) {
        let step = self.weights.len() * LANES;
        let length = (sums.len() - 1) * step + LANES;
        let (bias, out) = (A::load(&self.bias[panel]), &mut out[place..][..length]);
        let (zero, added) = (A::splat(0.0), added.map(|added| &added[place..][..length]));
        macro_rules! finish {
            ($sum:ident => $made:expr) => {
                match added {
                    None => {
                        for (m, sums) in sums.iter().enumerate() {
                            let $sum = A::add(A::load(&sums.0), bias);
                            // SAFETY: the last of them ends where the slice does.
                            A::store($made, unsafe { lanes_mut(out, m * step) });
                        }
                    }
                    Some(added) => {
                        for (m, sums) in sums.iter().enumerate() {
                            // SAFETY: the last of them ends where the slice does.
                            let added = A::load(unsafe { lanes(added, m * step) });
                            let $sum = A::add(A::add(A::load(&sums.0), bias), added);
                            // SAFETY: the same.
                            A::store($made, unsafe { lanes_mut(out, m * step) });
                        }
                    }
                }
            };
        }
        match &self.activation {
            Activation::Linear => finish!(sum => sum),
            Activation::Relu => finish!(sum => A::max(sum, zero)),
            Activation::PRelu(slopes) => {
                let slopes = A::load(&slopes[panel]);
                finish!(sum => A::multiply_add(A::max(sum, zero), A::min(sum, zero), slopes));
            }
        }
    }
}
