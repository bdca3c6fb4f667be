//! Folds in which a person's near-duplicates are never parted: what was trained on is no test.

use rayon::prelude::*;

use crate::{
    Error, Result, classify::guard::quantile, components::Components, embed::dot, fingerprint::PictureHash,
    folds::folds,
};

/// Pairs of different people that are looked at to learn how like strangers are.
const STRANGERS: usize = 100_000;
/// The likeness that strangers reach once in a thousand pairs.
const HARDLY_REACHED: f64 = 0.999;
/// How far of the way from there to equal embeddings of one picture are. Four fifths, as the doctor has it, are enough for
/// a suspicion, which it confirms by the pictures; here, where there may be none, two photos of one person would chain into
/// one. Of copies re-encoded, resized and cropped, 98 % of LFW's are nearer.
const COPIES: f32 = 0.9;
/// Embeddings nearer than this are of one picture whatever strangers do.
const SURELY_ONE: f32 = 0.99;

/// A training face, for the folds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Face<'a> {
    /// The person's number. Faces are sorted by it.
    pub class: usize,
    /// Equal for files of the same bytes.
    pub photo: u32,
    /// The hash of its picture.
    pub picture: Option<PictureHash>,
    /// Its embedding, unit length.
    pub vector: &'a [f32],
}

