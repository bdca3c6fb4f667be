//! The one error type of the library. Each variant names the file or field at fault.

use std::path::{Path, PathBuf};

/// What can go wrong, with enough said to fix it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or folder could not be read or written.
    #[error("{path}: {reason}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said. Not called the source, or it would be told twice.
        reason: std::io::Error,
    },
    /// A photo could not be decoded, or is larger than the limits allow.
    #[error("{path}: not a readable photo: {reason}")]
    Photo {
        /// The photo, or `<memory>`.
        path: PathBuf,
        /// What the decoder found.
        reason: String,
    },
    /// A model file, or the registry, is malformed or not what its contract promises.
    #[error("model {model}: {reason}")]
    Model {
        /// The model's id or path.
        model: String,
        /// What is wrong and what to do about it.
        reason: String,
    },
    /// An inference engine could not be loaded or failed while running.
    #[error("engine {engine}: {reason}")]
    Engine {
        /// `native`, `ort` or `rten`.
        engine: String,
        /// What is wrong and what to do about it.
        reason: String,
    },
    /// A file of ours (embeddings, classifier, journal) is malformed.
    #[error("{path}: {reason}")]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Two things that do not belong together, such as embeddings of different models.
    #[error("{0}")]
    Mismatch(String),
    /// A parameter outside its range, or data that cannot be used as asked.
    #[error("{0}")]
    Invalid(String),
    /// The user asked to stop (Ctrl-C).
    #[error("interrupted")]
    Interrupted,
}

/// The library's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// What happened, without the path, for lists that name the photo in another column.
    pub fn reason(&self) -> String {
        match self {
            Self::Io { reason, .. } => reason.to_string(),
            Self::Photo { reason, .. } | Self::Format { reason, .. } => reason.clone(),
            other => other.to_string(),
        }
    }

    /// An [`Error::Photo`] about bytes in memory.
    pub fn photo(reason: impl Into<String>) -> Self {
        Self::Photo { path: "<memory>".into(), reason: reason.into() }
    }

    /// An [`Error::Io`] about `path`.
    pub fn io(path: impl AsRef<Path>, reason: std::io::Error) -> Self {
        Self::Io { path: path.as_ref().to_owned(), reason }
    }

    /// An [`Error::Model`] about `model`.
    pub fn model(model: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Model { model: model.into(), reason: reason.into() }
    }

    /// An [`Error::Engine`] about `engine`.
    pub fn engine(engine: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Engine { engine: engine.into(), reason: reason.into() }
    }

    /// An [`Error::Format`] about `path`.
    pub fn format(path: impl AsRef<Path>, reason: impl Into<String>) -> Self {
        Self::Format { path: path.as_ref().to_owned(), reason: reason.into() }
    }
}
