//! Two people in one folder.

use super::{Likeness, Limits, People, STRANGERS, likeness::product, mislabelled::is_wrong};
use crate::doctor::{Finding, Fix, Kind, scores};

/// Folders whose photos fall into two groups of at least two photos, each alike in itself (mean similarity at least
/// the embedder's threshold), but not alike together; and folders of two photos that are not alike, if neither is known elsewhere.
///
/// The groups are the two largest that average-linkage clustering leaves (UPGMA: Sokal and Michener, "A statistical method
/// for evaluating systematic relationships", 1958), stopped where no two are alike. The smaller group is at fault. The fix moves it to the person that
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
                let target = owner
                    .map_or_else(|| format!("{} (2)", people.names[person]), |owner| people.names[owner].to_owned());
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
fn two_strangers(people: &People<'_>, likeness: &[Likeness], limits: &Limits, a: usize, b: usize) -> Option<Finding> {
    let similarity = people.vectors.similarity(a, b);
    let known =
        [a, b].iter().any(|&photo| is_wrong(&likeness[photo], limits) && likeness[photo].found(limits).is_some());
    if similarity >= STRANGERS * limits.threshold || known {
        return None;
    }
    Some(finding(people, Groups { smaller: vec![b], larger: vec![a], similarity, within: 1.0 }, None, Fix::Look))
}

/// The two people of a folder, if they are two.
fn groups(people: &People<'_>, members: &[usize], threshold: f32) -> Option<Groups> {
    let mut clusters = average_linkage(people, members, STRANGERS * threshold);
    clusters.retain(|cluster| cluster.photos.len() >= 2 && cluster.within() >= threshold);
    // The largest first; of equals the one with the first photo.
    clusters.sort_by_key(|cluster| (std::cmp::Reverse(cluster.photos.len()), cluster.photos[0]));
    let mut clusters = clusters.into_iter();
    let (larger, smaller) = (clusters.next()?, clusters.next()?);
    let (similarity, within) = (larger.similarity(&smaller), smaller.within());
    Some(Groups { smaller: smaller.photos, larger: larger.photos, similarity, within })
}

struct Cluster {
    /// In ascending order.
    photos: Vec<usize>,
    /// The sum of their vectors.
    sum: Vec<f64>,
}

impl Cluster {
    /// Mean similarity over all pairs of photos of two clusters.
    fn similarity(&self, other: &Self) -> f32 {
        product(&self.sum, &other.sum) / (self.photos.len() * other.photos.len()) as f32
    }

    /// Mean similarity between different photos of a cluster of at least two.
    fn within(&self) -> f32 {
        let n = self.photos.len() as f32;
        // All ordered pairs, less each photo with itself, which is 1.
        (product(&self.sum, &self.sum) - n) / (n * (n - 1.0))
    }

    fn join(&mut self, other: Self) {
        self.photos.extend(other.photos);
        self.photos.sort_unstable();
        self.sum.iter_mut().zip(other.sum).for_each(|(sum, more)| *sum += more);
    }
}

/// Joins the two likest clusters, beginning with single photos, until none are as alike as `least`.
fn average_linkage(people: &People<'_>, members: &[usize], least: f32) -> Vec<Cluster> {
    let single = |&photo: &usize| Some(Cluster { photos: vec![photo], sum: people.mean([photo].into_iter()) });
    let mut clusters: Vec<Option<Cluster>> = members.iter().map(single).collect();
    let nearest = |clusters: &[Option<Cluster>], at: usize| -> Option<(usize, f32)> {
        let own = clusters[at].as_ref()?;
        let others = clusters.iter().enumerate().filter(|(other, _)| *other != at);
        let similarities = others.filter_map(|(at, other)| Some((at, own.similarity(other.as_ref()?))));
        // The first of equals.
        similarities.reduce(|best, next| if next.1 > best.1 { next } else { best })
    };
    let mut likest: Vec<Option<(usize, f32)>> = (0..clusters.len()).map(|at| nearest(&clusters, at)).collect();
    loop {
        let pairs =
            likest.iter().enumerate().filter_map(|(a, likest)| likest.map(|(b, similarity)| (a, b, similarity)));
        let best = pairs.reduce(|best, next| if next.2 > best.2 { next } else { best });
        let Some((a, b, _)) = best.filter(|(.., similarity)| *similarity >= least) else { break };
        let Some(gone) = clusters[b].take() else { break };
        if let Some(cluster) = &mut clusters[a] {
            cluster.join(gone);
        }
        likest[b] = None;
        // A join is never liker to others than the liker of its parts was: only these may change.
        for (at, likest) in likest.iter_mut().enumerate() {
            if at == a || likest.is_some_and(|(other, _)| other == a || other == b) {
                *likest = nearest(&clusters, at);
            }
        }
    }
    clusters.into_iter().flatten().collect()
}

/// The person that more than half of the photos are like beyond chance.
fn owner(likeness: &[Likeness], photos: &[usize], limits: &Limits) -> Option<usize> {
    let mut found: Vec<usize> = photos.iter().filter_map(|&photo| likeness[photo].found(limits)).collect();
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
