//! Reading all of a gallery's file to say what is damaged.

use std::collections::BTreeSet;

use super::{Db, PEOPLE, parts, seal::Place};
use crate::{
    Error, Result,
    embed::dot,
    gallery::store::{PersonId, Role, TemplateId},
};

/// After so many sentences the rest is only counted.
const MOST: usize = 100;
/// The least cosine similarity of a template and its row in the search index, which is of int8.
const SAME: f32 = 0.99;

/// What is damaged, in sentences.
struct Findings {
    told: Vec<String>,
    more: usize,
}

impl Findings {
    fn tell(&mut self, what: impl Into<String>) {
        if self.told.len() < MOST { self.told.push(what.into()) } else { self.more += 1 }
    }

    /// The value, unless damage prevents it.
    fn sound<T>(&mut self, result: Result<T>) -> Result<Option<T>> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(Error::Format { reason, .. }) => {
                self.tell(reason);
                Ok(None)
            }
            Err(e) => Err(e),
        }
    }
}

pub(super) fn check(db: &Db) -> Result<Vec<String>> {
    let mut findings = Findings { told: Vec::new(), more: 0 };
    let pages = db.each("PRAGMA integrity_check(100)", [], |row| {
        match row.get::<_, String>(0) {
            Ok(ok) if ok == "ok" => {}
            Ok(fault) => findings.tell(fault),
            Err(e) => return Err(db.sql(e)),
        }
        Ok(())
    });
    findings.sound(pages)?;
    let people = people(db, &mut findings)?;
    let last = templates(db, &people, &mut findings)?;
    sequences(db, people.last().copied(), last, &mut findings)?;
    notes(db, &mut findings)?;
    index(db, &mut findings)?;
    let Findings { mut told, more } = findings;
    if more > 0 {
        told.push(format!("and {more} more"));
    }
    Ok(told)
}

/// That no two have one name is checked with the pages, for their hashes are unique.
fn people(db: &Db, findings: &mut Findings) -> Result<BTreeSet<PersonId>> {
    let mut ids = BTreeSet::new();
    let all = db.each(PEOPLE, [], |row| {
        let id = db.number(row, 0)?;
        ids.insert(id);
        findings.sound(db.person(row)).map(|_| ())
    });
    findings.sound(all)?;
    Ok(ids)
}

/// The highest number.
fn templates(db: &Db, people: &BTreeSet<PersonId>, findings: &mut Findings) -> Result<Option<TemplateId>> {
    let mut last = None;
    let all = db.each("SELECT id, person, role, vector, origin FROM template ORDER BY id", [], |row| {
        last = Some(db.number(row, 0)?);
        if let Some(template) = findings.sound(db.template(row))?
            && !people.contains(&template.person)
        {
            findings.tell(format!("template {} is of person {}, who is not there", template.id, template.person));
        }
        Ok(())
    });
    findings.sound(all)?;
    Ok(last)
}

fn sequences(db: &Db, person: Option<PersonId>, template: Option<TemplateId>, findings: &mut Findings) -> Result<()> {
    for (table, last) in [("person", person), ("template", template)] {
        let given = findings.sound(db.sequence(table))?;
        if given.zip(last).is_some_and(|(given, last)| given < last) {
            findings.tell(format!("numbers of the table {table} would be given again"));
        }
    }
    Ok(())
}

fn notes(db: &Db, findings: &mut Findings) -> Result<()> {
    let mut damaged = 0;
    let all = db.each("SELECT name, sealed FROM note", [], |row| {
        let name = <[u8; 32]>::try_from(db.blob(row, 0)?).ok();
        if name.and_then(|name| db.seal.open(Place::note(&name), db.blob(row, 1).ok()?)).is_none() {
            damaged += 1;
        }
        Ok(())
    });
    findings.sound(all)?;
    if damaged > 0 {
        findings.tell(format!("{damaged} notes are damaged"));
    }
    Ok(())
}

/// The search index in the file against the templates.
fn index(db: &Db, findings: &mut Findings) -> Result<()> {
    let Some(Some((head, settled, templates))) = findings.sound(parts::load(db))? else { return Ok(()) };
    let mut rows: Vec<(TemplateId, usize)> = templates.iter().copied().zip(0..).filter(|place| place.0 != 0).collect();
    rows.sort_unstable();
    let mut rows = rows.into_iter().peekable();
    let all = db.each("SELECT id, person, role, vector FROM template ORDER BY id", [], |row| {
        let id = db.number(row, 0)?;
        while let Some((stray, _)) = rows.next_if(|place| place.0 < id) {
            findings.tell(format!("the search index holds template {stray}, which is not there"));
        }
        let place = rows.next_if(|place| place.0 == id).map(|place| place.1);
        // Told already.
        let Ok((_, _, role, vector)) = db.vector(row) else { return Ok(()) };
        match place.and_then(|row| settled.vector(row)) {
            Some(_) if role != Role::Enrolled => {
                findings.tell(format!("the search index holds template {id}, which is not enrolled"));
            }
            Some(kept) if dot(&kept, &vector) < SAME * dot(&kept, &kept).sqrt() => {
                findings.tell(format!("the search index holds other numbers of template {id}"));
            }
            None if role == Role::Enrolled && id <= head.last => {
                findings.tell(format!("the search index lacks template {id}"));
            }
            _ => {}
        }
        Ok(())
    });
    findings.sound(all)?;
    for (stray, _) in rows {
        findings.tell(format!("the search index holds template {stray}, which is not there"));
    }
    Ok(())
}
