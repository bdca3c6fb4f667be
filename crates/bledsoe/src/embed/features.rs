//! Features: what the front of an embedder's network gives of faces, kept so that the end can be learnt.

use half::{f16, slice::HalfFloatSliceExt};
use rayon::prelude::*;

use crate::{Error, Result, engine::Tensor};

/// One tensor a face and view (as it is; mirrored too, where the embedder looks at both), as halves: of a network's
/// features 16 bits keep a thousandth.
pub struct Features {
    /// Most bytes that may be taken.
    limit: u64,
    /// Faces that will be there in the end.
    expected: usize,
    views: usize,
    /// Of one view: channels, then the lengths of other axes.
    shape: Vec<usize>,
    faces: Vec<Box<[f16]>>,
}

impl Features {
    /// None yet; together they will take no more than `limit` bytes.
    pub fn new(limit: u64) -> Self {
        Self { limit, expected: 0, views: 0, shape: Vec::new(), faces: Vec::new() }
    }

    /// Says that so many faces more are to come, so that what will not fit is refused with the first of them.
    pub fn expect(&mut self, faces: usize) {
        self.expected += faces;
    }

    /// Adds faces: a tensor of faces x channels x … for each view.
    ///
    /// # Errors
    /// [`Error::Invalid`] when all that are expected take more memory than is allowed, or a number is beyond what halves
    /// hold; [`Error::Mismatch`] when the tensors are not of one shape.
    pub fn push(&mut self, views: &[&Tensor]) -> Result<()> {
        let Some((&faces, shape)) = views.first().and_then(|view| view.shape.split_first()) else {
            return Err(Error::Mismatch("features without faces".into()));
        };
        if self.faces.is_empty() {
            (self.views, self.shape) = (views.len(), shape.to_vec());
        }
        let fits = |view: &&Tensor| view.shape.split_first() == Some((&faces, self.shape.as_slice()));
        if views.len() != self.views || !views.iter().all(fits) || shape.is_empty() {
            let shapes: Vec<&[usize]> = views.iter().map(|view| view.shape.as_slice()).collect();
            return Err(Error::Mismatch(format!("features of {shapes:?}, those before were of {:?} each", self.shape)));
        }
        let all = self.expected.max(self.faces.len() + faces) as u64 * self.bytes_each();
        if all > self.limit {
            return Err(Error::Invalid(format!(
                "{} faces with {} in front of these layers ({:?} numbers of 16 bits each) take {:.1} GB of memory, {:.1} \
                 are allowed: unfreeze fewer layers, take fewer photos, or allow more with --memory",
                self.expected.max(self.faces.len() + faces),
                if self.views == 1 { "one tensor" } else { "two tensors" },
                self.shape,
                all as f64 / 1e9,
                self.limit as f64 / 1e9,
            )));
        }
        let each: usize = self.shape.iter().product();
        for face in 0..faces {
            let mut halves = vec![f16::ZERO; views.len() * each];
            for (halves, view) in halves.chunks_exact_mut(each.max(1)).zip(views) {
                halves.convert_from_f32_slice(&view.data[face * each..][..each]);
            }
            if !halves.iter().all(|half| half.is_finite()) {
                return Err(Error::Invalid("features in front of these layers are too large to be kept".into()));
            }
            self.faces.push(halves.into());
        }
        Ok(())
    }

    /// Faces.
    pub fn len(&self) -> usize {
        self.faces.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.faces.is_empty()
    }

    /// Tensors a face.
    pub fn views(&self) -> usize {
        self.views
    }

    /// Lengths of the axes of a tensor: channels first.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Bytes that they take.
    pub fn bytes(&self) -> u64 {
        self.len() as u64 * self.bytes_each()
    }

    fn bytes_each(&self) -> u64 {
        (self.views * self.shape.iter().product::<usize>() * size_of::<f16>()) as u64
    }

    /// The tensors of some faces as one: channels x (faces x views) x …; its shape, and its numbers.
    pub fn channels_first(&self, faces: &[usize]) -> (Vec<usize>, Vec<f32>) {
        let (channels, rest) = self.shape.split_first().unwrap_or((&0, &[]));
        let shape = [&[*channels, faces.len() * self.views], rest].concat();
        let (plane, each) = (rest.iter().product::<usize>(), self.shape.iter().product::<usize>());
        let mut values = vec![0.0; shape.iter().product()];
        let of_channel = (faces.len() * self.views * plane).max(1);
        values.par_chunks_exact_mut(of_channel).enumerate().for_each(|(channel, values)| {
            let views = faces.iter().flat_map(|&face| self.faces[face].chunks_exact(each.max(1)));
            for (values, view) in values.chunks_exact_mut(plane.max(1)).zip(views) {
                view[channel * plane..][..plane].convert_to_f32_slice(values);
            }
        });
        (shape, values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two views of faces, each of two channels of three numbers; counted up.
    fn views(faces: usize, from: usize) -> [Tensor; 2] {
        [0, 1000].map(|more| Tensor {
            shape: vec![faces, 2, 3],
            data: (6 * from..6 * (from + faces)).map(|i| (i + more) as f32).collect(),
        })
    }

    #[test]
    fn channels_come_first_and_views_of_a_face_stand_together() {
        let mut features = Features::new(1000);
        for (faces, from) in [(2, 0), (1, 2)] {
            features.push(&views(faces, from).each_ref()).unwrap();
        }
        assert_eq!((features.len(), features.bytes()), (3, 3 * 2 * 6 * 2));
        let (shape, values) = features.channels_first(&[2, 0]);
        assert_eq!(shape, [2, 4, 3]);
        let three = |from: usize| [from, from + 1, from + 2].map(|i| i as f32);
        assert_eq!(values, [12, 1012, 0, 1000, 15, 1015, 3, 1003].map(three).concat());
    }

    #[test]
    fn what_will_not_fit_is_refused_with_the_first_face() {
        let mut features = Features::new(100);
        features.expect(5);
        let refused = features.push(&views(1, 0).each_ref()).unwrap_err().to_string();
        assert!(refused.contains("5 faces with two tensors") && refused.contains("--memory"), "{refused}");
        let mut enough = Features::new(120);
        enough.expect(5);
        enough.push(&views(5, 0).each_ref()).unwrap();
        assert!(enough.push(&views(1, 0).each_ref()).is_err());
    }

    #[test]
    fn what_cannot_be_kept_is_an_error() {
        let mut features = Features::new(1000);
        assert!(features.push(&[]).is_err());
        assert!(features.push(&[&Tensor { shape: vec![1, 1], data: vec![1e6] }]).is_err());
        features.push(&[&Tensor { shape: vec![1, 1], data: vec![1.0] }]).unwrap();
        assert!(features.push(&[&Tensor { shape: vec![1, 2], data: vec![1.0; 2] }]).is_err());
        assert!(features.push(&views(1, 0).each_ref()).is_err());
    }
}
