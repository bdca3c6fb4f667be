//! Names of chips: `photo.jpg` becomes `photo.png`, and no two chips of a run share a name.

use std::collections::{HashMap, HashSet};

use crate::dataset::Item;

/// The chips' names for the photos of a run. They depend on nothing but the list of photos.
pub(super) struct ChipNames {
    /// Lower-case, because some file systems do not tell `A` from `a`.
    taken: HashSet<String>,
    shared: HashSet<String>,
    photos: HashSet<String>,
}

impl ChipNames {
    /// The names for `items`.
    pub(super) fn new(items: &[Item]) -> Self {
        let photos: HashSet<String> = items.iter().map(|i| i.relative.to_lowercase()).collect();
        let mut stems: HashMap<String, usize> = HashMap::new();
        for item in items {
            *stems.entry(stem(&item.relative).to_lowercase()).or_default() += 1;
        }
        let shared = stems.into_iter().filter(|(_, n)| *n > 1).map(|(stem, _)| stem).collect();
        let mut names = Self { taken: HashSet::new(), shared, photos };
        names.taken = items.iter().map(|i| names.first(&i.relative).to_lowercase()).collect();
        names
    }

    /// The name, without extension, of the first face's chip: the photo's own, with its extension kept where several
    /// photos differ only in that (`a.jpg` and `a.bmp` give `a.jpg.png` and `a.bmp.png`).
    pub(super) fn first<'a>(&self, relative: &'a str) -> &'a str {
        let stem = stem(relative);
        let key = stem.to_lowercase();
        if self.shared.contains(&key) || self.photos.contains(&key) { relative } else { stem }
    }

    /// The name, without extension, of the chip of face `number`, counted from 0: `photo`, `photo_1`, …, and
    /// `photo_1_face` where another photo is called `photo_1`.
    pub(super) fn face(&self, relative: &str, number: usize) -> String {
        let first = self.first(relative);
        if number == 0 {
            return first.to_owned();
        }
        let mut name = format!("{first}_{number}");
        while self.taken.contains(&name.to_lowercase()) {
            name.push_str("_face");
        }
        name
    }
}

/// The path without the file's extension.
fn stem(relative: &str) -> &str {
    let name = relative.rfind('/').map_or(0, |slash| slash + 1);
    match relative[name..].rfind('.') {
        Some(dot) if dot > 0 => &relative[..name + dot],
        _ => relative,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn items(photos: &[&str]) -> Vec<Item> {
        photos.iter().map(|p| Item { path: p.into(), relative: (*p).into(), person: None }).collect()
    }

    #[test]
    fn names_are_the_photos_own_unless_they_collide() {
        let photos = ["p/a.jpg", "p/a_1.jpg", "p/b.jpg", "p/B.png", "q/a.jpg", "q/c.jpg.bmp", "q/c.jpg", "top.x.gif"];
        let names = ChipNames::new(&items(&photos));
        let first: Vec<&str> = photos.iter().map(|p| names.first(p)).collect();
        assert_eq!(first, ["p/a", "p/a_1", "p/b.jpg", "p/B.png", "q/a", "q/c.jpg.bmp", "q/c", "top.x"]);
        assert_eq!(names.face("p/a.jpg", 0), "p/a");
        assert_eq!(names.face("p/a.jpg", 1), "p/a_1_face");
        assert_eq!(names.face("p/a.jpg", 2), "p/a_2");
        assert_eq!(names.face("q/a.jpg", 1), "q/a_1");
    }

    proptest! {
        #[test]
        fn no_two_chips_share_a_name(
            photos in prop::collection::btree_set("[ab](_[12]){0,2}(_face)?(\\.(jpg|png)){1,3}", 0..40)
        ) {
            let photos: Vec<&str> = photos.iter().map(String::as_str).collect();
            let names = ChipNames::new(&items(&photos));
            let mut seen = HashSet::new();
            for photo in &photos {
                for number in 0..4 {
                    let name = names.face(photo, number);
                    prop_assert!(seen.insert(name.to_lowercase()), "{name} of {photo}");
                }
            }
        }
    }
}
