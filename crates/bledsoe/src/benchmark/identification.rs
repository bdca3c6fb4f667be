//! Identification (1:N): some photos of each person are enrolled, the rest are searched for; people of one photo are
//! strangers.
//!
//! A person is as similar as the nearest of their enrolled photos, as in [`crate::gallery`].

use std::{collections::BTreeMap, fmt, str::FromStr};

use rayon::prelude::*;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{Face, Faces};
use crate::{
    Error, Result,
    embed::dot,
    evaluate::search::{Probe, Trial},
};

/// Mistakes listed of each kind.
const WORST: usize = 12;

/// How many photos of each person are enrolled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Enrol {
    /// So many; people with fewer than one photo more are left out.
    Photos(usize),
    /// This share of a person's photos, 0 to 1, at least one and never all; people of two photos or more take part.
    Share(f64),
}

impl FromStr for Enrol {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("\"{text}\": expected a number of photos such as 1, or a share such as 70%");
        if let Some(percent) = text.strip_suffix('%') {
            let percent: f64 = percent.trim().parse().map_err(|_| wrong())?;
            return if percent > 0.0 && percent < 100.0 { Ok(Self::Share(percent / 100.0)) } else { Err(wrong()) };
        }
        match text.parse() {
            Ok(photos) if photos > 0 => Ok(Self::Photos(photos)),
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for Enrol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Photos(count) => write!(f, "{count}"),
            Self::Share(share) => write!(f, "{}%", 100.0 * share),
        }
    }
}

impl Enrol {
    /// How many of a person's `photos` are enrolled, if the person takes part.
    fn of(self, photos: usize) -> Option<usize> {
        let count = match self {
            Self::Photos(count) => count,
            Self::Share(share) => ((share * photos as f64).round() as usize).clamp(1, photos.saturating_sub(1).max(1)),
        };
        (photos > count).then_some(count)
    }
}

/// A probe and the enrolled photo that it was most like.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Match {
    /// The probe's path.
    pub probe: String,
    /// The enrolled photo's path.
    pub enrolled: String,
    /// Their cosine similarity.
    pub score: f64,
}

/// Every probe's search, and the worst mistakes of the first trial.
#[derive(Debug, Clone, PartialEq)]
pub struct Search {
    /// One a seed.
    pub trials: Vec<Trial>,
    /// People enrolled.
    pub enrolled: usize,
    /// People of one photo: the strangers.
    pub strangers: usize,
    /// People with more than one photo but not enough to take part.
    pub left_out: usize,
    /// Photos that lie in no person's folder, and were passed over.
    pub nobodys: usize,
    /// Strangers most like somebody enrolled, the worst first.
    pub false_alarms: Vec<Match>,
    /// Probes of enrolled people that are more like somebody else, with that other photo, the worst first.
    pub confusions: Vec<Match>,
}

/// One photo that takes part.
struct Photo<'a> {
    person: u32,
    path: &'a str,
    vector: Option<&'a [f32]>,
}

