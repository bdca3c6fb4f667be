//! Who is in the gallery: enrolling, forgetting, renaming and merging people.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    Face, Gallery,
    store::{NewTemplate, Origin, PersonId, Role, TemplateId},
};
use crate::{Error, Result};

/// People enrolled in one transaction, when many are.
const BATCH: usize = 1024;

/// A person to be enrolled.
#[derive(Debug, Clone)]
pub struct Enrolment {
    /// The name; faces are added to the person of that name, if there is one.
    pub name: String,
    /// Added to the person's labels.
    pub labels: BTreeMap<String, String>,
    /// The faces.
    pub faces: Vec<Face>,
}

/// What was erased.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Receipt {
    /// The person's name.
    pub name: String,
    /// The person's number.
    pub person: PersonId,
    /// The templates' numbers.
    pub templates: Vec<TemplateId>,
    /// The photos that they came from, with their SHA-256.
    pub photos: Vec<Origin>,
    /// Where they were erased.
    pub store: String,
}

impl Gallery {
    /// Adds faces to a person, who is made if there is none of that name.
    ///
    /// # Errors
    /// [`Error::Mismatch`] for another embedder's embeddings; [`Error::Invalid`] without faces or for an empty name.
    pub fn enroll(&mut self, name: &str, labels: &BTreeMap<String, String>, faces: &[Face]) -> Result<PersonId> {
        let enrolment = Enrolment { name: name.to_owned(), labels: labels.clone(), faces: faces.to_vec() };
        let mut ids = self.enroll_batch(std::slice::from_ref(&enrolment), Role::Enrolled)?;
        ids.pop().ok_or_else(|| Error::Invalid("nobody to enroll".into()))
    }

    /// The same for many people, a thousand at a time: those enrolled before an error stay. `done` is told how many
    /// are, after each step; once it returns false, the rest is left.
    ///
    /// # Errors
    /// As [`Gallery::enroll`].
    pub fn enroll_many(&mut self, people: &[Enrolment], mut done: impl FnMut(usize) -> bool) -> Result<()> {
        for (i, batch) in people.chunks(BATCH).enumerate() {
            self.enroll_batch(batch, Role::Enrolled)?;
            if !done(people.len().min((i + 1) * BATCH)) {
                return Err(Error::Interrupted);
            }
        }
        Ok(())
    }

    /// Remembers that a face is *not* the person: it is not named so again, nor are faces as like it.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there is no such person; as [`Gallery::enroll`].
    pub fn reject(&mut self, name: &str, faces: &[Face]) -> Result<()> {
        self.known(name)?;
        let enrolment = Enrolment { name: name.to_owned(), labels: BTreeMap::new(), faces: faces.to_vec() };
        self.enroll_batch(&[enrolment], Role::Rejected).map(|_| ())
    }

    fn enroll_batch(&mut self, people: &[Enrolment], role: Role) -> Result<Vec<PersonId>> {
        for person in people {
            if person.name.trim().is_empty() || person.name.chars().any(char::is_control) {
                return Err(Error::Invalid(format!("{:?} is no name", person.name)));
            }
            if person.faces.is_empty() {
                return Err(Error::Invalid(format!("{}: no face to enroll", person.name)));
            }
            person.faces.iter().try_for_each(|face| self.check(&face.embedding))?;
        }
        let mut ids = Vec::new();
        self.change(&mut |store| {
            ids.clear();
            let mut changed = Vec::new();
            for person in people {
                let (id, was) = match store.person(&person.name)? {
                    Some(known) => {
                        let mut labels = known.labels.clone();
                        labels.extend(person.labels.clone());
                        if labels != known.labels {
                            store.update(known.id, &known.name, &labels)?;
                        }
                        (known.id, known.templates > 0)
                    }
                    None => (store.create(&person.name, &person.labels)?, false),
                };
                let new = |face: &Face| NewTemplate {
                    role,
                    vector: face.embedding.vector.clone(),
                    origin: face.origin.clone(),
                };
                let templates: Vec<NewTemplate> = person.faces.iter().map(new).collect();
                store.add(id, &templates)?;
                ids.push(id);
                // A person named twice is changed once.
                if role == Role::Enrolled && !changed.iter().any(|(other, _)| *other == id) {
                    changed.push((id, was));
                }
            }
            Ok(changed)
        })?;
        Ok(ids)
    }

    /// Erases a person, and says what was erased.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there is no such person.
    pub fn forget(&mut self, name: &str) -> Result<Receipt> {
        let person = self.known(name)?;
        let mut photos: Vec<Origin> = Vec::new();
        for stored in self.store.templates(person.id)? {
            if !photos.contains(&stored.template.origin) {
                photos.push(stored.template.origin);
            }
        }
        let mut templates = Vec::new();
        self.change(&mut |store| {
            templates = store.erase(person.id)?;
            Ok(vec![(person.id, person.templates > 0)])
        })?;
        Ok(Receipt { name: person.name, person: person.id, templates, photos, store: self.store.describe() })
    }

    /// Gives a person another name.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there is no such person, or already one of the new name.
    pub fn rename(&mut self, name: &str, new: &str) -> Result<()> {
        let person = self.known(name)?;
        if new.trim().is_empty() || new.chars().any(char::is_control) {
            return Err(Error::Invalid(format!("{new:?} is no name")));
        }
        self.change(&mut |store| {
            store.update(person.id, new, &person.labels)?;
            Ok(Vec::new())
        })
    }

    /// Makes two people one: `name`'s templates and labels go to `into`, and `name` is no more.
    ///
    /// # Errors
    /// [`Error::Invalid`] when one is not there, or both are the same.
    pub fn merge(&mut self, name: &str, into: &str) -> Result<()> {
        let (from, into) = (self.known(name)?, self.known(into)?);
        if from.id == into.id {
            return Err(Error::Invalid(format!("{name} cannot be merged into itself")));
        }
        let mut labels = from.labels.clone();
        labels.extend(into.labels.clone());
        self.change(&mut |store| {
            store.hand_over(from.id, into.id)?;
            store.erase(from.id)?;
            store.update(into.id, &into.name, &labels)?;
            Ok(vec![(from.id, from.templates > 0), (into.id, into.templates > 0)])
        })
    }
}
