//! Opening galleries: what is typed, and the key.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use bledsoe::gallery::{
    Gallery, Limit, PRIOR, Rule,
    store::{FileStore, Key, Model},
};

/// How a gallery is opened: a file, or, as `postgresql://user@host/database`, a PostgreSQL database.
#[derive(clap::Args, Debug, Clone)]
pub struct GalleryArgs {
    /// File with the key of an encrypted gallery: 32 bytes, or 64 hexadecimal digits. Without it, the environment
    /// variable BLEDSOE_KEY is looked at. A gallery that is made with a key is encrypted
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// Of a gallery in PostgreSQL: the schema that it has in the database
    #[arg(long, value_name = "NAME", default_value = "bledsoe")]
    schema: String,
}

impl GalleryArgs {
    fn key(&self) -> Result<Option<Key>> {
        match &self.key_file {
            Some(path) => Ok(Some(Key::read(path)?)),
            None => Ok(Key::from_env()?),
        }
    }

    /// Opens a gallery that is there.
    pub fn open(&self, gallery: &Path) -> Result<Gallery> {
        match self.find(gallery)? {
            Some(gallery) => Ok(gallery),
            None => bail!("{}: there is no such gallery; `bledsoe enroll` makes one", shown(gallery)),
        }
    }

    /// Opens a gallery, if it is there.
    pub fn find(&self, gallery: &Path) -> Result<Option<Gallery>> {
        if let Some(url) = database(gallery) {
            return postgres::find(url, &self.schema);
        }
        match std::fs::metadata(gallery) {
            Ok(there) if there.is_dir() => bail!("{}: a folder, not a gallery", gallery.display()),
            // An empty file is what a full disk or a killed program leaves of a gallery not yet made.
            Ok(there) if there.len() > 0 => {}
            Ok(_) => return Ok(None),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => bail!("{}: {e}", gallery.display()),
        }
        Ok(Some(Gallery::new(Box::new(FileStore::open(gallery, self.key()?)?))?))
    }

    /// Makes a gallery for embeddings of `model`.
    pub fn create(&self, gallery: &Path, model: &Model) -> Result<Gallery> {
        if let Some(url) = database(gallery) {
            return postgres::create(url, &self.schema, model);
        }
        crate::console::check_folder(gallery)?;
        Ok(Gallery::new(Box::new(FileStore::create(gallery, model, self.key()?)?))?)
    }
}

/// The address of a database, if that is what was typed.
fn database(gallery: &Path) -> Option<&str> {
    gallery.to_str().filter(|text| text.starts_with("postgresql://") || text.starts_with("postgres://"))
}

/// A gallery as it may be told of: without a password.
pub fn shown(gallery: &Path) -> String {
    match database(gallery) {
        Some(_) => "the PostgreSQL database".into(),
        None => gallery.display().to_string(),
    }
}

#[cfg(feature = "postgres")]
mod postgres {
    use anyhow::Result;
    use bledsoe::gallery::{
        Gallery,
        store::{Model, PostgresStore},
    };

    pub fn find(url: &str, schema: &str) -> Result<Option<Gallery>> {
        if !PostgresStore::exists(url, schema)? {
            return Ok(None);
        }
        Ok(Some(Gallery::new(Box::new(PostgresStore::open(url, schema)?))?))
    }

    pub fn create(url: &str, schema: &str, model: &Model) -> Result<Gallery> {
        Ok(Gallery::new(Box::new(PostgresStore::create(url, schema, model)?))?)
    }
}

#[cfg(not(feature = "postgres"))]
mod postgres {
    use anyhow::{Result, bail};
    use bledsoe::gallery::{Gallery, store::Model};

    const BUILD: &str = "this program was built without PostgreSQL: build it with `cargo install --path crates/bledsoe-cli \
                         --features postgres`";

    pub fn find(_: &str, _: &str) -> Result<Option<Gallery>> {
        bail!(BUILD)
    }

    pub fn create(_: &str, _: &str, _: &Model) -> Result<Gallery> {
        bail!(BUILD)
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
