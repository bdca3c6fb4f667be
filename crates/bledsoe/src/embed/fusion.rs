//! Fusion: several embedders' vectors, weighted and joined end to end.

use super::{Embedder, Embedding};
use crate::{
    Error, Result,
    align::{FaceChip, Template},
};

/// Several embedders as one. The cosine similarity of two fused embeddings is the weighted mean of the parts' own
/// similarities: with part `k` scaled by `sqrt(weight_k / sum of weights)`, the joined vector is of unit length again.
pub struct Fusion {
    id: String,
    parts: Vec<(Box<dyn Embedder>, f32)>,
    templates: Vec<Template>,
}

impl Fusion {
    /// Joins `parts`, each with its weight.
    ///
    /// # Errors
    /// [`Error::Invalid`] for fewer than two parts or a weight that is not positive.
    pub fn new(parts: Vec<(Box<dyn Embedder>, f32)>) -> Result<Self> {
        if parts.len() < 2 || parts.iter().any(|(_, w)| !(w.is_finite() && *w > 0.0)) {
            return Err(Error::Invalid("a fusion takes two or more embedders with positive weights".into()));
        }
        let id = parts.iter().map(|(part, _)| part.id()).collect::<Vec<_>>().join("+");
        let templates = parts.iter().flat_map(|(part, _)| part.templates().to_vec()).collect();
        let sum: f32 = parts.iter().map(|(_, w)| w).sum();
        let parts = parts.into_iter().map(|(part, w)| (part, (w / sum).sqrt())).collect();
        Ok(Self { id, parts, templates })
    }
}

impl Embedder for Fusion {
    fn id(&self) -> &str {
        &self.id
    }

    fn settings(&self) -> serde_json::Value {
        self.parts
            .iter()
            .map(|(part, factor)| serde_json::json!({ "part": part.settings(), "factor": factor }))
            .collect()
    }

    fn dim(&self) -> usize {
        self.parts.iter().map(|(part, _)| part.dim()).sum()
    }

    fn templates(&self) -> &[Template] {
        &self.templates
    }

    fn embed(&self, faces: &[Vec<FaceChip>]) -> Result<Vec<Embedding>> {
        let mut joined = vec![Vec::with_capacity(self.dim()); faces.len()];
        let mut first = 0;
        for (part, factor) in &self.parts {
            let last = first + part.templates().len();
            let chips = faces
                .iter()
                .map(|chips| {
                    let own = chips.get(first..last);
                    own.map(<[_]>::to_vec).ok_or_else(|| Error::Mismatch(format!("{}: a chip is missing", self.id)))
                })
                .collect::<Result<Vec<_>>>()?;
            for (vector, embedding) in joined.iter_mut().zip(part.embed(&chips)?) {
                vector.extend(embedding.vector.iter().map(|v| v * factor));
            }
            first = last;
        }
        let id: std::sync::Arc<str> = self.id.as_str().into();
        joined.into_iter().map(|vector| Embedding::new(std::sync::Arc::clone(&id), vector)).collect()
    }
}
