//! The registry: the contracts and templates of `models/registry.toml`.

use std::sync::OnceLock;

use serde::Deserialize;

use super::{Contract, Threshold};
use crate::{Error, Result, align::Template};

/// A fusion with its own measured threshold.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FusionSpec {
    /// Ids joined by `+`, in the order of the weights.
    pub id: String,
    /// Weight of each embedder.
    pub weights: Vec<f32>,
    /// The default threshold for verification.
    pub threshold: Option<Threshold>,
}

/// All models known by name.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registry {
    #[serde(rename = "model")]
    models: Vec<Contract>,
    #[serde(rename = "template")]
    templates: Vec<Template>,
    #[serde(rename = "fusion", default)]
    fusions: Vec<FusionSpec>,
}

impl Registry {
    /// The registry compiled in.
    ///
    /// # Errors
    /// [`Error::Model`] if it is malformed, which a test rules out.
    pub fn embedded() -> Result<&'static Self> {
        static REGISTRY: OnceLock<Result<Registry, String>> = OnceLock::new();
        REGISTRY
            .get_or_init(|| Self::parse(include_str!("../../../../models/registry.toml")).map_err(|e| e.to_string()))
            .as_ref()
            .map_err(|e| Error::model("registry", e.clone()))
    }

    /// Parses and checks a registry.
    ///
    /// # Errors
    /// [`Error::Model`] naming the entry and field at fault.
    pub fn parse(text: &str) -> Result<Self> {
        let registry: Self = toml::from_str(text).map_err(|e| Error::model("registry", e.to_string()))?;
        for model in &registry.models {
            model.check()?;
            if let Some(template) = &model.template {
                registry.template(template)?;
            }
        }
        registry.templates.iter().try_for_each(Template::check)?;
        Ok(registry)
    }

    /// All contracts, in the order of the file.
    pub fn models(&self) -> &[Contract] {
        &self.models
    }

    /// All templates, in the order of the file.
    pub fn templates(&self) -> &[Template] {
        &self.templates
    }

    /// All measured fusions.
    pub fn fusions(&self) -> &[FusionSpec] {
        &self.fusions
    }

    /// The contract called `id`.
    ///
    /// # Errors
    /// [`Error::Model`] with the names that there are.
    pub fn get(&self, id: &str) -> Result<&Contract> {
        self.models.iter().find(|m| m.id == id).ok_or_else(|| {
            let known: Vec<&str> = self.models.iter().map(|m| m.id.as_str()).collect();
            Error::model(id, format!("no such model; there are {}", known.join(", ")))
        })
    }

    /// The template called `name`.
    ///
    /// # Errors
    /// [`Error::Model`] with the names that there are.
    pub fn template(&self, name: &str) -> Result<&Template> {
        self.templates.iter().find(|t| t.name() == name).ok_or_else(|| {
            let known: Vec<&str> = self.templates.iter().map(Template::name).collect();
            Error::model(name, format!("no such template; there are {}", known.join(", ")))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn the_embedded_registry_is_sound() {
        let registry = Registry::embedded().unwrap();
        assert!(registry.models().len() >= 8);
        assert!(registry.get("mobilefacenet").unwrap().embedded);
        assert!(registry.get("nothing").unwrap_err().to_string().contains("mobilefacenet"));
    }

    #[test]
    fn the_embedded_pack_is_at_most_48_megabytes() {
        let registry = Registry::embedded().unwrap();
        // Two models may share a file.
        let files: BTreeMap<&str, u64> =
            registry.models().iter().filter(|m| m.embedded).map(|m| (m.file.as_str(), m.bytes)).collect();
        let bytes: u64 = files.values().sum();
        assert!(bytes <= 48_000_000, "{bytes} bytes");
    }
}
