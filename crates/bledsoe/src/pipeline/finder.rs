//! From raw photos to chips: decode, detect, select, landmarks, align.
//!
//! A JPEG much larger than what the detector looks at is decoded reduced, and once more at a finer size only where a
//! chosen face is so small that its chip would lack pixels. Whatever leaves the finder is in pixels of the whole photo.

use std::collections::BTreeMap;

use rayon::prelude::*;
use serde_json::json;

use super::{Encoded, FoundFace, Processed, Source};
use crate::{
    Result,
    align::{Affine, FaceChip, Template, warp},
    dataset::Skipped,
    detect::{Detection, Detector, Select},
    geometry::Point,
    landmark::{Landmarker, Landmarks},
    photo::{Header, Limits, Photo, Reduced, Reduction},
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

/// Most pixels decoded at once, unless one photo alone has more: 48 million are 144 MB as RGB, and two or three times as
/// much while a progressive JPEG or 16 bits are being decoded.
const PIXELS_AT_ONCE: u64 = 48_000_000;

/// Cuts photos into runs of at most [`PIXELS_AT_ONCE`], in order.
pub(crate) fn batches(photos: Vec<Encoded>) -> Vec<Vec<Encoded>> {
    let sized: Vec<(Encoded, u64)> = photos
        .into_par_iter()
        .map(|photo| (header(&photo).pixels(Reduction::None), photo))
        .map(|(n, p)| (p, n))
        .collect();
    let runs = runs(sized, |(_, pixels)| *pixels);
    runs.into_iter().map(|run| run.into_iter().map(|(photo, _)| photo).collect()).collect()
}

/// Cuts a list into runs that have at most [`PIXELS_AT_ONCE`] by `pixels`, in order.
fn runs<T>(items: Vec<T>, pixels: impl Fn(&T) -> u64) -> Vec<Vec<T>> {
    let mut runs: Vec<Vec<T>> = Vec::new();
    let mut sum = 0;
    for item in items {
        let own = pixels(&item);
        match runs.last_mut() {
            Some(run) if sum + own <= PIXELS_AT_ONCE => {
                run.push(item);
                sum += own;
            }
            _ => {
                runs.push(vec![item]);
                sum = own;
            }
        }
    }
    runs
}

/// The header of a photo; an empty one where there is none, and decoding fails.
fn header(encoded: &Encoded) -> Header {
    encoded.bytes.as_ref().map_or_else(|_| Header::default(), |bytes| Header::of(bytes))
}

/// How much shorter than the detector's own side the longer side of a reduced photo may be: common photos of 4000 and
/// 4032 pixels then need a quarter, and a face that the detector sees with 100 pixels has 98 of them.
const SHORTEST: f32 = 0.95;

/// The strongest reduction of a photo that shows a detector which scales photos to `longest_side` the same faces. Photos
/// up to twice that side stay as they are.
fn for_search(header: &Header, longest_side: Option<u32>) -> Reduction {
    let longer = header.size.0.max(header.size.1);
    match longest_side {
        Some(side) if header.reducible && longer > 2 * side => {
            Reduction::within(longer as f32 / (SHORTEST * side as f32))
        }
        _ => Reduction::None,
    }
}

/// The strongest reduction in which `maps`, from the whole photo to chips, need not enlarge: each pixel of a chip still
/// stands for one of the photo, or more.
fn for_chips<'a>(maps: impl IntoIterator<Item = &'a Affine>) -> Reduction {
    let finest = |map: &Affine| {
        // A map that flattens the plane shows nothing of the photo.
        let [a, b, _, d, e, _] = map.inverse()?.m;
        Some(a.hypot(d).min(b.hypot(e)))
    };
    Reduction::within(maps.into_iter().filter_map(finest).fold(f32::INFINITY, f32::min))
}

