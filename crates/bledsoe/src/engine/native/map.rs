//! What layers hand on: for each pixel its channels one after the other, so that sixteen of them fill a register.

use super::arithmetic::LANES;

/// The shape of a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    /// Pictures.
    pub items: usize,
    pub height: usize,
    pub width: usize,
    pub channels: usize,
    /// Numbers from one pixel to the next: whole registers, but for the network's input. What is behind the channels is
    /// finite and means nothing.
    pub step: usize,
}

impl Shape {
    /// With whole registers for each pixel.
    pub fn new(items: usize, [height, width]: [usize; 2], channels: usize) -> Self {
        Self { items, height, width, channels, step: channels.next_multiple_of(LANES) }
    }

    /// Of the network's input.
    pub fn of_input(items: usize, sides: [usize; 2], channels: usize) -> Self {
        Self { step: depth(channels), ..Self::new(items, sides, channels) }
    }

    /// The same pixels with other channels.
    pub fn with_channels(self, channels: usize) -> Self {
        Self::new(self.items, [self.height, self.width], channels)
    }

    /// Rows of pixels, of all pictures.
    pub fn rows(&self) -> usize {
        self.items * self.height
    }

    /// Numbers of a row of pixels.
    pub fn row(&self) -> usize {
        self.width * self.step
    }

    /// All numbers.
    pub fn len(&self) -> usize {
        self.rows() * self.row()
    }
}

/// Numbers of a pixel that convolutions read: its channels in pieces that are quickly copied, and whole words of bf16.
pub(super) fn depth(channels: usize) -> usize {
    channels.next_multiple_of(if channels < 8 { 2 } else { 8 })
}

/// A map that a layer reads, or some rows of it.
#[derive(Clone, Copy)]
pub(super) struct Map<'a> {
    /// The whole map's.
    pub shape: Shape,
    /// The first row that is there, counted through all pictures.
    pub first: usize,
    /// Whole rows.
    pub data: &'a [f32],
}

impl<'a> Map<'a> {
    /// Rows of pixels, counted through all pictures.
    #[inline(always)]
    pub fn rows(&self, rows: std::ops::Range<usize>) -> &'a [f32] {
        let row = self.shape.row();
        &self.data[(rows.start - self.first) * row..(rows.end - self.first) * row]
    }

    /// A pixel's numbers by its place among all.
    #[inline(always)]
    pub fn pixel(&self, place: usize) -> &'a [f32] {
        &self.data[(place - self.first * self.shape.width) * self.shape.step..][..self.shape.step]
    }
}

/// The memory of a map.
#[derive(Default)]
pub(super) struct Room(Vec<f32>);

impl Room {
    /// So many numbers, which may hold others yet, where each register's begin with a line of the cache.
    pub fn numbers(&mut self, length: usize) -> &mut [f32] {
        if self.0.len() < length + LANES {
            self.0.resize(length + LANES, 0.0);
        }
        let start = self.start();
        &mut self.0[start..][..length]
    }

    /// The numbers last written.
    pub fn read(&self) -> &[f32] {
        &self.0[self.start().min(self.0.len())..]
    }

    fn start(&self) -> usize {
        self.0.as_ptr().align_offset(LANES * size_of::<f32>()).min(LANES)
    }
}

/// Writes planes, N x C x H x W, as a map of `shape`.
pub(super) fn from_planes(planes: &[f32], shape: Shape, map: &mut [f32]) {
    let pixels = shape.height * shape.width;
    for (planes, map) in planes.chunks_exact(shape.channels * pixels).zip(map.chunks_exact_mut(pixels * shape.step)) {
        let planes = planes.chunks_exact(pixels).map(Some).chain(std::iter::repeat(None));
        for (channel, plane) in planes.enumerate().take(shape.step) {
            for (pixel, numbers) in map.chunks_exact_mut(shape.step).enumerate() {
                numbers[channel] = plane.map_or(0.0, |plane| plane[pixel]);
            }
        }
    }
}

/// The planes of a whole map, N x C x H x W.
pub(super) fn to_planes(map: Map<'_>) -> Vec<f32> {
    let Shape { items, height, width, channels, step } = map.shape;
    let pixels = height * width;
    let mut planes = vec![0.0; items * channels * pixels];
    for (planes, map) in planes.chunks_exact_mut(channels * pixels).zip(map.data.chunks_exact(pixels * step)) {
        for (channel, plane) in planes.chunks_exact_mut(pixels).enumerate() {
            for (number, pixel) in plane.iter_mut().zip(map.chunks_exact(step)) {
                *number = pixel[channel];
            }
        }
    }
    planes
}
