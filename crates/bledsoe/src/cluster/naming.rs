//! What clusters are called.

use std::collections::{BTreeMap, HashSet};

use super::Knowledge;

/// What clusters without a name are called, with a number.
const PREFIX: &str = "person-";

/// Numbers the clusters anew: those with a name as they are known, then the others by size, of equals by their first
/// face. And the name of each. The clusters that `of_face` numbers below the number of names are the named ones.
pub(super) fn number(of_face: &[usize], knowledge: &Knowledge) -> (Vec<usize>, Vec<String>) {
    let known = knowledge.named.len();
    let mut sizes: BTreeMap<usize, (usize, usize)> = BTreeMap::new();
    for (face, &cluster) in of_face.iter().enumerate().filter(|(_, cluster)| **cluster >= known) {
        sizes.entry(cluster).or_insert((0, face)).0 += 1;
    }
    let mut order: Vec<(usize, (usize, usize))> = sizes.into_iter().collect();
    order.sort_by(|(_, a), (_, b)| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));

    let mut names: Vec<String> = knowledge.named.iter().map(|named| named.name.clone()).collect();
    let taken: HashSet<String> = names.iter().cloned().collect();
    let last = names.iter().filter_map(|name| name.strip_prefix(PREFIX)?.parse::<usize>().ok()).max();
    let mut free = (last.map_or(1, |last| last.saturating_add(1))..)
        .map(|number| format!("{PREFIX}{number:05}"))
        .filter(|name| !taken.contains(name));
    names.extend(free.by_ref().take(order.len()));
    let place: BTreeMap<usize, usize> =
        order.iter().enumerate().map(|(i, (cluster, _))| (*cluster, known + i)).collect();
    (of_face.iter().map(|cluster| place.get(cluster).copied().unwrap_or(*cluster)).collect(), names)
}
