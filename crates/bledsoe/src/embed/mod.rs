//! Embedding: a face chip becomes a unit vector in which distance is similarity.
//!
//! An [`Embedder`] takes, for each face, one chip per template that it names, and gives one [`Embedding`]. There are
//! [`NetworkEmbedder`] (one network), [`Fusion`] (several embedders, joined) and [`Adapted`] (one with an [`Adapter`]
//! behind it, which was learnt from the user's photos). [`Members`] are taken out of a fusion's embeddings again.
//! [`table`] keeps embeddings on disk; [`Features`] are what a network has of faces before its last layers.

mod adapter;
mod dot;
mod embedding;
mod features;
mod fusion;
mod members;
mod network;
pub mod table;

pub use adapter::{About, Adapted, Adapter, Map, adapted_settings};
pub use dot::dot;
pub use embedding::Embedding;
pub use features::Features;
pub use fusion::Fusion;
pub use members::{Cut, Members};
pub use network::NetworkEmbedder;

use crate::{
    Result,
    align::{FaceChip, Template},
};

/// Turns face chips into embeddings. Batch-first: an embedder uses all cores for a batch by itself.
pub trait Embedder: Send + Sync {
    /// The embedder's id, as written into results.
    fn id(&self) -> &str;

    /// What decides its embeddings, for the journal's keys: more than the id, since a model file may be replaced.
    fn settings(&self) -> serde_json::Value {
        self.id().into()
    }

    /// Length of an embedding.
    fn dim(&self) -> usize;

    /// The chips that it takes of each face, in order; each at its template's own size.
    fn templates(&self) -> &[Template];

    /// One embedding a face; `faces[i]` holds one chip for each of [`Embedder::templates`].
    ///
    /// # Errors
    /// [`crate::Error::Mismatch`] when a chip is missing or of another size, [`crate::Error::Engine`] when the engine
    /// fails.
    fn embed(&self, faces: &[Vec<FaceChip>]) -> Result<Vec<Embedding>>;
}
