//! The gallery: people enrolled by their templates, and the decision who a face is, or that it is nobody known.
//!
//! In: embeddings of one embedder, with names. Out: a [`Decision`], with a calibrated probability, or the reason why
//! nobody is named. People are kept in a [`Store`]: one file, or a database.
//!
//! A face's score against a person is half its similarity to the nearest template and half that to their mean. What a
//! score means is known from how like somebody in *this* gallery strangers are: synthetic ones that come with bledsoe,
//! everybody enrolled (a stranger to all others), and the user's own ([`Gallery::calibrate`]). So thresholds follow the
//! gallery's size and make, and the user asks for an error rate, not for a cosine. Enrolling or forgetting a person
//! changes only what has to do with that person. Method and figures: `docs/calibration.md`.
//!
//! ```
//! use std::collections::BTreeMap;
//!
//! use bledsoe::{
//!     embed::Embedding,
//!     gallery::{Face, Gallery, Limit, Probe, Rule, store::{FileStore, Model}},
//! };
//!
//! # fn main() -> bledsoe::Result<()> {
//! let store = FileStore::in_memory(&Model { id: "demo".into(), dim: 2 })?;
//! let mut gallery = Gallery::new(Box::new(store))?;
//! gallery.enroll("Ada", &BTreeMap::new(), &[Face::of(Embedding::new("demo", vec![1.0, 0.0])?)])?;
//!
//! // An embedder of one's own has no cohort, and one person is too few to calibrate by: a plain threshold then.
//! let rule = Rule { limit: Limit::Score(0.5), ..Rule::default() };
//! let stranger = Probe { embedding: Embedding::new("demo", vec![0.0, 1.0])?, faults: Vec::new() };
//! assert_eq!(gallery.identify(&[stranger], &rule)?[0].name, None);
//! # Ok(())
//! # }
//! ```

mod assignment;
mod calibrate;
mod calibration;
mod cohort;
mod crowd;
mod decision;
mod enrolment;
mod identify;
mod score;
pub mod store;
#[cfg(test)]
mod tests;
mod tops;
mod transfer;

use std::sync::{Arc, Mutex};

pub use self::{
    calibrate::CalibrationSummary,
    calibration::PRIOR,
    decision::{Candidate, Decision, Doubt, Limit, Probe, Resemblance, Rule, Verification},
    enrolment::{Enrolment, Receipt},
    transfer::{Exported, ExportedPerson, ExportedTemplate},
};
use self::{
    calibrate::Fitted,
    cohort::Cohort,
    store::{Model, Origin, Person, Size, Store},
    tops::{Changed, Strangers, Tops},
};
use crate::{Error, Result, embed::Embedding};
pub(crate) use crowd::Crowd;

/// The note that counts the changes, so that a gallery notices those of others.
const REVISION_NOTE: &str = "revision";

/// A face to be enrolled.
#[derive(Debug, Clone)]
pub struct Face {
    /// Its embedding.
    pub embedding: Embedding,
    /// Where it came from.
    pub origin: Origin,
}

impl Face {
    /// A face of which nothing else is known.
    pub fn of(embedding: Embedding) -> Self {
        Self { embedding, origin: Origin::default() }
    }
}

/// People enrolled, and what is known of them.
pub struct Gallery {
    store: Box<dyn Store>,
    cohort: Option<Cohort>,
    fitted: Mutex<Option<(u64, Arc<Fitted>)>>,
}

impl Gallery {
    /// The gallery kept in `store`.
    ///
    /// # Errors
    /// [`Error::Model`] when the embedded cohort is damaged; [`Error::Mismatch`] when the store's vectors have another
    /// length than its embedder's.
    pub fn new(store: Box<dyn Store>) -> Result<Self> {
        let Model { id, dim } = store.model();
        let cohort = Cohort::of(id)?;
        if let Some(other) = cohort.as_ref().map(Cohort::dim).filter(|other| other != dim) {
            return Err(Error::Mismatch(format!("embeddings of {id} have {other} numbers, the gallery's {dim}")));
        }
        Ok(Self { store, cohort, fitted: Mutex::new(None) })
    }

    /// The store, to look into.
    pub fn store(&self) -> &dyn Store {
        self.store.as_ref()
    }

    /// How much there is.
    ///
    /// # Errors
    /// When the store cannot be read, or what it holds is damaged: so for all that follow.
    pub fn size(&self) -> Result<Size> {
        self.store.size()
    }

    /// Makes ready what the first search else does: see [`Store::build_index`].
    ///
    /// # Errors
    /// What `progress` returns; when it cannot be written.
    pub fn build_index(&mut self, progress: &mut dyn FnMut(usize, usize) -> Result<()>) -> Result<()> {
        self.store.build_index(progress)
    }

    /// Reads everything, and says, one sentence each, what is wrong; nothing if all is sound.
    ///
    /// # Errors
    /// When the store cannot be read at all.
    pub fn examine(&mut self) -> Result<Vec<String>> {
        let mut faults = self.store.check()?;
        if faults.is_empty() {
            let strangers = self.strangers()?;
            if !Tops::load(self.store.as_ref())?.are_sound(self.store.as_ref(), &strangers)? {
                faults.push("what decisions are calibrated by is not what the people enrolled give: `bledsoe calibrate` mends it".into());
            }
        }
        Ok(faults)
    }

    /// Changes the store by `work`, which says who was changed, each with whether they had templates before; all of it
    /// or nothing.
    fn change(&mut self, work: &mut dyn FnMut(&mut dyn Store) -> Result<Vec<Changed>>) -> Result<()> {
        let strangers = Strangers { cohort: self.cohort.as_ref(), met: self.met()? };
        self.store.atomically(&mut |store| {
            let changed = work(store)?;
            if !changed.is_empty() {
                let mut tops = Tops::load(store)?;
                tops.update(store, &strangers, &changed)?;
                tops.save(store)?;
            }
            count_revision(store)
        })
    }

    fn known(&self, name: &str) -> Result<Person> {
        self.store.person(name)?.ok_or_else(|| {
            Error::Invalid(format!(
                "{}: nobody called {name:?} is enrolled; `bledsoe list` shows who is",
                self.store.describe()
            ))
        })
    }

    fn check(&self, embedding: &Embedding) -> Result<()> {
        let model = self.store.model();
        if *embedding.model != *model.id || embedding.vector.len() != model.dim {
            return Err(Error::Mismatch(format!(
                "the gallery holds embeddings of {} ({} numbers), not of {} ({} numbers)",
                model.id,
                model.dim,
                embedding.model,
                embedding.vector.len()
            )));
        }
        Ok(())
    }
}

fn revision(store: &dyn Store) -> Result<u64> {
    let bytes = store.note(REVISION_NOTE)?;
    Ok(bytes.and_then(|bytes| Some(u64::from_le_bytes(bytes.try_into().ok()?))).unwrap_or_default())
}

fn count_revision(store: &mut dyn Store) -> Result<()> {
    let next = revision(store)?.wrapping_add(1);
    store.set_note(REVISION_NOTE, Some(&next.to_le_bytes()))
}
