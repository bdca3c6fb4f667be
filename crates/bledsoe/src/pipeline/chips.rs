//! Chips aligned earlier by `bledsoe align`, as a source.

use std::path::Path;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Encoded, FoundFace, Processed, Source};
use crate::{
    Error, Result,
    align::{Affine, Template, warp},
    dataset::Skipped,
    detect::Detection,
    geometry::Rect,
    landmark::{Landmarks, Scheme},
    photo::{Limits, Photo},
};

/// Name of the file in which `align` says how a folder's chips were made.
pub const ALIGNMENT_FILE: &str = "align.json";

/// The share of a chip's side that is kept when it is used for a template of another kind: the tutorial aligns to
/// 180 pixels and cuts the middle 160 out for FaceNet.
const TUTORIAL_CROP: f32 = 160.0 / 180.0;

/// How the chips of a folder were made.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Alignment {
    /// The template that they were aligned to.
    pub template: Template,
    /// Their side in pixels.
    pub size: u32,
    /// Every setting of the run.
    pub settings: serde_json::Value,
}

impl Alignment {
    /// Reads `align.json` of a folder; `None` where there is none: then its photos are raw.
    ///
    /// # Errors
    /// [`Error::Io`], or [`Error::Format`] when the file is damaged.
    pub fn of_folder(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join(ALIGNMENT_FILE);
        match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|e| Error::format(&path, e.to_string())),
            Err(e) if matches!(e.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => Ok(None),
            Err(e) => Err(Error::io(&path, e)),
        }
    }
}

/// Reads chips aligned earlier, and maps them to the templates asked for.
///
/// The landmarks of a chip are its template's own points, so a chip aligned for one embedder serves another whose
/// template has points of the same scheme. Where there is no common scheme the middle 8/9 are used, as in the tutorial.
pub struct ChipReader {
    alignment: Alignment,
    maps: Vec<(Affine, u32)>,
    templates: Vec<(Template, u32)>,
}

impl ChipReader {
    /// A reader of chips made by `alignment`, for chips of `templates` with sides in pixels.
    ///
    /// # Errors
    /// When a template's points are degenerate.
    pub fn new(alignment: Alignment, templates: Vec<(Template, u32)>) -> Result<Self> {
        let maps = templates
            .iter()
            .map(|(template, size)| Ok((map(&alignment, template, *size)?, *size)))
            .collect::<Result<_>>()?;
        Ok(Self { alignment, maps, templates })
    }

    fn read(&self, encoded: &Encoded) -> Result<FoundFace, String> {
        let bytes = encoded.bytes.as_ref().map_err(Clone::clone)?;
        let photo = Photo::decode(bytes, &Limits::default()).map_err(|e| e.reason())?;
        let side = self.alignment.size;
        if (photo.width(), photo.height()) != (side, side) {
            return Err(format!(
                "{}x{} pixels, but {ALIGNMENT_FILE} says {side}x{side}",
                photo.width(),
                photo.height()
            ));
        }
        let whole = Rect { left: 0.0, top: 0.0, right: side as f32, bottom: side as f32 };
        Ok(FoundFace {
            detection: Detection { rect: whole, score: 1.0, points: None },
            landmarks: Landmarks { scheme: Scheme::Arcface5, points: Vec::new() },
            chips: self.maps.iter().map(|(map, size)| warp(&photo, map, *size)).collect(),
        })
    }
}

fn map(alignment: &Alignment, template: &Template, size: u32) -> Result<Affine> {
    let scaled = |share: f32| {
        // Pixel centres are at whole numbers, so the edge of a chip is at -0.5.
        let scale = size as f32 / (alignment.size as f32 * share);
        let shift = (size as f32 - 1.0) / 2.0 - scale * (alignment.size as f32 - 1.0) / 2.0;
        Affine { m: [scale, 0.0, shift, 0.0, scale, shift] }
    };
    if *template == alignment.template {
        return Ok(scaled(1.0));
    }
    match alignment.template.shared_landmarks(template, alignment.size) {
        Some(landmarks) => template.fit(&landmarks, size),
        None => Ok(scaled(TUTORIAL_CROP)),
    }
}

impl Source for ChipReader {
    fn process(&self, photos: Vec<Encoded>) -> Result<Vec<Processed>> {
        Ok(photos
            .into_par_iter()
            .map(|encoded| {
                let faces = self.read(&encoded).map(|face| vec![face]).map_err(|reason| Skipped {
                    path: encoded.item.relative.clone(),
                    stage: "decode".into(),
                    reason,
                });
                let seen = faces.iter().flatten().map(|face| face.detection.rect).collect();
                Processed { item: encoded.item, sha256: encoded.sha256, faces, seen }
            })
            .collect())
    }

    fn settings(&self) -> serde_json::Value {
        json!({
            "chips": self.alignment,
            "templates": self.templates.iter().map(|(t, size)| json!({"template": t, "size": size})).collect::<Vec<_>>(),
        })
    }
}
