//! An adapter: a small map, learnt from a user's own photos, from an embedder's vectors to vectors that tell *these*
//! people, cameras and ages better apart.
//!
//! In: a unit vector of the embedder that it was made for. Out: a unit vector of the same length, of a model of its own:
//! its id is the embedder's with `+adapter-` and eight digits of the adapter's hash, so that embeddings with and without
//! it never compare. `metric` (cargo feature `finetune`) makes adapters; to use one takes no more than this module.

mod file;

use std::sync::Arc;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{
    Embedder, Embedding, dot,
    table::{FaceRow, Origin},
};
use crate::{
    Error, Result,
    align::{FaceChip, Template},
    model::Threshold,
};

/// What the id's last part begins with.
const MARK: &str = "adapter-";
/// Digits of the hash in the id.
const DIGITS: usize = 8;

/// An adapter, trained.
#[derive(Debug, Clone, PartialEq)]
pub struct Adapter {
    about: About,
    map: Map,
    sha256: String,
}

/// What is remembered of an adapter's training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct About {
    /// Version of bledsoe that trained it.
    pub bledsoe: String,
    /// Id of the embedder whose vectors it takes.
    pub base: String,
    /// That embedder's [`Embedder::settings`], with the hashes of its models; null where they were not known.
    pub base_settings: serde_json::Value,
    /// Length of a vector.
    pub dim: usize,
    /// Every setting of the training, what it was trained on, and how it went.
    pub training: serde_json::Value,
    /// The similarity from which two faces count as one person's, measured on people held out.
    pub threshold: Option<Threshold>,
}

/// What is done to a vector before it is made of unit length again. Matrices are row by row.
#[derive(Debug, Clone, PartialEq)]
pub enum Map {
    /// `y = A x + b`.
    Linear {
        /// `A`, dim x dim.
        weight: Vec<f32>,
        /// `b`, dim.
        bias: Vec<f32>,
    },
    /// `y = x + B relu(A x + a) + b`.
    Mlp {
        /// `A`, hidden x dim.
        inner: Vec<f32>,
        /// `a`, hidden.
        inner_bias: Vec<f32>,
        /// `B`, dim x hidden.
        outer: Vec<f32>,
        /// `b`, dim.
        outer_bias: Vec<f32>,
    },
}

impl Map {
    /// What becomes of a vector; not of unit length.
    fn apply(&self, x: &[f32]) -> Vec<f32> {
        let affine = |weight: &[f32], bias: &[f32], x: &[f32]| -> Vec<f32> {
            weight.chunks_exact(x.len().max(1)).zip(bias).map(|(row, b)| dot(row, x) + b).collect()
        };
        match self {
            Self::Linear { weight, bias } => affine(weight, bias, x),
            Self::Mlp { inner, inner_bias, outer, outer_bias } => {
                let mut hidden = affine(inner, inner_bias, x);
                hidden.iter_mut().for_each(|h| *h = h.max(0.0));
                affine(outer, outer_bias, &hidden).iter().zip(x).map(|(y, x)| x + y).collect()
            }
        }
    }
}

impl Adapter {
    /// An adapter of `map`.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the map is not one from `about.dim` numbers to as many, or its numbers are not finite.
    pub fn new(about: About, map: Map) -> Result<Self> {
        file::check(&about, &map).map_err(Error::Invalid)?;
        let sha256 = file::digest(&about, &map)?;
        Ok(Self { about, map, sha256 })
    }

    /// What is remembered of its training.
    pub fn about(&self) -> &About {
        &self.about
    }

    /// SHA-256 of all that it is, in hex.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// The last part of the ids of what it makes: `adapter-` and eight digits.
    pub fn name(&self) -> String {
        format!("{MARK}{}", &self.sha256[..DIGITS])
    }

    /// The id of what it makes of embeddings of `base`.
    pub fn id_on(&self, base: &str) -> String {
        format!("{base}+{}", self.name())
    }

    /// The id of what it makes.
    pub fn id(&self) -> String {
        self.id_on(&self.about.base)
    }

    /// An embedder's id in two: the embedder's own, and the name of the adapter; `None` for one without.
    pub fn split(id: &str) -> Option<(&str, &str)> {
        let (base, name) = id.rsplit_once('+')?;
        let digits = name.strip_prefix(MARK)?;
        (digits.len() == DIGITS && digits.bytes().all(|b| b.is_ascii_hexdigit())).then_some((base, name))
    }

