//! Parts of a list, each held out in turn; what belongs together is in one part only.

/// For each row its part, below `parts`. Rows of one group share theirs. Groups are dealt in the order of `key`, equals
/// at random, so that each part has its share of every class or size.
pub(crate) fn folds(groups: &[usize], key: impl Fn(usize) -> f64, parts: usize, seed: u64) -> Vec<usize> {
    // The first row stands for its group.
    let mut first: Vec<Option<usize>> = vec![None; groups.iter().max().map_or(0, |most| most + 1)];
    for (row, &group) in groups.iter().enumerate() {
        first[group].get_or_insert(row);
    }
    let mut dealt: Vec<(usize, f64)> =
        first.iter().enumerate().filter_map(|(group, row)| Some((group, key((*row)?)))).collect();
    fastrand::Rng::with_seed(seed).shuffle(&mut dealt);
    dealt.sort_by(|a, b| a.1.total_cmp(&b.1));
    let mut part = vec![0; first.len()];
    for (place, (group, _)) in dealt.into_iter().enumerate() {
        part[group] = place % parts;
    }
    groups.iter().map(|&group| part[group]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_stay_whole_and_classes_are_shared_out() {
        // Twenty people of three photos; every fourth is of class 1.
        let groups: Vec<usize> = (0..60).map(|row| row % 20).collect();
        let class = |row: usize| f64::from(u8::from((row % 20).is_multiple_of(4)));
        let parts = folds(&groups, class, 5, 1);
        assert!((0..60).all(|row| parts[row] == parts[row % 20]));
        for part in 0..5 {
            let of = |c: f64| (0..20).filter(|&row| parts[row] == part && class(row) == c).count();
            assert_eq!((of(0.0), of(1.0)), (3, 1));
        }
        assert_ne!(parts, folds(&groups, class, 5, 2));
        assert!(folds(&[], |_| 0.0, 5, 1).is_empty());
    }
}
