//! Tables of embeddings of people who do not exist.

use std::{fs::File, path::Path};

use bledsoe::{
    dataset::Skipped,
    detect::Detection,
    embed::table::{FaceRow, Origin, TableWriter},
    geometry::Rect,
    hash::sha256,
    landmark::{Landmarks, Scheme},
};

/// Length of an embedding.
pub const DIM: usize = 16;

/// Numbers between -1 and 1, the same in every run.
fn noise(seed: &str) -> Vec<f32> {
    let hash = sha256(seed);
    let byte = |i: usize| u8::from_str_radix(&hash[2 * i..2 * i + 2], 16).unwrap();
    (0..DIM).map(|i| f32::from(byte(i)) / 127.5 - 1.0).collect()
}

/// A face near the person's own direction.
pub fn row(person: &str, number: usize) -> FaceRow {
    let path = format!("{person}/{number}.jpg");
    let v: Vec<f32> = noise(person).iter().zip(noise(&path)).map(|(centre, n)| centre + 0.4 * n).collect();
    let norm = v.iter().map(|x| x * x).sum::<f32>().sqrt();
    FaceRow {
        sha256: sha256(&path),
        path,
        person: Some(person.to_owned()),
        face: 0,
        detection: Detection { rect: Rect { left: 0.0, top: 0.0, right: 9.0, bottom: 9.0 }, score: 1.0, points: None },
        landmarks: Landmarks { scheme: Scheme::Arcface5, points: Vec::new() },
        vector: v.iter().map(|x| x / norm).collect(),
    }
}

/// A table of `rows`, in which `ada/99.jpg` and `stranger/1.jpg` had no face.
pub fn write(path: &Path, model: &str, rows: &[FaceRow]) {
    let mut writer = TableWriter::new(File::create(path).unwrap(), path, model, DIM).unwrap();
    writer.write(rows).unwrap();
    let no_face = |path: &str| Skipped { path: path.into(), stage: "detect".into(), reason: "no face".into() };
    let origin = Origin {
        version: "0".into(),
        model: model.into(),
        dim: DIM,
        scheme: Scheme::Arcface5,
        settings: serde_json::json!({}),
        skipped: vec![no_face("ada/99.jpg"), no_face("stranger/1.jpg")],
    };
    writer.finish(&origin).unwrap();
}
