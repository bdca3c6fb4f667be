//! Batches of P people with up to K photos each, so that there are pairs of one person to learn from in each.

use super::Examples;

/// The batches of one epoch, as rows of `examples`: everybody once, in a new order, with photos drawn anew. A last batch
/// of fewer than two people is left out.
pub(super) fn batches(
    examples: &Examples,
    people: usize,
    photos: usize,
    random: &mut fastrand::Rng,
) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..examples.people()).collect();
    random.shuffle(&mut order);
    let mut batch = |some: &[usize]| {
        let mut rows = Vec::with_capacity(some.len() * photos);
        for &person in some {
            let mut own: Vec<usize> = examples.rows(person).collect();
            let drawn = photos.min(own.len());
            // The first `drawn` of a shuffle, and no more of it.
            for place in 0..drawn {
                let other = random.usize(place..own.len());
                own.swap(place, other);
            }
            rows.extend_from_slice(&own[..drawn]);
        }
        rows
    };
    order.chunks(people.max(2)).filter(|some| some.len() >= 2).map(&mut batch).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn everybody_is_in_one_batch_with_different_photos() {
        // Seven people with two to eight photos.
        let people: Vec<usize> = (0..7).flat_map(|person| std::iter::repeat_n(person, 2 + person)).collect();
        let examples = Examples::new(1, vec![1.0; people.len()], people).unwrap();
        let drawn = batches(&examples, 3, 4, &mut fastrand::Rng::with_seed(1));
        // Three, three, and one alone, who is left out.
        assert_eq!(drawn.len(), 2);
        let mut seen = BTreeSet::new();
        for batch in &drawn {
            let rows: BTreeSet<usize> = batch.iter().copied().collect();
            assert_eq!(rows.len(), batch.len());
            let people: BTreeSet<usize> = batch.iter().map(|&row| examples.person(row)).collect();
            assert_eq!(people.len(), 3);
            for &person in &people {
                let own = batch.iter().filter(|&&row| examples.person(row) == person).count();
                assert_eq!(own, examples.rows(person).len().min(4));
                assert!(seen.insert(person));
            }
        }
        assert_eq!(drawn, batches(&examples, 3, 4, &mut fastrand::Rng::with_seed(1)));
        assert_ne!(drawn, batches(&examples, 3, 4, &mut fastrand::Rng::with_seed(2)));
    }
}
