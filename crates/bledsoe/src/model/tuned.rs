//! A network with other numbers in some of its layers, as a model of its own: an ONNX file and its contract.

use std::{collections::BTreeMap, path::Path};

use super::{Contract, Format, Threshold, graph::Graph};
use crate::{Error, Result, hash, whole_file};

/// What the metadata of such an ONNX file calls the record of how it came about.
pub const RECORD: &str = "bledsoe.finetune";
/// Digits of the hash in the id.
const DIGITS: usize = 8;

/// What there is to say of a network that was trained further.
pub struct Tuned<'a> {
    /// The contract of the network as it was.
    pub base: &'a Contract,
    /// The network as it was.
    pub graph: &'a Graph<'a>,
    /// New numbers of its constants, by name.
    pub learnt: &'a BTreeMap<String, Vec<f32>>,
    /// How it was trained, in a few words, for the contract.
    pub how: &'a str,
    /// Every setting, what it was trained on, and how it went, for the ONNX file's metadata.
    pub record: &'a serde_json::Value,
    /// The similarity from which two faces count as one person's, if it was measured; never that of the network as it
    /// was.
    pub threshold: Option<Threshold>,
}

impl Tuned<'_> {
    /// Writes the network to `path`, which ends in `.onnx`, and its contract beside it: each whole or not at all. Its id
    /// is that of the network as it was with `-tuned-` and eight digits of the file's hash.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a name that does not end so; [`Error::Io`].
    pub fn save(&self, path: &Path) -> Result<Contract> {
        check_name(path)?;
        let onnx = self.graph.with_constants(self.learnt, &[(RECORD, &self.record.to_string())]);
        let sha256 = hash::sha256(&onnx);
        let contract = Contract {
            id: format!("{}-tuned-{}", self.base.id, &sha256[..DIGITS]),
            format: Format::Onnx,
            file: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            bytes: onnx.len() as u64,
            sha256,
            embedded: false,
            source: format!("{} (SHA-256 {}), {}", self.base.id, self.base.sha256, self.how),
            pull: None,
            threshold: self.threshold.clone(),
            selftest: None,
            measured: toml::Table::new(),
            ..self.base.clone()
        };
        contract.check()?;
        let text = toml::to_string(&contract).map_err(|e| Error::Invalid(e.to_string()))?;
        whole_file::write(path, &onnx)?;
        whole_file::write(&path.with_extension("toml"), text.as_bytes())?;
        Ok(contract)
    }
}

/// Makes sure that a network can be written to `path`, before long work is done for it.
///
/// # Errors
/// [`Error::Invalid`] for a name that does not end in `.onnx`.
pub fn check_name(path: &Path) -> Result<()> {
    match path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("onnx")) {
        true => Ok(()),
        false => Err(Error::Invalid(format!("{}: a network is written to a file called .onnx", path.display()))),
    }
}
