//! Whom strangers are most like: what calibration is fitted to, kept up to date person by person.
//!
//! For each synthetic stranger, each stranger met, and some of the people enrolled (each a stranger to all others) it
//! is known which person they are most like, and how much. When a person is enrolled or forgotten only the comparisons
//! with that person are made anew, so the result is the same whatever the order, and nobody else is retrained. (In
//! galleries of very many people, who is most like is looked for among the nearest templates only, and may be missed:
//! the order may decide then who is found.)

use std::collections::{BTreeMap, BTreeSet, HashMap, hash_map::Entry};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{
    calibration::{Enrolled, Spread, Synthetic},
    cohort::Cohort,
    score::Head,
    store::{PersonId, Role, Store},
};
use crate::{Error, Result};

/// The note in which the tops are kept.
const NOTE: &str = "tops";
/// The most people that stand for all in the calibration.
const MOST_SAMPLED: usize = 1024;
/// Of them, so many are compared with each other, for mean and spread.
const MOST_PAIRED: usize = 256;
/// People compared at a time, when all are.
const BATCH: usize = 4096;
/// Nearest templates among which the best person is looked for: as many as it takes to find enough people, at first so
/// many,
const TEMPLATES_SEARCHED_FIRST: usize = 32;
/// and so many then.
const TEMPLATES_SEARCHED: usize = 128;
/// The people of the nearest templates that are scored.
const PEOPLE_SCORED: usize = 16;
/// The most of all tops, as a share, that a search may have missed.
const MOST_MISSED: f64 = 0.01;

/// The person that a stranger is most like.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Top {
    person: PersonId,
    score: f32,
}

/// A person enrolled, as a stranger to the others.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Sampled {
    /// Another person; none if there is no other.
    top: Option<Top>,
    /// Mean and mean square of the synthetic strangers' scores against this person.
    moments: (f64, f64),
}

/// A person who was changed, and whether they had templates before.
pub(super) type Changed = (PersonId, bool);

/// All strangers' tops.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Tops {
    synthetic: Vec<Option<Top>>,
    met: Vec<Option<Top>>,
    people: BTreeMap<PersonId, Sampled>,
    /// Every person is sampled whose number hashes to a multiple of `2^level`: the least level with at most
    /// [`MOST_SAMPLED`] people.
    level: u32,
    /// How many people there are at the level below; at level 0, not used.
    below: usize,
}

/// The strangers' embeddings.
pub(super) struct Strangers<'a> {
    /// Of the synthetic ones, who are made when they are first needed.
    pub(super) cohort: Option<&'a Cohort>,
    /// The user's own.
    pub(super) met: Vec<Vec<f32>>,
}

impl<'a> Strangers<'a> {
    /// The synthetic strangers; none where the embedder has none.
    pub(super) fn synthetic(&self) -> Result<&'a [Vec<f32>]> {
        self.cohort.map_or(Ok(&[]), Cohort::strangers)
    }
}

/// The people who were changed, as they are now.
struct Changes {
    heads: Vec<(PersonId, Option<Head>)>,
    /// Whether any of them is there: else nobody's top can be but lost.
    any: bool,
}

impl Changes {
    fn of(store: &dyn Store, changed: &[Changed]) -> Result<Self> {
        let heads: Vec<_> = changed.iter().map(|&(id, _)| Ok((id, head(store, id)?))).collect::<Result<_>>()?;
        Ok(Self { any: heads.iter().any(|(_, head)| head.is_some()), heads })
    }

    /// Whether a stranger's top may be another now.
    fn concern(&self, top: Option<Top>) -> bool {
        self.any || top.is_some_and(|top| self.heads.iter().any(|(id, _)| *id == top.person))
    }
}

impl Tops {
    /// As they were kept in `store`; without any before the first person is enrolled.
    pub(super) fn load(store: &dyn Store) -> Result<Self> {
        match store.note(NOTE)? {
            Some(bytes) => serde_json::from_slice(&bytes)
                .map_err(|e| Error::Invalid(format!("{}: its note {NOTE} is damaged: {e}", store.describe()))),
            None => Ok(Self::default()),
        }
    }

    /// Keeps them in `store`.
    pub(super) fn save(&self, store: &mut dyn Store) -> Result<()> {
        let bytes = serde_json::to_vec(self).map_err(|e| Error::Invalid(e.to_string()))?;
        store.set_note(NOTE, Some(&bytes))
    }

    /// What a whole gallery's tops are, from nothing.
    pub(super) fn of(store: &dyn Store, strangers: &Strangers<'_>) -> Result<Self> {
        let mut tops = Self::default();
        let people: Vec<_> = people(store, 0)?.into_iter().map(|id| (id, false)).collect();
        // Bounds the memory that the templates take.
        people.chunks(BATCH).try_for_each(|batch| tops.update(store, strangers, batch))?;
        Ok(tops)
    }