/// Draws gallery and probes once for each seed, and searches. Strangers are left out where the set is `closed`.
///
/// # Errors
/// [`Error::Invalid`] when nobody has enough photos.
pub fn search(faces: &Faces, enrol: Enrol, closed: bool, seeds: &[u64]) -> Result<Search> {
    let mut people: BTreeMap<&str, Vec<(&str, &Face)>> = BTreeMap::new();
    let mut nobodys = 0;
    for (path, face) in &faces.by_path {
        match &face.person {
            Some(person) => people.entry(person).or_default().push((path, face)),
            None => nobodys += 1,
        }
    }
    let enrolled = people.values().filter(|p| enrol.of(p.len()).is_some()).count();
    let strangers = people.values().filter(|p| p.len() == 1).count();
    if enrolled == 0 {
        return Err(Error::Invalid(
            "nobody has enough photos: each person enrolled needs at least one photo more for a probe".into(),
        ));
    }
    let mut result = Search {
        trials: Vec::with_capacity(seeds.len()),
        enrolled,
        strangers: if closed { 0 } else { strangers },
        left_out: people.len() - enrolled - strangers,
        nobodys,
        false_alarms: Vec::new(),
        confusions: Vec::new(),
    };
    for (number, &seed) in seeds.iter().enumerate() {
        let (mut gallery, mut probes) = (Vec::new(), Vec::new());
        for (person, photos) in (0u32..).zip(people.values()) {
            let mut photos: Vec<Photo<'_>> =
                photos.iter().map(|&(path, face)| Photo { person, path, vector: face.vector.as_deref() }).collect();
            if photos.len() == 1 {
                if !closed {
                    probes.extend(photos.into_iter().map(|p| (p, false)));
                }
            } else if let Some(count) = enrol.of(photos.len()) {
                photos.sort_by_cached_key(|photo| draw(seed, photo.path));
                probes.extend(photos.split_off(count).into_iter().map(|p| (p, true)));
                gallery.extend(photos);
            }
        }
        let found: Vec<(Probe, Option<Match>)> =
            probes.par_iter().map(|(probe, enrolled)| find(&gallery, probe, *enrolled)).collect();
        if number == 0 {
            (result.false_alarms, result.confusions) = worst(&found);
        }
        result.trials.push(Trial { seed, probes: found.into_iter().map(|(probe, _)| probe).collect() });
    }
    Ok(result)
}

/// The order in which a seed takes photos: like shuffled, but the same whatever else the dataset holds.
fn draw(seed: u64, path: &str) -> [u8; 32] {
    let mut digest = Sha256::new();
    digest.update(seed.to_le_bytes());
    digest.update(path);
    digest.finalize().into()
}

