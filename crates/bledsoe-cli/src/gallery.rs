//! Opening galleries: what is typed, and the key.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use bledsoe::gallery::{
    Gallery, Limit, PRIOR, Rule,
    store::{FileStore, Key, Model},
};

/// The key of an encrypted gallery.
#[derive(clap::Args, Debug, Clone)]
pub struct KeyArgs {
    /// File with the key of an encrypted gallery: 32 bytes, or 64 hexadecimal digits. Without it, the environment variable
    /// BLEDSOE_KEY is looked at. A gallery that is made with a key is encrypted
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
}

impl KeyArgs {
    fn key(&self) -> Result<Option<Key>> {
        if let Some(path) = &self.key_file {
            return Ok(Some(Key::read(path)?));
        }
        Ok(Key::from_env()?)
    }

    /// Opens a gallery that is there.
    pub fn open(&self, gallery: &Path) -> Result<Gallery> {
        if !gallery.exists() {
            bail!("{}: there is no such gallery; `bledsoe enroll` makes one", gallery.display());
        }
        Ok(Gallery::new(Box::new(FileStore::open(gallery, self.key()?)?))?)
    }

    /// Opens a gallery, or makes one for embeddings of `model`.
    pub fn open_or_create(&self, gallery: &Path, model: &Model) -> Result<Gallery> {
        if gallery.exists() {
            return self.open(gallery);
        }
        crate::console::check_folder(gallery)?;
        Ok(Gallery::new(Box::new(FileStore::create(gallery, model, self.key()?)?))?)
    }
}

/// Who is named.
#[derive(clap::Args, Debug, Clone)]
pub struct RuleArgs {
    /// Share of strangers that may be named (false positive identification rate), 0 to 1
    #[arg(long, value_name = "RATE", default_value_t = 0.01)]
    fpir: f64,
    /// Least score that names somebody, whatever that means in this gallery, instead of --fpir
    #[arg(long, value_name = "SCORE", allow_negative_numbers = true, conflicts_with = "fpir")]
    threshold: Option<f32>,
    /// Share of the faces looked up that is of people enrolled: probabilities depend on it, names do not
    #[arg(long, value_name = "SHARE", default_value_t = PRIOR)]
    prior: f64,
}

impl RuleArgs {
    /// The rule asked for.
    pub fn rule(&self) -> Rule {
        let limit = self.threshold.map_or(Limit::FalsePositiveRate(self.fpir), Limit::Score);
        Rule { limit, prior: self.prior }
    }
}
