//! The gallery: people enrolled by their embeddings, and the decision who a probe is, or that it is a stranger.
//!
//! In: embeddings of one embedder, with names. Out: a [`Decision`]. A person is as near as the nearest of their embeddings
//! (cosine similarity); below the threshold nobody is named. Search is exact: it takes time in proportion to the number of
//! embeddings enrolled.
//!
//! ```
//! # use bledsoe::{embed::Embedding, gallery::Gallery};
//! # fn main() -> bledsoe::Result<()> {
//! let mut gallery = Gallery::new(0.5)?;
//! gallery.enrol("Ada", Embedding::new("demo", vec![1.0, 0.0])?)?;
//! let stranger = gallery.identify(&Embedding::new("demo", vec![0.0, 1.0])?)?;
//! assert_eq!(stranger.name, None);
//! # Ok(())
//! # }
//! ```

pub mod store;

use serde::Serialize;

use crate::{Error, Result, embed::Embedding};

/// A person: a name and the embeddings of their enrolled faces.
#[derive(Debug, Clone)]
struct Template {
    name: String,
    embeddings: Vec<Embedding>,
}

/// Who a probe is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Decision {
    /// The person, or `None` for a stranger.
    pub name: Option<String>,
    /// Every enrolled person with the cosine similarity of their nearest embedding, best first.
    pub candidates: Vec<(String, f32)>,
    /// The least similarity that names a person.
    pub threshold: f32,
}

/// People enrolled, in memory. Scores by the nearest of a person's embeddings.
#[derive(Debug, Clone)]
pub struct Gallery {
    people: Vec<Template>,
    threshold: f32,
}

impl Gallery {
    /// An empty gallery that names nobody below the cosine similarity `threshold` (-1 to 1).
    ///
    /// # Errors
    /// [`Error::Invalid`] for a threshold out of range.
    pub fn new(threshold: f32) -> Result<Self> {
        if !(-1.0..=1.0).contains(&threshold) {
            return Err(Error::Invalid(format!("threshold {threshold}: a cosine similarity lies between -1 and 1")));
        }
        Ok(Self { people: Vec::new(), threshold })
    }

    /// Adds a face of `name`. Nobody else's decision needs retraining.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when the gallery holds another model's embeddings.
    pub fn enrol(&mut self, name: &str, embedding: Embedding) -> Result<()> {
        if let Some(first) = self.people.first().and_then(|p| p.embeddings.first()) {
            first.similarity(&embedding)?;
        }
        match self.people.iter_mut().find(|p| p.name == name) {
            Some(person) => person.embeddings.push(embedding),
            None => self.people.push(Template { name: name.to_owned(), embeddings: vec![embedding] }),
        }
        Ok(())
    }

    /// Who `probe` is (1:N identification, open set).
    ///
    /// # Errors
    /// [`Error::Mismatch`] when the probe is another model's.
    pub fn identify(&self, probe: &Embedding) -> Result<Decision> {
        let mut candidates = Vec::with_capacity(self.people.len());
        for person in &self.people {
            let mut best = f32::NEG_INFINITY;
            for embedding in &person.embeddings {
                best = best.max(embedding.similarity(probe)?);
            }
            candidates.push((person.name.clone(), best));
        }
        candidates.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        let name = candidates.first().filter(|best| best.1 >= self.threshold).map(|best| best.0.clone());
        Ok(Decision { name, candidates, threshold: self.threshold })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn embedding(model: &str, angle: f32) -> Embedding {
        Embedding::new(model, vec![angle.cos(), angle.sin()]).unwrap()
    }

    #[test]
    fn names_the_nearest_and_rejects_strangers() {
        let mut gallery = Gallery::new(0.9).unwrap();
        gallery.enrol("a", embedding("m", 0.0)).unwrap();
        gallery.enrol("b", embedding("m", 2.0)).unwrap();
        gallery.enrol("a", embedding("m", 1.0)).unwrap();
        assert_eq!(gallery.identify(&embedding("m", 0.9)).unwrap().name.as_deref(), Some("a"));
        assert_eq!(gallery.identify(&embedding("m", 2.1)).unwrap().name.as_deref(), Some("b"));
        let stranger = gallery.identify(&embedding("m", -2.0)).unwrap();
        assert_eq!(stranger.name, None);
        assert_eq!(stranger.candidates.len(), 2);
        assert!(stranger.candidates[0].1 >= stranger.candidates[1].1);
    }

    #[test]
    fn embeddings_of_two_models_do_not_mix() {
        let mut gallery = Gallery::new(0.0).unwrap();
        gallery.enrol("a", embedding("m", 0.0)).unwrap();
        assert!(gallery.enrol("b", embedding("other", 0.0)).is_err());
        assert!(gallery.identify(&embedding("other", 0.0)).is_err());
        assert!(Gallery::new(f32::NAN).is_err());
    }

    #[test]
    fn an_empty_gallery_knows_nobody() {
        assert_eq!(Gallery::new(-1.0).unwrap().identify(&embedding("m", 0.0)).unwrap().name, None);
    }
}
