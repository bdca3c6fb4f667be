//! How sure it is that a face is where it belongs.

use std::{borrow::Cow, collections::BTreeMap};

use rayon::prelude::*;

use super::{Knowledge, unit};
use crate::{embed::dot, gallery::Crowd, search::Neighbour};

/// A cluster, to be compared with.
struct Cluster<'a> {
    sum: Cow<'a, [f32]>,
    /// Faces, and templates of the user's own.
    members: Vec<&'a [f32]>,
}

/// For each face the probability that it is where it belongs, and the other cluster that it is most like. A face has
/// the score against a cluster that it would have in a gallery, itself left out.
pub(super) fn judge(
    vectors: &[&[f32]],
    clusters: &[usize],
    knowledge: &Knowledge,
    lists: &[Vec<Neighbour>],
    crowd: Option<&Crowd>,
) -> Vec<(Option<f64>, Option<usize>)> {
    let mut members: BTreeMap<usize, Vec<&[f32]>> = BTreeMap::new();
    for (vector, &cluster) in vectors.iter().zip(clusters) {
        members.entry(cluster).or_default().push(vector);
    }
    for (name, named) in knowledge.named.iter().enumerate() {
        members.entry(name).or_default().extend(named.templates.iter().map(Vec::as_slice));
    }
    let all: BTreeMap<usize, Cluster<'_>> =
        members.into_iter().filter_map(|(cluster, members)| Some((cluster, Cluster::new(members)?))).collect();
    let mut placed = vec![false; vectors.len()];
    knowledge.named.iter().flat_map(|named| &named.faces).for_each(|&face| placed[face] = true);

    let judge = |face: usize| {
        let (vector, own) = (vectors[face], clusters[face]);
        let mut nearest: BTreeMap<usize, f32> = BTreeMap::new();
        for neighbour in &lists[face] {
            nearest.entry(clusters[neighbour.row]).or_insert(neighbour.similarity);
        }
        let others = nearest.iter().filter(|(cluster, _)| **cluster != own);
        let scores = others.filter_map(|(&cluster, &near)| Some((cluster, all.get(&cluster)?.score(vector, near))));
        let rival = scores.max_by(|a, b| a.1.0.total_cmp(&b.1.0).then(b.0.cmp(&a.0)));
        let mine = all.get(&own).and_then(|cluster| cluster.score_without(vector, nearest.get(&own).copied()));
        let confidence = crowd.and_then(|crowd| match (mine, rival) {
            _ if placed[face] => Some(1.0),
            (Some(mine), Some((_, rival))) if rival.0 > mine.0 => Some(crowd.probabilities(&[rival, mine])?[1]),
            (Some(mine), Some((_, rival))) => Some(crowd.probabilities(&[mine, rival])?[0]),
            (Some(mine), None) => Some(crowd.probabilities(&[mine])?[0]),
            (None, Some((_, rival))) => Some(1.0 - crowd.probabilities(&[rival])?[0]),
            (None, None) => Some(1.0),
        });
        (confidence, rival.map(|(cluster, _)| cluster))
    };
    (0..vectors.len()).into_par_iter().map(judge).collect()
}

/// A score, and of how many faces.
type Scored = (f32, usize);

impl<'a> Cluster<'a> {
    fn new(members: Vec<&'a [f32]>) -> Option<Self> {
        let mut sum = Cow::Borrowed(*members.first()?);
        for member in &members[1..] {
            sum.to_mut().iter_mut().zip(*member).for_each(|(sum, x)| *sum += x);
        }
        Some(Self { sum, members })
    }

    /// The score of a face that is not a member; `near` is its similarity to the nearest.
    fn score(&self, face: &[f32], near: f32) -> Scored {
        (score(&self.sum, face, near), self.members.len())
    }

    /// The score of a member against the others, if there are any; `near` as far as it is known.
    fn score_without(&self, face: &[f32], near: Option<f32>) -> Option<Scored> {
        let others = self.members.iter().filter(|member| !std::ptr::eq(**member, face));
        let count = others.clone().count();
        if count == 0 {
            return None;
        }
        let near = near.unwrap_or_else(|| others.map(|other| dot(other, face)).fold(f32::MIN, f32::max));
        let sum: Vec<f32> = self.sum.iter().zip(face).map(|(sum, x)| sum - x).collect();
        Some((score(&sum, face, near), count))
    }
}

/// Half the nearest similarity, half that to the mean.
fn score(sum: &[f32], face: &[f32], near: f32) -> f32 {
    unit(sum).map_or(near, |mean| f32::midpoint(near, dot(&mean, face)))
}
