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

/// Most pixels decoded at once, unless one photo alone has more: 48 million are 144 MB as RGB, and two or three times
/// as much while a progressive JPEG or 16 bits are being decoded.
const PIXELS_AT_ONCE: u64 = 48_000_000;

/// Cuts photos into runs of at most [`PIXELS_AT_ONCE`], in order.
pub(crate) fn batches(photos: Vec<Encoded>) -> Vec<Vec<Encoded>> {
    let runs = runs(with_headers(photos), |(_, header)| header.pixels(Reduction::None));
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

/// Each photo with its header; an empty one where there is none, and decoding fails.
pub(crate) fn with_headers(photos: Vec<Encoded>) -> Vec<(Encoded, Header)> {
    let headers: Vec<Header> = photos
        .par_iter()
        .map(|photo| photo.bytes.as_ref().map_or_else(|_| Header::default(), |bytes| Header::of(bytes)))
        .collect();
    photos.into_iter().zip(headers).collect()
}

/// How much shorter than the detector's own side the longer side of a reduced photo may be: common photos of 4000 and
/// 4032 pixels then need a quarter, and a face that the detector sees with 100 pixels has 98 of them.
const SHORTEST: f32 = 0.95;

/// The strongest reduction of a photo that shows a detector which scales photos to `longest_side` the same faces.
/// Photos up to twice that side stay as they are.
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
pub(crate) struct Searched {
    encoded: Encoded,
    header: Header,
    /// The photo as it was searched, and all its faces; or why there is none.
    found: Result<(Reduced, Vec<Detection>), Skipped>,
    /// The reduction that the chips of the chosen faces need.
    needed: Reduction,
}

impl Searched {
    fn photo(&self) -> Option<&Photo> {
        self.found.as_ref().ok().map(|(reduced, _)| &reduced.photo)
    }

    /// Whether there is a photo at all.
    pub(crate) fn is_decoded(&self) -> bool {
        self.found.is_ok()
    }

    /// Whether it shows no face so far.
    fn is_open(&self) -> bool {
        self.found.as_ref().is_ok_and(|(_, faces)| faces.is_empty())
    }

    /// Whether its faces are known, or that there are none, and it need not be decoded again.
    fn is_settled(&self) -> bool {
        self.found.as_ref().map_or(true, |(reduced, faces)| !faces.is_empty() && reduced.reduction() == Reduction::None)
    }
}

/// A chosen face with its landmarks and the maps to its chips.
struct Placed {
    detection: Detection,
    landmarks: Landmarks,
    maps: Vec<Affine>,
}

/// What is made of a photo while it is decoded.
pub(crate) type Look<'a, T> = dyn Fn(&Photo, &[Detection], &[FoundFace]) -> T + Sync + 'a;

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
        let mut results = Vec::with_capacity(photos.len());
        for batch in runs(with_headers(photos), |(_, header)| header.pixels(for_search(header, side))) {
            // A photo that shows its faces at a glance is finished at once, before its pixels leave the cache.
            let first = |(encoded, header)| {
                let photo = self.glance(self.decode_to_search(encoded, header));
                if photo.is_settled() { (Some(self.finish(photo, look)), None) } else { (None, Some(photo)) }
            };
            let (finished, open): (Vec<_>, Vec<_>) = batch.into_par_iter().map(first).unzip();
            let open = self.search(open.into_iter().flatten().collect())?;
            // Only so many are decoded again at once, too.
            let again = |photo: &Searched| match &photo.found {
                Ok((reduced, _)) if look.is_some() && reduced.reduction() != Reduction::None => {
                    photo.header.pixels(Reduction::None)
                }
                Ok((reduced, _)) if photo.needed < reduced.reduction() => photo.header.pixels(photo.needed),
                _ => 0,
            };
            let mut rest = Vec::new();
            for run in runs(open, again) {
                rest.par_extend(run.into_par_iter().map(|photo| self.finish(photo, look)));
            }
            let mut rest = rest.into_iter();
            results.extend(finished.into_iter().filter_map(|photo| photo.or_else(|| rest.next())));
        }
        Ok(results)
    }

    /// Decodes, or says why not.
    fn decode(&self, encoded: &Encoded, reduction: Reduction) -> Result<Reduced, Skipped> {
        let bytes = encoded.bytes.as_ref().map_err(|reason| skip(encoded, "decode", reason.clone()))?;
        Photo::decode_reduced(bytes, &self.limits, reduction).map_err(|e| skip(encoded, "decode", e.reason()))
    }

    /// Decodes a photo to be searched.
    pub(crate) fn decode_to_search(&self, encoded: Encoded, header: Header) -> Searched {
        let found = self.decode(&encoded, for_search(&header, self.detector.longest_side()));
        Searched { encoded, header, found: found.map(|reduced| (reduced, Vec::new())), needed: Reduction::None }
    }

    /// Finds the faces that show at a glance.
    pub(crate) fn glance(&self, mut photo: Searched) -> Searched {
        if let Ok((reduced, faces)) = &mut photo.found {
            *faces = in_whole(reduced, self.detector.glance(&reduced.photo));
        }
        photo
    }

    /// Finds the faces of photos that show none at a glance, and what their chips need.
    pub(crate) fn search(&self, mut photos: Vec<Searched>) -> Result<Vec<Searched>> {
        let open: Vec<&Photo> = photos.iter().filter(|photo| photo.is_open()).flat_map(Searched::photo).collect();
        let mut detections = self.detector.detect_rest(&open)?.into_iter();
        for photo in &mut photos {
            if photo.is_open()
                && let Ok((reduced, faces)) = &mut photo.found
            {
                *faces = in_whole(reduced, detections.next().unwrap_or_default());
            }
        }
        Ok(photos.into_par_iter().map(|photo| Searched { needed: self.needed(&photo), ..photo }).collect())
    }

    /// The reduction that the chips of the chosen faces need.
    fn needed(&self, photo: &Searched) -> Reduction {
        let Ok((reduced, faces)) = &photo.found else { return Reduction::None };
        if reduced.reduction() == Reduction::None {
            return Reduction::None;
        }
        // A face that cannot be placed is told of when its chip is cut.
        let maps = |face: Detection| self.maps(&self.landmarker.guess(&face)?);
        let maps = self.chosen(reduced, faces).into_iter().flat_map(maps);
        maps.map(|maps| for_chips(&maps)).min().unwrap_or(reduced.reduction())
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
        Ok(Placed { maps: self.maps(&landmarks)?, detection, landmarks })
    }

    /// The maps that bring a face with these landmarks to its chips.
    fn maps(&self, landmarks: &Landmarks) -> Result<Vec<Affine>> {
        self.templates.iter().map(|(template, size)| template.fit(landmarks, *size)).collect()
    }

    /// Cuts the chips of the chosen faces out, of a finer photo if need be, and looks at the whole one.
    pub(crate) fn finish<T>(&self, photo: Searched, look: Option<&Look<'_, T>>) -> (Processed, Option<T>) {
        let Searched { encoded, found, needed, .. } = photo;
        let all = |faces: &[Detection]| faces.iter().map(|face| face.rect).collect();
        let seen = found.as_ref().map_or(Vec::new(), |(_, faces)| all(faces));
        let finished = found.and_then(|(searched, all)| {
            let shown = if needed < searched.reduction() { self.decode(&encoded, needed)? } else { searched };
            let faces = self.cut_out(&encoded, &shown, &all);
            let looked = match look {
                None => None,
                Some(look) => {
                    let whole = match shown.reduction() {
                        Reduction::None => shown,
                        _ => self.decode(&encoded, Reduction::None)?,
                    };
                    Some(look(&whole.photo, &all, faces.as_deref().unwrap_or_default()))
                }
            };
            Ok((faces, looked))
        });
        let (faces, looked) = finished.unwrap_or_else(|skipped| (Err(skipped), None));
        (Processed { item: encoded.item, sha256: encoded.sha256, faces, seen }, looked)
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

/// Faces of a reduced photo, in pixels of the whole one.
fn in_whole(reduced: &Reduced, faces: Vec<Detection>) -> Vec<Detection> {
    faces.into_iter().map(|face| face.moved(|p| reduced.in_whole(p))).collect()
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

    fn jpeg(width: u32, height: u32, grey: impl Fn(u32, u32) -> u8) -> Vec<u8> {
        let rgb = (0..height).flat_map(|y| {
            (0..width).flat_map({
                let grey = &grey;
                move |x| [grey(x, y); 3]
            })
        });
        Photo::new(width, height, rgb.collect()).unwrap().to_jpeg(95).unwrap()
    }

    #[test]
    fn photos_much_larger_than_the_detectors_side_are_searched_reduced() {
        for (longer, side, expected) in [
            (800, Some(1024), Reduction::None),
            (2048, Some(1024), Reduction::None),
            (2049, Some(1024), Reduction::Half),
            (3264, Some(1024), Reduction::Half),
            (4000, Some(1024), Reduction::Quarter),
            (4032, Some(1024), Reduction::Quarter),
            (7000, Some(1024), Reduction::Quarter),
            (9000, Some(1024), Reduction::Eighth),
            (9000, None, Reduction::None),
        ] {
            let header = Header { size: (600, longer), reducible: true, buffered: false };
            assert_eq!(for_search(&header, side), expected, "{longer}");
            assert_eq!(for_search(&Header { reducible: false, ..header }, side), Reduction::None);
        }
    }

    /// Finds the bright square of a dark photo, which it says it looks at with `side` pixels; at a glance one that is at
    /// the left.
    struct Bright {
        side: Option<u32>,
    }

    impl Bright {
        fn faces(photo: &Photo) -> Vec<Detection> {
            let bright = |at: usize| photo.rgb()[3 * at] > 70;
            let width = photo.width() as usize;
            let places = (0..width * photo.height() as usize).filter(|&at| bright(at));
            let (x, y): (Vec<usize>, Vec<usize>) = places.map(|at| (at % width, at / width)).unzip();
            let ends = |v: &[usize]| Some((*v.iter().min()? as f32 - 0.5, *v.iter().max()? as f32 + 0.5));
            let (Some((left, right)), Some((top, bottom))) = (ends(&x), ends(&y)) else { return Vec::new() };
            let rect = crate::geometry::Rect { left, top, right, bottom };
            let shares = [[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]];
            let points = shares.map(|[x, y]| Point::new(left + x * rect.width(), top + y * rect.height()));
            vec![Detection { rect, score: 1.0, points: Some(points) }]
        }
    }

    impl Detector for Bright {
        fn id(&self) -> &str {
            "bright"
        }

        fn longest_side(&self) -> Option<u32> {
            self.side
        }

        fn glance(&self, photo: &Photo) -> Vec<Detection> {
            Self::faces(photo).into_iter().filter(|face| face.rect.left < 0.3 * photo.width() as f32).collect()
        }

        fn detect_rest(&self, photos: &[&Photo]) -> Result<Vec<Vec<Detection>>> {
            assert!(photos.iter().all(|photo| self.glance(photo).is_empty()));
            Ok(photos.iter().map(|photo| Self::faces(photo)).collect())
        }
    }

    fn finder(side: Option<u32>, chip: u32) -> Finder {
        let template = crate::model::Registry::embedded().unwrap().template("arcface").unwrap().clone();
        Finder {
            detector: Box::new(Bright { side }),
            landmarker: Box::new(crate::landmark::DetectedPoints),
            select: Select::All,
            limits: Limits::default(),
            templates: vec![(template, chip)],
            models: BTreeMap::new(),
        }
    }

    #[test]
    fn photos_with_and_without_a_face_at_a_glance_keep_their_order() {
        let square = |left: u32| {
            let bright = move |x: u32, y: u32| (left..left + 60).contains(&x) && (50..110).contains(&y);
            Ok(jpeg(240, 160, move |x, y| if bright(x, y) { 200 } else { 0 }))
        };
        let photos =
            [square(100), square(20), Ok(jpeg(240, 160, |_, _| 0)), Err("gone".into()), square(30), square(150)];
        for side in [None, Some(60)] {
            let encoded = photos.iter().enumerate().map(|(i, photo)| encoded(&i.to_string(), photo.clone())).collect();
            let found = finder(side, 16).process(encoded).unwrap();
            let left = |photo: &Processed| {
                let faces = photo.faces.as_ref().map_err(|skipped| skipped.stage.clone())?;
                Ok::<_, String>((faces[0].detection.rect.left / 10.0).round() as i32)
            };
            let lefts: Vec<_> = found.iter().map(left).collect();
            assert_eq!(lefts, [Ok(10), Ok(2), Err("detect".into()), Err("decode".into()), Ok(3), Ok(15)], "{side:?}");
            assert!(found.iter().enumerate().all(|(i, photo)| photo.item.relative == i.to_string()));
        }
    }

    #[test]
    fn a_reduced_search_gives_the_whole_photos_faces() {
        // A square of 128 pixels with fine stripes, which only the whole photo shows.
        let grey = |x: u32, y: u32| match (x, y) {
            (200..328, 120..248) => 150 + 80 * (x / 2 % 2) as u8,
            _ => 0,
        };
        let photo = jpeg(480, 360, grey);
        let look = |photo: &Photo, faces: &[Detection], chosen: &[FoundFace]| {
            (photo.width(), photo.height(), faces.len(), chosen.len())
        };
        let find = |side, chip| {
            let found = finder(side, chip).examine(vec![encoded("p", Ok(photo.clone()))], look).unwrap().remove(0);
            let processed = finder(side, chip).process(vec![encoded("p", Ok(photo.clone()))]).unwrap().remove(0);
            let (mut looked_at, mut processed) = (found.0.faces.unwrap(), processed.faces.unwrap());
            let (face, same) = (looked_at.remove(0), processed.remove(0));
            assert_eq!((&face.detection, &face.chips), (&same.detection, &same.chips));
            (face, found.1)
        };
        for (chip, tolerance) in [(16, 12.0), (30, 12.0), (112, 1.0)] {
            let (whole, seen) = find(None, chip);
            assert_eq!(seen, Some((480, 360, 1, 1)));
            // 480 pixels for 64: searched at a quarter.
            let (face, seen) = find(Some(64), chip);
            assert_eq!(seen, Some((480, 360, 1, 1)));
            let (a, b) = (face.detection.rect, whole.detection.rect);
            for (a, b) in [(a.left, b.left), (a.top, b.top), (a.right, b.right), (a.bottom, b.bottom)] {
                assert!((a - b).abs() < 0.01, "{a} {b}");
            }
            for (p, q) in face.landmarks.points.iter().zip(&whole.landmarks.points) {
                assert!((p.x - q.x).abs() < 0.01 && (p.y - q.y).abs() < 0.01, "{p:?} {q:?}");
            }
            for (a, b) in face.chips[0].transform.m.iter().zip(whole.chips[0].transform.m) {
                assert!((a - b).abs() < 0.01, "{a} {b}");
            }
            let differences = face.chips[0].rgb.iter().zip(&whole.chips[0].rgb).map(|(a, b)| f32::from(a.abs_diff(*b)));
            let mean = differences.sum::<f32>() / whole.chips[0].rgb.len() as f32;
            assert!(mean < tolerance, "chip of {chip}: {mean}");
        }
    }

    #[test]
    fn a_chip_takes_the_coarsest_photo_that_need_not_be_enlarged() {
        let map = |scale: f32| Affine { m: [0.0, -scale, 7.0, scale, 0.0, 3.0] };
        assert_eq!(for_chips(&[map(0.24)]), Reduction::Quarter);
        assert_eq!(for_chips(&[map(0.26)]), Reduction::Half);
        assert_eq!(for_chips(&[map(0.1), map(0.3)]), Reduction::Half);
        assert_eq!(for_chips(&[map(1.5)]), Reduction::None);
        // One side shrunk, the other as it is.
        assert_eq!(for_chips(&[Affine { m: [0.1, 0.0, 0.0, 0.0, 1.0, 0.0] }]), Reduction::None);
    }
}
