//! dlib's frontal face detector, photo by photo, against what dlib finds (`tools/reference/hog.py`).

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use bledsoe::{
    detect::{Detection, Detector, Hog},
    model::{Store, dlib::hog},
    photo::{Limits, Photo},
};

/// Left, top, right, bottom, score.
type Face = [f32; 5];

#[derive(serde::Deserialize)]
struct Golden {
    name: String,
    upsample: u32,
    photos: BTreeMap<String, Vec<Face>>,
}

fn golden() -> Vec<Golden> {
    serde_json::from_str(include_str!("golden/hog.json")).unwrap()
}

fn datasets() -> Option<PathBuf> {
    let given = std::env::var_os("BLEDSOE_DATASETS").map(PathBuf::from);
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/datasets");
    given.or(Some(beside)).filter(|folder| folder.is_dir())
}

fn detector(upsample: u32, min_score: Option<f32>) -> Hog {
    let bytes = Store::new(None).bytes("hog").unwrap();
    Hog::new(hog::read(&bytes, "hog").unwrap(), "hog", upsample, min_score).unwrap()
}

/// How far the farthest edge is off, in pixels.
fn off(found: &Detection, face: &Face) -> f32 {
    let r = found.rect;
    [r.left, r.top, r.right, r.bottom].iter().zip(face).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// The same number of faces, each within 2 pixels of dlib's of the same rank or any other.
fn agrees(found: &[Detection], faces: &[Face]) -> bool {
    found.len() == faces.len() && faces.iter().all(|face| found.iter().any(|d| off(d, face) <= 2.0))
}

/// Share of photos that agree, and the largest difference of a score where they do.
fn compare(set: &Golden, root: &Path) -> (f64, f32) {
    let paths: Vec<&String> = set.photos.keys().collect();
    let photos: Vec<Photo> = paths.iter().map(|p| Photo::open(&root.join(p), &Limits::default()).unwrap()).collect();
    let found = detector(set.upsample, None).detect(&photos.iter().collect::<Vec<_>>()).unwrap();
    let (mut same, mut exact, mut worst) = (0, 0, 0.0f32);
    let mut differences = Vec::new();
    for ((path, faces), found) in set.photos.iter().zip(&found) {
        if !agrees(found, faces) {
            eprintln!("{path}: {found:?}, dlib {faces:?}");
            continue;
        }
        same += 1;
        exact += usize::from(found.iter().zip(faces).all(|(d, f)| off(d, f) == 0.0));
        for (d, f) in found.iter().zip(faces).filter(|(d, f)| off(d, f) == 0.0) {
            worst = worst.max((d.score - f[4]).abs());
            differences.push((d.score - f[4]).abs());
        }
    }
    differences.sort_by(f32::total_cmp);
    let median = differences.get(differences.len() / 2).copied().unwrap_or(0.0);
    let n = set.photos.len();
    let (name, upsample) = (&set.name, set.upsample);
    eprintln!(
        "{name} upsample {upsample}: {same} of {n} agree, {exact} exactly; scores off by {median:.5}, at most {worst:.5}"
    );
    (f64::from(same) / n as f64, worst)
}

#[test]
fn finds_what_dlib_finds() {
    let Some(root) = datasets() else {
        eprintln!("SKIPPED finds_what_dlib_finds: no data sets; set BLEDSOE_DATASETS");
        return;
    };
    for set in golden() {
        let (share, worst) = compare(&set, &root);
        assert!(share >= 0.99, "{} upsample {}: {share} agree", set.name, set.upsample);
        assert!(worst < 0.05, "{} upsample {}: a score off by {worst}", set.name, set.upsample);
    }
}
