//! CenterFace and the embedded networks, against ONNX Runtime in Python and face-api's own age and gender network
//! (tools/reference/networks.py).

use std::{collections::BTreeMap, path::PathBuf};

use bledsoe::{
    align::{FaceChip, warp},
    detect::{CenterFace, Detection, Detector, Select},
    embed::{Embedder, NetworkEmbedder},
    engine::{Backend, Engine, EngineConfig, Precision, Session, Tensor},
    geometry::{Point, Rect},
    landmark::{DetectedPoints, Landmarker},
    model::{Registry, Store},
    photo::{Limits, Photo},
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    centerface: Vec<FoundIn>,
    mobilefacenet: BTreeMap<String, Vec<f32>>,
    facenet: BTreeMap<String, Vec<f32>>,
    #[serde(rename = "age-gender")]
    age_gender: Vec<[f32; 3]>,
}

#[derive(Deserialize)]
pub struct FoundIn {
    pub photo: String,
    pub faces: Vec<Face>,
}

#[derive(Deserialize)]
pub struct Face {
    /// Left, top, right, bottom.
    #[serde(rename = "box")]
    pub rect: [f32; 4],
    pub score: f32,
    pub points: [f32; 10],
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("golden/networks.json")).unwrap()
}

pub fn session(id: &str) -> Box<dyn Session> {
    let config = EngineConfig { backend: Backend::Native, ..Default::default() };
    let onnx = Store::new(None).onnx(id).unwrap();
    Engine::open(&config).unwrap().load(id, onnx, Precision::Full).unwrap()
}

/// A photo of the golden file: the self-test photo, or one of the data sets, or `None` where they are absent.
pub fn photo(name: &str) -> Option<Photo> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let path = if name == "selftest.png" {
        root.join("../../models").join(name)
    } else {
        let shared = root.join("../../../shared/datasets");
        std::env::var_os("BLEDSOE_DATASETS").map_or(shared, PathBuf::from).join(name)
    };
    let bytes = std::fs::read(path).ok()?;
    Some(Photo::decode(&bytes, &Limits::default()).unwrap())
}

/// The upper left block of `size` pixels of the self-test photo, as a chip.
fn block(size: u32) -> FaceChip {
    let photo = photo("selftest.png").unwrap();
    let row = 3 * photo.width() as usize;
    let rgb = photo.rgb().chunks_exact(row).take(size as usize).flat_map(|r| r[..3 * size as usize].to_vec()).collect();
    FaceChip { size, rgb, transform: bledsoe::align::Affine { m: [1.0, 0.0, 0.0, 0.0, 1.0, 0.0] } }
}

pub fn rect(face: &Face) -> Rect {
    let [left, top, right, bottom] = face.rect;
    Rect { left, top, right, bottom }
}

