//! From raw photos to chips: decode, detect, select, landmarks, align.

use std::collections::BTreeMap;

use rayon::prelude::*;
use serde_json::json;

use super::{Encoded, FoundFace, Processed, Source};
use crate::{
    Result,
    align::{Template, warp},
    dataset::Skipped,
    detect::{Detection, Detector, Select},
    landmark::Landmarker,
    photo::{self, Limits, Photo},
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
    /// SHA-256 of the model files in use, by id or path: a model replaced by another makes other chips.
    pub models: BTreeMap<String, String>,
}

impl Finder {
    /// Decodes, or says why not.
    fn decode(&self, encoded: &Encoded) -> Result<Photo, Skipped> {
        let skip = |reason: String| Skipped { path: encoded.item.relative.clone(), stage: "decode".into(), reason };
        let bytes = encoded.bytes.as_ref().map_err(|reason| skip(reason.clone()))?;
        Photo::decode(bytes, &self.limits).map_err(|e| skip(e.reason()))
    }

    fn cut_out(&self, photo: &Photo, detection: Detection) -> Result<FoundFace> {
        let landmarks = self.landmarker.landmarks(photo, &detection)?;
        let chips = self
            .templates
            .iter()
            .map(|(template, size)| Ok(warp(photo, &template.fit(&landmarks, *size)?, *size)))
            .collect::<Result<_>>()?;
        Ok(FoundFace { detection, landmarks, chips })
    }
}

/// Most pixels decoded at once, unless one photo alone has more: 48 million are 144 MB as RGB, and two or three times as
/// much while a progressive JPEG or 16 bits are being decoded.
const PIXELS_AT_ONCE: u64 = 48_000_000;

/// Cuts photos into runs of at most [`PIXELS_AT_ONCE`], in order.
pub(crate) fn batches(photos: Vec<Encoded>) -> Vec<Vec<Encoded>> {
    let sizes: Vec<u64> = photos.par_iter().map(|p| p.bytes.as_ref().map_or(0, |b| photo::pixels(b))).collect();
    let mut batches: Vec<Vec<Encoded>> = Vec::new();
    let mut pixels = 0;
    for (encoded, size) in photos.into_iter().zip(sizes) {
        match batches.last_mut() {
            Some(batch) if pixels + size <= PIXELS_AT_ONCE => {
                batch.push(encoded);
                pixels += size;
            }
            _ => {
                batches.push(vec![encoded]);
                pixels = size;
            }
        }
    }
    batches
}

impl Finder {
    /// Like [`Source::process`], with what `look` makes of each photo while it is decoded: it is given the photo, every
    /// face that the detector found in it, and the faces chosen of them (none where there is none). The second of a pair
    /// is `None` for a photo that could not be decoded.
    ///
    /// # Errors
    /// When an engine fails.
    pub fn examine<T: Send>(
        &self,
        photos: Vec<Encoded>,
        look: impl Fn(&Photo, &[Detection], &[FoundFace]) -> T + Sync,
    ) -> Result<Vec<(Processed, Option<T>)>> {
        let mut examined = Vec::with_capacity(photos.len());
        for batch in batches(photos) {
            examined.extend(self.find(batch, &look)?);
        }
        Ok(examined)
    }

    fn find<T: Send>(
        &self,
        photos: Vec<Encoded>,
        look: &(impl Fn(&Photo, &[Detection], &[FoundFace]) -> T + Sync),
    ) -> Result<Vec<(Processed, Option<T>)>> {
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
                let (faces, seen) = match found {
                    Err(skipped) => (Err(skipped), None),
                    Ok((photo, boxes)) => {
                        let faces = self.choose(&encoded, photo, boxes.clone());
                        let seen = look(photo, &boxes, faces.as_deref().unwrap_or_default());
                        (faces, Some(seen))
                    }
                };
                (Processed { item: encoded.item, sha256: encoded.sha256, faces }, seen)
            })
            .collect())
    }

    fn choose(&self, encoded: &Encoded, photo: &Photo, boxes: Vec<Detection>) -> Result<Vec<FoundFace>, Skipped> {
        let skip =
            |stage: &str, reason: String| Skipped { path: encoded.item.relative.clone(), stage: stage.into(), reason };
        let chosen = self.select.choose(boxes, photo.width(), photo.height());
        if chosen.is_empty() {
            return Err(skip("detect", format!("no face found by {}", self.detector.id())));
        }
        let faces = chosen.into_iter().map(|detection| self.cut_out(photo, detection));
        faces.collect::<Result<Vec<_>>>().map_err(|e| skip("align", e.to_string()))
    }
}

impl Source for Finder {
    fn process(&self, photos: Vec<Encoded>) -> Result<Vec<Processed>> {
        let examined = self.examine(photos, |_, _, _| ())?;
        Ok(examined.into_iter().map(|(processed, _)| processed).collect())
    }

    fn settings(&self) -> serde_json::Value {
        json!({
            "detector": self.detector.id(),
            "landmarks": self.landmarker.id(),
            "select": self.select,
            "templates": self.templates.iter().map(|(t, size)| json!({"template": t, "size": size})).collect::<Vec<_>>(),
            "limits": self.limits,
            "models": self.models,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::Item;

    fn encoded(name: &str, bytes: Result<Vec<u8>, String>) -> Encoded {
        let item = Item { path: name.into(), relative: name.into(), person: None };
        Encoded { item, bytes, sha256: String::new() }
    }

    #[test]
    fn photos_decoded_at_once_are_bounded_by_their_pixels() {
        // A flat photo of 20 megapixels is a small file: the bytes say nothing of the memory.
        let flat = image::GrayImage::new(5000, 4000);
        let mut png = std::io::Cursor::new(Vec::new());
        flat.write_to(&mut png, image::ImageFormat::Png).unwrap();
        let png = png.into_inner();
        assert!(png.len() < 1 << 20);
        let photos = (0..7).map(|i| match i {
            2 => encoded("2", Err("gone".into())),
            3 => encoded("3", Ok(b"no photo".to_vec())),
            _ => encoded(&i.to_string(), Ok(png.clone())),
        });
        let batches = batches(photos.collect());
        let names: Vec<Vec<&str>> =
            batches.iter().map(|batch| batch.iter().map(|p| p.item.relative.as_str()).collect()).collect();
        assert_eq!(names, [vec!["0", "1", "2", "3"], vec!["4", "5"], vec!["6"]]);
    }
}
