//! Agglomerative clustering with average linkage.

use std::{
    borrow::Cow,
    cmp::Ordering,
    collections::{BTreeSet, BinaryHeap},
};

use super::{Clusterer, Link, Links, Node, neighbours};
use crate::{Result, components::Components};

/// Average linkage (UPGMA; Sokal and Michener, *A statistical method for evaluating systematic relationships*, 1958):
/// the two clusters whose faces are on average the most alike become one, until no two are as alike as the threshold.
///
/// Only clusters with linked faces are compared, and nothing is lost by that: where the average is above the threshold,
/// some pair is. Nor does a comparison take longer for large clusters: the average similarity of two sets of vectors is
/// the product of their sums, by their sizes. What the lists of neighbours are too short for is found afterwards: the
/// clusters of faces whose list was full are searched for by their means, until nothing is left to be joined.
#[derive(Debug, Clone, Copy, Default)]
pub struct Agglomerative;

impl Clusterer for Agglomerative {
    fn name(&self) -> &'static str {
        "agglomerative"
    }

    fn false_links(&self) -> f64 {
        0.1
    }

    fn cluster(&self, nodes: &[Node<'_>], links: &Links, threshold: f32) -> Result<Vec<usize>> {
        let mut current = nodes.to_vec();
        let mut links = Cow::Borrowed(links);
        // A node of `current` for each of `nodes`.
        let mut cluster_of: Vec<usize> = (0..nodes.len()).collect();
        loop {
            let merged = Merging::new(current, &links, threshold).run();
            let joined = merged.nodes.len() < merged.cluster_of.len();
            for cluster in &mut cluster_of {
                *cluster = merged.cluster_of[*cluster];
            }
            let mut full = vec![false; merged.nodes.len()];
            for (node, &cluster) in merged.cluster_of.iter().enumerate() {
                full[cluster] |= links.full[node];
            }
            current = merged.nodes;
            if !joined || !full.contains(&true) {
                return Ok(cluster_of);
            }
            links = Cow::Owned(between(&current, &full, threshold)?);
        }
    }
}

/// The links between those of the nodes that `full` says, by their means: where an average is above the threshold, so
/// is the similarity of the means.
fn between(nodes: &[Node<'_>], full: &[bool], threshold: f32) -> Result<Links> {
    let searched: Vec<(usize, Cow<'_, [f32]>)> =
        (0..nodes.len()).filter(|&i| full[i]).filter_map(|i| Some((i, nodes[i].direction()?))).collect();
    let directions: Vec<&[f32]> = searched.iter().map(|(_, direction)| &**direction).collect();
    let found = neighbours::links(&directions, threshold)?;
    let mut full = vec![false; nodes.len()];
    searched.iter().zip(&found.full).for_each(|((node, _), &is)| full[*node] = is);
    let node = |place: usize| searched[place].0;
    let pairs = found.pairs.iter().map(|link| Link { a: node(link.a), b: node(link.b), ..*link }).collect();
    Ok(Links::new(pairs, full))
}

/// Two clusters that may become one. The greatest comes first: the most alike, of equals the lowest numbers.
struct Merge {
    similarity: f32,
    pair: (usize, usize),
    /// How often the two had changed.
    changes: [u32; 2],
}

impl Ord for Merge {
    fn cmp(&self, other: &Self) -> Ordering {
        self.similarity.total_cmp(&other.similarity).then(other.pair.cmp(&self.pair))
    }
}

impl PartialOrd for Merge {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Merge {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Merge {}

struct Merging<'a> {
    nodes: Vec<Node<'a>>,
    near: Vec<BTreeSet<usize>>,
    changes: Vec<u32>,
    components: Components,
    heap: BinaryHeap<Merge>,
    threshold: f32,
}

struct Merged<'a> {
    nodes: Vec<Node<'a>>,
    cluster_of: Vec<usize>,
}

impl<'a> Merging<'a> {
    fn new(nodes: Vec<Node<'a>>, links: &Links, threshold: f32) -> Self {
        let count = nodes.len();
        let mut merging = Self {
            nodes,
            near: vec![BTreeSet::new(); count],
            changes: vec![0; count],
            components: Components::new(count),
            heap: BinaryHeap::new(),
            threshold,
        };
        for link in &links.pairs {
            merging.near[link.a].insert(link.b);
            merging.near[link.b].insert(link.a);
            merging.offer(link.a, link.b);
        }
        merging
    }

    fn offer(&mut self, a: usize, b: usize) {
        let (a, b) = (a.min(b), a.max(b));
        let similarity = self.nodes[a].average(&self.nodes[b]);
        if similarity >= self.threshold && !self.nodes[a].excludes(&self.nodes[b]) {
            self.heap.push(Merge { similarity, pair: (a, b), changes: [self.changes[a], self.changes[b]] });
        }
    }

    fn run(mut self) -> Merged<'a> {
        while let Some(Merge { pair: (a, b), changes, .. }) = self.heap.pop() {
            if changes == [self.changes[a], self.changes[b]] {
                self.join(a, b);
            }
        }
        let mut place = vec![usize::MAX; self.nodes.len()];
        let (mut nodes, mut cluster_of) = (Vec::new(), Vec::with_capacity(self.nodes.len()));
        for (i, node) in self.nodes.into_iter().enumerate() {
            let root = self.components.find(i);
            if root == i {
                place[i] = nodes.len();
                nodes.push(node);
            }
            cluster_of.push(place[root]);
        }
        Merged { nodes, cluster_of }
    }

    /// Makes `b` a part of `a`, which is less.
    fn join(&mut self, a: usize, b: usize) {
        let other = std::mem::replace(&mut self.nodes[b], Node::of(&[]));
        self.nodes[a].join(&other);
        self.components.link(a, b);
        // Whatever was offered of either is out of date.
        self.changes[a] += 1;
        self.changes[b] += 1;
        let (mut few, mut many) = (std::mem::take(&mut self.near[b]), std::mem::take(&mut self.near[a]));
        for &c in &few {
            self.near[c].remove(&b);
            self.near[c].insert(a);
        }
        if few.len() > many.len() {
            std::mem::swap(&mut few, &mut many);
        }
        many.extend(few);
        many.remove(&a);
        many.remove(&b);
        self.near[a].clear();
        for &c in &many {
            self.offer(a, c);
        }
        self.near[a] = many;
    }
}