/// For each face the least number of a face of its group: of one person, and of the same bytes, of pictures that hash
/// alike, or of embeddings as near as copies' are. What strangers hardly reach is learnt from these very faces, since tables
/// come of any embedder.
pub(super) fn groups(faces: &[Face<'_>], seed: u64) -> Vec<usize> {
    let strangers = strangers(faces, seed);
    let copies = (strangers + COPIES * (1.0 - strangers)).min(SURELY_ONE);
    let one = |a: &Face<'_>, b: &Face<'_>| {
        let pictures = a.picture.zip(b.picture);
        a.photo == b.photo
            || pictures.is_some_and(|(a, b)| a.distance(&b) <= PictureHash::SAME)
            || dot(a.vector, b.vector) >= copies
    };
    let people: Vec<&[Face<'_>]> = faces.chunk_by(|a, b| a.class == b.class).collect();
    let grouped: Vec<Vec<usize>> = people
        .into_par_iter()
        .map(|own| {
            let mut components = Components::new(own.len());
            for (a, face) in own.iter().enumerate() {
                for (b, other) in own.iter().enumerate().skip(a + 1) {
                    if one(face, other) {
                        components.link(a, b);
                    }
                }
            }
            (0..own.len()).map(|face| components.find(face)).collect()
        })
        .collect();
    let mut all = Vec::with_capacity(faces.len());
    for own in grouped {
        let first = all.len();
        all.extend(own.into_iter().map(|group| first + group));
    }
    all
}

/// The similarity that two people hardly reach.
fn strangers(faces: &[Face<'_>], seed: u64) -> f32 {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut similarities: Vec<f64> = (0..STRANGERS.min(faces.len() * faces.len()))
        .filter_map(|_| {
            let (a, b) = (random.choice(faces)?, random.choice(faces)?);
            (a.class != b.class).then(|| f64::from(dot(a.vector, b.vector)))
        })
        .collect();
    similarities.sort_by(f64::total_cmp);
    // Of one person alone nothing is known, and nothing can be searched.
    quantile(&similarities, HARDLY_REACHED).max(-1.0) as f32
}

/// For each face the fold, below `parts`, in which it is held out; `None` for the faces of people with a single group,
/// who are always trained on. Groups are dealt person by person, so that each fold has its share of everybody.
///
/// # Errors
/// [`Error::Invalid`] when fewer than two people have two groups: then nothing can be held out.
pub(super) fn held_out(faces: &[Face<'_>], groups: &[usize], parts: usize, seed: u64) -> Result<Vec<Option<usize>>> {
    let people: Vec<&[Face<'_>]> = faces.chunk_by(|a, b| a.class == b.class).collect();
    let mut several = vec![false; faces.len()];
    let (mut first, mut testable) = (0, 0);
    for own in &people {
        let range = first..first + own.len();
        if groups[range.clone()].iter().any(|&group| group != groups[first]) {
            several[range.clone()].fill(true);
            testable += 1;
        }
        first = range.end;
    }
    if testable < 2 {
        return Err(Error::Invalid(format!(
            "--search holds photos out, and {testable} of {} people have two to train on that differ: copies of one \
             picture count once, and what --split holds back is not used. Add photos, or raise --split",
            people.len()
        )));
    }
    let dealt = folds(groups, |face| faces[face].class as f64, parts, seed);
    Ok(several.into_iter().zip(dealt).map(|(several, fold)| several.then_some(fold)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn unit(random: &mut fastrand::Rng, about: &[f32], noise: f32) -> Vec<f32> {
        let v: Vec<f32> = about.iter().map(|x| x + noise * (2.0 * random.f32() - 1.0)).collect();
        let norm = dot(&v, &v).sqrt();
        v.iter().map(|x| x / norm).collect()
    }

    /// People with photos, of which some are copies: by their bytes, or nearly equal embeddings. The last number of each
    /// face says which picture it is of.
    fn people(photos: &[Vec<usize>], seed: u64) -> Vec<(usize, u32, Vec<f32>, usize)> {
        let mut random = fastrand::Rng::with_seed(seed);
        let (mut faces, mut picture) = (Vec::new(), 0);
        for (class, copies) in photos.iter().enumerate() {
            let centre = unit(&mut random, &[0.0; 32], 1.0);
            for &copies in copies {
                let vector = unit(&mut random, &centre, 0.3);
                for copy in 0..copies {
                    let (photo, vector) = if copy % 2 == 1 {
                        // The same bytes under another name, and a face cut out elsewhere.
                        (
                            faces.last().map_or(0, |last: &(usize, u32, Vec<f32>, usize)| last.1),
                            unit(&mut random, &centre, 0.3),
                        )
                    } else {
                        (faces.len() as u32, unit(&mut random, &vector, 0.002))
                    };
                    faces.push((class, photo, vector, picture));
                }
                picture += 1;
            }
        }
        faces
    }

    proptest! {
        #[test]
        fn copies_never_part(
            photos in prop::collection::vec(prop::collection::vec(1usize..5, 1..8), 3..12),
            seed: u64,
            parts in 2usize..7,
        ) {
            let made = people(&photos, seed);
            let faces: Vec<Face> = made.iter().map(|(class, photo, vector, _)| Face { class: *class, photo: *photo, picture: None, vector }).collect();
            let groups = groups(&faces, seed);
            if let Ok(held) = held_out(&faces, &groups, parts, seed) {
                for a in 0..faces.len() {
                    prop_assert!(held[a].is_none_or(|fold| fold < parts));
                    prop_assert_eq!(faces[groups[a]].class, faces[a].class);
                    for b in 0..a {
                        if made[a].3 == made[b].3 {
                            prop_assert_eq!(held[a], held[b], "{} {}", a, b);
                        }
                    }
                }
                // Whoever is held out in a fold is trained on in the others.
                for fold in 0..parts {
                    for class in 0..photos.len() {
                        prop_assert!((0..faces.len()).any(|i| faces[i].class == class && held[i] != Some(fold)));
                    }
                }
                for (a, b) in held.iter().zip(held_out(&faces, &groups, parts, seed).unwrap()) {
                    prop_assert_eq!(*a, b);
                }
            }
        }
    }

    #[test]
    fn photos_that_differ_are_shared_out() {
        let made = people(&vec![vec![1; 10]; 20], 3);
        let faces: Vec<Face> = made
            .iter()
            .map(|(class, photo, vector, _)| Face { class: *class, photo: *photo, picture: None, vector })
            .collect();
        let groups = groups(&faces, 0);
        assert_eq!(groups, (0..200).collect::<Vec<_>>(), "photos of one person are no copies");
        let held = held_out(&faces, &groups, 5, 0).unwrap();
        for fold in 0..5 {
            for class in 0..20 {
                assert_eq!((0..200).filter(|&i| held[i] == Some(fold) && faces[i].class == class).count(), 2);
            }
        }
    }

    #[test]
    fn pictures_that_hash_alike_are_one() {
        use crate::fingerprint::tests::picture;
        let hash = |seed: u64, scale: f32, side: u32| PictureHash::of(&picture(seed, scale, 0.0, 0.0, side, side));
        let (a, b, c) = ([1.0, 0.0], [0.6, 0.8], [-0.6, 0.8]);
        let face = |class, photo, picture, vector| Face { class, photo, picture, vector };
        let faces = [
            face(0, 0, hash(1, 1.0, 200), &a[..]),
            face(0, 1, hash(2, 1.0, 200), &b),
            face(0, 2, hash(1, 0.5, 100), &c),
            face(1, 3, None, &a),
        ];
        assert_eq!(groups(&faces, 0)[..3], [0, 1, 0]);
    }

    #[test]
    fn too_few_photos_are_refused() {
        let made = people(&[vec![3], vec![1, 1], vec![2]], 1);
        let faces: Vec<Face> = made
            .iter()
            .map(|(class, photo, vector, _)| Face { class: *class, photo: *photo, picture: None, vector })
            .collect();
        let error = held_out(&faces, &groups(&faces, 0), 5, 0).unwrap_err().to_string();
        assert!(error.contains("1 of 3 people") && error.contains("--split"), "{error}");
    }
}