/// How far a found face is from the expected one: the largest difference of a corner's or point's coordinate.
fn difference(found: &Detection, expected: &Face) -> f32 {
    let Rect { left, top, right, bottom } = found.rect;
    let points = found.points.unwrap().map(|Point { x, y }| [x, y]);
    let found = [left, top, right, bottom].into_iter().chain(points.into_iter().flatten());
    found.zip(expected.rect.iter().chain(&expected.points)).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn centerface_finds_the_same_faces() {
    let golden = golden().centerface;
    let photos: Vec<(&FoundIn, Photo)> =
        golden.iter().filter_map(|expected| Some((expected, photo(&expected.photo)?))).collect();
    if photos.len() < golden.len() {
        crate::skipped(format_args!("centerface on {} photos: data sets not found", golden.len() - photos.len()));
    }
    let detector = CenterFace::new(session("centerface"), None);
    let found = detector.detect(&photos.iter().map(|(_, photo)| photo).collect::<Vec<_>>()).unwrap();
    for ((expected, photo), found) in photos.iter().zip(found) {
        assert!(found.windows(2).all(|pair| pair[0].score >= pair[1].score));
        // Faces that barely pass in one implementation may barely fail in the other.
        let sure = |score: f32| score > 0.52;
        let differences: Vec<f32> = expected
            .faces
            .iter()
            .filter(|face| sure(face.score))
            .map(|face| found.iter().map(|f| difference(f, face)).fold(f32::MAX, f32::min))
            .collect();
        let surplus = found
            .iter()
            .filter(|face| sure(face.score))
            .filter(|face| expected.faces.iter().all(|e| face.rect.iou(&rect(e)) < 0.7))
            .count();
        assert_eq!(surplus, 0, "{}: {found:?}", expected.photo);
        if photo.width().max(photo.height()) <= 1024 {
            assert!(differences.iter().all(|&d| d < 0.5), "{}: off by {differences:?}", expected.photo);
        } else {
            // Scaled down, by a filter of 8 bits in Python: where two cells score alike, the other may win.
            let near = differences.iter().filter(|&&d| d < 1.0).count();
            assert!(near * 10 >= differences.len() * 8, "{}: off by {differences:?}", expected.photo);
            assert!(differences.iter().all(|&d| d < 20.0), "{}: off by {differences:?}", expected.photo);
        }
    }
}

fn embeddings_agree(id: &str, golden: &BTreeMap<String, Vec<f32>>) {
    let registry = Registry::embedded().unwrap();
    // The golden vectors are of straight chips.
    let mut contract = registry.get(id).unwrap().clone();
    contract.output.as_mut().unwrap().flip = false;
    let template = registry.template(contract.template.as_ref().unwrap()).unwrap();
    let embedder = NetworkEmbedder::new(&contract, template.clone(), session(id)).unwrap();
    let detector = CenterFace::new(session("centerface"), None);
    for (name, expected) in golden {
        let whole_path = name != "selftest.png";
        let Some(photo) = photo(name) else {
            crate::skipped(format_args!("{id} on {name}: data sets not found"));
            continue;
        };
        let chip = if whole_path {
            let faces = detector.detect(&[&photo]).unwrap().remove(0);
            let face = Select::Center.choose(faces, photo.width(), photo.height()).remove(0);
            let landmarks = DetectedPoints.landmarks(&photo, &face).unwrap();
            warp(&photo, &template.fit(&landmarks, template.size()).unwrap(), template.size())
        } else {
            block(template.size())
        };
        let found = embedder.embed(&[vec![chip]]).unwrap().remove(0).vector;
        let norm = expected.iter().map(|v| v * v).sum::<f32>().sqrt();
        let cosine = found.iter().zip(expected).map(|(a, b)| a * b).sum::<f32>() / norm;
        // JPEG decoders and samplers differ by a grey level or two.
        let least = if whole_path { 0.995 } else { 0.999_99 };
        assert!(cosine > least, "{id} {name}: cosine {cosine}");
    }
}

#[test]
fn mobilefacenet_embeds_alike() {
    embeddings_agree("mobilefacenet", &golden().mobilefacenet);
}

#[test]
fn facenet_embeds_alike() {
    embeddings_agree("facenet", &golden().facenet);
}

#[test]
fn ages_and_genders_are_those_of_face_api() {
    let input = Registry::embedded().unwrap().get("age-gender").unwrap().input().unwrap().clone();
    let chip = block(input.size);
    let session = session("age-gender");
    for (chip, expected) in [chip.clone(), chip.flipped()].iter().zip(golden().age_gender) {
        let plane = |channel: usize| {
            let values = chip.rgb.as_chunks::<3>().0.iter().map(move |pixel| f32::from(pixel[channel]));
            let (mean, scale) = (input.mean[channel], input.scale[channel]);
            values.map(move |v| (v - mean) * scale)
        };
        let side = input.size as usize;
        let data = (0..3).flat_map(plane).collect();
        let output = session.run(Tensor { shape: vec![1, 3, side, side], data }).unwrap().remove(0);
        assert_eq!(output.shape, [1, 3]);
        // Years, then probabilities; the pack's weights are f16.
        for (found, (expected, tolerance)) in output.data.iter().zip(expected.iter().zip([0.1, 0.002, 0.002])) {
            assert!((found - expected).abs() < tolerance, "{:?}, face-api {expected:?}", output.data);
        }
    }
}
