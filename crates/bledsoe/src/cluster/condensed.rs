//! The condensed tree of a hierarchy: its clusters, and which of them to choose.

/// Distances below this are equal: what rounding makes of the same picture twice.
const SAME: f64 = 1e-3;

/// Two parts that become one. Parts below the number of nodes are nodes; the others, less that number, are places in
/// the list of merges.
#[derive(Debug, Clone, Copy)]
pub(super) struct Merge {
    pub(super) parts: [usize; 2],
    pub(super) distance: f64,
}

/// A cluster that lasts from one distance to a lesser one, where it is split or falls apart.
struct Cluster {
    parent: Option<usize>,
    /// The density, one by the distance, from which on it is a cluster.
    birth: f64,
    /// What its faces have of density beyond its birth until they leave it, in sum: its excess of mass.
    mass: f64,
    /// The distance at which it is split into two others.
    split: Option<f64>,
}

/// The tree of clusters.
pub(super) struct Condensed {
    /// Parents come before their children.
    clusters: Vec<Cluster>,
    /// The smallest cluster that each node has been in.
    cluster_of: Vec<Option<usize>>,
}

impl Condensed {
    /// Of nodes of so many `faces`, merged the nearest first. Clusters have `least` faces and two nodes; none is there
    /// beyond the distance `farthest`.
    pub(super) fn new(faces: &[usize], merges: &[Merge], least: usize, farthest: f64) -> Self {
        let nodes = faces.len();
        let mut faces = faces.to_vec();
        for merge in merges {
            faces.push(merge.parts.iter().map(|&part| faces[part]).sum());
        }
        // What the user put together is one point of any density: alone it is no cluster.
        let large = |part: usize| part >= nodes && faces[part] >= least;
        let mut clusters: Vec<Cluster> = Vec::new();
        let mut cluster_of: Vec<Option<usize>> = vec![None; faces.len()];
        for (i, merge) in merges.iter().enumerate().rev() {
            let whole = nodes + i;
            if !large(whole) {
                merge.parts.iter().for_each(|&part| cluster_of[part] = cluster_of[whole]);
                continue;
            }
            let cluster = cluster_of[whole].unwrap_or_else(|| add(&mut clusters, None, density(farthest)));
            let dense = density(merge.distance);
            let split = merge.parts.iter().all(|&part| large(part));
            for part in merge.parts {
                let stays = large(part) && !split;
                if !stays {
                    clusters[cluster].mass += faces[part] as f64 * (dense - clusters[cluster].birth);
                }
                cluster_of[part] = Some(if split { add(&mut clusters, Some(cluster), dense) } else { cluster });
            }
            clusters[cluster].split = split.then_some(merge.distance);
        }
        cluster_of.truncate(nodes);
        Self { clusters, cluster_of }
    }

    /// The cluster of each node; the numbers mean nothing. Chosen are clusters none of which is within another, of the
    /// greatest excess of mass in sum; but where one would be split at less than `epsilon`, it is whole.
    pub(super) fn choose(&self, epsilon: f64) -> Vec<usize> {
        let count = self.clusters.len();
        let mut whole = vec![false; count];
        // The most that can be chosen of each cluster's children.
        let mut within = vec![0.0; count];
        for (i, cluster) in self.clusters.iter().enumerate().rev() {
            whole[i] = cluster.split.is_none_or(|split| split < epsilon) || cluster.mass >= within[i];
            if let Some(parent) = cluster.parent {
                within[parent] += cluster.mass.max(within[i]);
            }
        }
        let mut chosen: Vec<Option<usize>> = Vec::with_capacity(count);
        for (i, cluster) in self.clusters.iter().enumerate() {
            let around = cluster.parent.and_then(|parent| chosen[parent]);
            chosen.push(around.or(whole[i].then_some(i)));
        }
        let place = |(node, cluster): (usize, &Option<usize>)| cluster.and_then(|i| chosen[i]).unwrap_or(count + node);
        self.cluster_of.iter().enumerate().map(place).collect()
    }
}

/// Adds a cluster, and says where.
fn add(clusters: &mut Vec<Cluster>, parent: Option<usize>, birth: f64) -> usize {
    clusters.push(Cluster { parent, birth, mass: 0.0, split: None });
    clusters.len() - 1
}

fn density(distance: f64) -> f64 {
    1.0 / distance.max(SAME)
}
