//! YuNet, against its authors' own library (tools/reference/yunet.py).

use bledsoe::{
    detect::{Detection, Detector, YuNet},
    geometry::{Point, Rect},
    photo::Photo,
};
use serde::Deserialize;

use crate::networks::{photo, session};

#[derive(Deserialize)]
struct FoundIn {
    photo: String,
    faces: Vec<Face>,
}

#[derive(Deserialize)]
struct Face {
    /// Left, top, width, height.
    #[serde(rename = "box")]
    rect: [f32; 4],
    score: f32,
    points: [f32; 10],
}

impl Face {
    fn rect(&self) -> Rect {
        let [left, top, width, height] = self.rect;
        Rect { left, top, right: left + width, bottom: top + height }
    }
}

/// The library's numbers of a face: it counts from the edge of the first pixel, and cuts off what is behind the point.
fn numbers(face: &Detection) -> Vec<f32> {
    let (rect, shift) = (face.rect, 0.5);
    let points = face.points.unwrap().map(|Point { x, y }| [x + shift, y + shift]);
    let corner = [rect.left + shift, rect.top + shift, rect.width(), rect.height()];
    corner.into_iter().chain(points.into_iter().flatten()).collect()
}

#[test]
fn yunet_finds_the_faces_that_its_library_finds() {
    let golden: Vec<FoundIn> = serde_json::from_str(include_str!("golden/yunet.json")).unwrap();
    let photos: Vec<(&FoundIn, Photo)> =
        golden.iter().filter_map(|expected| Some((expected, photo(&expected.photo)?))).collect();
    if photos.len() < golden.len() {
        crate::skipped(format_args!("yunet on {} photos: data sets not found", golden.len() - photos.len()));
    }
    let detector = YuNet::new(session("yunet"), "yunet", false, Some(0.5));
    let found = detector.detect(&photos.iter().map(|(_, photo)| photo).collect::<Vec<_>>()).unwrap();
    let mut worst = 0f32;
    for ((expected, _), found) in photos.iter().zip(&found) {
        // The library leaves two boxes for a face where they overlap less than 0.45. A face that barely passes there may
        // barely fail here.
        let is_own =
            |k: usize| expected.faces[..k].iter().all(|surer| surer.rect().iou(&expected.faces[k].rect()) < 0.29);
        let own = expected.faces.iter().enumerate().filter(|&(k, face)| is_own(k) && face.score > 52.0);
        for (_, face) in own {
            let wanted = || face.rect.iter().chain(&face.points);
            let off = |found: &Detection| {
                numbers(found).iter().zip(wanted()).map(|(a, b)| (a - b - 0.5).abs()).fold(0.0, f32::max)
            };
            let nearest = found.iter().min_by(|a, b| off(a).total_cmp(&off(b))).unwrap();
            worst = worst.max(off(nearest));
            assert!(off(nearest) < 1.5, "{}: {nearest:?} is off by {}", expected.photo, off(nearest));
            let score = 100.0 * nearest.score;
            assert!((score - face.score - 0.5).abs() < 1.5, "{}: {score} instead of {}", expected.photo, face.score);
        }
        let sure = found.iter().filter(|face| face.score > 0.53).count();
        assert!(sure <= expected.faces.len(), "{}: {found:?}", expected.photo);
    }
    println!("{} photos: off by {worst:.2} pixels at most, of which 0.5 are the library's cutting off", photos.len());
}
