//! Landmarks of ORL and LFW faces and of the astronaut against dlib's, from tools/reference/landmarks.py and align.py.

use std::{fs, path::PathBuf};

use bledsoe::{
    detect::Detection,
    geometry::{Point, Rect},
    landmark::{Landmarker, Landmarks, RegressionTrees, Scheme},
    model::{
        Store,
        dlib::shape::{self, ShapePredictor},
    },
    photo::{Limits, Photo},
};

/// A face of the golden file: image, box, 5 points, 68 points.
type Face = (String, [f32; 4], Vec<f32>, Vec<f32>);

fn golden(name: &str) -> String {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/agreement/golden");
    fs::read_to_string(folder.join(name)).unwrap()
}

fn images(folder: &str) -> Option<PathBuf> {
    let datasets = std::env::var_os("BLEDSOE_DATASETS").map(PathBuf::from);
    let datasets = datasets.unwrap_or_else(|| concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/datasets").into());
    Some(datasets.join(folder)).filter(|folder| folder.exists())
}

/// A file of PyPI face-recognition-models: in the cache of pulled models, or in the folder BLEDSOE_DLIB_MODELS.
fn dat(points: usize) -> Option<Vec<u8>> {
    let file = format!("shape_predictor_{points}_face_landmarks.dat");
    let folders = [Some(Store::cache()), std::env::var_os("BLEDSOE_DLIB_MODELS").map(PathBuf::from)];
    folders.into_iter().flatten().find_map(|folder| fs::read(folder.join(&file)).ok())
}

fn skip(name: &str, reason: &str) {
    crate::skipped(format_args!("{name}: {reason}"));
}

const NO_DAT: &str = "no dlib .dat file; set BLEDSOE_DLIB_MODELS to face_recognition_models/models of the PyPI package";

fn embedded() -> ShapePredictor {
    shape::read_compact(&Store::new(None).bytes("landmarks5").unwrap(), "landmarks5").unwrap()
}

fn predicted(trees: &RegressionTrees, photo: &Photo, [left, top, right, bottom]: [f32; 4]) -> Landmarks {
    let detection = Detection { rect: Rect { left, top, right, bottom }, score: 0.0, points: None };
    trees.landmarks(photo, &detection).unwrap()
}

/// How far each coordinate is from dlib's, which is rounded to whole pixels, beyond that rounding.
fn errors<'a>(found: &'a Landmarks, expected: &'a [f32]) -> impl Iterator<Item = f32> + 'a {
    assert_eq!(2 * found.points.len(), expected.len());
    let coordinates = found.points.iter().flat_map(|p| [p.x, p.y]);
    coordinates.zip(expected).map(|(found, expected)| ((found - expected).abs() - 0.5).max(0.0))
}

/// The errors of all faces of a golden file, or none where the photos are not there.
fn errors_on(trees: &RegressionTrees, name: &str, file: &str, folder: &str) -> Option<Vec<f32>> {
    let Some(images) = images(folder) else {
        skip(name, &format!("no {folder} under BLEDSOE_DATASETS"));
        return None;
    };
    let faces: Vec<Face> = serde_json::from_str(&golden(file)).unwrap();
    let mut all = Vec::new();
    for (image, edges, five, all68) in faces {
        let bytes = fs::read(images.join(&image)).unwrap();
        let photo = Photo::decode(&bytes, &Limits::default()).unwrap();
        let found = predicted(trees, &photo, edges);
        let expected = if found.scheme == Scheme::Dlib5 { five } else { all68 };
        all.extend(errors(&found, &expected));
    }
    let share = |limit: f32| 100.0 * all.iter().filter(|&&e| e <= limit).count() as f32 / all.len() as f32;
    let worst = all.iter().copied().fold(0.0, f32::max);
    eprintln!("{name}: {:.2} % as dlib's, {:.2} % within 1 px of them, worst {worst:.2} px", share(1e-3), share(1.0));
    Some(all)
}

/// Every landmark must round to dlib's. ORL's photos are not compressed; LFW's JPEGs each side decodes itself.
fn agrees(points: &str, trees: &RegressionTrees) {
    for (set, file, folder) in [("orl", "landmarks-orl.json", "orl"), ("lfw", "landmarks-lfw.json", "lfw/images")] {
        let Some(errors) = errors_on(trees, &format!("{points}_landmarks_on_{set}"), file, folder) else { continue };
        assert!(errors.iter().all(|&e| e < 1e-3));
    }
}

#[test]
fn five_landmarks_are_those_of_dlib() {
    let trees = RegressionTrees::new("landmarks5", embedded());
    agrees("five", &trees);
}

#[test]
fn sixty_eight_landmarks_are_those_of_dlib() {
    let Some(bytes) = dat(68) else { return skip("sixty_eight_landmarks_are_those_of_dlib", NO_DAT) };
    let trees = RegressionTrees::new("landmarks68", shape::read_dat(&bytes, "68").unwrap());
    agrees("sixty_eight", &trees);
}

#[test]
fn the_embedded_predictor_is_the_dat_file() {
    let Some(bytes) = dat(5) else { return skip("the_embedded_predictor_is_the_dat_file", NO_DAT) };
    assert!(shape::read_dat(&bytes, "5").unwrap() == embedded());
}

/// A PNG decodes alike everywhere, so here every landmark must round to dlib's.
#[test]
fn the_astronauts_landmarks_are_exactly_those_of_dlib() {
    #[derive(serde::Deserialize)]
    struct Astronaut {
        r#box: [f32; 4],
        dlib5: Vec<[f32; 2]>,
        ibug68: Vec<[f32; 2]>,
    }
    let photo = include_bytes!("golden/align/astronaut.png");
    let photo = Photo::decode(photo, &Limits::default()).unwrap();
    let expected: Astronaut = serde_json::from_str(&golden("align/astronaut.json")).unwrap();
    let five = predicted(&RegressionTrees::new("landmarks5", embedded()), &photo, expected.r#box);
    assert!(errors(&five, expected.dlib5.as_flattened()).all(|e| e < 1e-4), "{five:?}");
    let Some(bytes) = dat(68) else { return skip("the_astronauts_68_landmarks", NO_DAT) };
    let all = RegressionTrees::new("landmarks68", shape::read_dat(&bytes, "68").unwrap());
    let all = predicted(&all, &photo, expected.r#box);
    assert!(errors(&all, expected.ibug68.as_flattened()).all(|e| e < 1e-4), "{all:?}");
}

/// A detector that draws its boxes differently is corrected by its five points.
#[test]
fn five_points_make_up_for_another_detectors_box() {
    let photo = Photo::decode(include_bytes!("golden/align/astronaut.png"), &Limits::default()).unwrap();
    let trees = RegressionTrees::new("landmarks5", embedded());
    let found = |rect, points| trees.landmarks(&photo, &Detection { rect, score: 0.0, points }).unwrap();
    let hog: serde_json::Value = serde_json::from_str(&golden("align/astronaut.json")).unwrap();
    let [left, top, right, bottom]: [f32; 4] = serde_json::from_value(hog["box"].clone()).unwrap();
    let all: Vec<[f32; 2]> = serde_json::from_value(hog["ibug68"].clone()).unwrap();
    let all = Landmarks { scheme: Scheme::Ibug68, points: all.iter().map(|p| Point::new(p[0], p[1])).collect() };
    let five = all.reduced_to(Scheme::Arcface5).unwrap().points;
    let expected = found(Rect { left, top, right, bottom }, None);
    let elsewhere = Rect { left: left + 20.0, top: top - 30.0, right: right + 50.0, bottom };
    let corrected = found(elsewhere, five.try_into().ok());
    for (p, q) in corrected.points.iter().zip(&expected.points) {
        assert!((p.x - q.x).hypot(p.y - q.y) < 2.0, "{corrected:?} {expected:?}");
    }
}
