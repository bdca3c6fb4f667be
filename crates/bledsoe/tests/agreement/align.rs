//! Chips of the astronaut against dlib's `get_face_chip` and OpenCV's `warpAffine`, from tools/reference/align.py.

use bledsoe::{
    align::{FaceChip, warp},
    geometry::Point,
    landmark::{Landmarks, Scheme},
    model::Registry,
    photo::{Limits, Photo},
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Astronaut {
    dlib5: Vec<[f32; 2]>,
    ibug68: Vec<[f32; 2]>,
    eyes_lip: [f32; 6],
}

fn astronaut() -> Astronaut {
    serde_json::from_str(include_str!("golden/align/astronaut.json")).unwrap()
}

fn photo(png: &[u8]) -> Photo {
    Photo::decode(png, &Limits::default()).unwrap()
}

fn landmarks(scheme: Scheme, points: &[[f32; 2]]) -> Landmarks {
    Landmarks { scheme, points: points.iter().map(|p| Point::new(p[0], p[1])).collect() }
}

fn chip(photo: &Photo, template: &str, landmarks: &Landmarks) -> FaceChip {
    let template = Registry::embedded().unwrap().template(template).unwrap();
    warp(photo, &template.fit(landmarks, template.size()).unwrap(), template.size())
}

/// Mean absolute difference of two chips, in steps of 0 to 255.
fn difference(chip: &FaceChip, expected: &[u8]) -> f64 {
    let expected = photo(expected);
    assert_eq!(chip.rgb.len(), expected.rgb().len());
    let sum: u64 = chip.rgb.iter().zip(expected.rgb()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    sum as f64 / chip.rgb.len() as f64
}

#[test]
fn the_dlib_chip_is_that_of_dlib() {
    let photo = photo(include_bytes!("golden/align/astronaut.png"));
    let chip = chip(&photo, "dlib", &landmarks(Scheme::Dlib5, &astronaut().dlib5));
    let difference = difference(&chip, include_bytes!("golden/align/dlib-150.png"));
    eprintln!("dlib's chip: mean difference {difference:.3}");
    assert!(difference < 1.5, "{difference}");
}

/// dlib shrinks by an image pyramid, bledsoe by the mean over each pixel's area.
#[test]
fn the_dlib_chip_of_a_large_face_is_nearly_that_of_dlib() {
    let small = photo(include_bytes!("golden/align/astronaut.png"));
    let (width, height, pixels) = (small.width(), small.height(), small.rgb().as_chunks::<3>().0);
    let large = (0..3 * height).flat_map(|y| (0..3 * width).map(move |x| pixels[(y / 3 * width + x / 3) as usize]));
    let large = Photo::new(3 * width, 3 * height, large.flatten().collect()).unwrap();
    let grown: Vec<[f32; 2]> = astronaut().dlib5.iter().map(|p| p.map(|v| 3.0 * v + 1.0)).collect();
    let chip = chip(&large, "dlib", &landmarks(Scheme::Dlib5, &grown));
    let difference = difference(&chip, include_bytes!("golden/align/dlib-150-large.png"));
    eprintln!("dlib's chip of a large face: mean difference {difference:.3}");
    assert!(difference < 3.0, "{difference}");
}

#[test]
fn the_eyes_lip_chip_is_that_of_opencv() {
    let photo = photo(include_bytes!("golden/align/astronaut.png"));
    let astronaut = astronaut();
    let chip = chip(&photo, "eyes-lip", &landmarks(Scheme::Ibug68, &astronaut.ibug68));
    for (a, b) in chip.transform.m.iter().zip(astronaut.eyes_lip) {
        assert!((a - b).abs() < 1e-3, "{:?}", chip.transform);
    }
    let difference = difference(&chip, include_bytes!("golden/align/eyes-lip-180.png"));
    eprintln!("eyes-lip: mean difference {difference:.3}");
    assert!(difference < 0.6, "{difference}");
}

/// How far apart two maps put the corners of a chip of `size` pixels, at most.
fn apart(a: &FaceChip, b: &FaceChip) -> f32 {
    let back = a.transform.inverse().unwrap();
    let far = a.size as f32 - 1.0;
    let corners = [(0.0, 0.0), (far, 0.0), (0.0, far), (far, far)].map(|(x, y)| Point::new(x, y));
    let moved = corners.map(|p| {
        let q = b.transform.apply(back.apply(p));
        (p.x - q.x).hypot(p.y - q.y)
    });
    moved.into_iter().fold(0.0, f32::max)
}

#[test]
fn other_landmarks_lead_to_nearly_the_same_chip() {
    let photo = photo(include_bytes!("golden/align/astronaut.png"));
    let (five, all) = (astronaut().dlib5, astronaut().ibug68);
    let (five, all) = (landmarks(Scheme::Dlib5, &five), landmarks(Scheme::Ibug68, &all));
    let eyes_nose_mouth = all.reduced_to(Scheme::Arcface5).unwrap();
    for template in ["arcface", "dlib"] {
        let [a, b, c] = [&five, &all, &eyes_nose_mouth].map(|landmarks| chip(&photo, template, landmarks));
        let share = apart(&a, &b).max(apart(&a, &c)) / a.size as f32;
        eprintln!("{template}: corners apart by {share:.3} of the side");
        assert!(share < 0.08, "{template}: {share}");
    }
}
