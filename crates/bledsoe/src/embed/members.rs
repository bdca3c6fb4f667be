//! The members of a fusion, cut out of its embeddings again: what a fused embedding holds needs no second embedding.

use std::ops::Range;

use super::Embedding;
use crate::{Error, Result, model::Registry};

/// Which numbers of a fusion's embeddings are whose.
#[derive(Debug, Clone, PartialEq)]
pub struct Members {
    embedder: String,
    parts: Vec<(String, Range<usize>)>,
}

/// How the embedding of a member, or of a fusion of fewer, is cut out of a fusion's.
#[derive(Debug, Clone, PartialEq)]
pub struct Cut {
    /// The embedder whose embeddings result.
    pub embedder: String,
    dim: usize,
    /// Where each part lies, and by what its unit vector is scaled.
    parts: Vec<(Range<usize>, f32)>,
}

impl Members {
    /// The members of the fusion `embedder`, whose embeddings have `dim` numbers. `None` where it is no fusion, or of
    /// networks that the registry does not know.
    ///
    /// # Errors
    /// [`Error::Model`] when the registry is malformed.
    pub fn of(embedder: &str, dim: usize) -> Result<Option<Self>> {
        let registry = Registry::embedded()?;
        let (mut parts, mut end) = (Vec::new(), 0);
        for id in embedder.split('+') {
            let output = registry.models().iter().find(|model| model.id == id).and_then(|model| model.output.as_ref());
            let Some(output) = output else { return Ok(None) };
            parts.push((id.to_owned(), end..end + output.dim));
            end += output.dim;
        }
        Ok((parts.len() > 1 && end == dim).then(|| Self { embedder: embedder.to_owned(), parts }))
    }

    /// What can be cut out: each member alone, in order, then the registry's fusions of some of them.
    ///
    /// # Errors
    /// [`Error::Model`] when the registry is malformed.
    pub fn cuts(&self) -> Result<Vec<Cut>> {
        let fusions = Registry::embedded()?.fusions().iter().map(|fusion| fusion.id.as_str());
        let mut ids: Vec<&str> = self.parts.iter().map(|(id, _)| id.as_str()).collect();
        ids.extend(fusions.filter(|id| *id != self.embedder));
        let cuts = ids.into_iter().map(|id| self.cut(id)).collect::<Result<Vec<_>>>()?;
        Ok(cuts.into_iter().flatten().collect())
    }

    /// How the embeddings of `embedder` are cut out: a member, or a fusion of some in their order; `None` for any other.
    ///
    /// # Errors
    /// [`Error::Model`] when the registry is malformed.
    pub fn cut(&self, embedder: &str) -> Result<Option<Cut>> {
        let fusion = Registry::embedded()?.fusions().iter().find(|fusion| fusion.id == embedder);
        let mut own = self.parts.iter();
        let mut parts = Vec::new();
        for (i, id) in embedder.split('+').enumerate() {
            let Some((_, range)) = own.find(|(own, _)| own == id) else { return Ok(None) };
            // As the loader weighs them: equal where the registry has no weights.
            let weight = fusion.and_then(|fusion| fusion.weights.get(i)).copied().unwrap_or(1.0);
            parts.push((range.clone(), weight));
        }
        let sum: f32 = parts.iter().map(|(_, weight)| weight).sum();
        let parts: Vec<(Range<usize>, f32)> =
            parts.into_iter().map(|(range, weight)| (range, (weight / sum).sqrt())).collect();
        let dim = parts.iter().map(|(range, _)| range.len()).sum();
        Ok(Some(Cut { embedder: embedder.to_owned(), dim, parts }))
    }
}

impl Cut {
    /// Length of the embeddings that result.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// The embedding inside `fused`, unit length, as the embedder itself makes it.
    ///
    /// # Errors
    /// [`Error::Mismatch`] for a vector too short; [`Error::Invalid`] for one whose part has no direction.
    pub fn apply(&self, fused: &[f32]) -> Result<Vec<f32>> {
        let mut joined = Vec::with_capacity(self.dim);
        for (range, factor) in &self.parts {
            let part = fused.get(range.clone()).ok_or_else(|| {
                Error::Mismatch(format!("an embedding of {} numbers does not hold {}", fused.len(), self.embedder))
            })?;
            let unit = Embedding::new("", part.to_vec())?;
            joined.extend(unit.vector.iter().map(|x| x * factor));
        }
        Ok(Embedding::new("", joined)?.vector)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(dim: usize, seed: u64) -> Vec<f32> {
        let mut random = fastrand::Rng::with_seed(seed);
        Embedding::new("", (0..dim).map(|_| random.f32() - 0.5).collect()).unwrap().vector
    }

    #[test]
    fn what_was_joined_is_cut_apart() {
        // Joined as `Fusion` joins them: each part scaled by the root of its share of the weights.
        let (mobile, facenet, dlib) = (unit(192, 1), unit(512, 2), unit(128, 3));
        let scaled = |v: &[f32], share: f32| -> Vec<f32> { v.iter().map(|x| x * share.sqrt()).collect() };
        let fused = [scaled(&mobile, 4.0 / 9.0), scaled(&facenet, 1.0 / 9.0), scaled(&dlib, 4.0 / 9.0)].concat();
        let members = Members::of("mobilefacenet+facenet+dlib", 832).unwrap().unwrap();
        let cuts = members.cuts().unwrap();
        let ids: Vec<&str> = cuts.iter().map(|cut| cut.embedder.as_str()).collect();
        assert_eq!(ids, ["mobilefacenet", "facenet", "dlib", "mobilefacenet+facenet", "mobilefacenet+dlib"]);
        let pair = [scaled(&mobile, 0.5), scaled(&dlib, 0.5)].concat();
        for (at, expected) in [(0, mobile), (1, facenet), (2, dlib), (4, pair)] {
            let found = cuts[at].apply(&fused).unwrap();
            assert_eq!((found.len(), cuts[at].dim()), (expected.len(), expected.len()));
            assert!(found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-6), "{}", cuts[at].embedder);
        }
        assert!(cuts[2].apply(&fused[..800]).is_err());
        assert!(cuts[0].apply(&[0.0; 832]).is_err());
    }

    #[test]
    fn what_is_not_inside_is_not_cut_out() {
        let members = Members::of("mobilefacenet+dlib", 320).unwrap().unwrap();
        for other in ["facenet", "dlib+mobilefacenet", "mobilefacenet+mobilefacenet", ""] {
            assert_eq!(members.cut(other).unwrap(), None, "{other}");
        }
        for (embedder, dim) in [("mobilefacenet", 192), ("mobilefacenet+dlib", 321), ("mobilefacenet+mine.onnx", 320)] {
            assert_eq!(Members::of(embedder, dim).unwrap(), None, "{embedder}");
        }
    }
}
