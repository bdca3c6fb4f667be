//! Scores of detections and landmarks, from golden/detection.json made by tools/reference/detection.py.

use std::collections::BTreeMap;

use bledsoe::{
    evaluate::{
        Bootstrap,
        detection::{Found, PhotoBoxes, Settings, Truth, detection},
        landmarks::{distance, landmarks, normalised_error},
    },
    geometry::{Point, Rect},
};
use serde::Deserialize;

const TOLERANCE: f64 = 1e-9;
/// Intervals are tested where they are made.
const NO_DRAWING: Bootstrap = Bootstrap { replicates: 0, seed: 0 };

#[derive(Deserialize)]
struct Golden {
    detection: Detections,
    landmarks: Landmarks,
}

#[derive(Deserialize)]
struct Detections {
    photos: Vec<GoldenPhoto>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct GoldenPhoto {
    truths: Vec<GoldenTruth>,
    found: Vec<GoldenFound>,
}

#[derive(Deserialize)]
struct GoldenTruth {
    r#box: [f32; 4],
    ignore: bool,
}

#[derive(Deserialize)]
struct GoldenFound {
    r#box: [f32; 4],
    score: f64,
}

#[derive(Deserialize)]
struct Case {
    min_iou: f64,
    min_score: f64,
    all: Figures,
    by_size: Vec<Figures>,
}

#[derive(Deserialize)]
struct Figures {
    #[serde(default)]
    size: String,
    faces: usize,
    #[serde(default)]
    ignored: usize,
    recall: Option<f64>,
    average_precision: Option<f64>,
    precision: Option<f64>,
    false_alarms: usize,
    mean_iou: Option<f64>,
}

#[derive(Deserialize)]
struct Landmarks {
    faces: Vec<Face>,
    expected: Expected,
}

#[derive(Deserialize)]
struct Face {
    photo: usize,
    truth: Vec<f32>,
    found: Option<Vec<f32>>,
}

#[derive(Deserialize)]
struct Expected {
    nme: f64,
    failure_rate: BTreeMap<String, f64>,
    auc: BTreeMap<String, f64>,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("golden/detection.json")).unwrap()
}

fn near(found: Option<f64>, expected: Option<f64>, what: &str) {
    let agree = match (found, expected) {
        (Some(a), Some(b)) => (a - b).abs() <= TOLERANCE,
        (a, b) => a.is_none() && b.is_none(),
    };
    assert!(agree, "{what}: {found:?} instead of {expected:?}");
}

#[test]
fn recall_and_average_precision() {
    let Golden { detection: golden, .. } = golden();
    let rect = |[left, top, right, bottom]: [f32; 4]| Rect { left, top, right, bottom };
    let photos: Vec<PhotoBoxes> = golden
        .photos
        .iter()
        .map(|photo| PhotoBoxes {
            truths: photo.truths.iter().map(|t| Truth { rect: rect(t.r#box), ignore: t.ignore }).collect(),
            found: Some(photo.found.iter().map(|f| Found { rect: rect(f.r#box), score: f.score }).collect()),
        })
        .collect();
    for case in golden.cases {
        let what = format!("IoU {}", case.min_iou);
        let settings = Settings { min_iou: case.min_iou, min_score: case.min_score };
        let figures = detection(&photos, &settings, &NO_DRAWING).unwrap();
        let all = &case.all;
        let counts = (figures.faces, figures.ignored, figures.false_alarms);
        assert_eq!(counts, (all.faces, all.ignored, all.false_alarms), "{what}");
        near(Some(figures.recall), all.recall, &what);
        near(figures.precision, all.precision, &what);
        near(figures.mean_iou, all.mean_iou, &what);
        near(Some(figures.average_precision), all.average_precision, &what);
        assert_eq!(figures.by_size.len(), case.by_size.len());
        for (size, expected) in figures.by_size.iter().zip(&case.by_size) {
            let what = format!("{what}, {}", size.size);
            assert_eq!((size.size, size.faces), (expected.size.as_str(), expected.faces), "{what}");
            near(size.recall, expected.recall, &what);
            near(size.average_precision, expected.average_precision, &what);
        }
    }
}

#[test]
fn mean_error_failure_rate_and_area() {
    let Golden { landmarks: golden, .. } = golden();
    let points =
        |values: &[f32]| -> Vec<Point> { values.as_chunks::<2>().0.iter().map(|&[x, y]| Point::new(x, y)).collect() };
    let mut photos = vec![Vec::new(); 12];
    for face in &golden.faces {
        let truth = points(&face.truth);
        let found = face.found.as_deref().map(points);
        let length = distance(&truth[0], &truth[1]);
        photos[face.photo].push(found.and_then(|found| normalised_error(&found, &truth, length)));
    }
    let figures = landmarks(&photos, &NO_DRAWING).unwrap();
    near(figures.nme, Some(golden.expected.nme), "mean error");
    for limit in ["0.08", "0.1"] {
        near(Some(figures.failure_rate[limit]), Some(golden.expected.failure_rate[limit]), limit);
        near(Some(figures.auc[limit]), Some(golden.expected.auc[limit]), limit);
    }
    assert_eq!(figures.failures, golden.faces.iter().filter(|face| face.found.is_none()).count());
}
