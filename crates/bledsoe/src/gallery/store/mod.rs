//! Where a gallery's people and templates are kept.
//!
//! A [`Store`] knows people by name and number, their templates (unit vectors, each with where it came from), and
//! *notes*: named pieces of bytes, in which the gallery keeps what it has fitted. It finds the nearest templates of a
//! probe. It decides nothing.
//!
//! - [`FileStore`] is one file (SQLite), with an index in memory: one writer and many readers, in any number of
//!   processes.
//! - `PostgresStore` is a PostgreSQL database with pgvector (feature `postgres`).
//!
//! What happens inside [`Store::atomically`] happens wholly or not at all, whenever the program or the machine stops.

mod file;
#[cfg(feature = "postgres")]
mod postgres;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use self::file::{FileStore, KEY_VARIABLE, Key};
#[cfg(feature = "postgres")]
pub use self::postgres::PostgresStore;
use crate::{Result, geometry::Rect, quality::Pose};

/// A person's number: never given twice in one store, not even after the person is forgotten.
pub type PersonId = i64;
/// A template's number: never given twice in one store. Later templates have higher numbers.
pub type TemplateId = i64;

/// Which embedder a store's vectors are of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Model {
    /// The embedder's id.
    pub id: String,
    /// Length of its vectors.
    pub dim: usize,
}

/// Somebody enrolled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Person {
    /// The person's number.
    pub id: PersonId,
    /// The name; no two people of a store have the same.
    pub name: String,
    /// Whatever else the user wants to keep of the person.
    pub labels: BTreeMap<String, String>,
    /// How many templates of the person are enrolled; those that tell who the person is not do not count.
    pub templates: usize,
}

/// What a template says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// This is the person.
    Enrolled,
    /// This was taken for the person, and is not.
    Rejected,
}

/// Where a template came from.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    /// The photo, as it was named.
    pub photo: String,
    /// SHA-256 of the photo's file, in hex; empty where there was no file.
    pub sha256: String,
    /// Where in the photo the face is, in pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rect: Option<Rect>,
    /// Sharpness of the face: see [`crate::quality::sharpness()`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sharpness: Option<f32>,
    /// How the face is turned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pose: Option<Pose>,
}

/// A template to be enrolled.
#[derive(Debug, Clone, PartialEq)]
pub struct NewTemplate {
    /// What it says.
    pub role: Role,
    /// Unit length.
    pub vector: Vec<f32>,
    /// Where it came from.
    pub origin: Origin,
}

/// A template in a store.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredTemplate {
    /// Its number.
    pub id: TemplateId,
    /// Whose it is.
    pub person: PersonId,
    /// The rest, as it was enrolled; the vector to the bit.
    pub template: NewTemplate,
}

/// What a template says, and its vector.
pub type TemplateVector = (Role, Vec<f32>);

/// An enrolled template near a probe.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hit {
    /// The template.
    pub template: TemplateId,
    /// Whose it is.
    pub person: PersonId,
    /// Cosine similarity, -1 to 1.
    pub similarity: f32,
}

/// What a store holds, and in how much space.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Size {
    /// People.
    pub people: usize,
    /// Templates, of all roles.
    pub templates: usize,
    /// Bytes on disk.
    pub bytes: u64,
}

/// Keeps people and templates.
///
/// All numbers are positive. A store that several processes write shows each the others' finished changes.
pub trait Store: Send {
    /// What the store is, for people: the file's or the database's name, never a password.
    fn describe(&self) -> String;

    /// Which embedder its vectors are of.
    fn model(&self) -> &Model;

    /// Does `work` wholly or not at all: an error from it, or a crash at any moment, leaves the store as it was. Once
    /// this returns, the changes survive a crash. Within `work`, the store shows the changes made so far, and a call
    /// that is refused leaves what was done before. Calls do not nest.
    ///
    /// # Errors
    /// What `work` returns; [`Error::Io`](crate::Error::Io) when nothing more can be written;
    /// [`Error::Invalid`](crate::Error::Invalid) when called within `work`.
    fn atomically(&mut self, work: &mut dyn FnMut(&mut dyn Store) -> Result<()>) -> Result<()>;

    /// Everybody, by number.
    ///
    /// # Errors
    /// When the store cannot be read, or what it holds is damaged: so for all that follow.
    fn people(&self) -> Result<Vec<Person>>;

    /// The person called `name`.
    ///
    /// # Errors
    /// See [`Store::people`].
    fn person(&self, name: &str) -> Result<Option<Person>>;

