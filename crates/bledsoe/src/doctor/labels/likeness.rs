//! How like each photo is to its own person and to others.

use std::ops::Range;

use crate::doctor::{Exam, similarity::Vectors};

/// The photos that show a face, sharp enough to be judged, and lie in a person's folder; ordered by person.
pub(super) struct People<'a> {
    pub(super) exams: Vec<&'a Exam>,
    pub(super) names: Vec<&'a str>,
    /// Each person's photos.
    pub(super) photos: Vec<Range<usize>>,
    /// Each photo's person.
    pub(super) person: Vec<usize>,
    pub(super) vectors: Vectors,
}

/// How like one photo is to people.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Likeness {
    /// To its own person's other photos, if there are any.
    pub own: Option<f32>,
    /// The other people it is likest, the likest first: person and likeness. Fewer where there are fewer people.
    pub rivals: [Option<(usize, f32)>; 3],
}

impl Likeness {
    /// The likeness to the first rival; -1, the least there is, if there is none.
    pub(super) fn rival(&self) -> f32 {
        self.rivals[0].map_or(-1.0, |(_, likeness)| likeness)
    }

    /// By how much the rival is likelier than its own person.
    pub(super) fn margin(&self) -> f32 {
        self.own.map_or(-2.0, |own| self.rival() - own)
    }

    /// The rival, if the likeness to it is beyond chance.
    pub(super) fn found(&self, limits: &Limits) -> Option<usize> {
        self.rivals[0].filter(|(_, likeness)| *likeness >= limits.found).map(|(person, _)| person)
    }
}

/// What a likeness must reach.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Limits {
    /// To be that of one person's photos: the embedder's own threshold.
    pub threshold: f32,
    /// To a rival, to be more than chance for this photo: one right photo in 200 has such a rival.
    pub found: f32,
    /// To a rival, to be more than chance for any photo of the data set.
    pub extreme: f32,
}

/// Above this many standard deviations lie 0.5 % of a normal distribution.
const FOUND: f32 = 2.6;

/// Standard deviations between the median and the upper quartile of a normal distribution.
const UPPER_QUARTILE: f32 = 0.6745;

impl Limits {
    /// Reads off the data set how like a stranger a right photo is by chance: the likest of thousands is liker than that
    /// of a few.
    ///
    /// Each person counts once, with the median over the photos that are like their own person or alone, of the likeness
    /// to the first rival. Over people, median and upper quartile give centre and spread, which a quarter of wrong labels
    /// do not move far. The largest of n normal values exceeds its centre by at most `sqrt(2 ln n)` deviations on average.
    /// No limit is above the middle between `threshold` and 1, as a data set in which everybody is split would have it.
    pub(super) fn of(people: &People<'_>, likeness: &[Likeness], threshold: f32) -> Self {
        let mut medians: Vec<f32> = people
            .photos
            .iter()
            .filter_map(|photos| {
                let right = likeness[photos.clone()].iter().filter(|one| one.own.is_none_or(|own| own >= threshold));
                quantile(&mut right.filter_map(|one| one.rivals[0]).map(|(_, rival)| rival).collect::<Vec<_>>(), 0.5)
            })
            .collect();
        let center = quantile(&mut medians, 0.5).unwrap_or(-1.0);
        let spread = (quantile(&mut medians, 0.75).unwrap_or(-1.0) - center) / UPPER_QUARTILE;
        let limit = |deviations: f32| (center + deviations * spread).clamp(threshold, (threshold + 1.0) / 2.0);
        let extreme = (2.0 * (people.photos.len().max(1) as f32).ln()).sqrt();
        Self { threshold, found: limit(FOUND), extreme: limit(extreme.max(FOUND)) }
    }
}

/// The value below which this share lies, of the nearest rank.
fn quantile(values: &mut [f32], share: f32) -> Option<f32> {
    values.sort_by(f32::total_cmp);
    values.get((values.len().saturating_sub(1) as f32 * share).round() as usize).copied()
}

