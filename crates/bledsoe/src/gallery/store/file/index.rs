//! The nearest templates, found with an index in memory.
//!
//! A few templates are looked at one by one, in single precision, read from the table when they are first needed. Of
//! more ([`Sizes::few`]), the index keeps int8, which takes a quarter of the memory, and in the file too, so that it is
//! read in one go (see [`parts`]), and half-bytes of it to scan, which takes an eighth of the time; only templates that
//! came later are in single precision then, until they are many enough to settle. What int8 finds is scored again by the
//! templates' own numbers, so that memory need not hold them. Beyond [`Sizes::scanned`], rows are grouped in
//! [`Cells`], which miss some and take seconds to build.
//!
//! The index only follows the file. Before each search it takes in what became of the file since: templates with higher
//! numbers than it has seen, and the numbers of those erased. It is all the same who did that, this process or another.

use super::{
    Db, number_of,
    parts::{self, Settled},
};
use crate::{
    Error, Result,
    gallery::store::{Hit, PersonId, Role, TemplateId},
    search::{Cells, CellsOptions, Exact, Index as _, Storage},
};

pub(super) struct Index {
    settled: Option<(Settled, Places)>,
    /// Later templates, by number.
    rest: Exact,
    /// The template of each row of `rest`.
    rest_templates: Vec<TemplateId>,
    /// All templates up to this number have been taken in.
    seen: TemplateId,
    /// All erasures up to this number have been taken in.
    seen_erased: i64,
    /// The last template of the index in the file that this one grew from.
    saved: TemplateId,
    /// Templates settled since.
    unsaved: usize,
}

/// The template of each settled row; 0 where there is none.
type Places = Vec<TemplateId>;

/// What is done with how many templates.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    /// Up to so many templates, none settles.
    pub(super) few: usize,
    /// Up to so many numbers in all, settled rows are scanned: in about three milliseconds at the most.
    pub(super) scanned: usize,
    /// So many later templates settle together. Searching 16,384 exactly takes about a millisecond.
    pub(super) batch: usize,
}

impl Default for Sizes {
    fn default() -> Self {
        Self { few: 100_000, scanned: 1 << 27, batch: 1 << 14 }
    }
}

/// Candidates per hit asked for, of which the templates' own numbers choose.
const CANDIDATES: f64 = 1.5;
/// At least so many candidates.
const LEAST_CANDIDATES: usize = 32;
/// Templates read at a time.
const READ: usize = 1024;

/// Brings the index up to date in steps, and settles what is to be settled. `progress` hears how many of how many
/// templates are in the index.
pub(super) fn prepare(
    index: &mut Option<Index>,
    db: &Db,
    progress: &mut dyn FnMut(usize, usize) -> Result<()>,
) -> Result<()> {
    let mut total = None;
    loop {
        let complete = db.read(|| Index::sync(index, db, db.sizes.batch))?;
        let Some(mut current) = index.take() else { return Ok(()) };
        let total = match total {
            _ if complete => current.len(),
            Some(total) => total,
            None => *total.insert(enrolled(db)?),
        };
        let settles = current.settled.is_some() || total > db.sizes.few;
        if settles && current.rest.len() >= db.sizes.batch {
            current = current.settle(db, total)?;
        }
        let done = current.len();
        *index = Some(current);
        progress(done, total)?;
        if complete {
            return Ok(());
        }
    }
}

/// Settles all and writes the index to the file, unless another process has written a newer one: then that is taken.
pub(super) fn save(index: &mut Option<Index>, db: &Db) -> Result<()> {
    let saved = db.transaction("BEGIN IMMEDIATE", "COMMIT", "ROLLBACK", || {
        Index::sync(index, db, usize::MAX)?;
        let Some(mut current) = index.take() else { return Ok(false) };
        if parts::head(db)?.is_some_and(|head| head.last > current.saved) {
            return Ok(false);
        }
        if current.rest.len() > 0 && (current.settled.is_some() || current.rest.len() > db.sizes.few) {
            let total = current.len();
            current = current.settle(db, total)?;
        }
        let current = index.insert(current);
        match &current.settled {
            Some((settled, places)) => parts::save(db, settled, places, current.seen)?,
            None => parts::clear(db)?,
        }
        Ok(true)
    });
    match (saved, index.as_mut()) {
        (Ok(true), Some(index)) => (index.saved, index.unsaved) = (index.seen, 0),
        (Ok(_), _) => *index = None,
        // Tried again with the next batch.
        (Err(e), current) => {
            current.into_iter().for_each(|index| index.unsaved = 0);
            return Err(e);
        }
    }
    Ok(())
}

