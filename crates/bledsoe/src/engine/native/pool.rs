//! The greatest number, or the mean, of each window.

use super::{
    arithmetic::{Arithmetic, LANES},
    layer::Rows,
    window::Window,
};

/// What is kept of a window.
pub(super) struct Pool {
    pub window: Window,
    /// The mean instead of the greatest; windows must lie within the map.
    pub mean: bool,
}

impl Pool {
    #[inline(always)]
    pub fn compute<A: Arithmetic>(&self, rows: Rows<'_>) {
        let (input, shape) = (rows.inputs[0], rows.shape);
        let (height, width) = (input.shape.height, input.shape.width);
        let share = A::splat(1.0 / self.window.area() as f32);
        for (i, out) in rows.out.chunks_exact_mut(shape.row()).enumerate() {
            let (item, y) = ((rows.first + i) / shape.height, (rows.first + i) % shape.height);
            let (down, top) = self.window.inside(0, y, height);
            for (x, out) in out.chunks_exact_mut(shape.step).enumerate() {
                let (across, left) = self.window.inside(1, x, width);
                for (panel, out) in out.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
                    let mut kept = A::splat(if self.mean { 0.0 } else { f32::NEG_INFINITY });
                    for y in (item * height + top..).take(down.len()) {
                        for x in (left..).take(across.len()) {
                            let numbers = A::load(&input.pixel(y * width + x).as_chunks::<LANES>().0[panel]);
                            kept = if self.mean { A::add(kept, numbers) } else { A::max(kept, numbers) };
                        }
                    }
                    A::store(if self.mean { A::multiply_add(A::splat(0.0), kept, share) } else { kept }, out);
                }
            }
        }
    }
}
