//! Clusters against the truth. In: for each face, whose it is and which cluster it was put into. Out: precision, recall
//! and F.
//!
//! Two views, for they fail differently. *Pairwise*: of all pairs of faces put together, the share of one person is the
//! precision; of all pairs of one person, the share put together is the recall. A person of 500 photos has 125,000
//! pairs and drowns everybody else. *BCubed* (Amigó, Gonzalo, Artiles and Verdejo, *A comparison of extrinsic
//! clustering evaluation metrics based on formal constraints*, Information Retrieval 12, 2009) counts each face once:
//! its precision is the share of its own person in its cluster, its recall the share of its person's faces that are in
//! its cluster, itself included; both are means over faces.
//!
//! ```
//! use bledsoe::evaluate::clustering::agreement;
//! # fn main() -> bledsoe::Result<()> {
//! // Two faces of Ada were put together, the third was left alone; Bob's is put with neither.
//! let found = agreement(&["Ada", "Ada", "Ada", "Bob"], &[7, 7, 8, 9])?;
//! assert_eq!((found.pairwise.precision, found.pairwise.recall), (1.0, 1.0 / 3.0));
//! assert_eq!(found.bcubed.precision, 1.0);
//! assert!((found.bcubed.recall - (2.0 / 3.0 + 2.0 / 3.0 + 1.0 / 3.0 + 1.0) / 4.0).abs() < 1e-12);
//! # Ok(())
//! # }
//! ```

use std::{collections::HashMap, hash::Hash};

use serde::Serialize;

use crate::{Error, Result};

/// Precision, recall and their harmonic mean, each 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Score {
    /// How much of what was put together belongs together; 1 where nothing was put together.
    pub precision: f64,
    /// How much of what belongs together was put together; 1 where nothing belongs together.
    pub recall: f64,
    /// `2 precision recall / (precision + recall)`; 0 where both are 0.
    pub f: f64,
}

/// How well clusters agree with people.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Agreement {
    /// Over pairs of faces.
    pub pairwise: Score,
    /// Over faces.
    pub bcubed: Score,
    /// Faces.
    pub faces: usize,
    /// People.
    pub people: usize,
    /// Clusters.
    pub clusters: usize,
}

impl Score {
    fn new(precision: f64, recall: f64) -> Self {
        let sum = precision + recall;
        Self { precision, recall, f: if sum > 0.0 { 2.0 * precision * recall / sum } else { 0.0 } }
    }
}

