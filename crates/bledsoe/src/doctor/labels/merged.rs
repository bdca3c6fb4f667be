//! Two people in one folder.

use super::{Likeness, Limits, People, likeness::product, mislabelled::is_wrong};
use crate::doctor::{Finding, Fix, Kind, scores};

/// Two groups are two people if their mean similarity is below this share of the embedder's threshold.
const APART: f32 = 0.6;

/// How many photos like no other are set aside, one after the other, before a folder counts as one person's.
const OUTLIERS: usize = 3;

/// Rounds of moving photos between the groups.
const ROUNDS: usize = 20;

/// Folders whose photos fall into two groups of at least two photos, each alike in itself (mean similarity at least
/// the embedder's threshold), but not alike together; and folders of two photos that are not alike, if neither is known elsewhere.
///
/// The groups are found by spherical 2-means (Dhillon and Modha, "Concept decompositions", 2001), begun from the photo
/// farthest from all and the photo farthest from that. The smaller group is at fault. The fix moves it to the person that
/// most of its photos are like beyond chance, or to a new folder.
///
/// Scores: `similarity` between the groups, `within` the group at fault; means over pairs.
pub(super) fn merged(people: &People<'_>, likeness: &[Likeness], limits: &Limits) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (person, photos) in people.photos.iter().enumerate() {
        let members: Vec<usize> = photos.clone().collect();
        let found = match members.as_slice() {
            &[a, b] => two_strangers(people, likeness, limits, a, b),
            [_, _, _, _, ..] => groups(people, &members, limits.threshold).map(|groups| {
                let owner = owner(likeness, &groups.smaller, limits).filter(|owner| *owner != person);
                let target = owner.map_or_else(
                    || format!("{} (2)", people.names[person]),
                    |owner| people.names[owner].to_owned(),
                );
                finding(people, groups, owner, Fix::Relabel { person: target })
            }),
            _ => None,
        };
        findings.extend(found);
    }
    findings.sort_by(|a, b| {
        a.scores["similarity"].total_cmp(&b.scores["similarity"]).then_with(|| a.people.cmp(&b.people))
    });
    findings
}

struct Groups {
    smaller: Vec<usize>,
    larger: Vec<usize>,
    similarity: f32,
    within: f32,
}

/// A folder of two photos that are not alike, and nothing tells which is right.
fn two_strangers(
    people: &People<'_>,
    likeness: &[Likeness],
    limits: &Limits,
    a: usize,
    b: usize,
) -> Option<Finding> {
    let similarity = people.vectors.similarity(a, b);
    let known = [a, b].iter().any(|&photo| {
        is_wrong(&likeness[photo], limits) && likeness[photo].found(limits).is_some()
    });
    if similarity >= APART * limits.threshold || known {
        return None;
    }
    Some(finding(people, Groups { smaller: vec![b], larger: vec![a], similarity, within: 1.0 }, None, Fix::Look))
}

/// The two people of a folder, if they are two.
fn groups(people: &People<'_>, members: &[usize], threshold: f32) -> Option<Groups> {
    let mut members = members.to_vec();
    for _ in 0..=OUTLIERS {
        if members.len() < 4 {
            return None;
        }
        let (mut smaller, mut larger) = two_means(people, &members);
        if smaller.len() > larger.len() || smaller.len() == larger.len() && smaller > larger {
            std::mem::swap(&mut smaller, &mut larger);
        }
        match smaller.as_slice() {
            [] => return None,
            &[outlier] => members.retain(|photo| *photo != outlier),
            _ => {
                let similarity =
                    product(&people.mean(smaller.iter().copied()), &people.mean(larger.iter().copied()));
                let within = [&smaller, &larger].map(|group| mean_of_pairs(people, group));
                let two = similarity < APART * threshold && within.iter().all(|within| *within >= threshold);
                return two.then_some(Groups { smaller, larger, similarity, within: within[0] });
            }
        }
    }
    None
}

/// Mean similarity between different photos of a group of at least two.
fn mean_of_pairs(people: &People<'_>, group: &[usize]) -> f32 {
    let mean = people.mean(group.iter().copied());
    let n = group.len() as f32;
    // The mean over all n * n ordered pairs holds each photo with itself, which is 1.
    (product(&mean, &mean) * n - 1.0) / (n - 1.0)
}

fn two_means(people: &People<'_>, members: &[usize]) -> (Vec<usize>, Vec<usize>) {
    let unit = |mut vector: Vec<f64>| {
        let length = vector.iter().map(|v| v * v).sum::<f64>().sqrt().max(1e-12);
        vector.iter_mut().for_each(|v| *v /= length);
        vector
    };
    let likeness = |photo: usize, center: &[f64]| {
        people.vectors.get(photo).iter().zip(center).map(|(a, b)| f64::from(*a) * b).sum::<f64>()
    };
    let farthest = |center: &[f64]| {
        members.iter().copied().min_by(|a, b| likeness(*a, center).total_cmp(&likeness(*b, center))).unwrap_or_default()
    };
    let seed = farthest(&unit(people.mean(members.iter().copied())));
    let opposite = farthest(&people.mean([seed].into_iter()));
    let mut centers = [seed, opposite].map(|photo| people.mean([photo].into_iter()));
    let mut groups = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let next: (Vec<usize>, Vec<usize>) =
            members.iter().partition(|&&photo| likeness(photo, &centers[0]) > likeness(photo, &centers[1]));
        if next == groups {
            break;
        }
        centers = [&next.0, &next.1].map(|group| unit(people.mean(group.iter().copied())));
        groups = next;
    }
    groups
}

/// The person that more than half of the photos are like beyond chance.
fn owner(likeness: &[Likeness], photos: &[usize], limits: &Limits) -> Option<usize> {
    let mut found: Vec<usize> =
        photos.iter().filter_map(|&photo| likeness[photo].found(limits)).collect();
    found.sort_unstable();
    let longest = found.chunk_by(|a, b| a == b).max_by_key(|run| run.len())?;
    (2 * longest.len() > photos.len()).then_some(longest[0])
}

fn finding(people: &People<'_>, groups: Groups, owner: Option<usize>, fix: Fix) -> Finding {
    let paths = |photos: &[usize]| photos.iter().map(|&photo| people.path(photo)).collect();
    let person = people.person[groups.larger[0]];
    Finding {
        kind: Kind::Merged,
        photos: paths(&groups.smaller),
        people: [person].into_iter().chain(owner).map(|person| people.names[person].to_owned()).collect(),
        others: paths(&groups.larger),
        scores: scores([("similarity", groups.similarity), ("within", groups.within)]),
        fix,
    }
}
