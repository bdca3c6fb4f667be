//! Looking faces up.

use std::collections::{HashMap, hash_map::Entry};

use super::{
    Gallery, assignment,
    calibration::Calibration,
    decision::{Candidate, Decision, Doubt, Limit, Probe, Resemblance, Rule, Verification},
    score::Head,
    store::{PersonId, Role, Store, TemplateVector},
    tops,
};
use crate::{
    Error, Result,
    embed::{Embedding, dot},
};

/// Candidates that a decision tells of.
const CANDIDATES: usize = 5;
/// A first candidate with less than this share of what the first two have is too like the second.
const LEAST_SHARE: f64 = 0.6;
/// Without calibration, a second candidate so near in score is too like the first.
const LEAST_GAP: f32 = 0.02;
/// A poor face must be so many times rarer among strangers to be named.
const POOR_FACTOR: f64 = 10.0;
/// Somebody new who is as like a person enrolled as only this share of strangers seems to be that person.
const SEEMS_ENROLLED: f64 = 1e-3;

/// A person as faces are compared with them.
struct Known {
    id: PersonId,
    head: Head,
    /// Faces that are not the person's.
    rejected: Vec<Vec<f32>>,
}

impl Known {
    /// Each of `ids`; `None` without templates.
    fn load(store: &dyn Store, ids: &[PersonId]) -> Result<Vec<Option<Self>>> {
        let known = |(&id, vectors): (&PersonId, Vec<TemplateVector>)| {
            let (enrolled, rejected): (Vec<_>, Vec<_>) =
                vectors.into_iter().partition(|(role, _)| *role == Role::Enrolled);
            let [enrolled, rejected] = [enrolled, rejected].map(|some| some.into_iter().map(|(_, v)| v).collect());
            Head::new(enrolled).map(|head| Self { id, head, rejected })
        };
        Ok(ids.iter().zip(store.vectors(ids)?).map(known).collect())
    }

    /// Whether a face of this score is more like one that is known not to be the person's.
    fn is_rejected(&self, face: &[f32], score: f32) -> bool {
        self.rejected.iter().any(|rejected| dot(rejected, face) > score)
    }
}

/// What people are called, asked of the store once.
struct Names<'a> {
    store: &'a dyn Store,
    asked: HashMap<PersonId, Option<String>>,
}

impl Names<'_> {
    /// `None` for somebody who was forgotten in the meantime.
    fn of(&mut self, id: PersonId) -> Result<Option<String>> {
        Ok(match self.asked.entry(id) {
            Entry::Occupied(asked) => asked.get().clone(),
            Entry::Vacant(new) => new.insert(self.store.person_by_id(id)?.map(|person| person.name)).clone(),
        })
    }
}

/// A face with what is to be said of it alone, and what naming each person would gain.
struct LookedUp {
    decision: Decision,
    gains: Vec<(PersonId, f64)>,
}

impl Gallery {
    /// Who each face is, by itself.
    ///
    /// # Errors
    /// [`Error::Mismatch`] for another embedder's embeddings; [`Error::Invalid`] for a rule out of range, or when a
    /// false positive rate is asked of a gallery that cannot be calibrated.
    pub fn identify(&self, faces: &[Probe], rule: &Rule) -> Result<Vec<Decision>> {
        let looked = self.look_up(faces, rule)?;
        Ok(looked.into_iter().map(|face| face.decision).collect())
    }

    /// Who the faces of one photo are: each person at most once.
    ///
    /// # Errors
    /// As [`Gallery::identify`].
    pub fn identify_together(&self, faces: &[Probe], rule: &Rule) -> Result<Vec<Decision>> {
        let looked = self.look_up(faces, rule)?;
        let mut people: Vec<PersonId> = looked.iter().flat_map(|face| face.gains.iter().map(|gain| gain.0)).collect();
        people.sort_unstable();
        people.dedup();
        let gains: Vec<Vec<f64>> = looked
            .iter()
            .map(|face| {
                let gain =
                    |person: &PersonId| face.gains.iter().find(|gain| gain.0 == *person).map_or(0.0, |gain| gain.1);
                people.iter().map(gain).collect()
            })
            .collect();
        let assigned = assignment::assign(&gains);
        let decide = |(face, place): (LookedUp, Option<usize>)| {
            let mut decision = face.decision;
            let person = place.map(|place| people[place]);
            let first = decision.candidates.first().map(|candidate| (candidate.person, candidate.name.clone()));
            if let (Some((id, name)), true) = (first, decision.name.is_some()) {
                if person != Some(id) {
                    decision.doubt = Some(Doubt::Taken { name });
                    decision.name = None;
                }
                if let Some(place) = decision
                    .candidates
                    .iter()
                    .position(|candidate| Some(candidate.person) == person && candidate.person != id)
                {
                    let second = decision.candidates.remove(place);
                    decision.name = Some(second.name.clone());
                    decision.doubt = None;
                    decision.candidates.insert(0, second);
                }
            }
            decision
        };
        Ok(looked.into_iter().zip(assigned).map(decide).collect())
    }

