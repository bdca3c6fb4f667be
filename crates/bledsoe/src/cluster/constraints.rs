//! Who must be together, who must not, and who is near whom.

use std::{
    borrow::Cow,
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet, HashMap},
};

use super::{Face, Knowledge, neighbours::NEIGHBOURS, unit};
use crate::{Error, Result, components::Components, embed::dot, search::Neighbour};

/// Faces that are certainly of one person: one face, or several that the user put together.
#[derive(Debug, Clone)]
pub struct Node<'a> {
    /// The sum of their vectors.
    pub sum: Cow<'a, [f32]>,
    /// How many they are; at least one.
    pub faces: usize,
    /// Numbers, ascending: two nodes that share one are two people.
    pub exclusions: Vec<u32>,
}

impl<'a> Node<'a> {
    /// A single face.
    pub fn of(vector: &'a [f32]) -> Self {
        Self { sum: vector.into(), faces: 1, exclusions: Vec::new() }
    }

    /// The mean similarity of the one's faces to the other's. With sums it is one product, however many faces there
    /// are.
    pub fn average(&self, other: &Self) -> f32 {
        dot(&self.sum, &other.sum) / (self.faces as f32 * other.faces as f32)
    }

    /// Whether the two are known to be different people.
    pub fn excludes(&self, other: &Self) -> bool {
        let (few, many) = if self.exclusions.len() < other.exclusions.len() { (self, other) } else { (other, self) };
        few.exclusions.iter().any(|exclusion| many.exclusions.binary_search(exclusion).is_ok())
    }

    /// The mean's direction, unit length; `None` where faces cancel out.
    pub fn direction(&self) -> Option<Cow<'_, [f32]>> {
        if self.faces == 1 { Some(Cow::Borrowed(&self.sum)) } else { unit(&self.sum).map(Cow::Owned) }
    }

    /// Takes the other's faces over.
    pub(super) fn join(&mut self, other: &Self) {
        self.sum.to_mut().iter_mut().zip(&*other.sum).for_each(|(sum, x)| *sum += x);
        self.faces += other.faces;
        if !other.exclusions.is_empty() {
            self.exclusions.extend(&other.exclusions);
            self.exclusions.sort_unstable();
            self.exclusions.dedup();
        }
    }
}

/// Two nodes that are near.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Link {
    /// A node.
    pub a: usize,
    /// Another one.
    pub b: usize,
    /// Of the two faces that are most alike.
    pub similarity: f32,
}

impl Link {
    /// The most alike first, of equals the lowest numbers.
    pub(super) fn best_first(&self, other: &Self) -> Ordering {
        other.similarity.total_cmp(&self.similarity).then((self.a, self.b).cmp(&(other.a, other.b)))
    }
}

/// All pairs of nodes that are at least as alike as the threshold, as far as they were found.
#[derive(Debug, Clone, Default)]
pub struct Links {
    /// Each pair once, `a < b`, ascending.
    pub pairs: Vec<Link>,
    /// For each node, whether there may be more than were looked for.
    pub full: Vec<bool>,
}

impl Links {
    /// Of links in any order, some perhaps twice or the wrong way round.
    pub(super) fn new(mut pairs: Vec<Link>, full: Vec<bool>) -> Self {
        for link in &mut pairs {
            (link.a, link.b) = (link.a.min(link.b), link.a.max(link.b));
        }
        pairs.sort_unstable_by(|x, y| (x.a, x.b).cmp(&(y.a, y.b)).then(y.similarity.total_cmp(&x.similarity)));
        pairs.dedup_by_key(|link| (link.a, link.b));
        Self { pairs, full }
    }

    /// Of faces' neighbours, for those of the nodes that have a place among `count`.
    pub(super) fn of_faces(
        lists: &[Vec<Neighbour>],
        node_of: &[usize],
        place: &[Option<usize>],
        count: usize,
        threshold: f32,
    ) -> Self {
        let mut pairs = Vec::new();
        let mut full = vec![false; count];
        for (face, list) in lists.iter().enumerate() {
            let Some(a) = place[node_of[face]] else { continue };
            let near = list.iter().take_while(|neighbour| neighbour.similarity >= threshold);
            full[a] |= near.clone().count() >= NEIGHBOURS;
            for neighbour in near {
                if let Some(b) = place[node_of[neighbour.row]].filter(|&b| b != a) {
                    pairs.push(Link { a, b, similarity: neighbour.similarity });
                }
            }
        }
        Self::new(pairs, full)
    }

    /// For each node, its neighbours with their similarity.
    pub(super) fn by_node(&self) -> Vec<Vec<(usize, f32)>> {
        let mut near = vec![Vec::new(); self.full.len()];
        for link in &self.pairs {
            near[link.a].push((link.b, link.similarity));
            near[link.b].push((link.a, link.similarity));
        }
        near
    }
}

/// Nodes that grow together, one link after the other, where none is excluded.
pub(super) struct Groups {
    components: Components,
    exclusions: HashMap<usize, BTreeSet<u32>>,
}

