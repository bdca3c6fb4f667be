//! The window that moves over a map.

use std::ops::Range;

use super::map::Shape;

/// Size, steps and margin of a window; heights before widths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    pub size: [usize; 2],
    pub steps: [usize; 2],
    /// Pixels of nothing above and to the left, and below and to the right.
    pub before: [usize; 2],
    pub after: [usize; 2],
}

impl Window {
    /// One pixel, each.
    pub const PIXEL: Self = Self { size: [1, 1], steps: [1, 1], before: [0, 0], after: [0, 0] };

    /// The shape of what it gives, with so many channels; `None` if it does not fit in.
    pub fn shape(&self, input: Shape, channels: usize) -> Option<Shape> {
        let side = |axis: usize, length: usize| {
            let room = (length + self.before[axis] + self.after[axis]).checked_sub(self.size[axis])?;
            Some(room / self.steps[axis] + 1)
        };
        Some(Shape::new(input.items, [side(0, input.height)?, side(1, input.width)?], channels))
    }

    /// The rows of an input that windows of some rows of the output reach, both counted through all pictures.
    pub fn reach(&self, rows: &Range<usize>, input: Shape, output: Shape) -> Range<usize> {
        let (first, last) = (rows.start, rows.end - 1);
        let (_, start) = self.inside(0, first % output.height, input.height);
        let (down, end) = self.inside(0, last % output.height, input.height);
        first / output.height * input.height + start..last / output.height * input.height + end + down.len()
    }

    /// Pixels of the window.
    pub fn area(&self) -> usize {
        self.size[0] * self.size[1]
    }

    /// Those places of the window at `place` of an axis that lie within its `length`, and where the first of them lies.
    #[inline(always)]
    pub fn inside(&self, axis: usize, place: usize, length: usize) -> (Range<usize>, usize) {
        let start = place * self.steps[axis];
        let first = self.before[axis].saturating_sub(start);
        let end = (length + self.before[axis]).saturating_sub(start).min(self.size[axis]);
        (first..end.max(first), start + first - self.before[axis])
    }
}
