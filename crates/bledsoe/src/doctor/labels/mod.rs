//! Wrong labels, by embeddings: photos in the folder of another person, people split over two folders or merged in one.
//!
//! A photo's likeness to a person is the mean of the upper quarter of its similarities to that person's photos: half of
//! them may show another age or a turned head, and some may be wrong themselves. A photo has two such numbers: its
//! likeness to its *own* folder (without itself) and to its *rival*, the other person it is likest. By chance the rival
//! of a right photo is rather like it where there are thousands of people, so neither number is judged alone:
//!
//! - [`mislabelled`]: the own likeness is below the embedder's threshold and the rival's is clearly above it, or it is
//!   hardly alike at all.
//! - [`merged`]: a folder's photos fall into two groups, each alike in itself, but not alike together.
//! - [`split`]: the photos of two folders are on average as alike as those of one person.
//!
//! Which rival counts as found, rather than met by chance, is read off the data set itself: see [`Limits`].

mod likeness;
mod merged;
mod mislabelled;
mod split;

use likeness::{Likeness, Limits, People};
use merged::merged;
use mislabelled::mislabelled;
use split::split;

use super::{Exam, Finding, Thresholds};

/// Photos less alike than this share of the embedder's threshold are of strangers: hardly a photo of LFW is less like the
/// others of its person.
const STRANGERS: f32 = 0.6;