    fn look_up(&self, faces: &[Probe], rule: &Rule) -> Result<Vec<LookedUp>> {
        rule.check()?;
        faces.iter().try_for_each(|face| self.check(&face.embedding))?;
        let vectors: Vec<&[f32]> = faces.iter().map(|face| face.embedding.vector.as_slice()).collect();
        let found = tops::nearest_people(self.store.as_ref(), &vectors, &|_| None)?;
        if found.iter().all(Vec::is_empty) {
            let empty = || Decision {
                name: None,
                doubt: Some(Doubt::EmptyGallery),
                candidates: Vec::new(),
                threshold: 1.0,
                false_positive_rate: None,
            };
            return Ok(faces.iter().map(|_| LookedUp { decision: empty(), gains: Vec::new() }).collect());
        }
        let fitted = self.fitted()?;
        let calibration = fitted.calibration.as_ref();
        let threshold = match (rule.limit, calibration) {
            (Limit::Score(score), _) => score,
            (Limit::FalsePositiveRate(rate), Some(calibration)) => calibration.threshold(rate),
            (Limit::FalsePositiveRate(_), None) => return Err(self.not_calibrated()),
        };
        let mut ids: Vec<PersonId> = found.iter().flatten().copied().collect();
        ids.sort_unstable();
        ids.dedup();
        let known = Known::load(self.store.as_ref(), &ids)?;
        let mut names = Names { store: self.store.as_ref(), asked: HashMap::new() };
        let mut looked = Vec::with_capacity(faces.len());
        for (face, people) in faces.iter().zip(found) {
            let known = people.iter().filter_map(|id| known[ids.binary_search(id).ok()?].as_ref());
            looked.push(decide(face, known, &mut names, calibration, threshold, rule)?);
        }
        Ok(looked)
    }

    /// Whether a face is the person called `name`. The rule's rate is the share of strangers who would be taken for
    /// this person.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there is no such person; as [`Gallery::identify`].
    pub fn verify(&self, name: &str, face: &Probe, rule: &Rule) -> Result<Verification> {
        rule.check()?;
        self.check(&face.embedding)?;
        let person = self.known(name)?;
        let known = Known::load(self.store.as_ref(), &[person.id])?
            .pop()
            .flatten()
            .ok_or_else(|| Error::Invalid(format!("{name} has no template")))?;
        let strangers = self.strangers()?;
        let mut evidence = self.evidence()?;
        // Strangers' scores against this person alone.
        if let Some(synthetic) = &mut evidence.synthetic {
            synthetic.tops = strangers.synthetic()?.iter().map(|s| known.head.score(s)).collect();
        }
        evidence.met = strangers.met.iter().map(|s| known.head.score(s)).collect();
        if let Some(enrolled) = &mut evidence.enrolled {
            enrolled.tops.clear();
        }
        let calibration = Calibration::fit(&evidence);
        let threshold = match (rule.limit, &calibration) {
            (Limit::Score(score), _) => score,
            (Limit::FalsePositiveRate(rate), Some(calibration)) => calibration.threshold(rate),
            (Limit::FalsePositiveRate(_), None) => return Err(self.not_calibrated()),
        };
        let score = known.head.score(&face.embedding.vector);
        let sure = calibration.as_ref().and_then(|c| c.probabilities(&[(score, known.head.len())], rule.prior)?.pop());
        Ok(Verification {
            same: score >= threshold && !known.is_rejected(&face.embedding.vector, score),
            score,
            threshold,
            probability: sure.map(|sure| sure.0),
            interval: sure.map(|sure| sure.1),
            false_accept_rate: calibration.map(|calibration| calibration.rate(score)),
            faults: face.faults.clone(),
        })
    }