fn enrolled(db: &Db) -> Result<usize> {
    // By the index on people, which is small.
    let count = db.count("SELECT count(*) FROM template INDEXED BY template_of_person WHERE role = 0")?;
    Ok(usize::try_from(count).unwrap_or(0))
}

impl Index {
    /// What the file holds of an index, nothing taken in since.
    fn load(db: &Db) -> Result<Self> {
        let mut index = Self {
            settled: None,
            rest: Exact::new(db.model.dim, Storage::F32)?,
            rest_templates: Vec::new(),
            seen: 0,
            // What was erased is not there any more.
            seen_erased: db.sequence("erased")?,
            saved: 0,
            unsaved: 0,
        };
        if let Some((head, settled, places)) = parts::load(db)? {
            index.settled = Some((settled, places));
            (index.seen, index.saved) = (head.last, head.last);
        }
        Ok(index)
    }

    /// Takes in erasures and at most `limit` new templates, and says whether that was all. Within a reading of one
    /// state.
    pub(super) fn sync(index: &mut Option<Self>, db: &Db, limit: usize) -> Result<bool> {
        Self::sync_erased(index, db)?;
        let current = match index {
            Some(current) => current,
            None => index.insert(Self::load(db)?),
        };
        current.take_new(db, limit)
    }

    /// Takes in erasures. If too many were missed, there is no index afterwards.
    pub(super) fn sync_erased(index: &mut Option<Self>, db: &Db) -> Result<()> {
        let last = db.sequence("erased")?;
        let Some(current) = index.as_mut().filter(|current| current.seen_erased != last) else { return Ok(()) };
        let kept = db.one("SELECT min(number) FROM erased", [], |row| row.get::<_, Option<i64>>(0))?.flatten();
        if current.seen_erased > last || kept.is_none_or(|first| first > current.seen_erased.saturating_add(1)) {
            *index = None;
            return Ok(());
        }
        let mut gone =
            db.all("SELECT template FROM erased WHERE number > ?1", [current.seen_erased], |row| db.number(row, 0))?;
        gone.sort_unstable();
        current.remove(&gone)?;
        current.seen_erased = last;
        Ok(())
    }

    /// How many templates it holds.
    fn len(&self) -> usize {
        self.rest.len() + self.settled.as_ref().map_or(0, |(settled, _)| settled.index().len())
    }

    pub(super) fn is_worth_saving(&self, db: &Db) -> bool {
        self.unsaved >= db.sizes.batch
    }

    fn take_new(&mut self, db: &Db, limit: usize) -> Result<bool> {
        let last = db.sequence("template")?;
        let mut left = limit;
        while self.seen < last {
            if left == 0 {
                return Ok(false);
            }
            let wanted = left.min(READ);
            let mut read = 0;
            let (mut templates, mut vectors) = (Vec::new(), Vec::new());
            db.each(
                "SELECT id, person, role, vector FROM template WHERE id > ?1 ORDER BY id LIMIT ?2",
                [self.seen, wanted as i64],
                |row| {
                    let (id, _, role, vector) = db.vector(row)?;
                    if role == Role::Enrolled {
                        templates.push(id);
                        vectors.push(vector);
                    }
                    self.seen = id;
                    read += 1;
                    Ok(())
                },
            )?;
            let slices: Vec<&[f32]> = vectors.iter().map(Vec::as_slice).collect();
            self.rest.append(&slices)?;
            self.rest_templates.extend(templates);
            left -= read;
            if read < wanted {
                self.seen = last;
            }
        }
        Ok(true)
    }

    /// Settles the later templates, where there will be `total` in all.
    fn settle(mut self, db: &Db, total: usize) -> Result<Self> {
        let dim = self.rest.dim();
        let (settled, mut places) = match self.settled {
            Some(settled) => settled,
            None => (Settled::Scanned(Exact::new(dim, Storage::Int4Int8)?), Vec::new()),
        };
        let mut settled = match settled {
            Settled::Scanned(exact) if total.saturating_mul(dim) > db.sizes.scanned => {
                Settled::Grouped(Cells::build(exact, CellsOptions::default())?)
            }
            other => other,
        };
        let rest = std::mem::replace(&mut self.rest, Exact::new(dim, Storage::F32)?);
        let templates = std::mem::take(&mut self.rest_templates);
        let live: Vec<(TemplateId, Vec<f32>)> =
            templates.into_iter().zip(0..).filter_map(|(id, row)| Some((id, rest.vector(row)?))).collect();
        let vectors: Vec<&[f32]> = live.iter().map(|(_, vector)| vector.as_slice()).collect();
        let rows = settled.index_mut().add(&vectors)?;
        places.resize(settled.rows(), 0);
        for (row, (id, _)) in rows.into_iter().zip(&live) {
            places[row] = *id;
        }
        self.settled = Some((settled, places));
        self.unsaved += live.len();
        Ok(self)
    }

