//! The embedding: a unit vector and the model that made it.

use std::sync::Arc;

use super::dot;
use crate::{Error, Result};

/// A unit-length vector, and the id of the embedder that made it. Embeddings of two embedders never compare.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedding {
    /// The embedder's id.
    pub model: Arc<str>,
    /// Unit length.
    pub vector: Vec<f32>,
}

impl Embedding {
    /// The embedding in the direction of `vector`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a vector without direction: zero, infinite or not a number.
    pub fn new(model: impl Into<Arc<str>>, mut vector: Vec<f32>) -> Result<Self> {
        let norm = vector.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>().sqrt();
        if !(norm.is_finite() && norm > 1e-12) {
            return Err(Error::Invalid("an embedding without direction (zero or not a number)".into()));
        }
        for value in &mut vector {
            *value = (f64::from(*value) / norm) as f32;
        }
        Ok(Self { model: model.into(), vector })
    }

    /// The cosine similarity, -1 to 1.
    ///
    /// # Errors
    /// [`Error::Mismatch`] for the embedding of another embedder.
    pub fn similarity(&self, other: &Self) -> Result<f32> {
        if self.model != other.model || self.vector.len() != other.vector.len() {
            return Err(Error::Mismatch(format!(
                "an embedding of {} cannot be compared with one of {}",
                self.model, other.model
            )));
        }
        Ok(dot(&self.vector, &other.vector))
    }

    /// The Euclidean distance, 0 to 2: `sqrt(2 - 2 similarity)`.
    ///
    /// # Errors
    /// [`Error::Mismatch`] for the embedding of another embedder.
    pub fn distance(&self, other: &Self) -> Result<f32> {
        Ok((2.0 - 2.0 * self.similarity(other)?).max(0.0).sqrt())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_of_unit_length_and_compares_with_its_own_kind_only() {
        let a = Embedding::new("m", vec![3.0, 4.0]).unwrap();
        let b = Embedding::new("m", vec![-4.0, 3.0]).unwrap();
        assert_eq!(a.vector, [0.6, 0.8]);
        assert!(a.similarity(&b).unwrap().abs() < 1e-6);
        assert!((a.distance(&b).unwrap() - 2f32.sqrt()).abs() < 1e-6);
        assert!(a.similarity(&Embedding::new("n", vec![3.0, 4.0]).unwrap()).is_err());
        for nonsense in [vec![], vec![0.0; 3], vec![f32::NAN, 1.0]] {
            assert!(Embedding::new("m", nonsense).is_err());
        }
    }
}
