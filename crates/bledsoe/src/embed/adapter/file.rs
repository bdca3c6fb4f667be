//! An adapter's file, safe to load: safetensors, with all that is no array as JSON under `adapter` in its metadata.
//!
//! Arrays, all f32: `weight` (dim x dim) and `bias` (dim) of a linear map; `inner` (hidden x dim), `inner_bias`
//! (hidden), `outer` (dim x hidden) and `outer_bias` (dim) of the other. The JSON holds the format's version, and the
//! SHA-256 of the rest of the JSON and of the arrays, in this order.

use std::{collections::HashMap, path::Path};

use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde::{Deserialize, Serialize};

use super::{About, Adapter, Map};
use crate::{Error, Result, hash, whole_file};

const VERSION: u32 = 1;
const KEY: &str = "adapter";
/// Vectors and hidden layers are no longer.
const MOST_NUMBERS: usize = 8192;
/// No weight is larger: sums of as many as there may be stay finite.
const LARGEST: f32 = 1e6;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    version: u32,
    sha256: String,
    about: About,
    shape: Shape,
}

#[derive(Serialize, Deserialize, Clone, Copy, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Shape {
    Linear,
    Mlp,
}

/// The format's version is read first: what else there is depends on it.
#[derive(Deserialize)]
struct Version {
    version: u32,
}

impl Map {
    fn shape(&self) -> Shape {
        match self {
            Self::Linear { .. } => Shape::Linear,
            Self::Mlp { .. } => Shape::Mlp,
        }
    }

    /// Its arrays: name, shape and numbers.
    fn arrays(&self, dim: usize) -> Vec<(&'static str, Vec<usize>, &[f32])> {
        match self {
            Self::Linear { weight, bias } => vec![("weight", vec![dim, dim], weight), ("bias", vec![dim], bias)],
            Self::Mlp { inner, inner_bias, outer, outer_bias } => {
                let hidden = inner_bias.len();
                vec![
                    ("inner", vec![hidden, dim], inner),
                    ("inner_bias", vec![hidden], inner_bias),
                    ("outer", vec![dim, hidden], outer),
                    ("outer_bias", vec![dim], outer_bias),
                ]
            }
        }
    }
}

/// Whether the arrays are as long as they have to be, and of numbers that can be summed.
pub(super) fn check(about: &About, map: &Map) -> Result<(), String> {
    let dim = about.dim;
    let arrays = map.arrays(dim);
    let long = |shape: &[usize]| shape.iter().any(|n| !(1..=MOST_NUMBERS).contains(n));
    if arrays.iter().any(|(_, shape, numbers)| long(shape) || shape.iter().product::<usize>() != numbers.len()) {
        return Err(format!("arrays that do not fit vectors of {dim} numbers, or more than {MOST_NUMBERS} of them"));
    }
    // Also false for what is no number.
    if !arrays.iter().flat_map(|(.., numbers)| *numbers).all(|x| x.abs() <= LARGEST) {
        return Err("weights that are not finite, or too large".into());
    }
    match &about.threshold {
        Some(threshold) if !(-1.0..=1.0).contains(&threshold.similarity) || !(0.0..=1.0).contains(&threshold.far) => {
            Err("threshold: not a similarity and a rate".into())
        }
        _ => Ok(()),
    }
}

/// SHA-256 of all that an adapter is.
pub(super) fn digest(about: &About, map: &Map) -> Result<String> {
    let mut bytes = serde_json::to_vec(&(about, map.shape())).map_err(|e| Error::Invalid(e.to_string()))?;
    map.arrays(about.dim).iter().for_each(|(.., numbers)| bytes.extend(little_endian(numbers)));
    Ok(hash::sha256(&bytes))
}

fn little_endian(numbers: &[f32]) -> Vec<u8> {
    numbers.iter().flat_map(|x| x.to_le_bytes()).collect()
}

impl Adapter {
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
    /// [`Error::Io`] when it cannot be read, [`Error::Format`] when it is damaged or no adapter.
    pub fn load(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|e| Error::io(path, e))?;
        Self::parse(&bytes, path)
    }

    /// The file's bytes.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the settings cannot be written as JSON.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let invalid = |e: &dyn std::fmt::Display| Error::Invalid(e.to_string());
        let header = Header {
            version: VERSION,
            sha256: self.sha256.clone(),
            about: self.about.clone(),
            shape: self.map.shape(),
        };
        let json = serde_json::to_string(&header).map_err(|e| invalid(&e))?;
        let arrays: Vec<_> =
            self.map.arrays(self.about.dim).into_iter().map(|(n, s, x)| (n, s, little_endian(x))).collect();
        let mut views = Vec::new();
        for (name, shape, bytes) in &arrays {
            views.push((*name, TensorView::new(Dtype::F32, shape.clone(), bytes).map_err(|e| invalid(&e))?));
        }
        safetensors::serialize(views, Some(HashMap::from([(KEY.to_owned(), json)]))).map_err(|e| invalid(&e))
    }

    /// Checks `bytes`, which came from `path`. Never takes more memory than a small multiple of their length.
    ///
    /// # Errors
    /// [`Error::Format`] saying what is wrong.
    pub fn parse(bytes: &[u8], path: &Path) -> Result<Self> {
        parse(bytes).map_err(|reason| Error::format(path, reason))
    }
}