    /// Makes sure that vectors of the embedder `id`, with `settings` where they are known, are those that it was made for.
    ///
    /// # Errors
    /// [`Error::Mismatch`] naming both, where they are not.
    pub fn check_base(&self, id: &str, settings: Option<&serde_json::Value>) -> Result<()> {
        let About { base, base_settings, .. } = &self.about;
        if id != base {
            return Err(Error::Mismatch(format!(
                "the adapter was made for embeddings of {base}, not of {id}: finetune one on embeddings of {id}"
            )));
        }
        match settings {
            Some(settings) if !settings.is_null() && !base_settings.is_null() && settings != base_settings => {
                Err(Error::Mismatch(format!(
                    "the adapter was made for another version of {id}, with other settings or model files: finetune it again"
                )))
            }
            _ => Ok(()),
        }
    }

    /// What becomes of each vector: of unit length again, and as many.
    ///
    /// # Errors
    /// [`Error::Mismatch`] for a vector of another length; [`Error::Invalid`] where nothing of a vector is left.
    pub fn apply(&self, vectors: &[&[f32]]) -> Result<Vec<Vec<f32>>> {
        let dim = self.about.dim;
        if let Some(other) = vectors.iter().find(|v| v.len() != dim) {
            return Err(Error::Mismatch(format!("the adapter takes vectors of {dim} numbers, not of {}", other.len())));
        }
        vectors.par_iter().map(|vector| Ok(Embedding::new("", self.map.apply(vector))?.vector)).collect()
    }

    /// Makes a table of the embedder's vectors one of what becomes of them; changes nothing on an error.
    ///
    /// # Errors
    /// As [`Adapter::check_base`] and [`Adapter::apply`].
    pub fn apply_to_table(&self, origin: &mut Origin, rows: &mut [FaceRow]) -> Result<()> {
        let settings = origin.settings.get("embedder").cloned().unwrap_or_default();
        self.check_base(&origin.model, Some(&settings))?;
        let vectors: Vec<&[f32]> = rows.iter().map(|row| row.vector.as_slice()).collect();
        let adapted = self.apply(&vectors)?;
        rows.iter_mut().zip(adapted).for_each(|(row, vector)| row.vector = vector);
        origin.model = self.id();
        if let Some(settings) = origin.settings.as_object_mut() {
            let adapted = adapted_settings(&settings.remove("embedder").unwrap_or_default(), self);
            settings.insert("embedder".into(), adapted);
        }
        Ok(())
    }
}

/// An embedder with an adapter behind it.
pub struct Adapted {
    id: Arc<str>,
    base: Box<dyn Embedder>,
    adapter: Arc<Adapter>,
}

impl Adapted {
    /// `base` with `adapter` behind it.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when the adapter was made for another embedder.
    pub fn new(base: Box<dyn Embedder>, adapter: Arc<Adapter>) -> Result<Self> {
        adapter.check_base(base.id(), Some(&base.settings()))?;
        if base.dim() != adapter.about.dim {
            return Err(Error::Mismatch(format!(
                "the adapter takes vectors of {} numbers, those of {} have {}",
                adapter.about.dim,
                base.id(),
                base.dim()
            )));
        }
        Ok(Self { id: adapter.id().into(), base, adapter })
    }
}

impl Embedder for Adapted {
    fn id(&self) -> &str {
        &self.id
    }

    fn settings(&self) -> serde_json::Value {
        adapted_settings(&self.base.settings(), &self.adapter)
    }

    fn dim(&self) -> usize {
        self.base.dim()
    }

    fn templates(&self) -> &[Template] {
        self.base.templates()
    }

    fn embed(&self, faces: &[Vec<FaceChip>]) -> Result<Vec<Embedding>> {
        let plain = self.base.embed(faces)?;
        let vectors: Vec<&[f32]> = plain.iter().map(|embedding| embedding.vector.as_slice()).collect();
        let adapted = self.adapter.apply(&vectors)?;
        Ok(adapted.into_iter().map(|vector| Embedding { model: Arc::clone(&self.id), vector }).collect())
    }
}

