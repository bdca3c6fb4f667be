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

/// What dlib finds in a set of photos.
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

/// How a set agrees with dlib.
struct Agreement {
    /// Share of photos with the same number of faces, each within 2 pixels of one of dlib's.
    boxes: f64,
    /// Median and largest difference of the scores of equal boxes.
    scores: (f32, f32),
}

fn compare(set: &Golden, photos: &[Photo], min_score: Option<f32>) -> Agreement {
    let found = detector(set.upsample, min_score).detect(&photos.iter().collect::<Vec<_>>()).unwrap();
    let (mut same, mut scores) = (0, Vec::new());
    for ((path, faces), found) in set.photos.iter().zip(&found) {
        if found.len() == faces.len() && faces.iter().all(|face| found.iter().any(|d| off(d, face) <= 2.0)) {
            same += 1;
        } else {
            eprintln!("{path}: {found:?}, dlib {faces:?}");
        }
        let equal =
            found.iter().flat_map(|d| faces.iter().filter(|f| off(d, f) == 0.0).map(|f| (d.score - f[4]).abs()));
        scores.extend(equal);
    }
    scores.sort_by(f32::total_cmp);
    let at = |i: usize| scores.get(i).copied().unwrap_or(0.0);
    let (median, most) = (at(scores.len() / 2), at(scores.len().saturating_sub(1)));
    let (name, upsample, n) = (&set.name, set.upsample, set.photos.len());
    eprintln!("{name} upsample {upsample}: {same} of {n} agree; scores off by {median:.6}, at most {most:.6}");
    Agreement { boxes: same as f64 / n as f64, scores: (median, most) }
}

/// The drawing of `tools/reference/hog.py`.
fn drawing() -> Photo {
    const FACES: [(i64, i64, i64); 4] = [(110, 130, 10), (300, 110, 8), (420, 150, 6), (300, 240, 5)];
    const PARTS: [(i64, i64, i64, i64, i64); 13] = [
        (0, 0, 62, 80, 190),
        (0, -60, 66, 40, 40),
        (-26, -18, 17, 5, 70),
        (26, -18, 17, 5, 70),
        (-26, -8, 12, 6, 235),
        (26, -8, 12, 6, 235),
        (-26, -8, 5, 6, 40),
        (26, -8, 5, 6, 40),
        (0, 12, 5, 18, 215),
        (-8, 28, 5, 3, 90),
        (8, 28, 5, 3, 90),
        (0, 50, 24, 7, 110),
        (0, 50, 20, 2, 50),
    ];
    let grey = |x: i64, y: i64| {
        let mut grey = 60 + (x + 2 * y) / 8;
        for (fx, fy, size) in FACES {
            for (cx, cy, rx, ry, value) in PARTS {
                let (a, b) = (rx * size, ry * size);
                let (dx, dy) = (10 * (x - fx) - cx * size, 10 * (y - fy) - cy * size);
                if (dx * b).pow(2) + (dy * a).pow(2) < (a * b).pow(2) {
                    grey = value;
                }
            }
        }
        [grey, grey * 7 / 8, grey * 3 / 4].map(|v| v as u8)
    };
    let rgb = (0..300).flat_map(|y| (0..480).flat_map(move |x| grey(x, y))).collect();
    Photo::new(480, 300, rgb).unwrap()
}

#[test]
fn finds_in_a_drawing_what_dlib_finds() {
    for set in golden().iter().filter(|set| set.name == "drawing") {
        let agreement = compare(set, &[drawing()], Some(-1.0));
        assert_eq!(agreement.boxes, 1.0);
        assert!(agreement.scores.1 < 1e-3);
    }
}

#[test]
fn finds_in_photos_what_dlib_finds() {
    let Some(root) = datasets() else {
        crate::skipped(format_args!("finds_in_photos_what_dlib_finds: no data sets; set BLEDSOE_DATASETS"));
        return;
    };
    for set in golden().iter().filter(|set| set.name != "drawing") {
        let photos: Vec<Photo> =
            set.photos.keys().map(|p| Photo::open(&root.join(p), &Limits::default()).unwrap()).collect();
        let agreement = compare(set, &photos, None);
        // Each decodes the files itself.
        assert!(agreement.boxes >= 0.99, "{} upsample {}: {}", set.name, set.upsample, agreement.boxes);
        assert!(agreement.scores.1 <= 2e-3, "{} upsample {}: {:?}", set.name, set.upsample, agreement.scores);
    }
}