    /// The person with this number.
    ///
    /// # Errors
    /// See [`Store::people`].
    fn person_by_id(&self, id: PersonId) -> Result<Option<Person>>;

    /// Adds a person without templates.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) when there is one of that name.
    fn create(&mut self, name: &str, labels: &BTreeMap<String, String>) -> Result<PersonId>;

    /// Changes a person's name and labels.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) when there is no such person, or another one of that name.
    fn update(&mut self, id: PersonId, name: &str, labels: &BTreeMap<String, String>) -> Result<()>;

    /// Erases a person with all templates, and gives their numbers. Their bytes are overwritten wherever the store kept
    /// them, as far as the store's engine can promise it (see the store).
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) when there is no such person.
    fn erase(&mut self, id: PersonId) -> Result<Vec<TemplateId>>;

    /// Adds templates to a person, and gives their numbers in order.
    ///
    /// # Errors
    /// [`Error::Mismatch`](crate::Error::Mismatch) for a vector of another length than [`Model::dim`],
    /// [`Error::Invalid`](crate::Error::Invalid) for one that is not of unit length or when there is no such person.
    fn add(&mut self, id: PersonId, templates: &[NewTemplate]) -> Result<Vec<TemplateId>>;

    /// Hands all templates of `from` to `into`; `from` stays, without any, unless the two are one.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) when there is no such person.
    fn hand_over(&mut self, from: PersonId, into: PersonId) -> Result<()>;

    /// A person's templates of all roles, by number; none where there is no such person.
    ///
    /// # Errors
    /// See [`Store::people`].
    fn templates(&self, id: PersonId) -> Result<Vec<StoredTemplate>>;

    /// The vectors of each person's templates, by number, and what they say: [`Store::templates`] of many, without where
    /// they came from.
    ///
    /// # Errors
    /// See [`Store::people`].
    fn vectors(&self, ids: &[PersonId]) -> Result<Vec<Vec<TemplateVector>>>;

    /// The vector of each person's first enrolled template; `None` for one who has none.
    ///
    /// # Errors
    /// See [`Store::people`].
    fn first_vectors(&self, ids: &[PersonId]) -> Result<Vec<Option<Vec<f32>>>> {
        let first = |all: Vec<TemplateVector>| all.into_iter().find(|(role, _)| *role == Role::Enrolled);
        Ok(self.vectors(ids)?.into_iter().map(|all| first(all).map(|(_, vector)| vector)).collect())
    }

    /// Shows every template of all roles to `each`, by number. Memory does not grow with the store.
    ///
    /// # Errors
    /// What `each` returns; see [`Store::people`].
    fn visit(&self, each: &mut dyn FnMut(StoredTemplate) -> Result<()>) -> Result<()>;

    /// The `k` enrolled templates nearest to each probe, best first, of equals the lower number first; fewer where
    /// there are not so many. Above a hundred thousand templates the search may miss some.
    ///
    /// # Errors
    /// [`Error::Mismatch`](crate::Error::Mismatch) for a probe of another length,
    /// [`Error::Invalid`](crate::Error::Invalid) for one that is not of unit length.
    fn nearest(&self, probes: &[&[f32]], k: usize) -> Result<Vec<Vec<Hit>>>;

    /// Makes ready what [`Store::nearest`] needs, which else the first search does: for many millions of templates that
    /// takes minutes. `progress` hears how many of how many templates are done; an error from it ends the work. A store
    /// whose engine sees to that itself has nothing to do.
    ///
    /// # Errors
    /// What `progress` returns; when it cannot be written.
    fn build_index(&mut self, progress: &mut dyn FnMut(usize, usize) -> Result<()>) -> Result<()> {
        let _ = progress;
        Ok(())
    }

    /// The note called `key`.
    ///
    /// # Errors
    /// See [`Store::people`].
    fn note(&self, key: &str) -> Result<Option<Vec<u8>>>;

    /// Writes the note called `key`, or erases it.
    ///
    /// # Errors
    /// When it cannot be written.
    fn set_note(&mut self, key: &str, value: Option<&[u8]>) -> Result<()>;

    /// How much there is.
    ///
    /// # Errors
    /// See [`Store::people`].
    fn size(&self) -> Result<Size>;

    /// Reads everything and says, one sentence each, what is damaged; nothing if all is sound.
    ///
    /// # Errors
    /// When the store cannot be read at all.
    fn check(&self) -> Result<Vec<String>>;
}
