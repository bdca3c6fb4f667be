//! The classifier file: everything that identification needs, in one file that is safe to load.
//!
//! `bledsoe\n`, the format's version (u32), the header's length (u64), the header (JSON), the arrays that it lists (f32
//! or u32), and the SHA-256 of all before. Numbers are little-endian. Version 2 has a search in its header; a classifier
//! without one is written as version 1, which earlier programs read.

use std::{collections::BTreeMap, path::Path};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    Calibration, Centroids, ClassifierKind, Guard, Model, Neighbours, Softmax,
    svm::{PairDecisions, Pairs, Rest, Sigmoid},
    tuning::Searched,
};
use crate::{Error, Result, model::Registry, whole_file};

const MAGIC: &[u8; 8] = b"bledsoe\n";
/// Without and with a search.
const VERSIONS: [u32; 2] = [1, 2];

/// A photo that a classifier was trained on, or that was held back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Image {
    /// Its path below the folder trained on.
    pub path: String,
    /// SHA-256 of the file, in hex.
    pub sha256: String,
    /// The person's number in [`ClassifierFile::classes`].
    pub class: usize,
}

/// A trained classifier with all that is remembered of its training.
#[derive(Debug, Clone, PartialEq)]
pub struct ClassifierFile {
    /// Version of bledsoe that trained it.
    pub bledsoe: String,
    /// Id of the embedder whose embeddings it takes.
    pub embedder: String,
    /// SHA-256 of the embedder's models, by id, where the registry knows them.
    pub models: BTreeMap<String, String>,
    /// Every setting of the training.
    pub settings: serde_json::Value,
    /// The classifier asked for.
    pub kind: ClassifierKind,
    /// The people, sorted.
    pub classes: Vec<String>,
    /// The threshold, and the answers to photos held out in training.
    pub calibration: Calibration,
    /// The photos trained on.
    pub trained: Vec<Image>,
    /// The photos of the same people that were held back.
    pub held_back: Vec<Image>,
    /// The classifier.
    pub model: Model,
    /// The guard against strangers.
    pub guard: Guard,
    /// What was tried, where the settings were searched for.
    pub search: Option<Searched>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    bledsoe: String,
    embedder: String,
    models: BTreeMap<String, String>,
    settings: serde_json::Value,
    kind: ClassifierKind,
    classes: Vec<String>,
    calibration: Calibration,
    trained: Vec<Image>,
    held_back: Vec<Image>,
    dim: usize,
    model: ModelHeader,
    arrays: Vec<ArrayHeader>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    search: Option<Searched>,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "form", rename_all = "kebab-case", deny_unknown_fields)]
