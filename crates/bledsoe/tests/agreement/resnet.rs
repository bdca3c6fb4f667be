//! dlib's face descriptors against dlib (`tools/reference/resnet.py`).

use std::path::{Path, PathBuf};

use bledsoe::{
    align::{FaceChip, warp},
    engine::{Backend, Engine, EngineConfig, Precision, Session, Tensor, library},
    geometry::Point,
    landmark::{Landmarks, Scheme},
    model::{Registry, Store, dlib::network::resnet_to_onnx},
    photo::{Limits, Photo},
};

#[derive(serde::Deserialize)]
struct Golden {
    astronaut: Vec<f32>,
    lfw: Vec<Face>,
}

#[derive(serde::Deserialize)]
struct Face {
    photo: String,
    points: Vec<[f32; 2]>,
    descriptor: Vec<f32>,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("golden/resnet.json")).unwrap()
}

fn session(backend: Backend, onnx: Vec<u8>) -> Box<dyn Session> {
    let engine = Engine::open(&EngineConfig { backend, ..EngineConfig::default() }).unwrap();
    engine.load("dlib", onnx, Precision::Full).unwrap()
}

/// The network's raw output for an interleaved RGB chip of 150 pixels.
fn descriptor(session: &dyn Session, rgb: &[u8]) -> Vec<f32> {
    let contract = Registry::embedded().unwrap().get("dlib").unwrap();
    let input = contract.input().unwrap();
    let plane = |c: usize| rgb.iter().skip(c).step_by(3).map(move |&v| (f32::from(v) - input.mean[c]) * input.scale[c]);
    let data: Vec<f32> = (0..3).flat_map(plane).collect();
    let output = session.run(Tensor { shape: vec![1, 3, 150, 150], data }).unwrap();
    assert_eq!(output[0].shape, [1, 128]);
    output[0].data.clone()
}

fn astronaut() -> Photo {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/agreement/golden/astronaut-chip.png");
    Photo::open(&path, &Limits::default()).unwrap()
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// What each engine on this machine makes of dlib's own chip.
fn check(what: &str, onnx: &[u8], tolerance: f32) {
    let ort = std::env::var_os(library::VARIABLE).is_some();
    if !ort {
        crate::skipped(format_args!("{what} on ONNX Runtime: set {}", library::VARIABLE));
    }
    for backend in [Some(Backend::Native), Some(Backend::Rten), ort.then_some(Backend::Ort)].into_iter().flatten() {
        let found = descriptor(&*session(backend, onnx.to_vec()), astronaut().rgb());
        let off = largest_difference(&found, &golden().astronaut);
        eprintln!("{what}, {backend:?}: components off by at most {off:e}");
        assert!(off < tolerance, "{what}, {backend:?}: {off}");
    }
}

#[test]
fn the_pack_gives_dlibs_descriptor_of_dlibs_chip() {
    check("f16 pack", &Store::new(None).onnx("dlib").unwrap(), 1e-3);
}

#[test]
fn the_users_file_gives_dlibs_descriptor_of_dlibs_chip() {
    let Some(folder) = std::env::var_os("BLEDSOE_DLIB_MODELS").map(PathBuf::from) else {
        crate::skipped(format_args!("the_users_file_gives_dlibs_descriptor_of_dlibs_chip: set BLEDSOE_DLIB_MODELS"));
        return;
    };
    let bytes = std::fs::read(folder.join("dlib_face_recognition_resnet_model_v1.dat")).unwrap();
    check("f32 file", &resnet_to_onnx(&bytes, "dlib").unwrap(), 1e-5);
}

#[test]
fn chips_cut_here_give_nearly_dlibs_descriptors() {
    let given = std::env::var_os("BLEDSOE_DATASETS").map(PathBuf::from);
    let root = given.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/datasets"));
    if !root.join("lfw").is_dir() {
        crate::skipped(format_args!("chips_cut_here_give_nearly_dlibs_descriptors: no LFW; set BLEDSOE_DATASETS"));
        return;
    }
    let template = Registry::embedded().unwrap().template("dlib").unwrap();
    let session = session(Backend::Native, Store::new(None).onnx("dlib").unwrap());
    for face in golden().lfw {
        let photo = Photo::open(&root.join(&face.photo), &Limits::default()).unwrap();
        let points = face.points.iter().map(|&[x, y]| Point::new(x, y)).collect();
        let map = template.fit(&Landmarks { scheme: Scheme::Dlib5, points }, 150).unwrap();
        let FaceChip { rgb, .. } = warp(&photo, &map, 150);
        let found = descriptor(&*session, &rgb);
        let distance = found.iter().zip(&face.descriptor).map(|(a, b)| (a - b).powi(2)).sum::<f32>().sqrt();
        let off = largest_difference(&found, &face.descriptor);
        eprintln!("{}: components off by at most {off:.4}, distance {distance:.4}", face.photo);
        // dlib takes the same person below a distance of 0.6; its warp samples an image pyramid, this one does not.
        assert!(distance < 0.15, "{}: {distance}", face.photo);
    }
}
