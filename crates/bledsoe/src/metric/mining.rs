//! Mining: which triplets of a batch are learnt from. Most teach nothing: their negative is far already.
//!
//! A triplet is an anchor, a positive (another face of its person) and a negative (a face of somebody else). Distances
//! are squared Euclidean ones, 0 to 4 between unit vectors.

use serde::{Deserialize, Serialize};

/// How triplets are mined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mining {
    /// For each anchor and positive, the nearest negative that is farther than the positive, if it is so by less than
    /// the margin (F. Schroff, D. Kalenichenko, J. Philbin: FaceNet, CVPR 2015).
    SemiHard,
    /// For each anchor, the farthest positive and the nearest negative, if they break the margin (A. Hermans, L. Beyer,
    /// B. Leibe: In defense of the triplet loss, arXiv:1703.07737, 2017).
    Hard,
    /// All that break the margin.
    All,
}

/// Places in a batch: anchor, positive, negative.
pub type Triplet = [usize; 3];

impl Mining {
    /// The triplets of a batch of `people.len()` faces, whose squared distances stand row by row in `distances`.
    pub fn triplets(self, distances: &[f32], people: &[u32], margin: f32) -> Vec<Triplet> {
        let n = people.len();
        let mut mined = Vec::new();
        for (anchor, row) in distances.chunks_exact(n.max(1)).enumerate().take(n) {
            let positives: Vec<usize> = (0..n).filter(|&i| i != anchor && people[i] == people[anchor]).collect();
            let negatives: Vec<usize> = (0..n).filter(|&i| people[i] != people[anchor]).collect();
            let breaks = |positive: usize, negative: usize| row[negative] < row[positive] + margin;
            let nearest = |among: &mut dyn Iterator<Item = usize>| among.min_by(|&a, &b| row[a].total_cmp(&row[b]));
            match self {
                Self::SemiHard => mined.extend(positives.iter().filter_map(|&positive| {
                    let negative = nearest(&mut negatives.iter().copied().filter(|&i| row[i] > row[positive]))?;
                    breaks(positive, negative).then_some([anchor, positive, negative])
                })),
                Self::Hard => {
                    let farthest = positives.iter().copied().max_by(|&a, &b| row[a].total_cmp(&row[b]));
                    let negative = nearest(&mut negatives.iter().copied());
                    mined.extend(
                        farthest
                            .zip(negative)
                            .filter(|&(positive, negative)| breaks(positive, negative))
                            .map(|(positive, negative)| [anchor, positive, negative]),
                    );
                }
                Self::All => {
                    for &positive in &positives {
                        let broken = negatives.iter().filter(|&&negative| breaks(positive, negative));
                        mined.extend(broken.map(|&negative| [anchor, positive, negative]));
                    }
                }
            }
        }
        mined
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Faces on a line: squared distances of their places.
    fn distances(places: &[f32]) -> Vec<f32> {
        places.iter().flat_map(|a| places.iter().map(move |b| (a - b).powi(2))).collect()
    }

    #[test]
    fn each_way_mines_what_it_says() {
        // Two of person 0 at 0 and 0.4 (0.16 apart), strangers at 0.3, 0.5 and 2.
        let (line, people) = (distances(&[0.0, 0.4, 0.3, 0.5, 2.0]), [0, 0, 1, 2, 3]);
        // From 0: 0.09 is nearer than the positive, 0.25 farther by less than the margin. From 0.4 both are nearer.
        assert_eq!(Mining::SemiHard.triplets(&line, &people, 0.2), [[0, 1, 3]]);
        assert_eq!(Mining::SemiHard.triplets(&line, &people, 0.05), [[0usize; 3]; 0]);
        assert_eq!(Mining::Hard.triplets(&line, &people, 0.2), [[0, 1, 2], [1, 0, 2]]);
        assert_eq!(Mining::All.triplets(&line, &people, 0.2), [[0, 1, 2], [0, 1, 3], [1, 0, 2], [1, 0, 3]]);
        // Only the one at 2 is too far from 0.
        assert_eq!(Mining::All.triplets(&line, &people, 3.0).len(), 5);
    }

    #[test]
    fn without_pairs_or_strangers_nothing_is_mined() {
        for mining in [Mining::SemiHard, Mining::Hard, Mining::All] {
            assert!(mining.triplets(&distances(&[0.0, 0.1]), &[0, 1], 0.2).is_empty());
            assert!(mining.triplets(&distances(&[0.0, 0.1]), &[0, 0], 0.2).is_empty());
            assert!(mining.triplets(&[], &[], 0.2).is_empty());
        }
    }
}
