//! YuNet, against its authors' own library (tools/reference/yunet.py).

use bledsoe::{
    detect::{Detection, Detector, YuNet},
    geometry::Point,
    photo::Photo,
};

use crate::networks::{Face, FoundIn, photo, rect, session};

/// How far a face is from the library's, which counts from the edge of the first pixel and cuts corner, sides and points
/// down to whole pixels: half a pixel is what it cuts off in the mean.
fn difference(found: &Detection, expected: &Face) -> f32 {
    let numbers = |corner: Point, width: f32, height: f32, points: Vec<f32>| {
        [corner.x, corner.y, width, height].into_iter().chain(points)
    };
    let (own, box_) = (found.rect, rect(expected));
    let points = found.points.unwrap().into_iter().flat_map(|Point { x, y }| [x + 0.5, y + 0.5]).collect();
    let own = numbers(Point::new(own.left + 0.5, own.top + 0.5), own.width(), own.height(), points);
    let wanted = numbers(Point::new(box_.left, box_.top), box_.width(), box_.height(), expected.points.to_vec());
    own.zip(wanted).map(|(a, b)| (a - b - 0.5).abs()).fold(0.0, f32::max)
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
            |k: usize| expected.faces[..k].iter().all(|surer| rect(surer).iou(&rect(&expected.faces[k])) < 0.29);
        let own = expected.faces.iter().enumerate().filter(|&(k, face)| is_own(k) && face.score > 52.0);
        for (_, face) in own {
            let off = |found: &Detection| difference(found, face);
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
