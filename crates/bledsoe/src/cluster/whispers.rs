//! Chinese whispers: clustering by who says what about themselves.

use std::collections::HashSet;

use super::{Clusterer, Links, Node};
use crate::Result;

/// Biemann, *Chinese Whispers: an efficient graph clustering algorithm and its application to natural language
/// processing problems*, TextGraphs 2006. Each node begins as a class of its own; in random order, again and again,
/// each takes the class that its neighbours stand for most. A link weighs as much as it is above the threshold, so that
/// one that just reaches it counts next to nothing.
#[derive(Debug, Clone, Copy)]
pub struct Whispers {
    /// Rounds through all nodes; it ends earlier when nothing changes.
    pub rounds: usize,
    /// What the order is drawn by.
    pub seed: u64,
}

impl Default for Whispers {
    fn default() -> Self {
        Self { rounds: 30, seed: 0 }
    }
}

impl Clusterer for Whispers {
    fn name(&self) -> &'static str {
        "whispers"
    }

    fn false_links(&self) -> f64 {
        0.02
    }

    fn cluster(&self, nodes: &[Node<'_>], links: &Links, threshold: f32) -> Result<Vec<usize>> {
        let near = links.by_node();
        let mut classes: Vec<usize> = (0..nodes.len()).collect();
        let taken = |node: usize| nodes[node].exclusions.iter().map(move |&exclusion| (node, exclusion));
        let mut excluded: HashSet<(usize, u32)> = (0..nodes.len()).flat_map(taken).collect();
        let mut order: Vec<usize> = (0..nodes.len()).filter(|&node| !near[node].is_empty()).collect();
        let mut random = fastrand::Rng::with_seed(self.seed);
        let mut voices: Vec<(usize, f32)> = Vec::new();
        for _ in 0..self.rounds {
            random.shuffle(&mut order);
            let mut changed = false;
            for &node in &order {
                voices.clear();
                voices.extend(near[node].iter().map(|&(other, similarity)| (classes[other], similarity - threshold)));
                sum_by_class(&mut voices);
                let own = classes[node];
                let free = |class: usize| {
                    class == own
                        || nodes[node].exclusions.iter().all(|&exclusion| !excluded.contains(&(class, exclusion)))
                };
                let Some(&(class, _)) = voices.iter().find(|voice| free(voice.0)) else { continue };
                if class != own {
                    for &exclusion in &nodes[node].exclusions {
                        excluded.remove(&(own, exclusion));
                        excluded.insert((class, exclusion));
                    }
                    classes[node] = class;
                    changed = true;
                }
            }
            if !changed {
                break;
            }
        }
        Ok(classes)
    }
}

/// Adds up what is said for each class; the strongest first, of equals the lowest.
fn sum_by_class(voices: &mut Vec<(usize, f32)>) {
    voices.sort_by_key(|voice| voice.0);
    voices.dedup_by(|voice, first| {
        let same = voice.0 == first.0;
        if same {
            first.1 += voice.1;
        }
        same
    });
    voices.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
}