impl<'a> People<'a> {
    pub(super) fn new(exams: &'a [Exam], least_sharpness: f32) -> Self {
        let mut with_face: Vec<(&str, &Exam, &[f32])> = exams
            .iter()
            .filter_map(|exam| {
                let subject = exam.subject.as_ref().filter(|subject| subject.sharpness >= least_sharpness)?;
                Some((exam.person.as_deref()?, exam, subject.vector.as_slice()))
            })
            .collect();
        with_face.sort_by_key(|(person, exam, _)| (*person, exam.path.as_str()));
        let (mut names, mut photos, mut person) = (Vec::new(), Vec::<Range<usize>>::new(), Vec::new());
        for (at, (name, ..)) in with_face.iter().enumerate() {
            match photos.last_mut() {
                Some(last) if names.last() == Some(name) => last.end = at + 1,
                _ => {
                    names.push(*name);
                    photos.push(at..at + 1);
                }
            }
            person.push(photos.len() - 1);
        }
        let dim = with_face.first().map_or(1, |(.., vector)| vector.len());
        let vectors = Vectors::new(dim, with_face.iter().map(|(.., vector)| *vector));
        Self { exams: with_face.iter().map(|(_, exam, _)| *exam).collect(), names, photos, person, vectors }
    }

    /// Every photo's likeness to its own person and to the likest others.
    pub(super) fn likeness(&self) -> Vec<Likeness> {
        self.vectors.each_row(&self.vectors, |photo, similarities| self.likeness_of(photo, similarities))
    }

    fn likeness_of(&self, photo: usize, similarities: &[f32]) -> Likeness {
        let own = self.person[photo];
        let mut rivals = [None; 3];
        let mut scratch = Vec::new();
        let mut own_likeness = None;
        for (person, photos) in self.photos.iter().enumerate() {
            scratch.clear();
            scratch.extend_from_slice(&similarities[photos.clone()]);
            if person == own {
                scratch.remove(photo - photos.start);
                own_likeness = (!scratch.is_empty()).then(|| upper_quarter(&mut scratch));
            } else {
                insert(&mut rivals, person, upper_quarter(&mut scratch));
            }
        }
        Likeness { own: own_likeness, rivals }
    }

    /// The path of a photo.
    pub(super) fn path(&self, photo: usize) -> String {
        self.exams[photo].path.clone()
    }

    /// The photo of `person` that is likest to `photo`, other than itself.
    pub(super) fn likest(&self, photo: usize, person: usize) -> Option<usize> {
        let others = self.photos[person].clone().filter(|other| *other != photo);
        others.max_by(|a, b| self.vectors.similarity(photo, *a).total_cmp(&self.vectors.similarity(photo, *b)))
    }

    /// The mean of the vectors of `photos`, not of unit length: the product of two such means is the mean similarity
    /// between their photos.
    pub(super) fn mean(&self, photos: impl Iterator<Item = usize>) -> Vec<f64> {
        let (mut sum, mut n) = (vec![0.0; self.vectors.get(0).len()], 0.0);
        for photo in photos {
            for (sum, value) in sum.iter_mut().zip(self.vectors.get(photo)) {
                *sum += f64::from(*value);
            }
            n += 1.0;
        }
        sum.iter_mut().for_each(|sum| *sum /= f64::max(n, 1.0));
        sum
    }
}

/// The product of two vectors.
pub(super) fn product(a: &[f64], b: &[f64]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>() as f32
}

fn insert(rivals: &mut [Option<(usize, f32)>; 3], person: usize, likeness: f32) {
    let mut new = Some((person, likeness));
    for place in rivals {
        if place.is_none_or(|(_, other)| new.is_some_and(|(_, likeness)| likeness > other)) {
            std::mem::swap(place, &mut new);
        }
    }
}

/// The mean of the largest quarter of `values`, at least one of them. Their order is lost.
fn upper_quarter(values: &mut [f32]) -> f32 {
    let count = values.len().div_ceil(4);
    if count <= 1 {
        return values.iter().copied().fold(-1.0, f32::max);
    }
    values.select_nth_unstable_by(count - 1, |a, b| b.total_cmp(a));
    // Sorted, so that the sum does not hang on how the selection went.
    values[..count].sort_by(f32::total_cmp);
    values[..count].iter().sum::<f32>() / count as f32
}
