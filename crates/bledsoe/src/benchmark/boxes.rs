//! The truth about photos: boxes of faces, and their landmarks, from a JSON file.
//!
//! Two forms are read. The simple one is a list of photos; boxes are left, top, width and height in pixels, and only
//! `image` and `box` are needed:
//!
//! ```json
//! [
//!   {"image": "party/1.jpg", "faces": [
//!     {"box": [120, 80, 64, 70], "points": [[138, 105], [165, 104], [152, 120], [141, 133], [163, 132]]},
//!     {"box": [400, 90, 20, 22], "ignore": true}
//!   ]}
//! ]
//! ```
//!
//! Five points are `arcface5` (eye centres, nose tip, mouth corners, each the photo's left one first), or those of
//! dlib where the face says `"scheme": "dlib5"`; 68 are those of iBUG 300-W, `ibug68`. A photo without faces has an empty
//! list. A face to ignore neither counts nor punishes.
//!
//! The other form is what dlib's annotations become as JSON: photos by name, parts by number, five of them in dlib's order.
//!
//! ```json
//! {"party/1.jpg": [{"x": 120, "y": 80, "w": 64, "h": 70, "ignore": false, "parts": {"00": [131, 99]}}]}
//! ```
//!
//! A box of `w` pixels from `x` covers the pixels `x` to `x + w - 1`. As pixel centres are whole numbers, its edges are
//! `x - 0.5` and `x + w - 0.5`.

use std::{collections::BTreeMap, path::Path};

use serde_json::{Map, Value};

use crate::{
    Error, Result,
    geometry::{Point, Rect},
    landmark::{Landmarks, Scheme},
};

/// A face that is truly there.
#[derive(Debug, Clone, PartialEq)]
pub struct AnnotatedFace {
    /// Its box.
    pub rect: Rect,
    /// Neither to be found nor to be missed.
    pub ignore: bool,
    /// Its landmarks, where the file has them.
    pub landmarks: Option<Landmarks>,
}

/// The faces of each photo, by its path below the folder of photos.
pub type Annotations = BTreeMap<String, Vec<AnnotatedFace>>;

/// Reads a file of boxes.
///
/// # Errors
/// [`Error::Io`], or [`Error::Format`] naming the photo, face and field at fault.
pub fn read(path: &Path) -> Result<Annotations> {
    let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, e))?;
    parse(&text).map_err(|reason| Error::format(path, reason))
}

/// Parses boxes in either form; in words what is wrong where they are malformed.
///
/// # Errors
/// The photo, face and field at fault.
pub fn parse(text: &str) -> Result<Annotations, String> {
    let mut photos = Annotations::new();
    match serde_json::from_str(text).map_err(|e| format!("not JSON: {e}"))? {
        Value::Array(list) => {
            for (number, photo) in list.iter().enumerate() {
                let (name, faces) = simple(photo).map_err(|e| format!("photo {}: {e}", number + 1))?;
                if photos.insert(name.clone(), faces).is_some() {
                    return Err(format!("{name}: listed twice"));
                }
            }
        }
        Value::Object(map) => {
            for (name, faces) in map {
                let faces = each(&faces, dlib).map_err(|e| format!("{name}: {e}"))?;
                photos.insert(name, faces);
            }
        }
        _ => return Err("expected a list of photos, or an object with photos by name".into()),
    }
    if photos.is_empty() {
        return Err("no photos".into());
    }
    Ok(photos)
}

/// The faces of a list.
fn each(
    faces: &Value,
    face: impl Fn(&Map<String, Value>) -> Result<AnnotatedFace, String>,
) -> Result<Vec<AnnotatedFace>, String> {
    let faces = faces.as_array().ok_or("expected a list of faces")?;
    let parse = |(number, value): (usize, &Value)| {
        let map = value.as_object().ok_or_else(|| "expected an object".to_owned());
        map.and_then(&face).map_err(|e| format!("face {}: {e}", number + 1))
    };
    faces.iter().enumerate().map(parse).collect()
}

