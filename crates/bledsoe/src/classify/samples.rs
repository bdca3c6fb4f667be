//! The training matrix: one row a sample, sorted by class, in memory once.

use std::ops::Range;

use crate::{Error, Result};

/// Samples of every class. Rows of one class are neighbours; several rows may be copies (augmentations) of one photo.
#[derive(Debug, Clone, PartialEq)]
pub struct Samples {
    dim: usize,
    vectors: Vec<f32>,
    /// Where each class begins, and the end.
    starts: Vec<usize>,
    photos: Vec<u32>,
}

impl Samples {
    /// Rows of `dim` numbers. Class `k` has the next `counts[k]` rows; `photos[i]` tells which photo row `i` is of.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the lengths do not fit, a class is empty, there are fewer than two classes, or a number
    /// is not finite.
    pub fn new(dim: usize, vectors: Vec<f32>, counts: &[usize], photos: Vec<u32>) -> Result<Self> {
        let mut starts = vec![0];
        for count in counts {
            starts.push(starts[starts.len() - 1] + count);
        }
        let n = starts[starts.len() - 1];
        if dim == 0 || vectors.len() != n * dim || photos.len() != n {
            return Err(Error::Invalid(format!("{} numbers are not {n} samples of {dim}", vectors.len())));
        }
        if counts.len() < 2 || counts.contains(&0) {
            return Err(Error::Invalid(
                "a classifier needs at least two people with a photo each to learn from".into(),
            ));
        }
        if vectors.iter().any(|v| !v.is_finite()) {
            return Err(Error::Invalid("a sample holds a number that is not finite".into()));
        }
        Ok(Self { dim, vectors, starts, photos })
    }

    /// Length of a row.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.photos.len()
    }

    /// Never: there are two classes at least.
    pub fn is_empty(&self) -> bool {
        self.photos.is_empty()
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.starts.len() - 1
    }

    /// Row `i`.
    pub fn row(&self, i: usize) -> &[f32] {
        &self.vectors[i * self.dim..][..self.dim]
    }

    /// All rows, one after the other.
    pub fn vectors(&self) -> &[f32] {
        &self.vectors
    }

    /// The rows of class `k`.
    pub fn range(&self, k: usize) -> Range<usize> {
        self.starts[k]..self.starts[k + 1]
    }

    /// The rows of class `k`, one after the other.
    pub fn of_class(&self, k: usize) -> &[f32] {
        &self.vectors[self.starts[k] * self.dim..self.starts[k + 1] * self.dim]
    }

    /// The class of row `i`.
    pub fn class(&self, i: usize) -> usize {
        self.starts.partition_point(|&start| start <= i) - 1
    }

    /// The photo of row `i`.
    pub fn photo(&self, i: usize) -> u32 {
        self.photos[i]
    }

    /// The rows that `keep` takes.
    ///
    /// # Errors
    /// As [`Samples::new`], when a class is left empty.
    pub fn subset(&self, keep: impl Fn(usize) -> bool) -> Result<Self> {
        let (mut vectors, mut photos, mut counts) = (Vec::new(), Vec::new(), vec![0; self.classes()]);
        for (k, count) in counts.iter_mut().enumerate() {
            for i in self.range(k).filter(|&i| keep(i)) {
                vectors.extend_from_slice(self.row(i));
                photos.push(self.photos[i]);
                *count += 1;
            }
        }
        Self::new(self.dim, vectors, &counts, photos)
    }

    /// One row of each photo: its first.
    ///
    /// # Errors
    /// As [`Samples::new`]; never in practice.
    pub fn one_a_photo(&self) -> Result<Self> {
        self.subset(|i| i == 0 || self.photos[i - 1] != self.photos[i] || self.starts.binary_search(&i).is_ok())
    }

    /// For each row the fold, below `folds`, in which it is held out, or `None` for the rows of a class of one photo,
    /// which is always needed. Rows of one photo share their fold.
    pub fn folds(&self, folds: usize) -> Vec<Option<usize>> {
        let mut held = vec![None; self.len()];
        for k in 0..self.classes() {
            let range = self.range(k);
            let mut photos: Vec<u32> = self.photos[range.clone()].to_vec();
            photos.sort_unstable();
            photos.dedup();
            if photos.len() > 1 {
                for i in range {
                    held[i] = photos.binary_search(&self.photos[i]).ok().map(|rank| (rank + k) % folds);
                }
            }
        }
        held
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples() -> Samples {
        let vectors = (0..12).map(|v| v as f32).collect();
        Samples::new(2, vectors, &[3, 1, 2], vec![0, 0, 1, 2, 3, 3]).unwrap()
    }

    #[test]
    fn rows_classes_and_photos() {
        let s = samples();
        assert_eq!((s.len(), s.classes(), s.dim()), (6, 3, 2));
        assert_eq!(s.row(3), [6.0, 7.0]);
        assert_eq!((0..6).map(|i| s.class(i)).collect::<Vec<_>>(), [0, 0, 0, 1, 2, 2]);
        let one = s.one_a_photo().unwrap();
        assert_eq!((0..4).map(|i| one.row(i)[0]).collect::<Vec<_>>(), [0.0, 4.0, 6.0, 8.0]);
    }

    #[test]
    fn folds_keep_photos_together_and_no_class_empty() {
        let s = samples();
        let folds = s.folds(2);
        assert_eq!(folds[0], folds[1]);
        assert_ne!(folds[1], folds[2]);
        assert_eq!(folds[3..], [None, None, None]);
        for fold in 0..2 {
            assert!(s.subset(|i| folds[i] != Some(fold)).is_ok());
        }
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(Samples::new(2, vec![0.0; 4], &[2], vec![0, 1]).is_err());
        assert!(Samples::new(2, vec![0.0; 4], &[2, 0], vec![0, 1]).is_err());
        assert!(Samples::new(2, vec![0.0; 3], &[1, 1], vec![0, 1]).is_err());
        assert!(Samples::new(1, vec![0.0, f32::NAN], &[1, 1], vec![0, 1]).is_err());
    }
}