    /// Brings them up to date after the people of `changed` were changed in `store`, each with whether they had
    /// templates before.
    pub(super) fn update(&mut self, store: &dyn Store, strangers: &Strangers<'_>, changed: &[Changed]) -> Result<()> {
        let changes = Changes::of(store, changed)?;
        if self.synthetic.iter().any(|top| changes.concern(*top)) || changes.any {
            update_strangers(&mut self.synthetic, strangers.synthetic()?, store, &changes)?;
        }
        update_strangers(&mut self.met, &strangers.met, store, &changes)?;
        self.update_people(store, strangers, changed, &changes)?;
        if self.people.is_empty() {
            // Nobody is enrolled: as before the first.
            *self = Self::default();
        }
        Ok(())
    }

    fn update_people(
        &mut self,
        store: &dyn Store,
        strangers: &Strangers<'_>,
        changed: &[Changed],
        changes: &Changes,
    ) -> Result<()> {
        // Who is there now: the changed people may have come, gone, or be others than they were.
        let mut anew = Vec::new();
        for ((id, was), (_, head)) in changed.iter().zip(&changes.heads) {
            let is = head.is_some();
            if self.level > 0 && sampled(*id, self.level - 1) {
                self.below = (self.below + usize::from(is)).saturating_sub(usize::from(*was));
            }
            self.people.remove(id);
            if is && sampled(*id, self.level) {
                anew.push(*id);
            }
        }
        let mut members: Vec<PersonId> = self.people.keys().copied().chain(anew.iter().copied()).collect();
        while members.len() > MOST_SAMPLED {
            self.below = members.len();
            self.level += 1;
            members.retain(|&id| sampled(id, self.level));
        }
        while self.level > 0 && self.below <= MOST_SAMPLED {
            self.level -= 1;
            members = people(store, self.level)?;
            self.below = if self.level > 0 { people(store, self.level - 1)?.len() } else { 0 };
        }
        members.sort_unstable();
        members.dedup();
        self.people.retain(|&id, _| sampled(id, self.level));
        let anew: Vec<PersonId> = members.iter().copied().filter(|id| !self.people.contains_key(id)).collect();

        // Those who were there before are compared with the changed.
        let mut concerned: Vec<(PersonId, &mut Sampled)> = Vec::new();
        for (&id, sampled) in &mut self.people {
            if changes.concern(sampled.top) {
                concerned.push((id, sampled));
            }
        }
        let ids: Vec<PersonId> = concerned.iter().map(|(id, _)| *id).collect();
        let vectors = firsts(store, &ids)?;
        let lost: Vec<bool> = concerned
            .par_iter_mut()
            .zip(&vectors)
            .map(|((id, sampled), vector)| compare(&mut sampled.top, vector, Some(*id), changes))
            .collect();
        let mut searched: Vec<(PersonId, Vec<f32>)> = Vec::new();
        searched.extend(ids.into_iter().zip(vectors).zip(lost).filter(|(_, lost)| *lost).map(|(stranger, _)| stranger));
        // Those who are new, with all.
        for id in anew {
            if let Some(head) = head(store, id)? {
                self.people.insert(id, Sampled { top: None, moments: moments(&head, strangers.synthetic()?) });
                searched.push((id, head.first().to_vec()));
            }
        }
        let probes: Vec<_> = searched.iter().map(|(id, vector)| (&**vector, Some(*id))).collect();
        for ((id, _), top) in searched.iter().zip(search(store, &probes)?) {
            if let Some(sampled) = self.people.get_mut(id) {
                sampled.top = top;
            }
        }
        Ok(())
    }

