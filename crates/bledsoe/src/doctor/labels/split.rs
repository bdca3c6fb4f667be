//! One person in two folders.

use std::collections::HashMap;

use super::{Likeness, Limits, People, likeness::product};
use crate::doctor::{Finding, Fix, Kind, scores};

/// How much less alike the photos of two folders may be than those of one of them.
const SLACK: f32 = 0.1;

/// Pairs of folders whose photos are on average as alike as those of one person. Only pairs in which more than half of
/// the smaller folder's photos have the other person among their likest three are looked at.
///
/// The mean similarity must reach [`Limits::extreme`] where there is one photo against one, as the likest of many strangers
/// comes near it; the more photos, the less does chance do, down to the embedder's threshold: the distance between the two shrinks with the
/// square root of the number of pairs. And it must not be much below what the photos of the less coherent of the two
/// folders have among themselves: a brother is rather alike, but not as alike. The photos of the smaller folder are at
/// fault.
///
/// Scores: `similarity` (mean over all pairs) and `needed`.
pub(super) fn split(people: &People<'_>, likeness: &[Likeness], limits: &Limits) -> Vec<Finding> {
    let mut votes: HashMap<(usize, usize), usize> = HashMap::new();
    for (photo, one) in likeness.iter().enumerate() {
        for (rival, _) in one.rivals.iter().flatten() {
            *votes.entry((people.person[photo], *rival)).or_default() += 1;
        }
    }
    let size = |person: usize| people.photos[person].len();
    let mut pairs: Vec<(usize, usize)> = votes
        .into_iter()
        .filter(|&((person, rival), votes)| {
            let smaller = size(person) < size(rival) || size(person) == size(rival) && person > rival;
            2 * votes > size(person) && (smaller || size(person) == size(rival))
        })
        .map(
            |((person, rival), _)| {
                if size(person) == size(rival) { (person.max(rival), person.min(rival)) } else { (person, rival) }
            },
        )
        .collect();
    pairs.sort_unstable();
    pairs.dedup();
    let mut findings: Vec<Finding> = pairs
        .into_iter()
        .filter_map(|(smaller, larger)| {
            let mean = |person: usize| people.mean(people.photos[person].clone());
            let similarity = product(&mean(smaller), &mean(larger));
            let within = [smaller, larger].into_iter().filter_map(|person| within(people, person));
            let coherent = within.fold(f32::INFINITY, f32::min);
            let mut needed = needed(size(smaller) * size(larger), limits);
            if coherent.is_finite() {
                needed = needed.max(coherent - SLACK);
            }
            (similarity >= needed).then(|| finding(people, smaller, larger, similarity, needed))
        })
        .collect();
    findings.sort_by(|a, b| {
        let surplus = |finding: &Finding| finding.scores["similarity"] - finding.scores["needed"];
        surplus(b).total_cmp(&surplus(a)).then_with(|| a.photos.cmp(&b.photos))
    });
    findings
}

/// Mean similarity between different photos of a person, if there are two.
fn within(people: &People<'_>, person: usize) -> Option<f32> {
    let n = people.photos[person].len() as f32;
    let mean = people.mean(people.photos[person].clone());
    // The mean over all n * n ordered pairs holds each photo with itself, which is 1.
    (n > 1.0).then(|| (product(&mean, &mean) * n - 1.0) / (n - 1.0))
}

fn needed(pairs: usize, limits: &Limits) -> f32 {
    limits.threshold + (limits.extreme - limits.threshold) / (pairs as f32).sqrt()
}

fn finding(people: &People<'_>, smaller: usize, larger: usize, similarity: f32, needed: f32) -> Finding {
    let paths = |person: usize| people.photos[person].clone().map(|photo| people.path(photo)).collect();
    Finding {
        kind: Kind::Split,
        photos: paths(smaller),
        people: [smaller, larger].map(|person| people.names[person].to_owned()).to_vec(),
        others: paths(larger),
        scores: scores([("similarity", similarity), ("needed", needed)]),
        fix: Fix::Relabel { person: people.names[larger].to_owned() },
    }
}