fn simple(photo: &Value) -> Result<(String, Vec<AnnotatedFace>), String> {
    let photo = photo.as_object().ok_or("expected an object with image and faces")?;
    known(photo, &["image", "faces"])?;
    let name = photo.get("image").and_then(Value::as_str).filter(|name| !name.is_empty());
    let name = name.ok_or("image: expected the photo's path below the folder")?;
    let faces = photo.get("faces").ok_or("faces: missing").map_err(str::to_owned);
    let faces = faces.and_then(|faces| each(faces, simple_face)).map_err(|e| format!("{name}: {e}"))?;
    Ok((name.to_owned(), faces))
}

fn simple_face(face: &Map<String, Value>) -> Result<AnnotatedFace, String> {
    known(face, &["box", "ignore", "points", "scheme"])?;
    let numbers = face.get("box").and_then(numbers::<4>).ok_or("box: expected [left, top, width, height]")?;
    let points = match face.get("points") {
        None | Some(Value::Null) => Vec::new(),
        Some(points) => {
            let list = points.as_array().ok_or("points: expected a list of [x, y]")?;
            list.iter().map(point).collect::<Option<_>>().ok_or("points: expected numbers [x, y]")?
        }
    };
    let scheme = match face.get("scheme").map(|name| name.as_str().unwrap_or_default()) {
        None if points.len() == Scheme::Ibug68.len() => Scheme::Ibug68,
        None | Some("arcface5") => Scheme::Arcface5,
        Some("dlib5") => Scheme::Dlib5,
        Some("ibug68") => Scheme::Ibug68,
        Some(_) => return Err("scheme: expected arcface5, dlib5 or ibug68".into()),
    };
    let landmarks = landmarks(points, scheme).map_err(|e| format!("points: {e}"))?;
    Ok(AnnotatedFace {
        rect: rect(numbers).ok_or("box: width and height must be above 0")?,
        ignore: ignore(face)?,
        landmarks,
    })
}

fn dlib(face: &Map<String, Value>) -> Result<AnnotatedFace, String> {
    let number = |field: &str| {
        let value = face.get(field).and_then(number);
        value.ok_or_else(|| format!("{field}: expected a number"))
    };
    let numbers = [number("x")?, number("y")?, number("w")?, number("h")?];
    let mut parts = BTreeMap::new();
    match face.get("parts") {
        None | Some(Value::Null) => {}
        Some(Value::Object(map)) => {
            for (name, value) in map {
                let place: usize =
                    name.parse().map_err(|_| format!("parts, {name:?}: expected a number as its name"))?;
                let point = point(value).ok_or_else(|| format!("parts, {name}: expected numbers [x, y]"))?;
                if parts.insert(place, point).is_some() {
                    return Err(format!("parts, {name}: there twice"));
                }
            }
        }
        Some(_) => return Err("parts: expected an object".into()),
    }
    if parts.keys().enumerate().any(|(i, place)| i != *place) {
        return Err("parts: expected numbers from 00 without gaps".into());
    }
    let points: Vec<Point> = parts.into_values().collect();
    let scheme = if points.len() == Scheme::Dlib5.len() { Scheme::Dlib5 } else { Scheme::Ibug68 };
    let landmarks = landmarks(points, scheme).map_err(|e| format!("parts: {e}"))?;
    Ok(AnnotatedFace { rect: rect(numbers).ok_or("w, h: must be above 0")?, ignore: ignore(face)?, landmarks })
}

fn known(map: &Map<String, Value>, fields: &[&str]) -> Result<(), String> {
    let unknown = map.keys().find(|key| !fields.contains(&key.as_str()));
    unknown.map_or(Ok(()), |key| Err(format!("{key}: unknown field; there are {}", fields.join(", "))))
}

fn ignore(face: &Map<String, Value>) -> Result<bool, String> {
    face.get("ignore").map_or(Ok(false), |value| value.as_bool().ok_or("ignore: expected true or false".into()))
}

/// A number that f32 can hold.
fn number(value: &Value) -> Option<f32> {
    value.as_f64().map(|v| v as f32).filter(|v| v.is_finite())
}

fn numbers<const N: usize>(value: &Value) -> Option<[f32; N]> {
    let list = value.as_array()?.iter().map(number).collect::<Option<Vec<f32>>>()?;
    list.try_into().ok()
}

fn point(value: &Value) -> Option<Point> {
    numbers(value).map(|[x, y]| Point::new(x, y))
}

