//! What windows of a convolution read: a map's rows as words, with their margins.

use std::ops::Range;

use super::{
    arithmetic::{Aligned, Arithmetic, LANES},
    map::{self, Map, Shape},
    window::Window,
};

/// The rows that windows reach, one after the other, with nothing around them: so each row of a window lies in one piece,
/// and no window is a special case.
pub(super) struct Field<'a, A: Arithmetic> {
    window: Window,
    input: Map<'a>,
    /// Words of a pixel.
    depth: usize,
    narrowed: Vec<A::Word>,
    words: Vec<A::Word>,
    places: Vec<usize>,
}

/// The words of some pixels' windows.
pub(super) struct Block<'a, W> {
    words: &'a [W],
    /// For each pixel, where its window begins.
    places: &'a [usize],
    /// Rows of a window, words of each, and from one to the next.
    lines: usize,
    length: usize,
    pitch: usize,
}

impl<'a, A: Arithmetic> Field<'a, A> {
    pub fn new(window: Window, input: Map<'a>) -> Self {
        let depth = map::depth(input.shape.channels) / A::NUMBERS;
        Self { window, input, depth, narrowed: Vec::new(), words: Vec::new(), places: Vec::new() }
    }

    /// Words that a row of so many pixels of the output reads which the one before does not.
    pub fn row(&self, width: usize) -> usize {
        self.window.steps[0] * self.width(width) * self.depth
    }

    /// Pixels of a row with its margins.
    fn width(&self, windows: usize) -> usize {
        (windows - 1) * self.window.steps[1] + self.window.size[1]
    }

    /// The windows of some rows of the output, counted through all pictures.
    #[inline(always)]
    pub fn block(&mut self, rows: Range<usize>, output: Shape) -> Block<'_, A::Word> {
        let step = self.input.shape.step / A::NUMBERS;
        self.places.clear();
        if self.window == Window::PIXEL {
            self.places.extend((0..rows.len() * output.width).map(|pixel| pixel * step));
            let words = A::words(self.input.rows(rows), &mut self.narrowed);
            return Block::new(words, &self.places, [1, self.depth], 0);
        }
        let Window { size, steps, before, .. } = self.window;
        let pitch = self.width(output.width) * self.depth;
        self.words.clear();
        self.words.reserve((rows.len() * steps[0] + size[0]) * pitch);
        let mut row = rows.start;
        while row < rows.end {
            // Picture by picture, as windows do not reach from one into the next.
            let (item, y) = (row / output.height, row % output.height);
            let count = (rows.end - row).min(output.height - y);
            for down in 0..count {
                let start = self.words.len() + down * steps[0] * pitch;
                self.places.extend((0..output.width).map(|x| start + x * steps[1] * self.depth));
            }
            for line in 0..(count - 1) * steps[0] + size[0] {
                let start = self.words.len();
                self.words.resize(start + pitch, A::Word::default());
                let from = (y * steps[0] + line).wrapping_sub(before[0]);
                if from < self.input.shape.height {
                    let from = item * self.input.shape.height + from;
                    let words = A::words(self.input.rows(from..from + 1), &mut self.narrowed);
                    let line = &mut self.words[start + before[1] * self.depth..];
                    if step == self.depth {
                        let length = words.len().min(line.len());
                        line[..length].copy_from_slice(&words[..length]);
                    } else {
                        for (from, to) in words.chunks_exact(step).zip(line.chunks_exact_mut(self.depth)) {
                            to.copy_from_slice(&from[..self.depth]);
                        }
                    }
                }
            }
            row += count;
        }
        Block::new(&self.words, &self.places, [size[0], size[1] * self.depth], pitch)
    }
}

impl<'a, W> Block<'a, W> {
    fn new(words: &'a [W], places: &'a [usize], [lines, length]: [usize; 2], pitch: usize) -> Self {
        let last = places.iter().max().map_or(0, |most| most + (lines - 1) * pitch + length);
        assert!(last <= words.len(), "windows end within the words");
        Self { words, places, lines, length, pitch }
    }

    pub fn pixels(&self) -> usize {
        self.places.len()
    }

    /// Rows of a window.
    pub fn lines(&self) -> usize {
        self.lines
    }

    /// Words of a window's row.
    pub fn length(&self) -> usize {
        self.length
    }

    /// The words among which row `line` of each window is, [`Self::length`] of them from its place on.
    #[inline(always)]
    pub fn line(&self, line: usize) -> &'a [W] {
        &self.words[line * self.pitch..]
    }

    /// The places of M pixels from `first` on.
    #[inline(always)]
    pub fn places<const M: usize>(&self, first: usize) -> Option<&'a [usize; M]> {
        self.places[first..].first_chunk()
    }

    /// Two tiles of sixteen pixels from `first` on, with `depth` words of each, and how many words they are apart: where
    /// they are if they lie so, else put into `room` with zeros behind. Of pixels that there are not anything is given.
    #[inline(always)]
    pub fn tiles(&self, first: usize, depth: usize, room: &mut Vec<Aligned<W>>) -> ([*const W; 2], usize)
    where
        W: Copy + Default,
    {
        let places = &self.places[first..(first + 2 * LANES).min(self.places.len())];
        if let (1, true, &[a, b, ..]) = (self.lines, self.length == depth, places)
            && places.len() == 2 * LANES
            && places.is_sorted_by(|x, y| y - x == b - a)
        {
            return ([a, a + LANES * (b - a)].map(|place| self.words[place..].as_ptr()), b - a);
        }
        // Rows of a tile that lie whole KiB apart would want the same places of the cache.
        let pitch = depth / LANES + usize::from(depth.is_multiple_of(256));
        room.resize(2 * LANES * pitch, Aligned([W::default(); LANES]));
        for (place, to) in places.iter().zip(room.chunks_exact_mut(pitch)) {
            let to = Aligned::flat(to);
            for line in 0..self.lines {
                copy(&self.words[place + line * self.pitch..][..self.length], &mut to[line * self.length..]);
            }
        }
        ([0, LANES * pitch].map(|at| room[at..].as_ptr().cast()), pitch * LANES)
    }
}

/// Copies `from` to the beginning of `to`: so few words that a call would take longer.
#[inline(always)]
fn copy<W: Copy>(from: &[W], to: &mut [W]) {
    let to = &mut to[..from.len()];
    let ((from, last), (to, rest)) = (from.as_chunks::<LANES>(), to.as_chunks_mut::<LANES>());
    from.iter().zip(to).for_each(|(from, to)| *to = *from);
    last.iter().zip(rest).for_each(|(from, to)| *to = *from);
}