fn parse(bytes: &[u8]) -> Result<Adapter, String> {
    let foreign = "not an adapter that `bledsoe finetune` wrote";
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(|e| format!("{foreign}: {e}"))?;
    let json = metadata.metadata().as_ref().and_then(|m| m.get(KEY)).ok_or(foreign)?;
    let Version { version } = serde_json::from_str(json).map_err(|e| format!("header: {e}"))?;
    if version != VERSION {
        return Err(format!("version {version} of the format; this bledsoe reads {VERSION}: finetune again or update"));
    }
    let Header { sha256, about, shape, .. } = serde_json::from_str(json).map_err(|e| format!("header: {e}"))?;
    let file = SafeTensors::deserialize(bytes).map_err(|e| e.to_string())?;
    let array = |name: &str| -> Result<Vec<f32>, String> {
        let tensor = file.tensor(name).map_err(|e| format!("array {name}: {e}"))?;
        if tensor.dtype() != Dtype::F32 {
            return Err(format!("array {name}: of the wrong type"));
        }
        Ok(tensor.data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect())
    };
    let map = match shape {
        Shape::Linear => Map::Linear { weight: array("weight")?, bias: array("bias")? },
        Shape::Mlp => Map::Mlp {
            inner: array("inner")?,
            inner_bias: array("inner_bias")?,
            outer: array("outer")?,
            outer_bias: array("outer_bias")?,
        },
    };
    check(&about, &map)?;
    if digest(&about, &map).map_err(|e| e.to_string())? != sha256 {
        return Err("damaged: its content does not fit its SHA-256".into());
    }
    Ok(Adapter { about, map, sha256 })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{
        super::tests::{about, turn},
        *,
    };
    use crate::model::Threshold;

    fn adapters() -> [Adapter; 2] {
        let mut known = about("ü");
        known.threshold = Some(Threshold { similarity: 0.25, far: 0.001, measured_on: "x".into() });
        let map = Map::Mlp {
            inner: vec![1.0, 0.1, -1.0, 0.2, 0.3, 1.0],
            inner_bias: vec![0.0, 0.5, 1.0],
            outer: vec![0.0, 0.3, 0.0, 1.0, 5.0, 1.0],
            outer_bias: vec![0.5, 0.25],
        };
        [turn("m"), Adapter::new(known, map).unwrap()]
    }

    /// The file with a header that `change` changed; with its hash right, if it can be.
    fn forged(adapter: &Adapter, change: impl Fn(&mut serde_json::Value)) -> Vec<u8> {
        let bytes = adapter.to_bytes().unwrap();
        let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
        let mut json: serde_json::Value = serde_json::from_str(&metadata.metadata().as_ref().unwrap()[KEY]).unwrap();
        change(&mut json);
        if let Ok(about) = serde_json::from_value::<About>(json["about"].clone()) {
            json["sha256"] = digest(&about, &adapter.map).unwrap().into();
        }
        let metadata = HashMap::from([(KEY.to_owned(), json.to_string())]);
        safetensors::serialize(SafeTensors::deserialize(&bytes).unwrap().tensors(), Some(metadata)).unwrap()
    }

    #[test]
    fn a_file_comes_back_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.safetensors");
        for written in adapters() {
            written.save(&path).unwrap();
            assert_eq!(Adapter::load(&path).unwrap(), written);
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let says = |bytes: &[u8], what: &str| {
            let error = Adapter::parse(bytes, Path::new("x")).unwrap_err().to_string();
            assert!(error.starts_with("x: ") && error.contains(what), "{error}");
        };
        for adapter in adapters() {
            let whole = adapter.to_bytes().unwrap();
            for length in [0, 7, 8, 100, whole.len() / 2, whole.len() - 1] {
                says(&whole[..length], "not an adapter");
            }
            let mut flipped = whole.clone();
            flipped[whole.len() - 4] ^= 1;
            says(&flipped, "SHA-256");
            assert!(Adapter::parse(&forged(&adapter, |_| {}), Path::new("x")).is_ok());
            says(&forged(&adapter, |json| json["version"] = 9.into()), "version 9");
            says(&forged(&adapter, |json| json["about"]["dim"] = 3.into()), "vectors of 3 numbers");
            says(&forged(&adapter, |json| json["about"]["dim"] = u64::MAX.into()), "do not fit");
            says(
                &forged(&adapter, |json| {
                    json["about"]["threshold"] = serde_json::json!({"similarity": 2, "far": 0.1, "measured_on": ""});
                }),
                "threshold",
            );
        }
        says(&forged(&turn("m"), |json| json["shape"] = "mlp".into()), "array inner");
        let infinite = Map::Linear { weight: vec![f32::INFINITY; 4], bias: vec![0.0; 2] };
        assert!(Adapter::new(about("m"), infinite).is_err());
        assert!(Adapter::new(about("m"), Map::Linear { weight: vec![0.0; 4], bias: vec![f32::NAN, 0.0] }).is_err());
        assert!(Adapter::new(about("m"), Map::Linear { weight: vec![0.0; 3], bias: vec![0.0; 2] }).is_err());
    }

    #[test]
    fn another_training_is_another_adapter() {
        let mut other = about("m");
        other.training["seed"] = 2.into();
        assert_ne!(Adapter::new(other, turn("m").map).unwrap().name(), turn("m").name());
    }

    proptest! {
        #[test]
        fn no_change_makes_it_or_its_use_panic(which in 0usize..2, place: prop::sample::Index, value: u8) {
            let mut bytes = adapters()[which].to_bytes().unwrap();
            let at = place.index(bytes.len());
            bytes[at] = value;
            if let Ok(adapter) = Adapter::parse(&bytes, Path::new("x")) {
                let _ = adapter.apply(&[&vec![0.5; adapter.about().dim]]);
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(Adapter::parse(&bytes, Path::new("x")).is_err());
        }
    }
}
