//! Photos in the folder of another person.

use std::collections::HashSet;

use super::{Likeness, Limits, People, STRANGERS};
use crate::doctor::{Finding, Fix, Kind, scores};

/// How much likelier the rival must be than the own person.
const MARGIN: f32 = 0.15;

/// Photos whose likeness to their own person is below the threshold, and by a margin below that to a rival, or so far below
/// the threshold that no rival is needed: a stranger among few people has none.
///
/// Where the rival is found beyond chance, the fix is to move the photo there. Else all that is known is that the photo
/// is not like the others of its folder. In a folder in which no photo is like another, one is taken to be right: the
/// one whose margin is least. Of two photos that are not alike and have no rival beyond chance, it cannot be told which is
/// wrong; [`super::merged`] lists them.
///
/// Photos at fault in `merged` are passed over. The surest come first.
///
/// Scores: `own` and `other` likeness, and `margin`.
pub(super) fn mislabelled(
    people: &People<'_>,
    likeness: &[Likeness],
    limits: &Limits,
    merged: &[Finding],
) -> Vec<Finding> {
    let listed: HashSet<&str> = merged.iter().flat_map(|finding| &finding.photos).map(String::as_str).collect();
    let mut flagged: Vec<usize> = Vec::new();
    for photos in &people.photos {
        let mut wrong: Vec<usize> = photos.clone().filter(|&photo| is_wrong(&likeness[photo], limits)).collect();
        if wrong.len() == photos.len() {
            // The owner's own: a rival beyond chance speaks against it, a small margin for it.
            let rank = |photo: &usize| (likeness[*photo].found(limits).is_some(), likeness[*photo].margin());
            wrong.sort_by(|a, b| rank(a).0.cmp(&rank(b).0).then(rank(a).1.total_cmp(&rank(b).1)));
            wrong.remove(0);
            wrong.retain(|photo| photos.len() > 2 || likeness[*photo].found(limits).is_some());
        }
        flagged.extend(wrong);
    }
    flagged.retain(|&photo| !listed.contains(people.exams[photo].path.as_str()));
    flagged.sort_by(|a, b| likeness[*b].margin().total_cmp(&likeness[*a].margin()).then(a.cmp(b)));
    flagged.into_iter().map(|photo| finding(people, &likeness[photo], photo, limits)).collect()
}

/// Whether a photo is not like its own person: clearly liker another, or not at all.
pub(super) fn is_wrong(likeness: &Likeness, limits: &Limits) -> bool {
    likeness.own.is_some_and(|own| {
        own < limits.threshold && (likeness.margin() >= MARGIN || own < STRANGERS * limits.threshold)
    })
}

fn finding(people: &People<'_>, likeness: &Likeness, photo: usize, limits: &Limits) -> Finding {
    let own = people.person[photo];
    let owner = likeness.found(limits);
    // The evidence: the likest photo of the right person, and of the folder it lies in.
    let others = owner.into_iter().chain([own]).filter_map(|person| people.likest(photo, person));
    Finding {
        kind: Kind::Mislabelled,
        photos: vec![people.path(photo)],
        people: [own].into_iter().chain(owner).map(|person| people.names[person].to_owned()).collect(),
        others: others.map(|other| people.path(other)).collect(),
        scores: scores([
            ("own", likeness.own.unwrap_or(-1.0)),
            ("other", likeness.rival()),
            ("margin", likeness.margin()),
        ]),
        fix: match owner {
            Some(person) => Fix::Relabel { person: people.names[person].to_owned() },
            None => Fix::Look,
        },
    }
}