    /// Whether they are what `store` gives: the people who should be sampled are, and each top is of a person who is
    /// there and scores just so, with nobody above, but for a few whom a search missed.
    pub(super) fn are_sound(&self, store: &dyn Store, strangers: &Strangers<'_>) -> Result<bool> {
        let there = people(store, self.level)?;
        if there.is_empty() {
            return Ok(*self == Self::default());
        }
        let below = if self.level > 0 { people(store, self.level - 1)?.len() } else { self.below };
        let least = self.level == 0 || below > MOST_SAMPLED;
        let synthetic = strangers.synthetic()?;
        if !self.people.keys().copied().eq(there.iter().copied().collect::<BTreeSet<_>>())
            || self.people.len() > MOST_SAMPLED
            || below != self.below
            || !least
            || (self.synthetic.len(), self.met.len()) != (synthetic.len(), strangers.met.len())
        {
            return Ok(false);
        }
        for (&id, sampled) in &self.people {
            if head(store, id)?.is_none_or(|head| moments(&head, synthetic) != sampled.moments) {
                return Ok(false);
            }
        }
        let ids: Vec<PersonId> = self.people.keys().copied().collect();
        let firsts = firsts(store, &ids)?;
        let mut probes: Vec<(&[f32], Option<PersonId>)> = Vec::new();
        probes.extend(synthetic.iter().chain(&strangers.met).map(|stranger| (&**stranger, None)));
        probes.extend(firsts.iter().zip(&ids).map(|(first, &id)| (&**first, Some(id))));
        let kept = self.synthetic.iter().chain(&self.met).copied().chain(self.people.values().map(|s| s.top));
        let mut missed = 0;
        for ((kept, found), (vector, but)) in kept.zip(search(store, &probes)?).zip(&probes) {
            match (kept, found) {
                _ if kept == found => {}
                (Some(kept), Some(found)) => {
                    let head = if Some(kept.person) == *but { None } else { head(store, kept.person)? };
                    if head.is_none_or(|head| head.score(vector) != kept.score) {
                        return Ok(false);
                    }
                    missed += usize::from(better(found, kept));
                }
                _ => return Ok(false),
            }
        }
        Ok(missed as f64 <= MOST_MISSED * probes.len() as f64)
    }

    /// The synthetic strangers' part of what a calibration is fitted to.
    pub(super) fn synthetic(&self, cohort: &Cohort) -> Option<Synthetic> {
        let tops: Vec<f32> = self.synthetic.iter().flatten().map(|top| top.score).collect();
        let (mut sum, mut squares, mut people) = (0.0, 0.0, 0.0);
        for sampled in self.people.values().take(MOST_PAIRED) {
            sum += sampled.moments.0;
            squares += sampled.moments.1;
            people += 1.0;
        }
        let Spread { mean, deviation } = Spread::of_sums(2.0 * people, 2.0 * sum, 2.0 * squares)?;
        let pairs = Spread { mean: mean + cohort.pair_offset, deviation: deviation * cohort.pair_ratio };
        (!tops.is_empty()).then_some(Synthetic { tops, pairs })
    }

    /// The enrolled people's part; `None` for fewer than two people.
    pub(super) fn enrolled(&self, store: &dyn Store) -> Result<Option<Enrolled>> {
        let mut heads = Vec::new();
        for &id in self.people.keys().take(MOST_PAIRED) {
            heads.extend(head(store, id)?);
        }
        let sums: Vec<(f64, f64)> = (0..heads.len())
            .into_par_iter()
            .map(|i| {
                let others = heads.iter().enumerate().filter(|(j, _)| *j != i);
                let scores = others.map(|(_, other)| f64::from(other.score(heads[i].first())));
                scores.fold((0.0, 0.0), |(sum, squares), s| (sum + s, squares + s * s))
            })
            .collect();
        let (sum, squares) = sums.iter().fold((0.0, 0.0), |a, b| (a.0 + b.0, a.1 + b.1));
        let pairs = Spread::of_sums((heads.len() * heads.len().saturating_sub(1)) as f64, sum, squares);
        let tops = self.people.values().filter_map(|sampled| sampled.top).map(|top| top.score).collect();
        Ok(pairs.map(|pairs| Enrolled { tops, pairs, people: heads.len() }))
    }

    /// The met strangers' part.
    pub(super) fn met(&self) -> Vec<f32> {
        self.met.iter().flatten().map(|top| top.score).collect()
    }
}

/// Brings the tops of strangers with embeddings `vectors` up to date.
fn update_strangers(
    tops: &mut Vec<Option<Top>>,
    vectors: &[Vec<f32>],
    store: &dyn Store,
    changes: &Changes,
) -> Result<()> {
    tops.resize(vectors.len(), None);
    let lost: Vec<bool> =
        tops.par_iter_mut().zip(vectors).map(|(top, vector)| compare(top, vector, None, changes)).collect();
    let lost: Vec<usize> = (0..tops.len()).filter(|&i| lost[i]).collect();
    let searched: Vec<(&[f32], Option<PersonId>)> = lost.iter().map(|&i| (&*vectors[i], None)).collect();
    for (i, top) in lost.iter().zip(search(store, &searched)?) {
        tops[*i] = top;
    }
    Ok(())
}

/// Compares a stranger with the changed people, `but` one. Whether the person it was most like is so no more: then all
/// must be searched.
fn compare(top: &mut Option<Top>, vector: &[f32], but: Option<PersonId>, changes: &Changes) -> bool {
    let mut lost = false;
    for (id, head) in changes.heads.iter().filter(|(id, _)| Some(*id) != but) {
        let new = head.as_ref().map(|head| Top { person: *id, score: head.score(vector) });
        match (top.as_mut(), new) {
            (Some(old), _) if old.person == *id => match new {
                Some(new) if new.score >= old.score => *old = new,
                _ => lost = true,
            },
            (Some(old), Some(new)) if better(new, *old) => *old = new,
            (None, Some(new)) => *top = Some(new),
            _ => {}
        }
    }
    lost
}

