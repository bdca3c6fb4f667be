//! HDBSCAN: clustering by density, of clusters that are not equally dense.

use super::{
    Clusterer, Link, Links, Node,
    condensed::{Condensed, Merge},
    constraints::Groups,
};
use crate::Result;

/// Campello, Moulavi and Sander, *Density-based clustering based on hierarchical density estimates*, PAKDD 2013; with
/// the condensed tree of McInnes and Healy, *Accelerated hierarchical density based clustering*, ICDMW 2017, and the
/// epsilon of Malzer and Baum, *A hybrid approach to hierarchical density-based cluster selection*, MFI 2020.
///
/// Two faces are as far apart as they are, but no nearer than either is to those that make it a core. Joined the
/// nearest first, they make a tree; of all its clusters those are chosen that last the longest while the distance
/// shrinks. Faces of no cluster are left alone. Links that cannot both hold are followed the strongest first.
///
/// The links are those of the neighbour graph, so that no two faces farther apart than the threshold are compared, and
/// the cost is that of sorting the links. It is the same as the exact method with all greater distances cut down to
/// that of the threshold, except that a cluster that is alone in the graph may be chosen too. Where lists of neighbours
/// are too short for all that are near (hundreds of near-duplicates), parts that no list connects stay apart.
#[derive(Debug, Clone, Copy)]
pub struct Hdbscan {
    /// Faces that make a cluster.
    pub least: usize,
    /// Faces within reach, itself included, that make a core; 49 at most, for more neighbours are not looked for. With
    /// two, distances are as they are.
    pub samples: usize,
    /// A cluster is not split into parts nearer to each other than this share, 0 to 1, of the distance that the
    /// threshold is.
    pub epsilon: f32,
}

impl Default for Hdbscan {
    /// Two and two as in [`super::Dbscan`]; without epsilon, a photo and its near-duplicate would leave their person.
    fn default() -> Self {
        Self { least: 2, samples: 2, epsilon: 0.85 }
    }
}

impl Clusterer for Hdbscan {
    fn name(&self) -> &'static str {
        "hdbscan"
    }

    fn false_links(&self) -> f64 {
        0.02
    }

    fn cluster(&self, nodes: &[Node<'_>], links: &Links, threshold: f32) -> Result<Vec<usize>> {
        let farthest = distance(threshold);
        let faces: Vec<usize> = nodes.iter().map(|node| node.faces).collect();
        let merges = join(nodes, self.reachable(nodes, links));
        Ok(Condensed::new(&faces, &merges, self.least, farthest).choose(f64::from(self.epsilon) * farthest))
    }
}

impl Hdbscan {
    /// The links between cores with their mutual reachability distance, the nearest first.
    fn reachable<'a>(&self, nodes: &[Node<'_>], links: &'a Links) -> Vec<(f64, &'a Link)> {
        let cores: Vec<Option<f64>> =
            links.by_node().into_iter().zip(nodes).map(|(near, node)| self.core(node, near, nodes)).collect();
        let reachable = |link: &'a Link| {
            let (a, b) = (cores[link.a]?, cores[link.b]?);
            Some((distance(link.similarity).max(a).max(b), link))
        };
        let mut reachable: Vec<(f64, &Link)> = links.pairs.iter().filter_map(reachable).collect();
        // Many are equally far: as far as one core's reach. Their similarities then decide, not their numbers.
        reachable.sort_by(|x, y| x.0.total_cmp(&y.0).then_with(|| x.1.best_first(y.1)));
        reachable
    }

    /// How far a node's neighbours are that make it a core, if they do.
    fn core(&self, node: &Node<'_>, mut near: Vec<(usize, f32)>, nodes: &[Node<'_>]) -> Option<f64> {
        if node.faces >= self.samples {
            return Some(0.0);
        }
        near.sort_by(|x, y| y.1.total_cmp(&x.1));
        let mut reach = node.faces;
        let last = near.into_iter().find(|&(other, _)| {
            reach += nodes[other].faces;
            reach >= self.samples
        });
        last.map(|(_, similarity)| distance(similarity))
    }
}

/// Single linkage: the minimum spanning forest of `links`, as what becomes one at which distance.
fn join(nodes: &[Node<'_>], links: Vec<(f64, &Link)>) -> Vec<Merge> {
    let mut groups = Groups::new(nodes);
    // What a group has become, by its least node.
    let mut became: Vec<usize> = (0..nodes.len()).collect();
    let mut merges: Vec<Merge> = Vec::new();
    for (distance, link) in links {
        let parts = [link.a, link.b].map(|node| groups.find(node));
        if parts[0] != parts[1] && groups.link(link.a, link.b) {
            let whole = groups.find(link.a);
            merges.push(Merge { parts: parts.map(|part| became[part]), distance });
            became[whole] = nodes.len() + merges.len() - 1;
        }
    }
    merges
}

/// Between unit vectors of that similarity: Euclidean, 0 to 2.
fn distance(similarity: f32) -> f64 {
    (2.0 - 2.0 * f64::from(similarity)).max(0.0).sqrt()
}