/// A photo on its way through the finder.
struct Searched {
    encoded: Encoded,
    header: Header,
    /// The photo as it was searched, and all its faces; or why there is none.
    found: Result<(Reduced, Vec<Detection>), Skipped>,
    /// The reduction that the chips of the chosen faces need.
    needed: Reduction,
}

/// A chosen face with its landmarks and the maps to its chips.
struct Placed {
    detection: Detection,
    landmarks: Landmarks,
    maps: Vec<Affine>,
}

/// What is made of a photo while it is decoded.
type Look<'a, T> = dyn Fn(&Photo, &[Detection], &[FoundFace]) -> T + Sync + 'a;

impl Finder {
    /// Like [`Source::process`], with what `look` makes of each photo while it is decoded: it is given the whole photo,
    /// every face that the detector found in it, and the faces chosen of them (none where there is none). The second of
    /// a pair is `None` for a photo that could not be decoded.
    ///
    /// # Errors
    /// When an engine fails.
    pub fn examine<T: Send>(
        &self,
        photos: Vec<Encoded>,
        look: impl Fn(&Photo, &[Detection], &[FoundFace]) -> T + Sync,
    ) -> Result<Vec<(Processed, Option<T>)>> {
        self.find(photos, Some(&look))
    }

    fn find<T: Send>(&self, photos: Vec<Encoded>, look: Option<&Look<'_, T>>) -> Result<Vec<(Processed, Option<T>)>> {
        let side = self.detector.longest_side();
        let queue: Vec<(Encoded, Header)> =
            photos.into_par_iter().map(|p| (header(&p), p)).map(|(h, p)| (p, h)).collect();
        let mut results = Vec::with_capacity(queue.len());
        for batch in runs(queue, |(_, header)| header.pixels(for_search(header, side))) {
            let searched = self.search(batch)?;
            // Only so many are decoded again at once, too.
            let again = |photo: &Searched| match &photo.found {
                Ok((reduced, _)) if look.is_some() && reduced.reduction() != Reduction::None => {
                    photo.header.pixels(Reduction::None)
                }
                Ok((reduced, _)) if photo.needed < reduced.reduction() => photo.header.pixels(photo.needed),
                _ => 0,
            };
            for run in runs(searched, again) {
                results.par_extend(run.into_par_iter().map(|photo| self.finish(photo, look)));
            }
        }
        Ok(results)
    }

    /// Decodes, or says why not.
    fn decode(&self, encoded: &Encoded, reduction: Reduction) -> Result<Reduced, Skipped> {
        let bytes = encoded.bytes.as_ref().map_err(|reason| skip(encoded, "decode", reason.clone()))?;
        Photo::decode_reduced(bytes, &self.limits, reduction).map_err(|e| skip(encoded, "decode", e.reason()))
    }

    /// Finds the faces of each photo.
    fn search(&self, photos: Vec<(Encoded, Header)>) -> Result<Vec<Searched>> {
        let side = self.detector.longest_side();
        let decoded: Vec<Result<Reduced, Skipped>> =
            photos.par_iter().map(|(encoded, header)| self.decode(encoded, for_search(header, side))).collect();
        let readable: Vec<&Photo> = decoded.iter().flatten().map(|reduced| &reduced.photo).collect();
        let mut detections = self.detector.detect(&readable)?.into_iter();
        let searched = photos.into_iter().zip(decoded).map(|((encoded, header), reduced)| {
            let found = reduced.map(|reduced| {
                let faces = detections.next().unwrap_or_default();
                let faces = faces.iter().map(|face| face.moved(|p| reduced.in_whole(p))).collect();
                (reduced, faces)
            });
            Searched { encoded, header, found, needed: Reduction::None }
        });
        let searched: Vec<Searched> = searched.collect();
        Ok(searched.into_par_iter().map(|photo| Searched { needed: self.needed(&photo), ..photo }).collect())
    }

