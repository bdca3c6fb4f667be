//! Photos of any size as a network sees them: scaled down, padded, and run together with others of the same size.

use std::collections::BTreeMap;

use rayon::prelude::*;

use crate::{
    Error, Result,
    engine::{Session, Tensor},
    geometry::Point,
    photo::Photo,
};

/// Sides are padded to multiples of this: networks halve them five times.
const MULTIPLE: usize = 32;

/// A photo in a network's input, with black at the right and bottom.
pub(super) struct Look<'a> {
    photo: &'a Photo,
    /// Size of the photo in the network's input.
    width: usize,
    height: usize,
    /// Pixels of the photo for one of the network.
    step: (f32, f32),
}

impl<'a> Look<'a> {
    /// The photo, scaled down to a longer side of `longest` if it is larger.
    pub fn new(photo: &'a Photo, longest: u32) -> Self {
        let (width, height) = (photo.width() as f32, photo.height() as f32);
        let shrink = (longest as f32 / width.max(height)).min(1.0);
        let side = |length: f32| (length * shrink).round().max(1.0);
        let (w, h) = (side(width), side(height));
        Self { photo, width: w as usize, height: h as usize, step: (width / w, height / h) }
    }

    /// Width and height with the padding.
    pub fn padded(&self) -> (usize, usize) {
        (self.width.next_multiple_of(MULTIPLE), self.height.next_multiple_of(MULTIPLE))
    }

    /// The photo's pixel at (x, y) of the network's input. The network counts from the edge of the first pixel (mirrored
    /// LFW photos give x and width - x), a photo from its centre.
    pub fn back(&self, x: f32, y: f32) -> Point {
        Point::new(x * self.step.0 - 0.5, y * self.step.1 - 0.5)
    }

    fn write(&self, planes: &mut [f32]) {
        let (width, height) = self.padded();
        if (self.width, self.height) != (width, height) {
            planes.fill(0.0);
        }
        self.photo.write_planes(self.width, self.height, width, planes);
    }
}

/// Runs all looks, those of one padded size together, so many that a call has `pixels` at most, or one look; `read` makes
/// of the network's outputs for some of them what is wanted of each.
///
/// # Errors
/// When the engine or `read` fails.
pub(super) fn run<T: Clone + Default + Send>(
    session: &dyn Session,
    looks: &[Look<'_>],
    pixels: usize,
    read: impl Fn(Vec<Tensor>, &[&Look<'_>]) -> Result<Vec<T>> + Sync,
) -> Result<Vec<T>> {
    let mut alike: BTreeMap<(usize, usize), Vec<usize>> = BTreeMap::new();
    for (i, look) in looks.iter().enumerate() {
        alike.entry(look.padded()).or_default().push(i);
    }
    let pixels = pixels * session.appetite();
    let calls = alike.iter().flat_map(|(&(width, height), places)| {
        places.chunks((pixels / (width * height)).max(1)).map(move |places| (width, height, places))
    });
    let call = |&(width, height, places): &(usize, usize, &[usize])| {
        let batch: Vec<&Look<'_>> = places.iter().map(|&i| &looks[i]).collect();
        let output = session.fill_and_run(&[batch.len(), 3, height, width], &mut |data| {
            data.par_chunks_exact_mut(3 * width * height).zip(&batch).for_each(|(planes, look)| look.write(planes));
        })?;
        read(output, &batch)
    };
    let mut found = vec![T::default(); looks.len()];
    // Two at once: a large photo is scaled by one thread only.
    for pair in calls.collect::<Vec<_>>().chunks(2) {
        let read: Vec<Vec<T>> = pair.par_iter().map(call).collect::<Result<_>>()?;
        for ((_, _, places), read) in pair.iter().zip(read) {
            for (&i, one) in places.iter().zip(read) {
                found[i] = one;
            }
        }
    }
    Ok(found)
}

/// Refuses outputs of the model `name` that do not have the `expected` shapes.
///
/// # Errors
/// [`Error::Model`].
pub(super) fn check(tensors: &[Tensor], expected: &[Vec<usize>], name: &str) -> Result<()> {
    let is_whole = |tensor: &Tensor| tensor.data.len() == tensor.shape.iter().product::<usize>();
    if tensors.iter().map(|t| &t.shape).eq(expected) && tensors.iter().all(is_whole) {
        return Ok(());
    }
    let shapes: Vec<_> = tensors.iter().map(|t| &t.shape).collect();
    Err(Error::model(name, format!("gave maps of {shapes:?}, expected {expected:?}")))
}
