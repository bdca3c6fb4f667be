//! Verification (1:1): the pairs of a protocol, compared by their faces' cosine similarity.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use super::{Faces, faces::not_there};
use crate::{
    Result,
    dataset::{
        labels::{Labels, Unmatched},
        protocol::PairProtocol,
    },
    embed::dot,
    evaluate::{
        Bootstrap,
        verification::{Comparison, Verification, verification},
    },
};

/// Mistakes listed of each kind.
const WORST: usize = 12;
/// Pairs of each kind below which a group's figures say nothing, and are not given.
const LEAST_PAIRS: usize = 30;

/// A pair of a protocol and how similar its faces are.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Match {
    /// One photo's path.
    pub a: String,
    /// The other's.
    pub b: String,
    /// Their cosine similarity.
    pub score: f64,
}

/// Compares every pair.
///
/// # Errors
/// [`crate::Error::Invalid`] for a pair whose photo is not in the dataset.
pub fn compare(protocol: &PairProtocol, faces: &Faces) -> Result<Vec<Comparison>> {
    let mut numbers: HashMap<&str, u32> = HashMap::new();
    let mut comparisons = Vec::with_capacity(protocol.pairs.len());
    for pair in &protocol.pairs {
        let people = [0, 1].map(|i| {
            let next = numbers.len() as u32;
            *numbers.entry(pair.people[i].as_str()).or_insert(next)
        });
        let face =
            |path: &str| faces.by_path.get(path).map(|face| face.vector.as_deref()).ok_or_else(|| not_there(path));
        let score = face(&pair.a)?.zip(face(&pair.b)?).map(|(a, b)| f64::from(dot(a, b)));
        comparisons.push(Comparison { score, same: pair.same, fold: pair.fold, people });
    }
    Ok(comparisons)
}

/// The worst mistakes: pairs of different people most alike, and pairs of one person least alike, the worst first. None of
/// them need be wrong at a given threshold.
pub fn worst(protocol: &PairProtocol, comparisons: &[Comparison]) -> (Vec<Match>, Vec<Match>) {
    let list = |same: bool, sign: f64| {
        let mut list: Vec<Match> = protocol
            .pairs
            .iter()
            .zip(comparisons)
            .filter(|(_, c)| c.same == same)
            .filter_map(|(pair, c)| Some(Match { a: pair.a.clone(), b: pair.b.clone(), score: c.score? }))
            .collect();
        list.sort_by(|x, y| {
            (sign * x.score).total_cmp(&(sign * y.score)).then_with(|| (&x.a, &x.b).cmp(&(&y.a, &y.b)))
        });
        list.truncate(WORST);
        list
    };
    (list(false, -1.0), list(true, 1.0))
}

/// The figures of one group: of the pairs whose two photos both belong to it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Group {
    /// The column of the labels, such as `gender`.
    pub label: String,
    /// Its value, such as `female`.
    pub value: String,
    /// Pairs of one person.
    pub same: usize,
    /// Pairs of different people.
    pub different: usize,
    /// Share of its different pairs that the threshold of all pairs together, at the FAR of the key, accepts.
    pub far_at_common_threshold: BTreeMap<String, f64>,
    /// Share of its same pairs that this threshold accepts.
    pub tar_at_common_threshold: BTreeMap<String, f64>,
    /// Everything by thresholds of its own; `None` with fewer than 30 pairs of a kind.
    pub own: Option<Verification>,
}

/// The largest difference between two groups of one label.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Gap {
    /// The column of the labels.
    pub label: String,
    /// Which figure.
    pub figure: String,
    /// The group with the lowest figure.
    pub lowest: (String, f64),
    /// The group with the highest.
    pub highest: (String, f64),
}

/// The figures group by group.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Groups {
    /// The groups, by label and value.
    pub groups: Vec<Group>,
    /// The worst gap of each figure and label.
    pub gaps: Vec<Gap>,
    /// Rows of the labels that gave no photo of the protocol its labels.
    pub unmatched: Vec<Unmatched>,
}