impl Groups {
    pub(super) fn new(nodes: &[Node<'_>]) -> Self {
        let excluding = nodes.iter().enumerate().filter(|(_, node)| !node.exclusions.is_empty());
        let exclusions = excluding.map(|(i, node)| (i, node.exclusions.iter().copied().collect())).collect();
        Self { components: Components::new(nodes.len()), exclusions }
    }

    /// The least node of the group of `node`.
    pub(super) fn find(&mut self, node: usize) -> usize {
        self.components.find(node)
    }

    /// Makes one group of those of `a` and `b`, unless they are known to be different people.
    pub(super) fn link(&mut self, a: usize, b: usize) -> bool {
        let (a, b) = (self.find(a), self.find(b));
        if a == b {
            return true;
        }
        if let (Some(of_a), Some(of_b)) = (self.exclusions.get(&a), self.exclusions.get(&b))
            && !of_a.is_disjoint(of_b)
        {
            return false;
        }
        self.components.link(a, b);
        let both = [a, b].map(|root| self.exclusions.remove(&root).unwrap_or_default());
        let [mut few, mut many] = both;
        if few.len() > many.len() {
            std::mem::swap(&mut few, &mut many);
        }
        many.extend(few);
        if !many.is_empty() {
            self.exclusions.insert(a.min(b), many);
        }
        true
    }

    /// The group of each node.
    pub(super) fn finish(mut self, count: usize) -> Vec<usize> {
        (0..count).map(|node| self.find(node)).collect()
    }
}

/// Faces as nodes.
pub(super) struct Contraction<'a> {
    pub(super) nodes: Vec<Node<'a>>,
    /// Of each face.
    pub(super) node_of: Vec<usize>,
    /// The node of each named cluster, if it has a face or template.
    pub(super) named: Vec<Option<usize>>,
}

/// Makes one node of what the user put together, and numbers what is excluded.
pub(super) fn contract<'a>(faces: &[Face<'a>], knowledge: &'a Knowledge) -> Result<Contraction<'a>> {
    check(faces, knowledge)?;
    let mut components = Components::new(faces.len());
    knowledge.same.iter().for_each(|&[a, b]| components.link(a, b));
    for named in &knowledge.named {
        named.faces.windows(2).for_each(|pair| components.link(pair[0], pair[1]));
    }
    let mut nodes: Vec<Node<'a>> = Vec::new();
    let mut node_of = Vec::with_capacity(faces.len());
    for (face, Face { vector, .. }) in faces.iter().enumerate() {
        let first = components.find(face);
        if first == face {
            node_of.push(nodes.len());
            nodes.push(Node::of(vector));
        } else {
            let node = node_of[first];
            node_of.push(node);
            nodes[node].join(&Node::of(vector));
        }
    }
    let mut exclusions = 0..;
    let mut exclude = |nodes: &mut [Node<'a>], members: &mut dyn Iterator<Item = usize>| {
        if let Some(exclusion) = exclusions.next() {
            members.for_each(|node| nodes[node].exclusions.push(exclusion));
        }
    };

    let mut named = Vec::with_capacity(knowledge.named.len());
    let mut name_of: BTreeMap<usize, &str> = BTreeMap::new();
    for cluster in &knowledge.named {
        let mut node = cluster.faces.first().map(|&face| node_of[face]);
        for template in &cluster.templates {
            match node {
                Some(node) => nodes[node].join(&Node::of(template)),
                None => {
                    node = Some(nodes.len());
                    nodes.push(Node::of(template));
                }
            }
        }
        if let Some(other) = node.and_then(|node| name_of.insert(node, &cluster.name)) {
            return Err(Error::Invalid(format!(
                "what is known contradicts itself: faces of {other} and of {} are said to be of one person",
                cluster.name
            )));
        }
        named.push(node);
    }
    exclude(&mut nodes, &mut name_of.keys().copied());

    for &[a, b] in &knowledge.different {
        if node_of[a] == node_of[b] {
            return Err(Error::Invalid(format!(
                "what is known contradicts itself: faces {a} and {b} are said to be of different people and, perhaps by way of \
                 others, of one"
            )));
        }
        exclude(&mut nodes, &mut [node_of[a], node_of[b]].into_iter());
    }
    let mut photos: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    for (face, &node) in faces.iter().zip(&node_of) {
        photos.entry(face.photo).or_default().insert(node);
    }
    for members in photos.into_values().filter(|members| members.len() > 1) {
        exclude(&mut nodes, &mut members.into_iter());
    }
    Ok(Contraction { nodes, node_of, named })
}

fn check(faces: &[Face<'_>], knowledge: &Knowledge) -> Result<()> {
    let pairs = knowledge.same.iter().chain(&knowledge.different).flatten();
    let mut known = pairs.chain(knowledge.named.iter().flat_map(|named| &named.faces));
    if let Some(face) = known.find(|&&face| face >= faces.len()) {
        return Err(Error::Invalid(format!("face {face} of {} is not there", faces.len())));
    }
    let templates = knowledge.named.iter().flat_map(|named| &named.templates).map(Vec::as_slice);
    let lengths: BTreeSet<usize> = faces.iter().map(|face| face.vector).chain(templates).map(<[f32]>::len).collect();
    if lengths.len() > 1 {
        return Err(Error::Mismatch(format!("embeddings of different lengths: {lengths:?}")));
    }
    Ok(())
}
