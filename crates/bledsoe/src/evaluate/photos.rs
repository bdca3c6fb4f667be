//! 95 % intervals by resampling photos: faces of one photo share its light and its camera, so they are drawn together.

use rayon::prelude::*;

use super::bootstrap::{Bootstrap, draw, quantile};

/// The 95 % interval of each figure: the 2.5 and 97.5 % percentiles of its values for photos drawn anew with replacement
/// (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13).
///
/// `figures` is given how often each of `photos` photos was drawn, and answers with a fixed number of figures. A drawing
/// in which a figure is not defined is left out for that figure; `None` where it never is. With a handful of photos the
/// interval is too narrow, and where no error occurs it has no width: no drawing can show an error that was not seen.
pub(super) fn intervals(
    photos: usize,
    bootstrap: &Bootstrap,
    figures: impl Fn(&[u32]) -> Vec<Option<f64>> + Sync,
) -> Vec<Option<[f64; 2]>> {
    let drawn: Vec<Vec<Option<f64>>> = if bootstrap.replicates == 0 || photos == 0 {
        vec![figures(&vec![1; photos])]
    } else {
        // Whole numbers, as drawn.
        let times = |seed| draw(photos, seed).into_iter().map(|n| n as u32).collect::<Vec<u32>>();
        bootstrap.seeds().into_par_iter().map(|seed| figures(&times(seed))).collect()
    };
    let count = drawn.first().map_or(0, Vec::len);
    (0..count)
        .map(|figure| {
            let mut values: Vec<f64> = drawn.iter().filter_map(|values| values[figure]).collect();
            values.sort_unstable_by(f64::total_cmp);
            Some([quantile(&values, 0.025)?, quantile(&values, 0.975)?])
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The mean of `values`, one a photo.
    fn mean(values: &[f64]) -> impl Fn(&[u32]) -> Vec<Option<f64>> + Sync {
        move |times| {
            let n: u32 = times.iter().sum();
            let sum: f64 = times.iter().zip(values).map(|(&t, v)| f64::from(t) * v).sum();
            vec![Some(sum / f64::from(n)), None]
        }
    }

    #[test]
    fn the_interval_covers_the_truth_as_often_as_it_says() {
        // Means of 60 uniform numbers, whose true mean is known.
        let mut generator = fastrand::Rng::with_seed(7);
        let trials = 400;
        let covered = (0..trials).filter(|&seed| {
            let values: Vec<f64> = (0..60).map(|_| generator.f64()).collect();
            let intervals = intervals(60, &Bootstrap { replicates: 400, seed }, mean(&values));
            let [low, high] = intervals[0].unwrap();
            low <= 0.5 && 0.5 <= high
        });
        let coverage = covered.count() as f64 / trials as f64;
        // 0.95 with a standard error of 0.011; the percentile interval is a little narrow for 60 photos.
        assert!((0.91..=0.98).contains(&coverage), "{coverage}");
    }

    #[test]
    fn a_seed_gives_the_same_interval_and_no_drawing_a_narrow_one() {
        let values = [0.0, 1.0, 2.0, 3.0];
        let draw = |replicates, seed| intervals(4, &Bootstrap { replicates, seed }, mean(&values));
        assert_eq!(draw(100, 1), draw(100, 1));
        assert_ne!(draw(100, 1), draw(100, 2));
        assert_eq!(draw(0, 1), [Some([1.5, 1.5]), None]);
    }
}
