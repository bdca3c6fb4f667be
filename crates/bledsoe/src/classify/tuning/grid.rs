//! What may be tried: every combination of embedder, classifier with its parameters, and augmentation.

use serde::{Deserialize, Serialize};

use crate::{
    Result,
    classify::{Augmentation, ClassifierKind, svm::MAX_RBF},
};

/// Penalties of support vector machines. Embeddings are of unit length, so the scale of things is known: above the last
/// hardly any sample reaches its bound, and below the first nearly all do.
const PENALTIES: [f64; 6] = [0.03, 0.1, 0.3, 1.0, 3.0, 10.0];
/// Widths of the RBF kernel. Two embeddings are 0 to 2 apart; scikit-learn's `scale` is near 1.
const GAMMAS: [f64; 5] = [0.5, 1.0, 2.0, 4.0, 8.0];
/// Numbers of neighbours, the smoothest first.
const NEIGHBOURS: [usize; 4] = [9, 5, 3, 1];

/// One way to train.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setting {
    /// The embedder: the one asked for, or one that can be cut out of its embeddings.
    pub embedder: String,
    /// The classifier and its parameters.
    pub classifier: ClassifierKind,
    /// What is varied in each pass over the training photos.
    pub augment: Augmentation,
    /// Passes, each freshly augmented.
    pub epochs: u32,
}

/// What is not to be tried because it is known: a value fixes that dimension.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Fixed {
    /// The kind of classifier; its own parameters are not looked at.
    pub classifier: Option<ClassifierKind>,
    /// The penalty of the support vector machines, above 0.
    pub c: Option<f64>,
    /// The width of the RBF kernel, above 0.
    pub gamma: Option<f64>,
    /// The number of neighbours, at least 1.
    pub k: Option<usize>,
    /// What is varied.
    pub augment: Option<Augmentation>,
    /// Whether the embedder is taken as it is, not its members.
    pub embedder: bool,
}

impl Fixed {
    /// The classifiers to be tried for so many people, the simplest first: centroids, neighbours (more before fewer),
    /// linear machines, RBF machines (wide kernels before narrow, small penalties before great).
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) for a parameter that the fixed kind does not have, or out of range.
    pub fn classifiers(&self, people: usize) -> Result<Vec<ClassifierKind>> {
        if let Some(kind) = &self.classifier {
            kind.clone().with(self.c, self.gamma, self.k)?;
        }
        let among = |values: &[f64], fixed: Option<f64>| fixed.map_or(values.to_vec(), |value| vec![value]);
        let (penalties, gammas) = (among(&PENALTIES, self.c), among(&GAMMAS, self.gamma));
        let mut kinds = vec![ClassifierKind::Centroid];
        kinds.extend(self.k.map_or(NEIGHBOURS.to_vec(), |k| vec![k]).into_iter().map(|k| ClassifierKind::Knn { k }));
        kinds.extend(penalties.iter().map(|&c| ClassifierKind::SvmLinear { c }));
        if people <= MAX_RBF || self.classifier.is_some() {
            let of_gamma = |gamma| penalties.iter().map(move |&c| ClassifierKind::SvmRbf { c, gamma: Some(gamma) });
            kinds.extend(gammas.into_iter().flat_map(of_gamma));
        }
        if let Some(fixed) = &self.classifier {
            kinds.retain(|kind| std::mem::discriminant(kind) == std::mem::discriminant(fixed));
        }
        kinds.iter().try_for_each(ClassifierKind::check)?;
        Ok(kinds)
    }

    /// The augmentations to be tried, each with its passes: none, mirroring alone, all. Mirroring has few passes, since
    /// they soon repeat themselves.
    pub fn augmentations(&self, epochs: u32) -> Vec<(Augmentation, u32)> {
        const MIRRORED: u32 = 4;
        let epochs = epochs.max(1);
        match self.augment {
            Some(augment) => vec![(augment, if augment.is_none() { 1 } else { epochs })],
            None => vec![
                (Augmentation::NONE, 1),
                (Augmentation { flip: true, ..Augmentation::NONE }, epochs.min(MIRRORED)),
                (Augmentation::default(), epochs),
            ],
        }
    }
}

/// Every combination, in the order in which ties are decided: the first of equals is taken. The embedder as it was asked
/// for comes before its members, since it also tells strangers apart, which no figure of the search measures; then the
/// simpler classifier, then less augmentation.
pub(super) fn settings(
    embedders: &[String],
    classifiers: &[ClassifierKind],
    augmentations: &[(Augmentation, u32)],
) -> Vec<Setting> {
    let mut all = Vec::with_capacity(embedders.len() * classifiers.len() * augmentations.len());
    for embedder in embedders {
        for classifier in classifiers {
            for &(augment, epochs) in augmentations {
                all.push(Setting { embedder: embedder.clone(), classifier: classifier.clone(), augment, epochs });
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_fixed_is_not_varied() {
        let count = |fixed: Fixed| fixed.classifiers(100).unwrap().len();
        assert_eq!(count(Fixed::default()), 1 + 4 + 6 + 30);
        assert_eq!(count(Fixed { c: Some(2.0), ..Fixed::default() }), 1 + 4 + 1 + 5);
        assert_eq!(count(Fixed { gamma: Some(2.0), k: Some(2), ..Fixed::default() }), 1 + 1 + 6 + 6);
        let rbf: Option<ClassifierKind> = Some("svm-rbf".parse().unwrap());
        assert_eq!(count(Fixed { classifier: rbf.clone(), ..Fixed::default() }), 30);
        let all = Fixed { classifier: rbf, c: Some(2.0), gamma: Some(0.7), ..Fixed::default() };
        assert_eq!(all.classifiers(100).unwrap(), [ClassifierKind::SvmRbf { c: 2.0, gamma: Some(0.7) }]);
        let none = Fixed { augment: Some(Augmentation::NONE), ..Fixed::default() };
        assert_eq!(none.augmentations(25), [(Augmentation::NONE, 1)]);
        assert_eq!(Fixed::default().augmentations(25).iter().map(|a| a.1).collect::<Vec<_>>(), [1, 4, 25]);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let knn: Option<ClassifierKind> = Some("knn".parse().unwrap());
        for fixed in [
            Fixed { classifier: knn, c: Some(1.0), ..Fixed::default() },
            Fixed { c: Some(-1.0), ..Fixed::default() },
            Fixed { k: Some(0), ..Fixed::default() },
            Fixed { gamma: Some(f64::NAN), ..Fixed::default() },
        ] {
            assert!(fixed.classifiers(100).is_err(), "{fixed:?}");
        }
    }

    #[test]
    fn too_many_people_for_rbf_leave_it_out() {
        let kinds = Fixed::default().classifiers(MAX_RBF + 1).unwrap();
        assert!(!kinds.is_empty() && !kinds.iter().any(|kind| matches!(kind, ClassifierKind::SvmRbf { .. })));
    }
}
