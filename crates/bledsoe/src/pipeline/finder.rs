//! From raw photos to chips: decode, detect, select, landmarks, align.

use rayon::prelude::*;
use serde_json::json;

use super::{Encoded, FoundFace, Processed, Source};
use crate::{
    Result,
    align::{Template, warp},
    dataset::Skipped,
    detect::{Detector, Select},
    landmark::Landmarker,
    photo::{Limits, Photo},
};

/// Finds the faces of raw photos and cuts them out.
pub struct Finder {
    /// Finds the boxes.
    pub detector: Box<dyn Detector>,
    /// Finds the landmarks in them.
    pub landmarker: Box<dyn Landmarker>,
    /// Which of several faces to take.
    pub select: Select,
    /// Photos beyond these are skipped.
    pub limits: Limits,
    /// The chips to cut, with their sides in pixels.
    pub templates: Vec<(Template, u32)>,
}

impl Finder {
    /// Decodes, or says why not.
    fn decode(&self, encoded: &Encoded) -> Result<Photo, Skipped> {
        let skip = |reason: String| Skipped {
            path: encoded.item.relative.clone(),
            stage: "decode".into(),
            reason,
        };
        let bytes = encoded.bytes.as_ref().map_err(|reason| skip(reason.clone()))?;
        Photo::decode(bytes, &self.limits).map_err(|e| skip(e.reason()))
    }

    fn cut_out(&self, photo: &Photo, detection: crate::detect::Detection) -> Result<FoundFace> {
        let landmarks = self.landmarker.landmarks(photo, &detection)?;
        let chips = self
            .templates
            .iter()
            .map(|(template, size)| Ok(warp(photo, &template.fit(&landmarks, *size)?, *size)))
            .collect::<Result<_>>()?;
        Ok(FoundFace { detection, landmarks, chips })
    }
}

impl Source for Finder {
    fn process(&self, photos: Vec<Encoded>) -> Result<Vec<Processed>> {
        let decoded: Vec<Result<Photo, Skipped>> = photos.par_iter().map(|p| self.decode(p)).collect();
        let readable: Vec<&Photo> = decoded.iter().filter_map(|p| p.as_ref().ok()).collect();
        let mut detections = self.detector.detect(&readable)?.into_iter();
        let with_boxes: Vec<_> = photos
            .into_iter()
            .zip(&decoded)
            .map(|(encoded, photo)| {
                let found = match photo {
                    Ok(photo) => Ok((photo, detections.next().unwrap_or_default())),
                    Err(skipped) => Err(skipped.clone()),
                };
                (encoded, found)
            })
            .collect();
        Ok(with_boxes
            .into_par_iter()
            .map(|(encoded, found)| {
                let skip = |stage: &str, reason: String| Skipped {
                    path: encoded.item.relative.clone(),
                    stage: stage.into(),
                    reason,
                };
                let faces = found.and_then(|(photo, boxes)| {
                    let chosen = self.select.choose(boxes, photo.width(), photo.height());
                    if chosen.is_empty() {
                        return Err(skip("detect", format!("no face found by {}", self.detector.id())));
                    }
                    chosen
                        .into_iter()
                        .map(|detection| self.cut_out(photo, detection))
                        .collect::<Result<Vec<_>>>()
                        .map_err(|e| skip("align", e.to_string()))
                });
                Processed { item: encoded.item, sha256: encoded.sha256, faces }
            })
            .collect())
    }

    fn settings(&self) -> serde_json::Value {
        json!({
            "detector": self.detector.id(),
            "landmarks": self.landmarker.id(),
            "select": self.select,
            "templates": self.templates.iter().map(|(t, size)| json!({"template": t, "size": size})).collect::<Vec<_>>(),
            "limits": self.limits,
        })
    }
}
