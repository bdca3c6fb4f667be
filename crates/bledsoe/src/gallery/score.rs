//! How like a person a face is.

use crate::embed::dot;

/// A person's enrolled templates, ready to be compared.
///
/// A face's score is half its similarity to the nearest template and half that to the mean of all: between -1 and 1,
/// and with one template the cosine similarity. On the half of LFW that nothing was fitted to, that lost fewer people
/// than the nearest template, the mean, or a linear classifier of each person against the cohort
/// (`docs/calibration.md`).
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Head {
    templates: Vec<Vec<f32>>,
    /// Unit length; zeros if the templates cancel out.
    mean: Vec<f32>,
}

impl Head {
    /// Of `templates`, unit vectors of one length, in the store's order; `None` without any.
    pub(super) fn new(templates: Vec<Vec<f32>>) -> Option<Self> {
        let mut mean = vec![0.0; templates.first()?.len()];
        for template in &templates {
            mean.iter_mut().zip(template).for_each(|(sum, x)| *sum += x);
        }
        let norm = dot(&mean, &mean).sqrt();
        if norm > 0.0 {
            mean.iter_mut().for_each(|x| *x /= norm);
        }
        Some(Self { templates, mean })
    }

    /// How many templates there are: at least one.
    pub(super) fn len(&self) -> usize {
        self.templates.len()
    }

    /// The first template, which stands for the person among strangers.
    pub(super) fn first(&self) -> &[f32] {
        &self.templates[0]
    }

    /// The score of a face.
    pub(super) fn score(&self, face: &[f32]) -> f32 {
        let nearest = self.templates.iter().map(|template| dot(template, face)).fold(f32::MIN, f32::max);
        if self.templates.len() == 1 { nearest } else { f32::midpoint(nearest, dot(&self.mean, face)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_template_is_compared_as_it_is() {
        let head = Head::new(vec![vec![0.6, 0.8]]).unwrap();
        assert_eq!(head.score(&[1.0, 0.0]), 0.6);
        assert_eq!(Head::new(Vec::new()), None);
    }

    #[test]
    fn several_count_by_the_nearest_and_by_their_mean() {
        let head = Head::new(vec![vec![1.0, 0.0], vec![0.0, 1.0]]).unwrap();
        let half = std::f32::consts::FRAC_1_SQRT_2;
        assert!((head.score(&[1.0, 0.0]) - (1.0 + half) / 2.0).abs() < 1e-6);
        assert!((head.score(&[half, half]) - (half + 1.0) / 2.0).abs() < 1e-6);
        // Templates that cancel out have no mean.
        let opposite = Head::new(vec![vec![1.0, 0.0], vec![-1.0, 0.0]]).unwrap();
        assert_eq!(opposite.score(&[1.0, 0.0]), 0.5);
    }
}