/// Scores each group of `labels`; `all` are the figures of all pairs.
///
/// # Errors
/// As [`verification`].
pub fn by_group(
    protocol: &PairProtocol,
    comparisons: &[Comparison],
    all: &Verification,
    labels: &Labels,
    faces: &Faces,
    bootstrap: &Bootstrap,
) -> Result<Groups> {
    let photos: Vec<(&str, Option<&str>)> =
        faces.by_path.iter().map(|(path, face)| (path.as_str(), face.person.as_deref())).collect();
    let labelled = labels.of(&photos);
    let of_path: HashMap<&str, &[Option<String>]> =
        photos.iter().zip(&labelled.photos).filter_map(|(&(path, _), labels)| Some((path, (*labels)?))).collect();
    let mut members: BTreeMap<(&str, &str), Vec<Comparison>> = BTreeMap::new();
    for (pair, comparison) in protocol.pairs.iter().zip(comparisons) {
        let (Some(a), Some(b)) = (of_path.get(pair.a.as_str()), of_path.get(pair.b.as_str())) else { continue };
        for (grouping, (a, b)) in labels.groupings().iter().zip(a.iter().zip(*b)) {
            if let Some(value) = a
                && a == b
            {
                members.entry((grouping, value)).or_default().push(*comparison);
            }
        }
    }
    let groups = members
        .into_iter()
        .map(|((label, value), members)| group(label, value, &members, all, bootstrap))
        .collect::<Result<Vec<_>>>()?;
    let gaps = gaps(&groups);
    Ok(Groups { groups, gaps, unmatched: labelled.unmatched })
}

fn group(label: &str, value: &str, members: &[Comparison], all: &Verification, bootstrap: &Bootstrap) -> Result<Group> {
    let same = members.iter().filter(|c| c.same).count();
    let different = members.len() - same;
    let accepted = |same: bool, of: usize| -> BTreeMap<String, f64> {
        let share = |threshold: f64| {
            let accepted = members.iter().filter(|c| c.same == same && c.score.is_some_and(|s| s >= threshold));
            accepted.count() as f64 / of.max(1) as f64
        };
        all.thresholds.iter().map(|(far, &threshold)| (far.clone(), share(threshold))).collect()
    };
    let enough = same >= LEAST_PAIRS && different >= LEAST_PAIRS;
    Ok(Group {
        label: label.to_owned(),
        value: value.to_owned(),
        same,
        different,
        far_at_common_threshold: accepted(false, different),
        tar_at_common_threshold: accepted(true, same),
        own: if enough { Some(verification(members, bootstrap)?) } else { None },
    })
}

/// The worst gap of every figure, among groups with enough pairs.
fn gaps(groups: &[Group]) -> Vec<Gap> {
    let mut figures: BTreeMap<(&str, String), Vec<(&str, f64)>> = BTreeMap::new();
    for group in groups {
        let Some(own) = &group.own else { continue };
        let mut add = |figure: String, value: f64| {
            figures.entry((&group.label, figure)).or_default().push((&group.value, value));
        };
        add("accuracy_mean".into(), own.accuracy_mean);
        add("auc".into(), own.auc);
        add("eer".into(), own.eer);
        own.tar_at_far.iter().for_each(|(far, &tar)| add(format!("tar_at_far {far}"), tar));
        group.far_at_common_threshold.iter().for_each(|(far, &v)| add(format!("far_at_common_threshold {far}"), v));
        group.tar_at_common_threshold.iter().for_each(|(far, &v)| add(format!("tar_at_common_threshold {far}"), v));
    }
    let named = |(name, value): &(&str, f64)| ((*name).to_owned(), *value);
    figures
        .into_iter()
        .filter(|(_, values)| values.len() > 1)
        .filter_map(|((label, figure), values)| {
            let lowest = values.iter().min_by(|a, b| a.1.total_cmp(&b.1)).map(named)?;
            let highest = values.iter().max_by(|a, b| a.1.total_cmp(&b.1)).map(named)?;
            Some(Gap { label: label.to_owned(), figure, lowest, highest })
        })
        .collect()
}