/// The probe's scores, and the nearest photo of another person. The gallery's photos of one person stand together.
fn find(gallery: &[Photo<'_>], probe: &Photo<'_>, enrolled: bool) -> (Probe, Option<Match>) {
    let Some(vector) = probe.vector else {
        return (Probe { person: probe.person, enrolled, mate: None, rank: None, other: None }, None);
    };
    let (mut mate, mut others): (Option<f64>, Vec<f64>) = (None, Vec::new());
    let mut nearest: Option<(f64, &str)> = None;
    for person in gallery.chunk_by(|a, b| a.person == b.person) {
        let mut best: Option<(f64, &str)> = None;
        for photo in person {
            if let Some(enrolled) = photo.vector {
                let score = f64::from(dot(enrolled, vector));
                if best.is_none_or(|(top, _)| score > top) {
                    best = Some((score, photo.path));
                }
            }
        }
        let Some((score, path)) = best else { continue };
        if person.first().is_some_and(|p| p.person == probe.person) {
            mate = Some(score);
        } else {
            others.push(score);
            if nearest.is_none_or(|(top, _)| score > top) {
                nearest = Some((score, path));
            }
        }
    }
    // Somebody as similar as the own person goes before: a tie is not a success.
    let rank = mate.map(|own| 1 + others.iter().filter(|&&score| score >= own).count());
    let result = Probe { person: probe.person, enrolled, mate, rank, other: nearest.map(|(score, _)| score) };
    let nearest = nearest.map(|(score, path)| Match { probe: probe.path.to_owned(), enrolled: path.to_owned(), score });
    (result, nearest)
}

/// The worst false alarms and confusions.
fn worst(found: &[(Probe, Option<Match>)]) -> (Vec<Match>, Vec<Match>) {
    let (mut alarms, mut confusions) = (Vec::new(), Vec::new());
    for (probe, nearest) in found {
        match nearest {
            Some(nearest) if !probe.enrolled => alarms.push(nearest.clone()),
            Some(nearest) if probe.rank.is_some_and(|rank| rank > 1) => confusions.push(nearest.clone()),
            _ => {}
        }
    }
    for list in [&mut alarms, &mut confusions] {
        list.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.probe.cmp(&b.probe)));
        list.truncate(WORST);
    }
    (alarms, confusions)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// People's photos as angles; a photo without an angle has no face.
    fn faces(people: &[(&str, &[Option<f32>])]) -> Faces {
        let mut by_path = BTreeMap::new();
        for (person, angles) in people {
            for (i, angle) in angles.iter().enumerate() {
                let vector = angle.map(|a| vec![a.cos(), a.sin()]);
                by_path
                    .insert(format!("{person}/{i}.jpg"), Face { person: Some((*person).into()), rect: None, vector });
            }
        }
        Faces { model: "test".into(), settings: serde_json::Value::Null, skipped: Vec::new(), by_path }
    }

    #[test]
    fn how_many_are_enrolled() {
        assert_eq!("2".parse(), Ok(Enrol::Photos(2)));
        assert_eq!("70%".parse(), Ok(Enrol::Share(0.7)));
        assert_eq!("70%".parse::<Enrol>().unwrap().to_string(), "70%");
        for nonsense in ["0", "-1", "0%", "100%", "%", "x", ""] {
            assert!(nonsense.parse::<Enrol>().is_err(), "{nonsense}");
        }
        assert_eq!([1, 2, 3].map(|n| Enrol::Photos(2).of(n)), [None, None, Some(2)]);
        assert_eq!([1, 2, 3, 10].map(|n| Enrol::Share(0.7).of(n)), [None, Some(1), Some(2), Some(7)]);
    }

    #[test]
    fn strangers_are_people_of_one_photo() {
        let faces = faces(&[
            ("ada", &[Some(0.0), Some(0.05), Some(0.1)]),
            ("bob", &[Some(1.0), Some(1.1)]),
            ("eve", &[Some(2.0)]),
        ]);
        let found = search(&faces, Enrol::Photos(1), false, &[0, 1]).unwrap();
        assert_eq!((found.enrolled, found.strangers, found.left_out, found.trials.len()), (2, 1, 0, 2));
        for trial in &found.trials {
            assert_eq!(trial.probes.len(), 4);
            assert!(trial.probes.iter().all(|p| !p.enrolled || p.rank == Some(1)));
            let stranger = trial.probes.iter().find(|p| !p.enrolled).unwrap();
            assert_eq!((stranger.mate, stranger.rank), (None, None));
            assert!(stranger.other.unwrap() > 0.5);
        }
        assert_eq!(found.false_alarms[0].probe, "eve/0.jpg");
        assert!(found.confusions.is_empty());
        let closed = search(&faces, Enrol::Photos(2), true, &[0]).unwrap();
        assert_eq!((closed.enrolled, closed.strangers, closed.left_out), (1, 0, 1));
        assert!(search(&faces, Enrol::Photos(3), true, &[0]).is_err());
    }

    #[test]
    fn ties_and_missing_faces_are_no_success() {
        let faces =
            faces(&[("ada", &[Some(0.3), Some(0.3)]), ("bob", &[Some(0.3), Some(2.0)]), ("cat", &[None, None])]);
        let found = search(&faces, Enrol::Photos(1), true, &[0, 1, 2, 3]).unwrap();
        for trial in &found.trials {
            // Ada's probe is as near to Bob wherever his first photo is enrolled.
            assert!(trial.probes.iter().all(|p| p.person != 2 || (p.mate, p.rank, p.other) == (None, None, None)));
            assert!(trial.probes.iter().any(|p| p.rank != Some(1)));
        }
    }

    #[test]
    fn a_draw_is_the_same_whatever_else_there_is() {
        let few = faces(&[("ada", &[Some(0.0), Some(0.5), Some(1.0)]), ("bob", &[Some(2.0), Some(2.5)])]);
        let more = faces(&[
            ("aaa", &[Some(3.0), Some(3.1)]),
            ("ada", &[Some(0.0), Some(0.5), Some(1.0)]),
            ("bob", &[Some(2.0), Some(2.5)]),
        ]);
        let mates = |faces: &Faces, person: u32| -> Vec<Option<f64>> {
            let trial = search(faces, Enrol::Photos(1), true, &[7]).unwrap().trials.remove(0);
            trial.probes.iter().filter(|p| p.person == person).map(|p| p.mate).collect()
        };
        assert_eq!(mates(&few, 0), mates(&more, 1));
    }
}