    /// `gone` is sorted. Templates that are not here are passed over.
    fn remove(&mut self, gone: &[TemplateId]) -> Result<()> {
        let (Some(&first), Some(&last)) = (gone.first(), gone.last()) else { return Ok(()) };
        let is_gone = |id: &TemplateId| (first..=last).contains(id) && gone.binary_search(id).is_ok();
        let rows: Vec<usize> = gone
            .iter()
            .filter_map(|id| self.rest_templates.binary_search(id).ok())
            .filter(|&row| self.rest.holds(row))
            .collect();
        self.rest.remove(&rows)?;
        if self.rest.rows() > 2 * self.rest.len() + READ {
            self.compact()?;
        }
        if let Some((settled, places)) = &mut self.settled {
            let mut rows = Vec::new();
            for (row, template) in places.iter_mut().enumerate() {
                if is_gone(template) {
                    *template = 0;
                    rows.push(row);
                }
            }
            if !rows.is_empty() {
                settled.index_mut().remove(&rows)?;
            }
        }
        Ok(())
    }

    /// Leaves out the rows of `rest` that hold nothing.
    fn compact(&mut self) -> Result<()> {
        let mut rest = Exact::new(self.rest.dim(), Storage::F32)?;
        let mut templates = Vec::new();
        for (row, &id) in self.rest_templates.iter().enumerate() {
            if let Some(vector) = self.rest.vector(row) {
                rest.append(&[&vector])?;
                templates.push(id);
            }
        }
        (self.rest, self.rest_templates) = (rest, templates);
        Ok(())
    }

    /// The `k` nearest of each probe, within the reading in which the index was brought up to date.
    pub(super) fn nearest(&self, db: &Db, probes: &[&[f32]], k: usize) -> Result<Vec<Vec<Hit>>> {
        let late = self.rest.nearest(probes, k)?;
        let early = match &self.settled {
            Some((settled, places)) => {
                let candidates = ((k as f64 * CANDIDATES) as usize).max(LEAST_CANDIDATES);
                Some((settled.index().nearest(probes, candidates)?, places))
            }
            None => None,
        };
        let mut hits = Vec::with_capacity(probes.len());
        for (i, (probe, late)) in probes.iter().zip(late).enumerate() {
            let mut found: Vec<(f32, TemplateId, Option<PersonId>)> =
                late.iter().map(|n| (n.similarity, self.rest_templates[n.row], None)).collect();
            if let Some((early, places)) = &early {
                found.extend(score(db, probe, early[i].iter().map(|n| places[n.row]), k)?);
            }
            found.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            found.truncate(k);
            let hit = |(similarity, template, person): (f32, TemplateId, Option<PersonId>)| {
                let person = person.map_or_else(|| Ok(template_of(db, template)?.0), Ok::<_, Error>)?;
                Ok(Hit { template, person, similarity })
            };
            hits.push(found.into_iter().map(hit).collect::<Result<_>>()?);
        }
        Ok(hits)
    }
}

/// The `k` nearest of `templates` to `probe` by their own numbers.
fn score(
    db: &Db,
    probe: &[f32],
    templates: impl Iterator<Item = TemplateId>,
    k: usize,
) -> Result<impl Iterator<Item = (f32, TemplateId, Option<PersonId>)>> {
    let mut ids: Vec<TemplateId> = templates.collect();
    // Of equals the lower row comes first: so does the lower number then.
    ids.sort_unstable();
    let mut exact = Exact::new(probe.len(), Storage::F32)?;
    let mut people = Vec::with_capacity(ids.len());
    for &id in &ids {
        let (person, vector) = template_of(db, id)?;
        exact.append(&[&vector])?;
        people.push(person);
    }
    let nearest = exact.nearest(&[probe], k)?.pop().unwrap_or_default();
    Ok(nearest.into_iter().map(move |n| (n.similarity, ids[n.row], Some(people[n.row]))))
}

/// Whose an enrolled template is, and its vector.
fn template_of(db: &Db, id: TemplateId) -> Result<(PersonId, Vec<f32>)> {
    let found = db.all("SELECT id, person, role, vector FROM template WHERE id = ?1", [id], |row| db.vector(row))?;
    match found.into_iter().next() {
        Some((_, person, role, vector)) if number_of(role) == 0 => Ok((person, vector)),
        _ => Err(db.damaged(format!("the search index names template {id}, which is not enrolled"))),
    }
}