/// All findings about labels; each photo is at fault at most once. Photos that lie in no person's folder, show no face, or
/// are too blurred to be judged are passed over.
pub(super) fn check(exams: &[Exam], thresholds: &Thresholds) -> Vec<Finding> {
    let people = People::new(exams, thresholds.sharpness);
    let likeness = people.likeness();
    let limits = Limits::of(&people, &likeness, thresholds.similarity);
    let merged = merged(&people, &likeness, &limits);
    let mislabelled = mislabelled(&people, &likeness, &limits, &merged);
    let split = split(&people, &likeness, &limits);
    mislabelled.into_iter().chain(split).chain(merged).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::doctor::{Fix, Kind, tests::exam};

    const DIM: usize = 128;

    /// Draws photos of made-up people: directions with noise, as alike (about 0.7 within a person, 0 ± 0.09 between) as
    /// those of an embedder with a threshold of 0.45.
    struct World {
        random: fastrand::Rng,
        exams: Vec<Exam>,
    }

    impl World {
        fn new(seed: u64) -> Self {
            Self { random: fastrand::Rng::with_seed(seed), exams: Vec::new() }
        }

        /// Sum of four uniform numbers: near enough to normal.
        fn noise(&mut self) -> f32 {
            (0..4).map(|_| self.random.f32() - 0.5).sum()
        }

        /// Adds a photo of `person` to `folder`.
        fn photo(&mut self, person: usize, folder: &str, name: &str) {
            let mut center = Self::new(person as u64 + 1_000_000);
            let mut vector: Vec<f32> = (0..DIM).map(|_| center.noise() + 0.65 * self.noise()).collect();
            let length = vector.iter().map(|v| v * v).sum::<f32>().sqrt();
            vector.iter_mut().for_each(|v| *v /= length);
            self.exams.push(exam(&format!("{folder}/{name}.jpg"), Some(folder), Some(vector)));
        }

        /// `people` people, the first of them `p000`, with `photos` photos each.
        fn people(seed: u64, people: usize, photos: usize) -> Self {
            let mut world = Self::new(seed);
            for person in 0..people {
                for number in 0..photos {
                    world.photo(person, &format!("p{person:03}"), &number.to_string());
                }
            }
            world
        }

        fn check(&self) -> Vec<Finding> {
            check(&self.exams, &Thresholds::new(0.45).unwrap())
        }
    }

    fn moved(person: &str) -> Fix {
        Fix::Relabel { person: person.into() }
    }

    #[test]
    fn photos_in_folders_of_others_are_found_with_their_owner() {
        let mut world = World::people(1, 60, 4);
        let strays = [(3, "p010"), (4, "p010"), (5, "p020"), (3, "p030")];
        for (person, folder) in strays {
            world.photo(person, folder, &format!("stray{person}"));
        }
        let findings = world.check();
        assert!(findings.iter().all(|finding| finding.kind == Kind::Mislabelled), "{findings:?}");
        let mut found: Vec<_> = findings.iter().map(|f| (f.photos[0].as_str(), f.fix.clone())).collect();
        found.sort_by_key(|(photo, _)| *photo);
        let expected = [
            ("p010/stray3.jpg", moved("p003")),
            ("p010/stray4.jpg", moved("p004")),
            ("p020/stray5.jpg", moved("p005")),
            ("p030/stray3.jpg", moved("p003")),
        ];
        assert_eq!(found, expected);
        assert_eq!(findings[0].people.len(), 2);
        assert!(findings[0].scores["own"] < 0.4 && findings[0].scores["other"] > 0.5, "{:?}", findings[0]);
        assert!(findings[0].others[0].starts_with(&findings[0].people[1]), "{:?}", findings[0].others);
    }

    #[test]
    fn a_stray_in_a_large_folder_is_found_though_some_photo_there_is_a_little_like_it() {
        let mut world = World::people(2, 10, 3);
        for number in 0..300 {
            world.photo(500, "large", &number.to_string());
        }
        world.photo(4, "large", "stray");
        let findings = world.check();
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert_eq!((findings[0].photos[0].as_str(), &findings[0].fix), ("large/stray.jpg", &moved("p004")));
    }

    #[test]
    fn in_a_folder_of_two_the_one_that_another_person_is_like_is_wrong() {
        let mut world = World::people(3, 40, 3);
        world.photo(700, "one", "0");
        world.photo(7, "one", "1");
        let findings = world.check();
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert_eq!((findings[0].photos[0].as_str(), &findings[0].fix), ("one/1.jpg", &moved("p007")));
    }

    #[test]
    fn of_two_strangers_it_is_not_said_which_is_wrong() {
        let mut world = World::people(4, 40, 3);
        world.photo(700, "one", "0");
        world.photo(701, "one", "1");
        let findings = world.check();
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert_eq!((findings[0].kind, &findings[0].fix), (Kind::Merged, &Fix::Look));
        assert_eq!(findings[0].people, ["one"]);
    }

    #[test]
    fn a_stray_that_nobody_knows_is_found_without_an_owner() {
        let mut world = World::people(5, 40, 6);
        world.photo(701, "p000", "stray");
        let findings = world.check();
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert_eq!((findings[0].kind, &findings[0].fix), (Kind::Mislabelled, &Fix::Look));
        assert_eq!((findings[0].photos[0].as_str(), findings[0].people.len()), ("p000/stray.jpg", 1));
    }

    #[test]
    fn a_person_in_two_folders_is_found() {
        for (first, second) in [(1, 1), (1, 5), (3, 3), (6, 2)] {
            let mut world = World::people(6, 50, 3);
            for number in 0..first {
                world.photo(800, "x", &number.to_string());
            }
            for number in 0..second {
                world.photo(800, "y", &number.to_string());
            }
            let findings = world.check();
            assert_eq!(findings.len(), 1, "{findings:?}");
            assert_eq!(findings[0].kind, Kind::Split);
            let (smaller, larger) = if first < second { ("x", "y") } else { ("y", "x") };
            assert_eq!((&findings[0].fix, findings[0].people[0].as_str()), (&moved(larger), smaller));
            assert_eq!(findings[0].photos.len(), first.min(second));
        }
    }

    #[test]
    fn two_people_in_a_folder_are_found_and_parted() {
        for (first, second) in [(2, 2), (5, 3), (2, 40)] {
            let mut world = World::people(7, 50, 3);
            for (person, count) in [(800, first), (801, second)] {
                for number in 0..count {
                    world.photo(person, "x", &format!("{person}-{number}"));
                }
            }
            // A photo like nobody's does not hide them.
            world.photo(900, "x", "noise");
            let findings: Vec<Finding> = world.check().into_iter().filter(|f| f.kind == Kind::Merged).collect();
            assert_eq!(findings.len(), 1, "{first} and {second}");
            let one_of_them = |photos: &[String], count: usize| {
                photos.len() == count && ["800", "801"].iter().any(|p| photos.iter().all(|photo| photo.contains(p)))
            };
            assert!(one_of_them(&findings[0].photos, first.min(second)), "{:?}", findings[0].photos);
            assert!(one_of_them(&findings[0].others, first.max(second)), "{:?}", findings[0].others);
            assert_eq!(findings[0].fix, moved("x (2)"));
        }
    }

    #[test]
    fn photos_without_face_or_folder_are_passed_over() {
        let mut world = World::people(8, 5, 3);
        world.exams.push(exam("p000/noface.jpg", Some("p000"), None));
        let vector = world.exams[0].subject.as_ref().map(|subject| subject.vector.clone());
        world.exams.push(exam("top.jpg", None, vector));
        world.photo(700, "p000", "blurred");
        let subject = world.exams.last_mut().and_then(|exam| exam.subject.as_mut());
        subject.unwrap().sharpness = 0.001;
        assert_eq!(world.check(), []);
        assert_eq!(check(&[], &Thresholds::new(0.45).unwrap()), []);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20))]
        #[test]
        fn a_clean_data_set_has_no_findings(seed in 0u64..1000, sizes in prop::collection::vec(1usize..7, 1..60)) {
            let mut world = World::new(seed);
            for (person, size) in sizes.iter().enumerate() {
                for number in 0..*size {
                    world.photo(person, &format!("p{person:03}"), &number.to_string());
                }
            }
            prop_assert_eq!(world.check(), []);
        }
    }
}
