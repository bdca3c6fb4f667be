//! Clustering: faces without names, put together by person.
//!
//! In: unit vectors of one embedder, and what is known beforehand: which faces are in one photo (they are different
//! people), pairs said to be the same or different, clusters that have a name already. Out: a [`Clustering`]: the
//! cluster of each face, and how sure that is.
//!
//! 1. Each face's nearest are searched for by [`crate::search`], so that the cost does not grow with the square of the
//!    number.
//! 2. The threshold: by synthetic strangers, as in a [`crate::gallery`]. Of so many faces, one may be as alike to a
//!    stranger as often as the method bears ([`Clusterer::false_links`]). More faces mean a higher threshold.
//! 3. Faces near a named cluster are put into it. So names stay when photos are added.
//! 4. A [`Clusterer`] puts the others together: [`Agglomerative`] (average linkage), [`Whispers`] (Chinese whispers),
//!    [`Dbscan`] or [`Hdbscan`].
//!
//! The same faces in the same order give the same clusters, however many threads take part. Figures:
//! `docs/accuracy.md`.
//!
//! ```
//! use bledsoe::cluster::{Face, Knowledge, Options, cluster};
//!
//! # fn main() -> bledsoe::Result<()> {
//! let vectors = [[1.0, 0.0], [0.96, 0.28], [0.0, 1.0], [0.28, 0.96]];
//! let faces: Vec<Face> = vectors.iter().enumerate().map(|(photo, vector)| Face { vector, photo }).collect();
//! // Made-up vectors have no cohort to calibrate by: a plain threshold then.
//! let options = Options { threshold: Some(0.8), ..Options::default() };
//! let found = cluster("example", &faces, &Knowledge::default(), &options, &mut |_, _| Ok(()))?;
//! assert_eq!(found.clusters, [0, 0, 1, 1]);
//! # Ok(())
//! # }
//! ```

mod agglomerative;
mod condensed;
mod confidence;
mod constraints;
mod dbscan;
mod hdbscan;
mod naming;
mod neighbours;
#[cfg(test)]
mod tests;
mod whispers;

use std::{borrow::Cow, collections::BTreeMap, str::FromStr};

use serde::Serialize;

pub use self::{
    agglomerative::Agglomerative,
    constraints::{Link, Links, Node},
    dbscan::Dbscan,
    hdbscan::Hdbscan,
    whispers::Whispers,
};
use self::{
    constraints::{Contraction, contract},
    neighbours::Neighbourhood,
};
use crate::{
    Error, Result,
    embed::dot,
    gallery::Crowd,
    search::{Exact, Index, Storage},
};

/// Named clusters that a face is compared with.
const NAMED_COMPARED: usize = 8;

/// A face to be put together with others.
#[derive(Debug, Clone, Copy)]
pub struct Face<'a> {
    /// Its embedding, unit length.
    pub vector: &'a [f32],
    /// The photo's number, any: two faces of one photo are two people.
    pub photo: usize,
}

/// What is known beforehand. Faces are named by their place in the list of faces.
#[derive(Debug, Clone, Default)]
pub struct Knowledge {
    /// Faces of one person, even if they are in one photo.
    pub same: Vec<[usize; 2]>,
    /// Faces of two people.
    pub different: Vec<[usize; 2]>,
    /// Clusters that have a name. They are never made one, and keep all their faces.
    pub named: Vec<Named>,
}

/// A cluster that has a name.
#[derive(Debug, Clone, Default)]
pub struct Named {
    /// The name.
    pub name: String,
    /// Its faces among those to be clustered.
    pub faces: Vec<usize>,
    /// Embeddings of other photos of the person, unit length.
    pub templates: Vec<Vec<f32>>,
}

/// How faces are put together.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Options {
    /// The method.
    pub method: Method,
    /// The similarity that it goes by, -1 to 1; without it, calibrated.
    pub threshold: Option<f32>,
    /// Share of strangers, 0 to 1, that may be more alike than the threshold to any of the faces; the method's own if
    /// absent.
    pub false_links: Option<f64>,
}

impl Default for Options {
    fn default() -> Self {
        Self { method: Method::Agglomerative, threshold: None, false_links: None }
    }
}

/// The methods by the names that users type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// [`Agglomerative`].
    Agglomerative,
    /// [`Whispers`].
    Whispers,
    /// [`Dbscan`].
    Dbscan,
    /// [`Hdbscan`].
    Hdbscan,
}

