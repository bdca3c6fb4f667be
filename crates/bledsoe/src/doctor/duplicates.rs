//! The same picture twice: in one folder, or in two.

use std::collections::HashMap;

use rayon::prelude::*;

use super::{Exam, Finding, Fix, Kind, Thresholds, scores, similarity::Vectors};

/// Two photos of the same picture.
struct Pair {
    a: usize,
    b: usize,
    /// 1 for equal files, else the agreement of the fingerprints or hashes.
    agreement: f32,
    equal_files: bool,
}

/// Near-duplicates: the same file; or the same face in the same picture around it (embeddings nearly equal, and
/// fingerprints that agree), which finds re-encoded, resized and slightly cropped copies; or the same hash of the whole
/// picture. Copies are grouped; all but the best (most pixels, then the largest file) are at fault.
///
/// Where the copies lie in folders of different people a person has to decide whose it is.
///
/// Scores: `agreement` (the least that joins the group; 1 for equal files), and `equal_files` (1 where all are).
pub fn find(exams: &[Exam], thresholds: &Thresholds) -> Vec<Finding> {
    let pairs = pairs(exams, exams, thresholds).into_iter().filter(|pair| pair.a < pair.b);
    let mut parent: Vec<usize> = (0..exams.len()).collect();
    let mut evidence: Vec<Pair> = Vec::new();
    for pair in pairs {
        let (a, b) = (root(&mut parent, pair.a), root(&mut parent, pair.b));
        parent[a.max(b)] = a.min(b);
        evidence.push(pair);
    }
    let mut groups: HashMap<usize, (Vec<usize>, f32, bool)> = HashMap::new();
    for pair in &evidence {
        let (members, agreement, equal) =
            groups.entry(root(&mut parent, pair.a)).or_insert_with(|| (Vec::new(), 1.0, true));
        members.extend([pair.a, pair.b]);
        *agreement = agreement.min(pair.agreement);
        *equal &= pair.equal_files;
    }
    let mut findings: Vec<Finding> = groups
        .into_values()
        .map(|(mut members, agreement, equal)| {
            members.sort_unstable();
            members.dedup();
            // The first of equals stays.
            members.sort_by_key(|&i| {
                std::cmp::Reverse((u64::from(exams[i].size.0) * u64::from(exams[i].size.1), exams[i].bytes))
            });
            let (best, copies) = (members[0], &members[1..]);
            let one_person = copies.iter().all(|&i| exams[i].person == exams[best].person);
            let mut people: Vec<String> = members.iter().filter_map(|&i| exams[i].person.clone()).collect();
            people.sort();
            people.dedup();
            Finding {
                kind: Kind::Duplicate,
                photos: copies.iter().map(|&i| exams[i].path.clone()).collect(),
                people,
                others: vec![exams[best].path.clone()],
                scores: scores([("agreement", agreement), ("equal_files", f32::from(u8::from(equal)))]),
                fix: if one_person { Fix::Quarantine } else { Fix::Look },
            }
        })
        .collect();
    findings
        .sort_by(|a, b| b.scores["agreement"].total_cmp(&a.scores["agreement"]).then_with(|| a.photos.cmp(&b.photos)));
    findings
}

/// Photos of `exams` that are also in `others`, in whatever folder: what was trained on is no test.
///
/// Scores: `agreement` with the nearest of them, and `equal_files`.
pub fn leaks(exams: &[Exam], others: &[Exam], thresholds: &Thresholds) -> Vec<Finding> {
    let mut by_photo: HashMap<usize, Vec<Pair>> = HashMap::new();
    for pair in pairs(exams, others, thresholds) {
        by_photo.entry(pair.a).or_default().push(pair);
    }
    let mut findings: Vec<Finding> = by_photo
        .into_iter()
        .map(|(a, mut pairs)| {
            pairs.sort_by(|x, y| y.agreement.total_cmp(&x.agreement).then(x.b.cmp(&y.b)));
            let equal = pairs.iter().any(|pair| pair.equal_files);
            let best = pairs.first().map_or(0.0, |pair| pair.agreement);
            let scores = scores([("agreement", best), ("equal_files", f32::from(u8::from(equal)))]);
            let mut finding = Finding::of_photo(Kind::Leak, &exams[a], scores, Fix::Quarantine);
            finding.others = pairs.iter().map(|pair| others[pair.b].path.clone()).collect();
            finding
        })
        .collect();
    findings
        .sort_by(|a, b| b.scores["agreement"].total_cmp(&a.scores["agreement"]).then_with(|| a.photos.cmp(&b.photos)));
    findings
}

