//! A head's file, safe to load: safetensors, with all that is no array as JSON under `head` in its metadata.
//!
//! Arrays: `weights` (f64, outputs x width), `biases` (f64, outputs) and, for the RBF kernel, `codes` (i8, centres x
//! dim) and `scales` (f32, centres). The JSON holds the format's version and the SHA-256 of the rest of the JSON and of
//! the arrays, in this order.

use std::{collections::HashMap, path::Path};

use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde::{Deserialize, Serialize};

use super::{
    About, Basis, Fitted, Head, Output,
    basis::{Centres, Kernel},
};
use crate::{Error, Result, hash, whole_file};

const VERSION: u32 = 1;
const KEY: &str = "head";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    version: u32,
    sha256: String,
    content: Content,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    about: About,
    kernel: Kernel,
    dim: usize,
    output: Output,
}

/// The format's version is read first: what else there is depends on it.
#[derive(Deserialize)]
struct Version {
    version: u32,
}

impl Head {
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
    /// [`Error::Io`] when it cannot be read, [`Error::Format`] when it is damaged or no head.
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
        let wide = |values: &[f64]| -> Vec<u8> { values.iter().flat_map(|v| v.to_le_bytes()).collect() };
        let (outputs, width) = (self.fitted.biases.len(), self.fitted.basis.width());
        let mut arrays = vec![
            ("weights", Dtype::F64, vec![outputs, width], wide(&self.fitted.weights)),
            ("biases", Dtype::F64, vec![outputs], wide(&self.fitted.biases)),
        ];
        let kernel = match &self.fitted.basis {
            Basis::Linear { .. } => Kernel::Linear,
            Basis::Rbf { gamma, centres } => {
                let codes = centres.codes().iter().map(|&c| c as u8).collect();
                let scales = centres.scales().iter().flat_map(|v| v.to_le_bytes()).collect();
                arrays.push(("codes", Dtype::I8, vec![width, self.fitted.basis.dim()], codes));
                arrays.push(("scales", Dtype::F32, vec![width], scales));
                Kernel::Rbf { gamma: *gamma }
            }
        };
        let content =
            Content { about: self.about.clone(), kernel, dim: self.fitted.basis.dim(), output: self.output.clone() };
        let sha256 = digest(&content, arrays.iter().map(|(.., bytes)| bytes.as_slice()))?;
        let header = Header { version: VERSION, sha256, content };
        let json = serde_json::to_string(&header).map_err(|e| invalid(&e))?;
        let mut views = Vec::new();
        for (name, r#type, shape, bytes) in &arrays {
            views.push((*name, TensorView::new(*r#type, shape.clone(), bytes).map_err(|e| invalid(&e))?));
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

fn digest<'a>(content: &Content, arrays: impl Iterator<Item = &'a [u8]>) -> Result<String> {
    let mut bytes = serde_json::to_vec(content).map_err(|e| Error::Invalid(e.to_string()))?;
    arrays.for_each(|array| bytes.extend(array));
    Ok(hash::sha256(&bytes))
}

fn parse(bytes: &[u8]) -> Result<Head, String> {
    let foreign = "not a head that `bledsoe train --labels` wrote";
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(|e| format!("{foreign}: {e}"))?;
    let json = metadata.metadata().as_ref().and_then(|m| m.get(KEY)).ok_or(foreign)?;
    let Version { version } = serde_json::from_str(json).map_err(|e| format!("header: {e}"))?;
    if version != VERSION {
        return Err(format!("version {version} of the format; this bledsoe reads {VERSION}: train again or update"));
    }
    let Header { sha256, content, .. } = serde_json::from_str(json).map_err(|e| format!("header: {e}"))?;
    let file = SafeTensors::deserialize(bytes).map_err(|e| e.to_string())?;
    let array = |name: &str, r#type: Dtype| {
        let tensor = file.tensor(name).map_err(|e| format!("array {name}: {e}"))?;
        if tensor.dtype() == r#type { Ok(tensor.data()) } else { Err(format!("array {name}: of the wrong type")) }
    };
    let mut arrays = vec![array("weights", Dtype::F64)?, array("biases", Dtype::F64)?];
    if content.kernel != Kernel::Linear {
        arrays.extend([array("codes", Dtype::I8)?, array("scales", Dtype::F32)?]);
    }
    if digest(&content, arrays.iter().copied()).map_err(|e| e.to_string())? != sha256 {
        return Err("damaged: its content does not fit its SHA-256".into());
    }
    let wide = |bytes: &[u8]| -> Vec<f64> { bytes.as_chunks::<8>().0.iter().map(|b| f64::from_le_bytes(*b)).collect() };
    let (weights, biases) = (wide(arrays[0]), wide(arrays[1]));
    let Content { about, kernel, dim, output } = content;
    let basis = match (kernel, arrays.get(2..)) {
        (Kernel::Rbf { gamma }, Some([codes, scales])) if gamma.is_finite() && gamma > 0.0 => {
            let codes = codes.iter().map(|&c| c as i8).collect();
            let scales = scales.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
            Basis::Rbf { gamma, centres: Centres::new(dim, codes, scales).map_err(|e| e.to_string())? }
        }
        (Kernel::Linear, _) => Basis::Linear { dim }, // Standardised weights are written as those of plain numbers.
        _ => return Err("kernel: gamma must be above 0".into()),
    };
    let outputs = match &output {
        Output::Classify { names, softmax } if names.len() >= 2 && softmax.scale.is_finite() && softmax.scale > 0.0 => {
            names.len()
        }
        Output::Regress { ranges } if ranges.is_sound() => 1,
        _ => return Err("output: too few classes, or numbers out of range".into()),
    };
    let fits = biases.len() == outputs && outputs.checked_mul(basis.width()) == Some(weights.len());
    if !fits || basis.width() == 0 || weights.iter().chain(&biases).any(|x| !x.is_finite()) {
        return Err("weights, biases: not as many as outputs need, or not finite".into());
    }
    Ok(Head { about, fitted: Fitted { basis, weights, biases }, output })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::attribute::{Answer, EMBEDDER, Examples, Training, Truth, train};

    /// A small head of each kind.
    fn heads() -> &'static [Head] {
        static HEADS: std::sync::OnceLock<Vec<Head>> = std::sync::OnceLock::new();
        HEADS.get_or_init(trained)
    }

    fn trained() -> Vec<Head> {
        let angle = |i: usize| std::f32::consts::TAU * (i as f32 + 0.5) / 24.0;
        let vectors: Vec<f32> = (0..24).flat_map(|i| [angle(i).cos(), angle(i).sin()]).collect();
        let classes = Truth::Classes { names: vec!["ü".into(), "v".into()], of: (0..24).map(|i| i / 12).collect() };
        let numbers = Truth::Numbers((0..24).map(|i| f64::from(angle(i).cos())).collect());
        // Nothing that a linear head could learn, so that the kernel is chosen.
        let waves = Truth::Numbers((0..24).map(|i| f64::from((2.0 * angle(i)).cos())).collect());
        let head = |truth, centres| {
            let examples = Examples::new(2, vectors.clone(), truth, (0..24).collect()).unwrap();
            train("mobilefacenet", "label", &examples, &Training { centres, seed: 0 }).unwrap()
        };
        vec![head(classes.clone(), 0), head(numbers, 0), head(classes, 8), head(waves, 8)]
    }

    fn ask(head: &Head) -> Vec<Answer> {
        head.answer(&[&vec![0.6; head.fitted.basis.dim()]]).unwrap()
    }

    /// The file with a header that `change` changed, and a hash that fits.
    fn forged(head: &Head, change: impl Fn(&mut serde_json::Value)) -> Vec<u8> {
        let bytes = head.to_bytes().unwrap();
        let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
        let mut json: serde_json::Value = serde_json::from_str(&metadata.metadata().as_ref().unwrap()[KEY]).unwrap();
        change(&mut json);
        let file = SafeTensors::deserialize(&bytes).unwrap();
        // The order of the fields is that of the types, not of the value.
        if let Ok(content) = serde_json::from_value::<Content>(json["content"].clone()) {
            let names = ["weights", "biases", "codes", "scales"];
            let arrays: Vec<&[u8]> = names.iter().filter_map(|name| Some(file.tensor(name).ok()?.data())).collect();
            json["sha256"] = digest(&content, arrays.into_iter()).unwrap().into();
        }
        let metadata = HashMap::from([(KEY.to_owned(), json.to_string())]);
        safetensors::serialize(file.tensors(), Some(metadata)).unwrap()
    }

    #[test]
    fn a_file_comes_back_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.head");
        for written in heads() {
            written.save(&path).unwrap();
            let read = Head::load(&path).unwrap();
            assert_eq!(read, *written);
            assert_eq!(ask(&read), ask(written));
        }
    }

    #[test]
    fn the_embedded_heads_are_of_the_embedder_for_attributes_and_of_the_default() {
        for target in ["gender", "age"] {
            let heads = Head::builtin(target).unwrap();
            for (head, embedder) in heads.iter().zip([EMBEDDER, crate::pipeline::DEFAULT_EMBEDDER]) {
                assert_eq!(head.about.target, target);
                head.check_embedder(embedder).unwrap();
                assert!(head.check_embedder("facenet").is_err());
                assert!(head.answer(&[&[1.0]]).is_err());
            }
            assert_eq!(heads.len(), 2);
        }
        assert!(Head::builtin("hat").unwrap().is_empty());
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let says = |bytes: &[u8], what: &str| {
            let error = Head::parse(bytes, Path::new("x")).unwrap_err().to_string();
            assert!(error.starts_with("x: ") && error.contains(what), "{error}");
        };
        let heads = heads();
        let whole = heads[3].to_bytes().unwrap();
        for length in [0, 7, 8, 100, whole.len() / 2, whole.len() - 1] {
            says(&whole[..length], "not a head");
        }
        let mut flipped = whole.clone();
        flipped[whole.len() - 3] ^= 1;
        says(&flipped, "SHA-256");
        assert!(Head::parse(&forged(&heads[3], |_| {}), Path::new("x")).is_ok());
        says(&forged(&heads[3], |json| json["version"] = 9.into()), "version 9");
        says(&forged(&heads[3], |json| json["content"]["dim"] = 3.into()), "centres of 3");
        says(&forged(&heads[3], |json| json["content"]["kernel"]["gamma"] = 0.into()), "gamma");
        says(&forged(&heads[1], |json| json["content"]["dim"] = 3.into()), "not as many");
        says(&forged(&heads[0], |json| json["content"]["output"]["softmax"]["scale"] = (-1).into()), "output");
        says(&forged(&heads[0], |json| json["content"]["output"]["names"] = serde_json::json!(["a"])), "output");
        says(
            &forged(&heads[1], |json| json["content"]["output"]["ranges"]["places"] = serde_json::json!([])),
            "output",
        );
    }

    proptest! {
        #[test]
        fn no_change_makes_it_or_its_use_panic(which in 0usize..4, place: prop::sample::Index, value: u8) {
            let mut bytes = heads()[which].to_bytes().unwrap();
            let at = place.index(bytes.len());
            bytes[at] = value;
            if let Ok(head) = Head::parse(&bytes, Path::new("x")) {
                prop_assert_eq!(ask(&head).len(), 1);
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(Head::parse(&bytes, Path::new("x")).is_err());
        }
    }
}