impl Method {
    /// All methods.
    pub const ALL: [Self; 4] = [Self::Agglomerative, Self::Whispers, Self::Dbscan, Self::Hdbscan];

    /// The method with its default parameters.
    pub fn clusterer(self) -> Box<dyn Clusterer> {
        match self {
            Self::Agglomerative => Box::new(Agglomerative),
            Self::Whispers => Box::new(Whispers::default()),
            Self::Dbscan => Box::new(Dbscan::default()),
            Self::Hdbscan => Box::new(Hdbscan::default()),
        }
    }
}

impl FromStr for Method {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|method| method.clusterer().name() == text);
        found.ok_or_else(|| format!("{text}: expected agglomerative, whispers, dbscan or hdbscan"))
    }
}

/// Puts nodes together that are alike and may be together.
pub trait Clusterer: Send + Sync {
    /// What users call it.
    fn name(&self) -> &'static str;

    /// The share of strangers, 0 to 1, whom it bears to be as alike as the threshold to any face at all.
    fn false_links(&self) -> f64;

    /// The cluster of each node; the numbers mean nothing. No two nodes that share an exclusion are in one cluster.
    ///
    /// # Errors
    /// [`Error::Invalid`] for vectors that cannot be searched.
    fn cluster(&self, nodes: &[Node<'_>], links: &Links, threshold: f32) -> Result<Vec<usize>>;
}

/// Faces put together.
#[derive(Debug, Clone, PartialEq)]
pub struct Clustering {
    /// The cluster of each face: a place in `names`.
    pub clusters: Vec<usize>,
    /// The name of each cluster. Named ones come first, in their order, with or without faces; then the others, the
    /// largest first.
    pub names: Vec<String>,
    /// For each face, the probability that it is where it belongs: with its cluster, or alone. 1 for faces that the
    /// user placed; `None` for an embedder without a cohort.
    pub confidence: Vec<Option<f64>>,
    /// For each face, the other cluster that it is most like, if any is near.
    pub rivals: Vec<Option<usize>>,
    /// The similarity that was gone by.
    pub threshold: f32,
    /// Whether the threshold was calibrated rather than given.
    pub calibrated: bool,
}

/// Puts faces together by person. `embedder` is the id of what made the vectors; `progress` is told how many faces were
/// searched for, and of how many.
///
/// # Errors
/// What `progress` returns; [`Error::Mismatch`] for vectors of different length; [`Error::Invalid`] for vectors that
/// are not of unit length, knowledge that contradicts itself or names faces that are not there, and without a threshold
/// for an embedder that has no cohort.
pub fn cluster(
    embedder: &str,
    faces: &[Face<'_>],
    knowledge: &Knowledge,
    options: &Options,
    progress: &mut dyn FnMut(usize, usize) -> Result<()>,
) -> Result<Clustering> {
    let contraction = contract(faces, knowledge)?;
    let clusterer = options.method.clusterer();
    let vectors: Vec<&[f32]> = faces.iter().map(|face| face.vector).collect();
    let Some(dim) = vectors.first().map(|vector| vector.len()) else {
        return Ok(nothing(knowledge, options));
    };
    let neighbourhood = Neighbourhood::new(&vectors)?;
    let crowd = Crowd::fit(embedder, vectors.len(), &mean(&vectors, dim))?;
    let rate = options.false_links.unwrap_or_else(|| clusterer.false_links());
    let threshold = match (options.threshold, &crowd) {
        (Some(threshold), _) => threshold,
        (None, Some(crowd)) => crowd.threshold(rate),
        (None, None) => {
            return Err(Error::Invalid(format!(
                "{embedder}: no strangers are known of this embedder to calibrate by: give a threshold"
            )));
        }
    };
    let lists = neighbourhood.lists(&vectors, threshold, progress)?;
    let Contraction { nodes, node_of, named } = &contraction;

    // A node's cluster: the place of a name, or one of those found.
    let mut cluster_of = assign(nodes, named, threshold)?;
    let free: Vec<usize> = (0..nodes.len()).filter(|&node| cluster_of[node].is_none()).collect();
    let mut place = vec![None; nodes.len()];
    free.iter().enumerate().for_each(|(i, &node)| place[node] = Some(i));
    let links = Links::of_faces(&lists, node_of, &place, free.len(), threshold);
    let free_nodes: Vec<Node<'_>> = free.iter().map(|&node| nodes[node].clone()).collect();
    let found = clusterer.cluster(&free_nodes, &links, threshold)?;
    for (&node, &found) in free.iter().zip(&found) {
        cluster_of[node] = Some(named.len() + found);
    }

    let of_face: Vec<usize> = node_of.iter().map(|&node| cluster_of[node].unwrap_or_default()).collect();
    let (clusters, names) = naming::number(&of_face, knowledge);
    let judged = confidence::judge(&vectors, &clusters, knowledge, &lists, crowd.as_ref());
    let (confidence, rivals) = judged.into_iter().unzip();
    Ok(Clustering { clusters, names, confidence, rivals, threshold, calibrated: options.threshold.is_none() })
}

/// Puts nodes that are near enough to a named cluster into it; the most alike choose first. Gives the place of the
/// name.
fn assign(nodes: &[Node<'_>], named: &[Option<usize>], threshold: f32) -> Result<Vec<Option<usize>>> {
    let mut cluster_of = vec![None; nodes.len()];
    let holders: Vec<usize> = named.iter().flatten().copied().collect();
    named.iter().enumerate().for_each(|(name, node)| node.iter().for_each(|&node| cluster_of[node] = Some(name)));
    let Some(dim) = holders.first().map(|&node| nodes[node].sum.len()) else { return Ok(cluster_of) };

    let directions: Vec<(usize, Cow<'_, [f32]>)> =
        holders.iter().filter_map(|&node| Some((node, nodes[node].direction()?))).collect();
    let mut index = Exact::new(dim, Storage::F32)?;
    index.add(&directions.iter().map(|(_, direction)| &**direction).collect::<Vec<_>>())?;
    let free: Vec<(usize, Cow<'_, [f32]>)> = (0..nodes.len())
        .filter(|&node| cluster_of[node].is_none())
        .filter_map(|node| Some((node, nodes[node].direction()?)))
        .collect();
    let probes: Vec<&[f32]> = free.iter().map(|(_, direction)| &**direction).collect();
    let mut wishes: Vec<Link> = Vec::new();
    for ((node, _), near) in free.iter().zip(index.nearest(&probes, NAMED_COMPARED)?) {
        let holders = near.iter().map(|neighbour| directions[neighbour.row].0);
        let wish = |holder: usize| Link { a: *node, b: holder, similarity: nodes[*node].average(&nodes[holder]) };
        wishes.extend(holders.map(wish).filter(|wish| wish.similarity >= threshold));
    }
    wishes.sort_by(Link::best_first);
    let mut exclusions: BTreeMap<usize, std::collections::BTreeSet<u32>> =
        holders.iter().map(|&holder| (holder, nodes[holder].exclusions.iter().copied().collect())).collect();
    for Link { a: node, b: holder, .. } in wishes {
        let Some(taken) = exclusions.get_mut(&holder) else { continue };
        if cluster_of[node].is_none() && nodes[node].exclusions.iter().all(|exclusion| !taken.contains(exclusion)) {
            taken.extend(&nodes[node].exclusions);
            cluster_of[node] = cluster_of[holder];
        }
    }
    Ok(cluster_of)
}

/// The clustering of no face at all.
fn nothing(knowledge: &Knowledge, options: &Options) -> Clustering {
    Clustering {
        clusters: Vec::new(),
        names: knowledge.named.iter().map(|named| named.name.clone()).collect(),
        confidence: Vec::new(),
        rivals: Vec::new(),
        threshold: options.threshold.unwrap_or(1.0),
        calibrated: false,
    }
}

fn mean(vectors: &[&[f32]], dim: usize) -> Vec<f32> {
    let mut sum = vec![0.0f64; dim];
    for vector in vectors {
        sum.iter_mut().zip(*vector).for_each(|(sum, &x)| *sum += f64::from(x));
    }
    sum.iter().map(|sum| (sum / vectors.len() as f64) as f32).collect()
}

/// A vector made of unit length, if it has a direction.
fn unit(vector: &[f32]) -> Option<Vec<f32>> {
    let norm = dot(vector, vector).sqrt();
    (norm > 1e-6 && norm.is_finite()).then(|| vector.iter().map(|x| x / norm).collect())
}