fn root(parent: &mut [usize], mut i: usize) -> usize {
    while parent[i] != i {
        parent[i] = parent[parent[i]];
        i = parent[i];
    }
    i
}

/// Every pair of the same picture, with `a` of `exams` and `b` of `others`; both ways round where the two are the same
/// list, and each photo with itself left out.
fn pairs(exams: &[Exam], others: &[Exam], thresholds: &Thresholds) -> Vec<Pair> {
    let same_list = std::ptr::eq(exams, others);
    let subjects =
        |exams: &'_ [Exam]| -> Vec<usize> { (0..exams.len()).filter(|&i| exams[i].subject.is_some()).collect() };
    let vectors = |exams: &[Exam], which: &[usize]| {
        let of = which.iter().filter_map(|&i| exams[i].subject.as_ref()).map(|subject| subject.vector.as_slice());
        Vectors::new(of.clone().next().map_or(1, <[f32]>::len), of)
    };
    let (rows, columns) = (subjects(exams), subjects(others));
    let (row_vectors, column_vectors) = (vectors(exams, &rows), vectors(others, &columns));
    let mut found: HashMap<(usize, usize), Pair> = HashMap::new();
    let mut note = |a: usize, b: usize, agreement: f32| {
        if same_list && a == b {
            return;
        }
        let equal_files = exams[a].sha256 == others[b].sha256;
        let agreement = if equal_files { 1.0 } else { agreement };
        let pair = found.entry((a, b)).or_insert(Pair { a, b, agreement, equal_files });
        pair.agreement = pair.agreement.max(agreement);
    };

    let mut by_content: HashMap<&str, Vec<usize>> = HashMap::new();
    for (b, other) in others.iter().enumerate() {
        by_content.entry(&other.sha256).or_default().push(b);
    }
    for (a, exam) in exams.iter().enumerate() {
        for &b in by_content.get(exam.sha256.as_str()).into_iter().flatten() {
            note(a, b, 1.0);
        }
    }

    let alike = row_vectors.each_row(&column_vectors, |row, similarities| {
        let own = exams[rows[row]].subject.as_ref().and_then(|subject| subject.fingerprint.as_ref());
        let Some(own) = own else { return Vec::new() };
        let near = columns
            .iter()
            .zip(similarities)
            .filter(|(b, s)| **s >= thresholds.same_face && !(same_list && **b <= rows[row]));
        let agreeing = near.filter_map(|(&b, _)| {
            let other = others[b].subject.as_ref()?.fingerprint.as_ref()?;
            Some((rows[row], b, own.agreement(other)))
        });
        agreeing.filter(|(.., agreement)| *agreement >= thresholds.same_picture).collect::<Vec<_>>()
    });
    for (a, b, agreement) in alike.into_iter().flatten() {
        note(a, b, agreement);
    }

    let hashes: Vec<(usize, super::PictureHash)> =
        others.iter().enumerate().filter_map(|(b, other)| Some((b, other.picture?))).collect();
    let alike: Vec<(usize, usize, f32)> = exams
        .par_iter()
        .enumerate()
        .filter_map(|(a, exam)| Some((a, exam.picture?)))
        .flat_map_iter(|(a, hash)| {
            let distances = hashes.iter().map(move |(b, other)| (a, *b, hash.distance(other)));
            distances
                .filter(|(a, b, distance)| *distance <= thresholds.same_hash && !(same_list && b <= a))
                .collect::<Vec<_>>()
        })
        .collect();
    for (a, b, distance) in alike {
        note(a, b, 1.0 - distance);
    }
    let mut pairs: Vec<Pair> = found.into_values().collect();
    pairs.sort_by_key(|pair| (pair.a, pair.b));
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::{Fingerprint, PictureHash, tests::exam};
    use crate::{
        fingerprint::tests::picture,
        geometry::Point,
        landmark::{Landmarks, Scheme},
        model::Registry,
        photo::Photo,
    };

    /// An exam of a made-up picture; its embedding says whose face it is to show.
    fn photo(path: &str, picture: &Photo, face: Option<[f32; 2]>) -> Exam {
        let mut exam = exam(path, path.split('/').next(), face.map(Vec::from));
        let (w, h) = (picture.width() as f32, picture.height() as f32);
        let points = [[0.42, 0.44], [0.58, 0.44], [0.5, 0.53], [0.43, 0.62], [0.57, 0.62]];
        let points = points.iter().map(|[x, y]| Point::new(x * w, y * h)).collect();
        let landmarks = Landmarks { scheme: Scheme::Arcface5, points };
        let template = Registry::embedded().unwrap().template("arcface").unwrap();
        if let Some(subject) = &mut exam.subject {
            subject.fingerprint = Fingerprint::of(picture, &landmarks, template);
        }
        exam.size = (picture.width(), picture.height());
        exam.picture = PictureHash::of(picture);
        exam
    }

    fn full(seed: u64) -> Photo {
        picture(seed, 1.0, 0.0, 0.0, 200, 200)
    }

    fn thresholds() -> Thresholds {
        Thresholds::new(0.5).unwrap()
    }

    #[test]
    fn copies_are_grouped_and_the_largest_stays() {
        let small = picture(1, 0.5, 0.0, 0.0, 100, 100);
        let cropped = picture(1, 1.0, 6.0, 6.0, 188, 188);
        let exams = [
            photo("a/small.jpg", &small, Some([1.0, 0.0])),
            photo("a/full.jpg", &full(1), Some([1.0, 0.0])),
            photo("a/cropped.jpg", &cropped, Some([1.0, 0.0])),
            photo("a/other.jpg", &full(2), Some([1.0, 0.0])),
        ];
        let findings = find(&exams, &thresholds());
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert_eq!(findings[0].others, ["a/full.jpg"]);
        assert_eq!(findings[0].photos, ["a/cropped.jpg", "a/small.jpg"]);
        assert_eq!((&findings[0].fix, findings[0].scores["equal_files"]), (&Fix::Quarantine, 0.0));
    }

    #[test]
    fn equal_files_are_found_whatever_they_show() {
        let flat = Photo::new(30, 30, vec![5; 2700]).unwrap();
        let mut exams = [photo("a/1.jpg", &flat, None), photo("b/1.jpg", &flat, None), photo("b/2.jpg", &flat, None)];
        exams[1].sha256 = exams[0].sha256.clone();
        let findings = find(&exams, &thresholds());
        assert_eq!(findings.len(), 1, "a flat picture has no hash: {findings:?}");
        assert_eq!((findings[0].scores["agreement"], findings[0].scores["equal_files"]), (1.0, 1.0));
        assert_eq!(findings[0].fix, Fix::Look, "whose photo it is nobody knows");
        assert_eq!(findings[0].people, ["a", "b"]);
    }

    #[test]
    fn a_picture_without_a_face_is_found_by_its_hash() {
        let exams = [photo("a/1.jpg", &full(3), None), photo("a/2.jpg", &picture(3, 0.7, 0.0, 0.0, 140, 140), None)];
        let findings = find(&exams, &thresholds());
        assert_eq!((findings.len(), findings[0].photos.as_slice()), (1, &["a/2.jpg".to_owned()][..]));
    }

    #[test]
    fn leaks_are_found_across_folders_only() {
        let train = [
            photo("a/1.jpg", &full(1), Some([1.0, 0.0])),
            photo("a/1 copy.jpg", &full(1), Some([1.0, 0.0])),
            photo("b/1.jpg", &full(4), Some([0.0, 1.0])),
        ];
        let test = [
            photo("z/9.jpg", &picture(1, 0.6, 0.0, 0.0, 120, 120), Some([1.0, 0.0])),
            photo("z/8.jpg", &full(5), None),
        ];
        let findings = leaks(&train, &test, &thresholds());
        let found: Vec<(&str, &str)> = findings.iter().map(|f| (f.photos[0].as_str(), f.others[0].as_str())).collect();
        assert_eq!(found.len(), 2, "{findings:?}");
        assert!(found.contains(&("a/1.jpg", "z/9.jpg")) && found.contains(&("a/1 copy.jpg", "z/9.jpg")));
        assert_eq!(leaks(&train[2..], &test, &thresholds()), []);
    }
}
