//! DBSCAN: clustering by density.

use super::{Clusterer, Link, Links, Node, constraints::Groups};
use crate::Result;

/// Ester, Kriegel, Sander and Xu, *A density-based algorithm for discovering clusters in large spatial databases with
/// noise*, KDD
/// 1996. Faces with enough neighbours are cores; linked cores are one cluster; others join the core most like them.
///       Noise is left alone, each face a cluster of its own.
///
/// Links are followed the strongest first, so that of two that cannot both hold the stronger does. One wrong link
/// between cores makes one of two people: so it needs a higher threshold than other methods.
#[derive(Debug, Clone, Copy)]
pub struct Dbscan {
    /// Faces within reach, itself included, that make a core.
    pub least: usize,
}

impl Default for Dbscan {
    /// Two: most people of a photo collection have few photos, and with three all pairs of photos would be noise.
    fn default() -> Self {
        Self { least: 2 }
    }
}

impl Clusterer for Dbscan {
    fn name(&self) -> &'static str {
        "dbscan"
    }

    fn false_links(&self) -> f64 {
        0.01
    }

    fn cluster(&self, nodes: &[Node<'_>], links: &Links, _threshold: f32) -> Result<Vec<usize>> {
        let mut reach: Vec<usize> = nodes.iter().map(|node| node.faces).collect();
        for link in &links.pairs {
            reach[link.a] += nodes[link.b].faces;
            reach[link.b] += nodes[link.a].faces;
        }
        let core: Vec<bool> = reach.iter().map(|&faces| faces >= self.least).collect();
        let mut pairs: Vec<&Link> = links.pairs.iter().collect();
        pairs.sort_by(|x, y| x.best_first(y));
        let mut groups = Groups::new(nodes);
        for link in pairs.iter().filter(|link| core[link.a] && core[link.b]) {
            groups.link(link.a, link.b);
        }
        let mut joined = vec![false; nodes.len()];
        for link in pairs.iter().filter(|link| core[link.a] != core[link.b]) {
            let border = if core[link.a] { link.b } else { link.a };
            if !joined[border] {
                joined[border] = groups.link(link.a, link.b);
            }
        }
        Ok(groups.finish(nodes.len()))
    }
}