/// Mean and mean square of the strangers' scores against a person.
fn moments(head: &Head, strangers: &[Vec<f32>]) -> (f64, f64) {
    let scores: Vec<f64> = strangers.par_iter().map(|stranger| head.score(stranger).into()).collect();
    let mean = |f: fn(f64) -> f64| scores.iter().map(|&s| f(s)).sum::<f64>() / scores.len().max(1) as f64;
    (mean(|s| s), mean(|s| s * s))
}

fn better(a: Top, b: Top) -> bool {
    a.score > b.score || (a.score == b.score && a.person < b.person)
}

/// The people whom each vector is most like, but one, among all in `store`.
fn search(store: &dyn Store, probes: &[(&[f32], Option<PersonId>)]) -> Result<Vec<Option<Top>>> {
    let mut heads: HashMap<PersonId, Option<Head>> = HashMap::new();
    let mut tops = Vec::with_capacity(probes.len());
    let vectors: Vec<&[f32]> = probes.iter().map(|(vector, _)| *vector).collect();
    for ((vector, but), people) in probes.iter().zip(nearest_people(store, &vectors, &|i| probes[i].1)?) {
        let mut top: Option<Top> = None;
        for id in people {
            let head = match heads.entry(id) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => new.insert(head(store, id)?),
            };
            let Some(head) = head.as_ref().filter(|_| Some(id) != *but) else { continue };
            let new = Top { person: id, score: head.score(vector) };
            if top.is_none_or(|old| better(new, old)) {
                top = Some(new);
            }
        }
        tops.push(top);
    }
    Ok(tops)
}

/// The people of the templates nearest to each vector, nearest first, but for one; enough of them that the best by
/// score is among them.
pub(super) fn nearest_people(
    store: &dyn Store,
    vectors: &[&[f32]],
    but: &dyn Fn(usize) -> Option<PersonId>,
) -> Result<Vec<Vec<PersonId>>> {
    let mut found = vec![Vec::new(); vectors.len()];
    let mut open: Vec<usize> = (0..vectors.len()).collect();
    let mut k = TEMPLATES_SEARCHED_FIRST;
    while !open.is_empty() {
        let probes: Vec<&[f32]> = open.iter().map(|&i| vectors[i]).collect();
        let hits = store.nearest(&probes, k)?;
        let mut still = Vec::new();
        for (&i, hits) in open.iter().zip(&hits) {
            let mut people: Vec<PersonId> = Vec::new();
            for hit in hits {
                if people.len() < PEOPLE_SCORED && Some(hit.person) != but(i) && !people.contains(&hit.person) {
                    people.push(hit.person);
                }
            }
            // A few people with many templates may have taken all places.
            let enough = if k < TEMPLATES_SEARCHED { PEOPLE_SCORED } else { 2 };
            if people.len() < enough && hits.len() == k {
                still.push(i);
            }
            found[i] = people;
        }
        let next = if k < TEMPLATES_SEARCHED { TEMPLATES_SEARCHED } else { k.saturating_mul(8) };
        (open, k) = (still, next);
    }
    Ok(found)
}

/// The person's templates, if any is enrolled.
pub(super) fn head(store: &dyn Store, id: PersonId) -> Result<Option<Head>> {
    let templates = store.vectors(&[id])?.pop().unwrap_or_default().into_iter();
    Ok(Head::new(templates.filter(|(role, _)| *role == Role::Enrolled).map(|(_, vector)| vector).collect()))
}

fn firsts(store: &dyn Store, ids: &[PersonId]) -> Result<Vec<Vec<f32>>> {
    let first = |(vector, id): (Option<Vec<f32>>, &PersonId)| {
        vector.ok_or_else(|| Error::Invalid(format!("{}: person {id} has lost all templates", store.describe())))
    };
    store.first_vectors(ids)?.into_iter().zip(ids).map(first).collect()
}

/// People with templates at a level.
fn people(store: &dyn Store, level: u32) -> Result<Vec<PersonId>> {
    let people = store.people()?.into_iter().filter(|p| p.templates > 0 && sampled(p.id, level));
    Ok(people.map(|p| p.id).collect())
}

/// Whether a person is sampled at a level: by a hash of the number (Steele, Lea and Flood's SplitMix64, 2014), so that
/// who is does not depend on who else is enrolled.
fn sampled(id: PersonId, level: u32) -> bool {
    let mut hash = (id as u64).wrapping_add(0x9E37_79B9_7F4A_7C15);
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    hash ^= hash >> 31;
    hash.trailing_zeros() >= level
}