/// What decides the embeddings of an embedder with `base` as its settings and `adapter` behind it.
pub fn adapted_settings(base: &serde_json::Value, adapter: &Adapter) -> serde_json::Value {
    serde_json::json!({ "base": base, "adapter": adapter.sha256() })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives each face the vector that its chips' number picks.
    struct Fixed;

    impl Embedder for Fixed {
        fn id(&self) -> &str {
            "fixed"
        }
        fn dim(&self) -> usize {
            2
        }
        fn templates(&self) -> &[Template] {
            &[]
        }
        fn embed(&self, faces: &[Vec<FaceChip>]) -> Result<Vec<Embedding>> {
            faces.iter().map(|_| Embedding::new("fixed", vec![0.6, 0.8])).collect()
        }
    }

    pub(super) fn about(base: &str) -> About {
        About {
            bledsoe: "0".into(),
            base: base.into(),
            base_settings: serde_json::Value::Null,
            dim: 2,
            training: serde_json::json!({ "seed": 1 }),
            threshold: None,
        }
    }

    /// A quarter turn.
    pub(super) fn turn(base: &str) -> Adapter {
        Adapter::new(about(base), Map::Linear { weight: vec![0.0, -2.0, 2.0, 0.0], bias: vec![0.0; 2] }).unwrap()
    }

    #[test]
    fn an_adapted_embedding_is_of_unit_length_and_of_a_model_of_its_own() {
        let adapter = Arc::new(turn("fixed"));
        let adapted = Adapted::new(Box::new(Fixed), Arc::clone(&adapter)).unwrap();
        let (plain, turned) = (Fixed.embed(&[vec![]]).unwrap(), adapted.embed(&[vec![]]).unwrap());
        assert_eq!(turned[0].vector, [-0.8, 0.6]);
        assert!(matches!(plain[0].similarity(&turned[0]), Err(Error::Mismatch(_))));
        assert_eq!(Adapter::split(adapted.id()), Some(("fixed", &*adapter.name())));
        assert_ne!(adapted.settings(), Fixed.settings());
    }

    #[test]
    fn an_mlp_adds_to_the_vector_what_it_makes_of_it() {
        let map = Map::Mlp {
            inner: vec![1.0, 0.0, -1.0, 0.0, 0.0, 1.0],
            inner_bias: vec![0.0, 0.0, 1.0],
            outer: vec![0.0, 0.0, 0.0, 1.0, 5.0, 1.0],
            outer_bias: vec![0.5, 0.0],
        };
        // Hidden: 0.6, -0.6 cut to 0, 1.8; added: 0.5 and 0.6 + 1.8.
        let made = Adapter::new(about("m"), map).unwrap().apply(&[&[0.6, 0.8]]).unwrap();
        let wanted = Embedding::new("", vec![1.1, 3.2]).unwrap().vector;
        assert!(made[0].iter().zip(&wanted).all(|(a, b)| (a - b).abs() < 1e-6), "{made:?} {wanted:?}");
    }

    #[test]
    fn another_base_is_refused_and_both_are_named() {
        let refused = Adapted::new(Box::new(Fixed), Arc::new(turn("other"))).err().unwrap().to_string();
        assert!(refused.contains("other") && refused.contains("fixed"), "{refused}");
        let mut versioned = about("fixed");
        versioned.base_settings = serde_json::json!({ "sha256": "ab" });
        let adapter = Adapter::new(versioned, turn("fixed").map).unwrap();
        assert!(adapter.check_base("fixed", Some(&serde_json::json!({ "sha256": "cd" }))).is_err());
        assert!(adapter.check_base("fixed", Some(&serde_json::json!({ "sha256": "ab" }))).is_ok());
        assert!(adapter.check_base("fixed", None).is_ok());
        assert!(adapter.apply(&[&[1.0]]).is_err());
    }

    #[test]
    fn only_ids_of_adapters_are_split() {
        assert_eq!(Adapter::split("a+b+adapter-0123abcd"), Some(("a+b", "adapter-0123abcd")));
        for other in ["mobilefacenet+dlib", "a+adapter-", "a+adapter-0123abcx", "adapter-0123abcd", ""] {
            assert_eq!(Adapter::split(other), None, "{other}");
        }
    }
}