fn rect([x, y, w, h]: [f32; 4]) -> Option<Rect> {
    let (left, top) = (x - 0.5, y - 0.5);
    let rect = Rect { left, top, right: left + w, bottom: top + h };
    (w > 0.0 && h > 0.0 && rect.right.is_finite() && rect.bottom.is_finite()).then_some(rect)
}

fn landmarks(points: Vec<Point>, scheme: Scheme) -> Result<Option<Landmarks>, String> {
    match points.len() {
        0 => Ok(None),
        n if n == scheme.len() => Ok(Some(Landmarks { scheme, points })),
        n => Err(format!("{n} of them; expected 5 or 68")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_simple_form() {
        let text = r#"[
            {"image": "b.jpg", "faces": []},
            {"image": "a/1.jpg", "faces": [
                {"box": [10, 20, 30, 40.5], "points": [[1, 2], [3, 4], [5, 6], [7, 8], [9, 10]]},
                {"box": [1, 1, 1, 1], "ignore": true}
            ]}
        ]"#;
        let photos = parse(text).unwrap();
        assert!(photos["b.jpg"].is_empty());
        let [first, second] = &photos["a/1.jpg"][..] else { panic!() };
        assert_eq!(first.rect, Rect { left: 9.5, top: 19.5, right: 39.5, bottom: 60.0 });
        assert!(!first.ignore && second.ignore && second.landmarks.is_none());
        let landmarks = first.landmarks.as_ref().unwrap();
        assert_eq!((landmarks.scheme, landmarks.points[4]), (Scheme::Arcface5, Point::new(9.0, 10.0)));
    }

    #[test]
    fn dlibs_form() {
        let parts: Vec<String> = (0..5).map(|i| format!("\"{i:02}\": [{i}, 7]")).collect();
        let text = format!(
            "{{\"1.jpg\": [{{\"x\": 4, \"y\": 5, \"w\": 2, \"h\": 3, \"occluded\": true, \"parts\": {{{}}}}}]}}",
            parts.join(",")
        );
        let face = &parse(&text).unwrap()["1.jpg"][0];
        assert_eq!(face.rect, Rect { left: 3.5, top: 4.5, right: 5.5, bottom: 7.5 });
        let landmarks = face.landmarks.as_ref().unwrap();
        assert_eq!((landmarks.scheme, landmarks.points[3]), (Scheme::Dlib5, Point::new(3.0, 7.0)));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let cases = [
            ("[", "not JSON"),
            ("3", "expected a list"),
            ("{}", "no photos"),
            (r#"{"a.jpg": 1}"#, "a.jpg: expected a list of faces"),
            (r#"{"a.jpg": [{"x": 1, "y": 2, "w": 3}]}"#, "a.jpg: face 1: h"),
            (r#"{"a.jpg": [{"x": 1, "y": 2, "w": 3, "h": -1}]}"#, "must be above 0"),
            (
                r#"{"a.jpg": [{"x": 1, "y": 2, "w": 3, "h": 1, "parts": {"01": [1, 2]}}]}"#,
                "parts: expected numbers from 00",
            ),
            (r#"{"a.jpg": [{"x": 1, "y": 2, "w": 3, "h": 1, "parts": {"00": [1, 2]}}]}"#, "parts: 1 of them"),
            (r#"{"a.jpg": [{"x": 1, "y": 2, "w": 3, "h": 1, "ignore": 1}]}"#, "ignore"),
            (r#"[{"faces": []}]"#, "photo 1: image"),
            (r#"[{"image": "a.jpg"}]"#, "faces: missing"),
            (r#"[{"image": "a.jpg", "faces": [{"box": [1, 2, 3]}]}]"#, "a.jpg: face 1: box"),
            (r#"[{"image": "a.jpg", "faces": [{"box": [1, 2, 3, 4], "ignored": true}]}]"#, "ignored: unknown field"),
            (r#"[{"image": "a.jpg", "faces": [{"box": [1, 2, 3, 4], "points": [[1, 2]]}]}]"#, "points: 1 of them"),
            (r#"[{"image": "a.jpg", "faces": []}, {"image": "a.jpg", "faces": []}]"#, "a.jpg: listed twice"),
        ];
        for (text, expected) in cases {
            let error = parse(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[\\[\\]{}\",:a-z0-9. -]{0,80}") {
            let _ = parse(&text);
        }
    }
}