/// Compares clusters with people: `truth` and `found` hold one name or number a face.
///
/// # Errors
/// [`Error::Mismatch`] for lists of different length, [`Error::Invalid`] for empty ones.
pub fn agreement<T: Eq + Hash, F: Eq + Hash>(truth: &[T], found: &[F]) -> Result<Agreement> {
    if truth.len() != found.len() {
        return Err(Error::Mismatch(format!("{} faces with a name, {} with a cluster", truth.len(), found.len())));
    }
    if truth.is_empty() {
        return Err(Error::Invalid("no face to compare clusters by".into()));
    }
    let (mut people, mut clusters, mut both) = (HashMap::new(), HashMap::new(), HashMap::new());
    for face in truth.iter().zip(found) {
        *people.entry(face.0).or_insert(0usize) += 1;
        *clusters.entry(face.1).or_insert(0usize) += 1;
        *both.entry(face).or_insert(0usize) += 1;
    }
    // Sums of whole numbers come out the same in any order; each is below 2^53 for up to 100 million faces.
    let pairs = |sizes: &mut dyn Iterator<Item = &usize>| sizes.map(|&n| n * (n - 1) / 2).sum::<usize>();
    let share = |part: usize, whole: usize| if whole == 0 { 1.0 } else { part as f64 / whole as f64 };
    let together = pairs(&mut both.values());
    let pairwise =
        Score::new(share(together, pairs(&mut clusters.values())), share(together, pairs(&mut people.values())));
    let mean = |share: &dyn Fn((&T, &F)) -> f64| truth.iter().zip(found).map(share).sum::<f64>() / truth.len() as f64;
    let bcubed = Score::new(
        mean(&|face| share(both[&face], clusters[face.1])),
        mean(&|face| share(both[&face], people[face.0])),
    );
    Ok(Agreement { pairwise, bcubed, faces: truth.len(), people: people.len(), clusters: clusters.len() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn both() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
        (1usize..40).prop_flat_map(|n| (prop::collection::vec(0u8..6, n), prop::collection::vec(0u8..6, n)))
    }

    proptest! {
        #[test]
        fn exchanging_truth_and_clusters_exchanges_precision_and_recall((a, b) in both()) {
            let (ab, ba) = (agreement(&a, &b).unwrap(), agreement(&b, &a).unwrap());
            for (x, y) in [(ab.pairwise, ba.pairwise), (ab.bcubed, ba.bcubed)] {
                prop_assert!((x.precision - y.recall).abs() < 1e-12 && (x.recall - y.precision).abs() < 1e-12);
                prop_assert!((x.f - y.f).abs() < 1e-12 && (0.0..=1.0).contains(&x.f));
            }
        }

        #[test]
        fn equal_partitions_score_one_whatever_the_clusters_are_called((a, _) in both()) {
            let renamed: Vec<String> = a.iter().map(|x| format!("cluster {}", 9 - x)).collect();
            let found = agreement(&a, &renamed).unwrap();
            prop_assert_eq!((found.pairwise.f, found.people), (1.0, found.clusters));
            prop_assert!((found.bcubed.f - 1.0).abs() < 1e-12);
        }

        #[test]
        fn different_partitions_score_less((a, b) in both()) {
            let same = |x: &[u8], i: usize, j: usize| x[i] == x[j];
            let equal = (0..a.len()).all(|i| (0..i).all(|j| same(&a, i, j) == same(&b, i, j)));
            let found = agreement(&a, &b).unwrap();
            prop_assert_eq!(equal, found.bcubed.f > 1.0 - 1e-9);
        }

        #[test]
        fn the_order_of_faces_does_not_matter((a, b) in both(), seed in 0u64..99) {
            let mut order: Vec<usize> = (0..a.len()).collect();
            fastrand::Rng::with_seed(seed).shuffle(&mut order);
            let moved = |x: &[u8]| order.iter().map(|&i| x[i]).collect::<Vec<u8>>();
            let (one, other) = (agreement(&a, &b).unwrap(), agreement(&moved(&a), &moved(&b)).unwrap());
            prop_assert_eq!(one.pairwise, other.pairwise);
            prop_assert!((one.bcubed.f - other.bcubed.f).abs() < 1e-12);
        }
    }

    #[test]
    fn all_alone_is_precise_and_all_together_is_complete() {
        let truth = [1, 1, 2, 2, 3];
        let alone = agreement(&truth, &[0, 1, 2, 3, 4]).unwrap();
        assert_eq!((alone.pairwise.precision, alone.pairwise.recall, alone.pairwise.f), (1.0, 0.0, 0.0));
        assert_eq!((alone.bcubed.precision, alone.bcubed.recall), (1.0, 3.0 / 5.0));
        let together = agreement(&truth, &[0; 5]).unwrap();
        assert_eq!((together.pairwise.precision, together.pairwise.recall), (0.2, 1.0));
        assert!((together.bcubed.precision - (4.0 * 0.4 + 0.2) / 5.0).abs() < 1e-12);
    }

    #[test]
    fn lists_that_do_not_fit_are_refused() {
        assert!(matches!(agreement(&[1], &[1, 2]), Err(Error::Mismatch(_))));
        assert!(matches!(agreement::<u8, u8>(&[], &[]), Err(Error::Invalid(_))));
    }
}
