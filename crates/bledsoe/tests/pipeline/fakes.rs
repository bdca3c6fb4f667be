//! Stages without models, and folders of generated pictures.

use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

use bledsoe::{
    Result,
    align::{FaceChip, Template},
    detect::{Detection, Detector, Select},
    embed::{Embedder, Embedding},
    geometry::{Point, Rect},
    landmark::DetectedPoints,
    model::Registry,
    photo::{Limits, Photo},
    pipeline::{Counts, Finder, Monitor},
};

/// Finds as many faces as the red value of the first pixel says, all in the middle.
pub struct Faces;

impl Detector for Faces {
    fn id(&self) -> &str {
        "faces"
    }

    fn detect_rest(&self, photos: &[&Photo]) -> Result<Vec<Vec<Detection>>> {
        let face = |photo: &Photo| {
            let (w, h) = (photo.width() as f32, photo.height() as f32);
            let at = |x: f32, y: f32| Point::new(x * w, y * h);
            Detection {
                rect: Rect { left: 0.2 * w, top: 0.2 * h, right: 0.8 * w, bottom: 0.8 * h },
                score: 1.0,
                points: Some([at(0.35, 0.4), at(0.65, 0.4), at(0.5, 0.55), at(0.4, 0.7), at(0.6, 0.7)]),
            }
        };
        Ok(photos.iter().map(|photo| vec![face(photo); usize::from(photo.rgb()[0])]).collect())
    }
}

/// Gives a chip's mean colour, under a hash of the test's choice.
pub struct Colour {
    pub sha256: &'static str,
    templates: Vec<Template>,
}

impl Colour {
    pub fn new(sha256: &'static str) -> Self {
        Self { sha256, templates: vec![arcface()] }
    }
}

impl Embedder for Colour {
    fn id(&self) -> &str {
        "colour"
    }

    fn settings(&self) -> serde_json::Value {
        serde_json::json!({ "id": "colour", "sha256": self.sha256 })
    }

    fn dim(&self) -> usize {
        3
    }

    fn templates(&self) -> &[Template] {
        &self.templates
    }

    fn embed(&self, faces: &[Vec<FaceChip>]) -> Result<Vec<Embedding>> {
        let mean = |chip: &FaceChip, c: usize| chip.rgb.iter().skip(c).step_by(3).map(|&v| f32::from(v)).sum::<f32>();
        faces.iter().map(|chips| Embedding::new("colour", (0..3).map(|c| 1.0 + mean(&chips[0], c)).collect())).collect()
    }
}

pub fn arcface() -> Template {
    Registry::embedded().unwrap().template("arcface").unwrap().clone()
}

pub fn finder(select: Select) -> Finder {
    let (detector, landmarker) = (Box::new(Faces), Box::new(DetectedPoints));
    Finder {
        detector,
        landmarker,
        select,
        limits: Limits::default(),
        templates: vec![(arcface(), 112)],
        models: Default::default(),
    }
}

/// A lossless picture with `faces` faces, distinct for each `seed`.
pub fn picture(faces: u8, seed: usize) -> image::RgbImage {
    image::RgbImage::from_fn(24, 24, |x, y| match (x, y) {
        (0, 0) => image::Rgb([faces, 0, 0]),
        _ => image::Rgb([(seed % 251) as u8, (seed / 251) as u8, (x * y) as u8]),
    })
}

/// Writes a picture as PNG, whatever the name says.
pub fn save(picture: &image::RgbImage, path: &Path) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    picture.save_with_format(path, image::ImageFormat::Png).unwrap();
}

/// Runs with a monitor that stops the run once `stop_at` photos are done.
pub fn monitored<T>(stop_at: Option<usize>, run: impl FnOnce(&Monitor<'_>) -> T) -> T {
    let stop = AtomicBool::new(false);
    let progress = |counts: Counts| {
        if stop_at.is_some_and(|at| counts.photos >= at) {
            stop.store(true, Ordering::Relaxed);
        }
    };
    run(&Monitor { progress: &progress, stop: &stop })
}
