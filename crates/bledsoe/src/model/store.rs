//! Where the bytes of models are.

use std::{
    borrow::Cow,
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::{Contract, Format, Registry, dlib, pack};
use crate::{Error, Result, engine::library};

/// The files of `models/`, compiled in.
const EMBEDDED: &[(&str, &[u8])] = &[
    ("mobilefacenet.safetensors", include_bytes!("../../../../models/mobilefacenet.safetensors")),
    ("facenet.safetensors", include_bytes!("../../../../models/facenet.safetensors")),
    ("dlib.safetensors", include_bytes!("../../../../models/dlib.safetensors")),
    ("centerface.safetensors", include_bytes!("../../../../models/centerface.safetensors")),
    ("yunet.safetensors", include_bytes!("../../../../models/yunet.safetensors")),
    ("mmod.safetensors", include_bytes!("../../../../models/mmod.safetensors")),
    ("hog.svm", include_bytes!("../../../../models/hog.svm")),
    ("landmarks5.safetensors", include_bytes!("../../../../models/landmarks5.safetensors")),
    ("cohort.safetensors", include_bytes!("../../../../models/cohort.safetensors")),
    ("gender.safetensors", include_bytes!("../../../../models/gender.safetensors")),
    ("age.safetensors", include_bytes!("../../../../models/age.safetensors")),
    ("gender-spatial.safetensors", include_bytes!("../../../../models/gender-spatial.safetensors")),
    ("age-spatial.safetensors", include_bytes!("../../../../models/age-spatial.safetensors")),
    ("age-gender.safetensors", include_bytes!("../../../../models/age-gender.safetensors")),
];

/// Where a model's bytes are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// Compiled into the program.
    Embedded,
    /// A file of the user's own folder or cache.
    File(PathBuf),
}

/// Finds models: in a folder of the user's own, in the user's cache, or in the embedded pack, in this order.
#[derive(Debug, Clone)]
pub struct Store {
    folders: Vec<PathBuf>,
}

impl Store {
    /// A store that looks into `folder` first, if there is one.
    pub fn new(folder: Option<&Path>) -> Self {
        Self { folders: folder.map(Path::to_owned).into_iter().chain([Self::cache()]).collect() }
    }

    /// Where pulled models are kept.
    pub fn cache() -> PathBuf {
        library::cache().join("models")
    }

    /// Where the model of `contract` is, if it is on this machine.
    pub fn place(&self, contract: &Contract) -> Option<Place> {
        let file = self.folders.iter().map(|folder| folder.join(&contract.file)).find(|path| path.exists());
        file.map(Place::File).or_else(|| embedded(contract).map(|_| Place::Embedded))
    }

    /// The verified bytes of the model called `id` in the registry.
    ///
    /// # Errors
    /// [`Error::Model`] when it is not known, not there, or not the file that its contract names.
    pub fn bytes(&self, id: &str) -> Result<Cow<'static, [u8]>> {
        let contract = Registry::embedded()?.get(id)?;
        match self.place(contract) {
            Some(Place::File(path)) => {
                let bytes = std::fs::read(&path).map_err(|e| Error::io(&path, e))?;
                contract.verify(&bytes, &path.display().to_string())?;
                Ok(Cow::Owned(bytes))
            }
            Some(Place::Embedded) => {
                let bytes = embedded(contract).unwrap_or_default();
                contract.verify(bytes, "the embedded pack")?;
                Ok(Cow::Borrowed(bytes))
            }
            None => Err(Error::model(id, format!("not on this machine: get it with `bledsoe models pull {id}`"))),
        }
    }

    /// The network called `id` as plain f32 ONNX, cut off at its tap where its contract has one.
    ///
    /// # Errors
    /// As [`Store::bytes`], and when the model is no network.
    pub fn onnx(&self, id: &str) -> Result<Vec<u8>> {
        let bytes = self.bytes(id)?;
        let contract = Registry::embedded()?.get(id)?;
        let onnx = match contract.format {
            Format::Pack => pack::widen(&bytes, id)?,
            Format::Onnx => bytes.into_owned(),
            Format::ResnetDat => dlib::network::resnet_to_onnx(&bytes, id)?,
            Format::MmodDat => dlib::network::mmod_to_onnx(&bytes, id)?,
            Format::Hog | Format::Shape | Format::ShapeDat | Format::Cohort | Format::Head => {
                return Err(Error::model(id, "not a network"));
            }
        };
        contract.cut(onnx)
    }
}

fn embedded(contract: &Contract) -> Option<&'static [u8]> {
    EMBEDDED.iter().find(|(file, _)| *file == contract.file).map(|(_, bytes)| *bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_embedded_model_is_what_its_contract_names() {
        let store = Store { folders: Vec::new() };
        let registry = Registry::embedded().unwrap();
        for model in registry.models().iter().filter(|m| m.embedded) {
            assert_eq!(store.bytes(&model.id).unwrap().len() as u64, model.bytes, "{}", model.id);
        }
        for (file, _) in EMBEDDED {
            assert!(registry.models().iter().any(|m| m.embedded && m.file == *file), "{file} is embedded, not listed");
        }
    }

    #[test]
    fn a_file_that_is_not_the_promised_one_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("hog.svm"), b"something else").unwrap();
        let error = Store::new(Some(dir.path())).bytes("hog").unwrap_err().to_string();
        assert!(error.contains("SHA-256"), "{error}");
    }
}
