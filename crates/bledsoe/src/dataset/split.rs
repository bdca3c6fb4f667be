//! Splitting a dataset into photos to train on and photos held back, within each person.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};

use crate::{Error, Result};

/// A face or photo to be split: whose it is, and the SHA-256 of its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The person.
    pub person: &'a str,
    /// The hash of the photo's file.
    pub sha256: &'a str,
}

/// The two parts, as indices into the entries given, ascending.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Split {
    /// To train on.
    pub train: Vec<usize>,
    /// Held back for evaluation.
    pub held_back: Vec<usize>,
}

/// How many different photos each person has. Copies of one file count once.
pub fn photos_per_person(entries: &[Entry<'_>]) -> BTreeMap<String, usize> {
    let mut photos: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for entry in entries {
        photos.entry(entry.person).or_default().insert(entry.sha256);
    }
    photos.into_iter().map(|(person, hashes)| (person.to_owned(), hashes.len())).collect()
}

/// Puts `share` (0 to 1) of each person's photos into the training part, at random but fixed by `seed`.
///
/// Entries of one file fall on one side, also where copies lie under different names. A person of two or more photos
/// has at least one on each side unless `share` is 1; a single photo is trained on. One person's part depends on
/// nobody else's photos, except through copies of one file under two people.
///
/// # Errors
/// [`Error::Invalid`] for a share that is not above 0 and at most 1.
pub fn split(entries: &[Entry<'_>], share: f64, seed: u64) -> Result<Split> {
    if !(share > 0.0 && share <= 1.0) {
        return Err(Error::Invalid(format!("split {share}: expected a share above 0 and at most 1, such as 0.7")));
    }
    let mut people: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for entry in entries {
        people.entry(entry.person).or_default().insert(entry.sha256);
    }
    let mut trained: BTreeMap<&str, bool> = BTreeMap::new();
    for (person, photos) in people {
        let n = photos.len();
        let goal = (share * n as f64).round() as usize;
        let goal = if share < 1.0 { goal.min(n.saturating_sub(1)).max(1) } else { n };
        let already = photos.iter().filter(|sha| trained.get(*sha) == Some(&true)).count();
        let mut open: Vec<&str> = photos.into_iter().filter(|sha| !trained.contains_key(sha)).collect();
        open.sort_by_cached_key(|sha| draw(seed, person, sha));
        for (i, sha) in open.into_iter().enumerate() {
            trained.insert(sha, i + already < goal);
        }
    }
    let (train, held_back) = (0..entries.len()).partition(|&i| trained.get(entries[i].sha256) == Some(&true));
    Ok(Split { train, held_back })
}

/// A number at random, the same in every run.
fn draw(seed: u64, person: &str, sha256: &str) -> [u8; 32] {
    let mut digest = Sha256::new();
    digest.update(seed.to_le_bytes());
    digest.update(person);
    digest.update([0]);
    digest.update(sha256);
    digest.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_person_is_split_by_the_share() {
        let hashes: Vec<String> = (0..30).map(|i| format!("{i:02}")).collect();
        let entries: Vec<Entry> = hashes
            .iter()
            .enumerate()
            .map(|(i, h)| Entry { person: if i < 20 { "a" } else { "b" }, sha256: h })
            .collect();
        let parts = split(&entries, 0.7, 1).unwrap();
        assert_eq!(parts.train.iter().filter(|&&i| i < 20).count(), 14);
        assert_eq!(parts.train.len(), 21);
        assert_eq!(parts, split(&entries, 0.7, 1).unwrap());
        assert_ne!(parts, split(&entries, 0.7, 2).unwrap());
        assert!(split(&entries, 1.0, 0).unwrap().held_back.is_empty());
        for nonsense in [0.0, -1.0, 1.1, f64::NAN] {
            assert!(split(&entries, nonsense, 0).is_err());
        }
    }

    #[test]
    fn copies_count_once() {
        let entries = [("a", "1"), ("a", "1"), ("a", "2"), ("b", "3")].map(|(person, sha256)| Entry { person, sha256 });
        assert_eq!(photos_per_person(&entries), BTreeMap::from([("a".into(), 2), ("b".into(), 1)]));
    }

    proptest! {
        #[test]
        fn no_file_is_on_both_sides(files in prop::collection::vec((0u8..4, 0u8..12), 0..60), share in 0.05f64..1.0, seed: u64) {
            let named: Vec<(String, String)> = files.iter().map(|(p, f)| (p.to_string(), f.to_string())).collect();
            let entries: Vec<Entry> = named.iter().map(|(person, sha256)| Entry { person, sha256 }).collect();
            let parts = split(&entries, share, seed).unwrap();
            let mut all = [parts.train.clone(), parts.held_back.clone()].concat();
            all.sort_unstable();
            prop_assert_eq!(all, (0..entries.len()).collect::<Vec<_>>());
            for &t in &parts.train {
                prop_assert!(parts.held_back.iter().all(|&h| entries[h].sha256 != entries[t].sha256));
            }
        }
    }
}