    /// Whom of the others the faces of `name`, who is to be enrolled, seem to show, if anybody.
    ///
    /// # Errors
    /// [`Error::Mismatch`] for another embedder's embeddings.
    pub fn resembles(&self, name: &str, faces: &[Embedding]) -> Result<Option<Resemblance>> {
        faces.iter().try_for_each(|face| self.check(face))?;
        let fitted = self.fitted()?;
        let Some(calibration) = &fitted.calibration else { return Ok(None) };
        let vectors: Vec<&[f32]> = faces.iter().map(|face| face.vector.as_slice()).collect();
        let own = self.store.person(name)?.map(|person| person.id);
        let mut most: Option<(PersonId, f32)> = None;
        for (vector, people) in vectors.iter().zip(tops::nearest_people(self.store.as_ref(), &vectors, &|_| own)?) {
            for known in Known::load(self.store.as_ref(), &people)?.into_iter().flatten() {
                let score = known.head.score(vector);
                if most.is_none_or(|(_, most)| score > most) {
                    most = Some((known.id, score));
                }
            }
        }
        let Some((id, score)) = most else { return Ok(None) };
        let false_positive_rate = calibration.rate(score);
        let person = self.store.person_by_id(id)?.filter(|_| false_positive_rate <= SEEMS_ENROLLED);
        Ok(person.map(|person| Resemblance { name: person.name, score, false_positive_rate }))
    }
}

fn decide<'a>(
    face: &Probe,
    people: impl Iterator<Item = &'a Known>,
    names: &mut Names<'_>,
    calibration: Option<&Calibration>,
    threshold: f32,
    rule: &Rule,
) -> Result<LookedUp> {
    let vector = &face.embedding.vector;
    let mut scored: Vec<(&Known, f32)> = people.map(|known| (known, known.head.score(vector))).collect();
    scored.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.id.cmp(&b.0.id)));
    // Who this face is known not to be stands last: told of, never named.
    let (rejected, scored): (Vec<_>, Vec<_>) =
        scored.into_iter().partition(|(known, score)| known.is_rejected(vector, *score));
    let mut first = |people: Vec<(&'a Known, f32)>, most: usize| {
        let mut named = Vec::with_capacity(most);
        for (known, score) in people {
            if named.len() < most
                && let Some(name) = names.of(known.id)?
            {
                named.push((known, score, name));
            }
        }
        Ok::<_, Error>(named)
    };
    let (rejected, scored) = (first(rejected, 1)?, first(scored, CANDIDATES)?);
    let plain: Vec<(f32, usize)> = scored.iter().map(|(known, score, _)| (*score, known.head.len())).collect();
    let sure = calibration.and_then(|calibration| calibration.probabilities(&plain, rule.prior));
    let candidates: Vec<Candidate> = scored
        .into_iter()
        .enumerate()
        .map(|(i, (known, score, name))| Candidate {
            person: known.id,
            name,
            score,
            templates: known.head.len(),
            probability: sure.as_ref().map(|sure| sure[i].0),
            interval: sure.as_ref().map(|sure| sure[i].1),
        })
        .collect();

    // A poor picture makes faces alike: it takes more to be named.
    let needed = match (rule.limit, calibration) {
        _ if face.faults.is_empty() => threshold,
        (Limit::FalsePositiveRate(rate), Some(calibration)) => calibration.threshold(rate / POOR_FACTOR),
        _ => threshold,
    };
    let named: Vec<&Candidate> = candidates.iter().take_while(|candidate| candidate.score >= needed).collect();
    let gains = named
        .iter()
        .map(|candidate| {
            // The surest names are given first; the score tells those apart whose probability is 1.
            let odds = candidate.probability.map_or(0.0, |p| (p / (1.0 - p).max(1e-12)).max(1e-12).ln() + 30.0);
            (candidate.person, odds + f64::from(candidate.score) + 2.0)
        })
        .collect();
    let doubt = match (candidates.first(), rejected.first()) {
        (None, None) => Some(Doubt::EmptyGallery),
        (first, Some((_, score, name))) if first.is_none_or(|first| first.score < needed) && *score >= needed => {
            Some(Doubt::NotThisPerson { name: name.clone() })
        }
        (None, _) => Some(Doubt::TooFar),
        (Some(first), _) if first.score < needed => {
            Some(if first.score >= threshold { Doubt::PoorFace { faults: face.faults.clone() } } else { Doubt::TooFar })
        }
        (Some(first), _) => candidates
            .get(1)
            .filter(|second| ambiguous(first, second))
            .map(|second| Doubt::Ambiguous { other: second.name.clone() }),
    };
    Ok(LookedUp {
        decision: Decision {
            name: if doubt.is_none() { candidates.first().map(|first| first.name.clone()) } else { None },
            false_positive_rate: calibration
                .zip(candidates.first())
                .map(|(calibration, first)| calibration.rate(first.score)),
            doubt,
            candidates,
            threshold: needed,
        },
        gains,
    })
}

fn ambiguous(first: &Candidate, second: &Candidate) -> bool {
    match (first.probability, second.probability) {
        (Some(first), Some(second)) => first < LEAST_SHARE * (first + second),
        _ => first.score - second.score < LEAST_GAP,
    }
}