    /// The reduction that the chips of the chosen faces need.
    fn needed(&self, photo: &Searched) -> Reduction {
        let Ok((reduced, faces)) = &photo.found else { return Reduction::None };
        if reduced.reduction() == Reduction::None {
            return Reduction::None;
        }
        // A face that cannot be placed is told of when its chip is cut.
        let placed = self.chosen(reduced, faces).into_iter().flat_map(|face| self.place(reduced, face));
        placed.map(|face| for_chips(&face.maps)).min().unwrap_or(reduced.reduction())
    }

    fn chosen(&self, reduced: &Reduced, faces: &[Detection]) -> Vec<Detection> {
        let (width, height) = reduced.size();
        self.select.choose(faces.to_vec(), width, height)
    }

    /// Finds the landmarks of a face, and by them the maps from the whole photo to its chips.
    fn place(&self, reduced: &Reduced, detection: Detection) -> Result<Placed> {
        let mut landmarks = self.landmarker.landmarks(&reduced.photo, &detection.moved(|p| reduced.in_reduced(p)))?;
        for point in &mut landmarks.points {
            *point = reduced.in_whole(*point);
        }
        let maps = self.templates.iter().map(|(template, size)| template.fit(&landmarks, *size));
        Ok(Placed { maps: maps.collect::<Result<_>>()?, detection, landmarks })
    }

    /// Cuts the chips of the chosen faces out, of a finer photo if need be, and looks at the whole one.
    fn finish<T>(&self, photo: Searched, look: Option<&Look<'_, T>>) -> (Processed, Option<T>) {
        let Searched { encoded, found, needed, .. } = photo;
        let finished = found.and_then(|(searched, all)| {
            let shown = if needed < searched.reduction() { self.decode(&encoded, needed)? } else { searched };
            let faces = self.cut_out(&encoded, &shown, &all);
            let seen = match look {
                None => None,
                Some(look) => {
                    let whole = match shown.reduction() {
                        Reduction::None => shown,
                        _ => self.decode(&encoded, Reduction::None)?,
                    };
                    Some(look(&whole.photo, &all, faces.as_deref().unwrap_or_default()))
                }
            };
            Ok((faces, seen))
        });
        let (faces, seen) = finished.unwrap_or_else(|skipped| (Err(skipped), None));
        (Processed { item: encoded.item, sha256: encoded.sha256, faces }, seen)
    }

    fn cut_out(&self, encoded: &Encoded, reduced: &Reduced, all: &[Detection]) -> Result<Vec<FoundFace>, Skipped> {
        let chosen = self.chosen(reduced, all);
        if chosen.is_empty() {
            return Err(skip(encoded, "detect", format!("no face found by {}", self.detector.id())));
        }
        let faces = chosen.into_iter().map(|detection| {
            let Placed { detection, landmarks, maps } = self.place(reduced, detection)?;
            let sizes = self.templates.iter().map(|(_, size)| *size);
            let chips = maps.iter().zip(sizes).map(|(map, size)| chip(reduced, map, size)).collect();
            Ok(FoundFace { detection, landmarks, chips })
        });
        faces.collect::<Result<_>>().map_err(|e| skip(encoded, "align", e.to_string()))
    }
}

/// The chip that `map` brings the whole photo to, from the reduced one.
fn chip(reduced: &Reduced, map: &Affine, size: u32) -> FaceChip {
    let factor = reduced.reduction().factor() as f32;
    let Point { x, y } = reduced.in_whole(Point::new(0.0, 0.0));
    let whole = Affine { m: [factor, 0.0, x, 0.0, factor, y] };
    FaceChip { transform: *map, ..warp(&reduced.photo, &whole.then(map), size) }
}

fn skip(encoded: &Encoded, stage: &str, reason: String) -> Skipped {
    Skipped { path: encoded.item.relative.clone(), stage: stage.into(), reason }
}

impl Source for Finder {
    fn process(&self, photos: Vec<Encoded>) -> Result<Vec<Processed>> {
        let found = self.find::<()>(photos, None)?;
        Ok(found.into_iter().map(|(processed, _)| processed).collect())
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
