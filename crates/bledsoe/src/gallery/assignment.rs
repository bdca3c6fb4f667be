//! Who is who in a photo of several faces: one person at most once.

/// Gives each face at most one of the people, and each person at most one of the faces, so that the sum of
/// `gains[face][person]` is the greatest. A gain that is not positive, or not a number, is never taken: better nobody.
///
/// Kuhn's Hungarian method in Jonker and Volgenant's form with shortest augmenting paths (*Computing* 38, 1987), in
/// O(faces² (people + faces)).
pub(super) fn assign(gains: &[Vec<f64>]) -> Vec<Option<usize>> {
    let faces = gains.len();
    let people = gains.iter().map(Vec::len).max().unwrap_or_default();
    // Each face has a place of its own for nobody, at no cost.
    let columns = people + faces;
    let cost = |face: usize, column: usize| match gains[face].get(column) {
        Some(&gain) if gain > 0.0 => -gain,
        _ if column == people + face => 0.0,
        _ => f64::INFINITY,
    };
    let mut row_price = vec![0.0; faces];
    let mut column_price = vec![0.0; columns];
    let mut taken_by: Vec<Option<usize>> = vec![None; columns];
    for new in 0..faces {
        let mut distance = vec![f64::INFINITY; columns];
        let mut from: Vec<Option<usize>> = vec![None; columns];
        let mut done = vec![false; columns];
        let (mut face, mut reached, mut least) = (new, None, 0.0);
        let end = loop {
            let mut next: Option<usize> = None;
            for column in (0..columns).filter(|&column| !done[column]) {
                let through = least + cost(face, column) - row_price[face] - column_price[column];
                if through < distance[column] {
                    distance[column] = through;
                    from[column] = reached;
                }
                if next.is_none_or(|next| distance[column] < distance[next]) {
                    next = Some(column);
                }
            }
            // The face's own place is always within reach.
            let Some(column) = next.filter(|&next| distance[next].is_finite()) else { break None };
            (done[column], least, reached) = (true, distance[column], Some(column));
            match taken_by[column] {
                Some(other) => face = other,
                None => break Some(column),
            }
        };
        let Some(mut column) = end else { continue };
        for other in (0..columns).filter(|&column| done[column]) {
            if let Some(face) = taken_by[other] {
                row_price[face] += least - distance[other];
            }
            column_price[other] -= least - distance[other];
        }
        row_price[new] += least;
        while let Some(before) = from[column] {
            taken_by[column] = taken_by[before];
            column = before;
        }
        taken_by[column] = Some(new);
    }
    let mut assigned = vec![None; faces];
    for (column, face) in taken_by.into_iter().enumerate().take(people) {
        if let Some(face) = face {
            assigned[face] = Some(column);
        }
    }
    assigned
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn total(gains: &[Vec<f64>], assigned: &[Option<usize>]) -> f64 {
        gains.iter().zip(assigned).filter_map(|(row, person)| person.map(|person| row[person])).sum()
    }

    /// The best sum, by trying everything.
    fn best(gains: &[Vec<f64>], used: u32) -> f64 {
        let Some((row, rest)) = gains.split_first() else { return 0.0 };
        let with = |(person, gain): (usize, &f64)| {
            (used >> person & 1 == 0 && *gain > 0.0).then(|| gain + best(rest, used | 1 << person))
        };
        row.iter().enumerate().filter_map(with).fold(best(rest, used), f64::max)
    }

    proptest! {
        #[test]
        fn no_other_assignment_is_better(
            gains in (0..6usize).prop_flat_map(|people| {
                proptest::collection::vec(proptest::collection::vec(-2.0..9.0f64, people), 0..6)
            }),
        ) {
            let assigned = assign(&gains);
            prop_assert_eq!(assigned.len(), gains.len());
            let mut people: Vec<usize> = assigned.iter().flatten().copied().collect();
            people.sort_unstable();
            let mut once = people.clone();
            once.dedup();
            prop_assert_eq!(once, people);
            for (row, person) in gains.iter().zip(&assigned) {
                prop_assert!(person.is_none_or(|person| row[person] > 0.0));
            }
            prop_assert!((total(&gains, &assigned) - best(&gains, 0)).abs() < 1e-9);
        }
    }

    #[test]
    fn the_face_that_is_surer_keeps_the_name_and_the_other_takes_its_second() {
        assert_eq!(assign(&[vec![5.0, 4.0], vec![9.0, 1.0]]), [Some(1), Some(0)]);
        assert_eq!(assign(&[vec![5.0], vec![9.0]]), [None, Some(0)]);
        assert_eq!(assign(&[vec![f64::NAN, -1.0], vec![]]), [None, None]);
    }
}
