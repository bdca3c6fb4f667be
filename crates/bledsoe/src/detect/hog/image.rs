//! A level of the pyramid.

use super::resample;
use crate::photo::Photo;

/// An image of 8 bits; each row is its red, its green and its blue plane.
#[derive(Debug, Clone, PartialEq)]
pub struct Image {
    width: usize,
    height: usize,
    /// The rows, then [`resample::WINDOW`] bytes that make every pixel the first of so many.
    data: Vec<u8>,
}

impl From<&Photo> for Image {
    fn from(photo: &Photo) -> Self {
        let mut image = Self::new(photo.width() as usize, photo.height() as usize);
        for (planes, pixels) in image.rows_mut().zip(photo.rgb().chunks_exact(3 * photo.width() as usize)) {
            let [red, green, blue] = planes;
            for (((r, g), b), pixel) in red.iter_mut().zip(green).zip(blue).zip(pixels.as_chunks::<3>().0) {
                [*r, *g, *b] = *pixel;
            }
        }
        image
    }
}

impl Image {
    /// A black image.
    pub fn new(width: usize, height: usize) -> Self {
        Self { width, height, data: vec![0; 3 * width * height + resample::WINDOW] }
    }

    /// Width in pixels.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height in pixels.
    pub fn height(&self) -> usize {
        self.height
    }

    /// All bytes from the beginning of a plane of row `y`: at least [`resample::WINDOW`] more than the plane has.
    pub fn onwards(&self, y: usize, plane: usize) -> &[u8] {
        &self.data[(3 * y + plane) * self.width..]
    }

    /// The three planes of each row.
    pub fn rows_mut(&mut self) -> impl Iterator<Item = [&mut [u8]; 3]> {
        let width = self.width;
        self.data[..3 * width * self.height].chunks_exact_mut((3 * width).max(1)).map(move |row| {
            let (red, rest) = row.split_at_mut(width);
            let (green, blue) = rest.split_at_mut(width);
            [red, green, blue]
        })
    }
}