enum ModelHeader {
    LinearPairs { sigmoid: Sigmoid },
    RbfPairs { gamma: f64, sigmoid: Sigmoid },
    Rest { softmax: Softmax },
    Neighbours { k: usize, softmax: Softmax },
    Centroids { softmax: Softmax },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ArrayHeader {
    name: String,
    r#type: ArrayType,
    length: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ArrayType {
    F32,
    U32,
}

enum Array<'a> {
    F32(&'a [f32]),
    U32(&'a [u32]),
}

impl ClassifierFile {
    /// SHA-256 of the models of `embedder` (ids joined by `+`), as far as the registry knows them.
    ///
    /// # Errors
    /// [`Error::Model`] when the registry is malformed.
    pub fn models_of(embedder: &str) -> Result<BTreeMap<String, String>> {
        let registry = Registry::embedded()?;
        let known = embedder.split('+').filter_map(|id| registry.models().iter().find(|m| m.id == id));
        Ok(known.map(|m| (m.id.clone(), m.sha256.to_lowercase())).collect())
    }

    /// Makes sure that embeddings of `embedder` are those that the classifier was trained on.
    ///
    /// # Errors
    /// [`Error::Mismatch`] for another embedder, or another version of a model.
    pub fn check_embedder(&self, embedder: &str) -> Result<()> {
        Self::check_models("the classifier", &self.embedder, &self.models, embedder)
    }

    /// Makes sure that embeddings of `embedder` are those that `what` was trained on: of `trained`, by models with the
    /// hashes `known`.
    pub(crate) fn check_models(
        what: &str,
        trained: &str,
        known: &BTreeMap<String, String>,
        embedder: &str,
    ) -> Result<()> {
        if embedder != trained {
            return Err(Error::Mismatch(format!(
                "{what} was trained on embeddings of {trained}, these are of {embedder}: embed with {trained} or train again"
            )));
        }
        for (id, sha256) in Self::models_of(embedder)? {
            if let Some(other) = known.get(&id).filter(|known| **known != sha256) {
                return Err(Error::Mismatch(format!(
                    "{what} was trained with another version of model {id} (SHA-256 {other}): train again"
                )));
            }
        }
        Ok(())
    }

    /// Writes the file, whole or not at all.
    ///
    /// # Errors
    /// [`Error::Io`] when the disk fails.
    pub fn save(&self, path: &Path) -> Result<()> {
        whole_file::write(path, &self.to_bytes()?)
    }

    /// Reads and checks the file at `path`.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be read, [`Error::Format`] when it is damaged or no classifier.
    pub fn load(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|e| Error::io(path, e))?;
        Self::parse(&bytes, path)
    }

    /// The file's bytes.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the settings cannot be written as JSON.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let (model, mut arrays) = describe(&self.model);
        arrays.push(("guard.centroids", Array::F32(&self.guard.centroids)));
        arrays.push(("guard.floors", Array::F32(&self.guard.floors)));
        let header = Header {
            bledsoe: self.bledsoe.clone(),
            embedder: self.embedder.clone(),
            models: self.models.clone(),
            settings: self.settings.clone(),
            kind: self.kind.clone(),
            classes: self.classes.clone(),
            calibration: self.calibration.clone(),
            trained: self.trained.clone(),
            held_back: self.held_back.clone(),
            dim: self.guard.dim,
            model,
            arrays: arrays
                .iter()
                .map(|(name, array)| {
                    let (r#type, length) = match array {
                        Array::F32(values) => (ArrayType::F32, values.len()),
                        Array::U32(values) => (ArrayType::U32, values.len()),
                    };
                    ArrayHeader { name: (*name).to_owned(), r#type, length }
                })
                .collect(),
            search: self.search.clone(),
        };
        let json = serde_json::to_vec(&header).map_err(|e| Error::Invalid(e.to_string()))?;
        let mut bytes = MAGIC.to_vec();
        bytes.extend(VERSIONS[usize::from(self.search.is_some())].to_le_bytes());
        bytes.extend((json.len() as u64).to_le_bytes());
        bytes.extend(json);
        for (_, array) in arrays {
            match array {
                Array::F32(values) => bytes.extend(values.iter().flat_map(|v| v.to_le_bytes())),
                Array::U32(values) => bytes.extend(values.iter().flat_map(|v| v.to_le_bytes())),
            }
        }
        let hash = Sha256::digest(&bytes);
        bytes.extend(hash);
        Ok(bytes)
    }

    /// Checks `bytes`, which came from `path`. Never takes more memory than a small multiple of their length.
    ///
    /// # Errors
    /// [`Error::Format`] saying what is wrong.
    pub fn parse(bytes: &[u8], path: &Path) -> Result<Self> {
        parse(bytes).map_err(|reason| Error::format(path, reason))
    }
}

fn describe(model: &Model) -> (ModelHeader, Vec<(&'static str, Array<'_>)>) {
    match model {
        Model::Pairs(pairs) => {
            let offsets = ("offsets", Array::F32(&pairs.offsets));
            let sigmoid = pairs.sigmoid;
            match &pairs.decisions {
                PairDecisions::Linear { weights } => {
                    (ModelHeader::LinearPairs { sigmoid }, vec![offsets, ("weights", Array::F32(weights))])
                }
                PairDecisions::Rbf { gamma, vectors, starts, indices, coefficients } => (
                    ModelHeader::RbfPairs { gamma: *gamma, sigmoid },
                    vec![
                        offsets,
                        ("vectors", Array::F32(vectors)),
                        ("starts", Array::U32(starts)),
                        ("indices", Array::U32(indices)),
                        ("coefficients", Array::F32(coefficients)),
                    ],
                ),
            }
        }
        Model::Rest(rest) => (
            ModelHeader::Rest { softmax: rest.softmax },
            vec![("offsets", Array::F32(&rest.offsets)), ("weights", Array::F32(&rest.weights))],
        ),
        Model::Neighbours(n) => (
            ModelHeader::Neighbours { k: n.k, softmax: n.softmax },
            vec![
                ("vectors", Array::F32(&n.vectors)),
                ("labels", Array::U32(&n.labels)),
                ("photos", Array::U32(&n.photos)),
            ],
        ),
        Model::Centroids(c) => {
            (ModelHeader::Centroids { softmax: c.softmax }, vec![("centroids", Array::F32(&c.centroids))])
        }
    }
}

fn parse(bytes: &[u8]) -> Result<ClassifierFile, String> {
    let rest = bytes.strip_prefix(MAGIC).ok_or("not a classifier that `bledsoe train` wrote")?;
    let (version, rest) = rest.split_first_chunk::<4>().ok_or("cut off")?;
    let version = u32::from_le_bytes(*version);
    if !VERSIONS.contains(&version) {
        return Err(format!("version {version} of the format; this bledsoe reads 1 and 2: train again or update"));
    }
    let (content, hash) = rest.split_last_chunk::<32>().ok_or("cut off")?;
    if Sha256::digest(&bytes[..bytes.len() - 32]).as_slice() != hash {
        return Err("damaged: its content does not fit its SHA-256".into());
    }
    let (length, content) = content.split_first_chunk::<8>().ok_or("cut off")?;
    let length = usize::try_from(u64::from_le_bytes(*length)).map_err(|e| e.to_string())?;
    let (json, body) = content.split_at_checked(length).ok_or("the header is longer than the file")?;
    let header: Header = serde_json::from_slice(json).map_err(|e| format!("header: {e}"))?;
    let mut arrays = Arrays::cut(&header.arrays, body)?;
    check(&header)?;
    let (dim, classes) = (header.dim, header.classes.len());
    let square = rows(classes, dim)?;
    let pairs = classes.checked_mul(classes - 1).ok_or("too many classes")? / 2;
    let model = match header.model {
        ModelHeader::LinearPairs { sigmoid } => {
            let weights = arrays.floats("weights", Some(rows(pairs, dim)?))?;
            let offsets = arrays.floats("offsets", Some(pairs))?;
            Model::Pairs(Pairs { dim, classes, decisions: PairDecisions::Linear { weights }, offsets, sigmoid })
        }
        ModelHeader::RbfPairs { gamma, sigmoid } => {
            let decisions = arrays.rbf(gamma, dim, pairs)?;
            Model::Pairs(Pairs { dim, classes, decisions, offsets: arrays.floats("offsets", Some(pairs))?, sigmoid })
        }
        ModelHeader::Rest { softmax } => Model::Rest(Rest {
            dim,
            weights: arrays.floats("weights", Some(square))?,
            offsets: arrays.floats("offsets", Some(classes))?,
            softmax,
        }),
        ModelHeader::Neighbours { k, softmax } => {
            let labels = arrays.numbers("labels", None)?;
            if k == 0 || labels.is_empty() || labels.iter().any(|&l| l as usize >= classes) {
                return Err("labels: none, or beyond the last class; or k is 0".into());
            }
            let vectors = arrays.floats("vectors", Some(rows(labels.len(), dim)?))?;
            let photos = arrays.numbers("photos", Some(labels.len()))?;
            Model::Neighbours(Neighbours { dim, classes, k, vectors, labels, photos, softmax })
        }
        ModelHeader::Centroids { softmax } => {
            Model::Centroids(Centroids { dim, centroids: arrays.floats("centroids", Some(square))?, softmax })
        }
    };
    let guard = Guard {
        dim,
        centroids: arrays.floats("guard.centroids", Some(square))?,
        floors: arrays.floats("guard.floors", Some(classes))?,
    };
    Ok(ClassifierFile {
        bledsoe: header.bledsoe,
        embedder: header.embedder,
        models: header.models,
        settings: header.settings,
        kind: header.kind,
        classes: header.classes,
        calibration: header.calibration,
        trained: header.trained,
        held_back: header.held_back,
        model,
        guard,
        search: header.search,
    })
}

/// Checks what the types do not.
fn check(header: &Header) -> Result<(), String> {
    if header.classes.len() < 2 || header.dim == 0 {
        return Err("classes, dim: expected two classes and one number at least".into());
    }
    header.kind.check().map_err(|e| format!("kind: {e}"))?;
    header.search.as_ref().map_or(Ok(()), Searched::check)?;
    if !(0.0..=1.0).contains(&header.calibration.min_probability) {
        return Err("calibration.min_probability: expected 0 to 1".into());
    }
    if let Some(image) = header.trained.iter().chain(&header.held_back).find(|i| i.class >= header.classes.len()) {
        return Err(format!("{}: its class is beyond the last", image.path));
    }
    let sound = match &header.model {
        ModelHeader::LinearPairs { sigmoid } => sigmoid.is_sound(),
        ModelHeader::RbfPairs { gamma, sigmoid } => sigmoid.is_sound() && gamma.is_finite() && *gamma > 0.0,
        ModelHeader::Rest { softmax }
        | ModelHeader::Neighbours { softmax, .. }
        | ModelHeader::Centroids { softmax } => softmax.scale.is_finite() && softmax.scale > 0.0,
    };
    if sound { Ok(()) } else { Err("model: a parameter is out of range".into()) }
}

fn rows(n: usize, dim: usize) -> Result<usize, String> {
    n.checked_mul(dim).ok_or_else(|| "too many numbers".into())
}

/// The arrays of a file by name, still as bytes.
struct Arrays<'a>(BTreeMap<&'a str, (ArrayType, &'a [u8])>);

impl<'a> Arrays<'a> {
    fn cut(headers: &'a [ArrayHeader], mut body: &'a [u8]) -> Result<Self, String> {
        let mut arrays = BTreeMap::new();
        for header in headers {
            let bytes = header.length.checked_mul(4).and_then(|bytes| body.split_at_checked(bytes));
            let (own, rest) = bytes.ok_or_else(|| format!("array {}: longer than the file", header.name))?;
            if arrays.insert(header.name.as_str(), (header.r#type, own)).is_some() {
                return Err(format!("array {}: there twice", header.name));
            }
            body = rest;
        }
        if body.is_empty() { Ok(Self(arrays)) } else { Err(format!("{} bytes too many", body.len())) }
    }

    fn take(&mut self, name: &str, r#type: ArrayType, length: Option<usize>) -> Result<&'a [[u8; 4]], String> {
        let (found, bytes) = self.0.remove(name).ok_or_else(|| format!("array {name}: absent"))?;
        let words = bytes.as_chunks::<4>().0;
        if found != r#type {
            return Err(format!("array {name}: of the wrong type"));
        }
        match length {
            Some(expected) if expected != words.len() => {
                Err(format!("array {name}: {} numbers, expected {expected}", words.len()))
            }
            _ => Ok(words),
        }
    }

    fn floats(&mut self, name: &str, length: Option<usize>) -> Result<Vec<f32>, String> {
        let values: Vec<f32> =
            self.take(name, ArrayType::F32, length)?.iter().map(|b| f32::from_le_bytes(*b)).collect();
        match values.iter().all(|v| v.is_finite()) {
            true => Ok(values),
            false => Err(format!("array {name}: a number that is not finite")),
        }
    }

    fn numbers(&mut self, name: &str, length: Option<usize>) -> Result<Vec<u32>, String> {
        Ok(self.take(name, ArrayType::U32, length)?.iter().map(|b| u32::from_le_bytes(*b)).collect())
    }

    fn rbf(&mut self, gamma: f64, dim: usize, pairs: usize) -> Result<PairDecisions, String> {
        let vectors = self.floats("vectors", None)?;
        let starts = self.numbers("starts", Some(pairs + 1))?;
        let indices = self.numbers("indices", None)?;
        let coefficients = self.floats("coefficients", Some(indices.len()))?;
        let in_order = starts.is_sorted() && starts.first() == Some(&0);
        if !in_order || starts.last().map(|&s| s as usize) != Some(indices.len()) {
            return Err("array starts: not ascending from 0 to the number of indices".into());
        }
        if !vectors.len().is_multiple_of(dim) || indices.iter().any(|&i| i as usize >= vectors.len() / dim) {
            return Err("array indices: beyond the last support vector".into());
        }
        Ok(PairDecisions::Rbf { gamma, vectors, starts, indices, coefficients })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::{
        Augmentation, Samples, fit,
        guard::GuardRates,
        tuning::{Rung, Score, Setting, Tried},
    };
    use proptest::prelude::*;

    /// One of the files has a search inside.
    fn search(kind: &str) -> Option<Searched> {
        let setting = Setting {
            embedder: "mobilefacenet".into(),
            classifier: ClassifierKind::Knn { k: 5 },
            augment: Augmentation::NONE,
            epochs: 1,
        };
        let score = Score { accuracy: 0.75, standard_error: 0.125, log_loss: 0.5 };
        let tried = Tried { setting: setting.clone(), scores: vec![score], seconds: 0.0 };
        (kind == "knn").then(|| Searched {
            chosen: setting,
            score,
            folds: 5,
            seed: 0,
            faces: 9,
            copies: 0,
            rungs: vec![Rung { settings: 1, people: 3, folds: 5, photos: 9 }],
            tried: vec![tried],
            stopped: false,
        })
    }

    fn file(kind: &str) -> ClassifierFile {
        let kind_name = kind.to_owned();
        let mut rng = fastrand::Rng::with_seed(1);
        let vectors = (0..9 * 3).map(|i| if i / 9 == i % 3 { 1.0 } else { 0.3 * rng.f32() }).collect();
        let samples = Samples::new(3, vectors, &[3, 3, 3], (0..9).collect()).unwrap();
        let kind: ClassifierKind = kind.parse().unwrap();
        let fitted = fit(&kind, &samples, 0).unwrap();
        let (guard, rates): (Guard, GuardRates) = Guard::fit(&samples);
        let image = |class| Image { path: format!("p/{class}.jpg"), sha256: "ab".repeat(32), class };
        ClassifierFile {
            bledsoe: "0".into(),
            embedder: "mobilefacenet".into(),
            models: ClassifierFile::models_of("mobilefacenet").unwrap(),
            settings: serde_json::json!({"seed": 0}),
            kind,
            classes: ["a", "b", "ü"].map(str::to_owned).to_vec(),
            calibration: Calibration::new(&fitted.held_out, rates),
            trained: vec![image(0), image(2)],
            held_back: vec![image(1)],
            model: fitted.model,
            guard,
            search: search(&kind_name),
        }
    }

    const KINDS: [&str; 4] = ["svm-linear", "svm-rbf", "knn", "centroid"];

    /// The file with a hash that fits, so that the checks behind it are reached.
    fn rehashed(mut content: Vec<u8>) -> Vec<u8> {
        let hash = Sha256::digest(&content);
        content.extend(hash);
        content
    }

    #[test]
    fn a_file_comes_back_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.bledsoe");
        for kind in KINDS {
            let written = file(kind);
            written.save(&path).unwrap();
            let read = ClassifierFile::load(&path).unwrap();
            assert_eq!((&read.classes, &read.trained, &read.kind), (&written.classes, &written.trained, &written.kind));
            assert_eq!((&read.guard, &read.search), (&written.guard, &written.search));
            assert_eq!(written.to_bytes().unwrap()[8], if kind == "knn" { 2 } else { 1 }, "the format's version");
            let probe = [0.9, 0.1, 0.2];
            let p = |file: &ClassifierFile| file.model.classifier().probabilities(&probe).unwrap();
            assert!(p(&read).iter().zip(p(&written)).all(|(a, b)| (a - b).abs() < 1e-6), "{kind}");
        }
    }

    #[test]
    fn a_damaged_or_foreign_file_is_refused() {
        let whole = file("svm-linear").to_bytes().unwrap();
        let refused = |bytes: &[u8]| match ClassifierFile::parse(bytes, Path::new("x")) {
            Err(Error::Format { reason, .. }) => reason,
            other => panic!("{other:?}"),
        };
        for length in [0, 7, 8, 11, 12, 19, 20, 43, 44, whole.len() / 2, whole.len() - 1] {
            refused(&whole[..length]);
        }
        for position in [0, 9, 15, 100, whole.len() / 2, whole.len() - 1] {
            let mut bytes = whole.clone();
            bytes[position] ^= 1;
            refused(&bytes);
        }
        let mut newer = whole.clone();
        newer[8] = 9;
        assert!(refused(&newer).contains("version 9"));
    }

    #[test]
    fn a_search_out_of_range_is_refused() {
        let mut file = file("knn");
        let refused = |file: &ClassifierFile| {
            ClassifierFile::parse(&file.to_bytes().unwrap(), Path::new("x")).unwrap_err().to_string()
        };
        let sound = file.search.clone().unwrap();
        let wrong = [
            Searched { score: Score { accuracy: 1.5, ..sound.score }, ..sound.clone() },
            Searched { rungs: Vec::new(), ..sound.clone() },
            Searched { tried: vec![sound.tried[0].clone(); 100_001], ..sound.clone() },
        ];
        for search in wrong {
            file.search = Some(search);
            assert!(refused(&file).contains("search"), "{}", refused(&file));
        }
        let mut setting = sound.chosen.clone();
        setting.classifier = ClassifierKind::Knn { k: 0 };
        file.search = Some(Searched { chosen: setting, ..sound });
        assert!(refused(&file).contains("k 0"));
    }

    #[test]
    fn another_embedder_is_refused() {
        let mut file = file("centroid");
        assert!(file.check_embedder("mobilefacenet").is_ok());
        assert!(matches!(file.check_embedder("facenet"), Err(Error::Mismatch(_))));
        file.models.insert("mobilefacenet".into(), "12".repeat(32));
        assert!(matches!(file.check_embedder("mobilefacenet"), Err(Error::Mismatch(_))));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(ClassifierFile::parse(&bytes, Path::new("x")).is_err());
            let begun = [MAGIC.as_slice(), &VERSIONS[0].to_le_bytes(), &bytes].concat();
            prop_assert!(ClassifierFile::parse(&rehashed(begun), Path::new("x")).is_err());
        }

        #[test]
        fn no_change_makes_it_or_its_use_panic(kind in 0usize..4, place: prop::sample::Index, value: u8) {
            let mut bytes = file(KINDS[kind]).to_bytes().unwrap();
            bytes.truncate(bytes.len() - 32);
            let at = place.index(bytes.len());
            bytes[at] = value;
            if let Ok(file) = ClassifierFile::parse(&rehashed(bytes), Path::new("x")) {
                let row = vec![0.5; file.guard.dim];
                let p = file.model.classifier().probabilities(&row).unwrap();
                prop_assert_eq!(p.len(), file.classes.len());
            }
        }
    }
}
