//! dlib's MMOD detector, photo by photo, against what dlib finds (`tools/reference/mmod.py`).

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use bledsoe::{
    detect::{Detection, Detector, Mmod},
    engine::{Backend, Engine, EngineConfig, Precision, library},
    model::{
        Store,
        dlib::network::{MmodDetails, mmod_to_onnx},
    },
    photo::{Limits, Photo},
};

/// Left, top, right, bottom, score.
type Face = [f32; 5];

#[derive(serde::Deserialize)]
struct Golden {
    name: String,
    upsample: u32,
    photos: BTreeMap<String, Vec<Face>>,
}

fn golden() -> Vec<Golden> {
    serde_json::from_str(include_str!("golden/mmod.json")).unwrap()
}

fn datasets() -> Option<PathBuf> {
    let given = std::env::var_os("BLEDSOE_DATASETS").map(PathBuf::from);
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/datasets");
    given.or(Some(beside)).filter(|folder| folder.is_dir())
}

fn detector(backend: Backend, onnx: Vec<u8>, upsample: u32) -> Mmod {
    let engine = Engine::open(&EngineConfig { backend, ..EngineConfig::default() }).unwrap();
    let details = MmodDetails::of_onnx(&onnx, "mmod").unwrap();
    let session = engine.load("mmod", onnx, Precision::Full).unwrap();
    Mmod::new(session, details, "mmod", upsample, None).unwrap()
}

/// How far the farthest edge is off, in pixels.
fn off(found: &Detection, face: &Face) -> f32 {
    let r = found.rect;
    [r.left, r.top, r.right, r.bottom].iter().zip(face).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// The shares of dlib's boxes found within 2 pixels, and of boxes found here that are dlib's, hold for the least of
/// both; and the largest difference of a score.
fn compare(what: &str, detector: &Mmod, set: &Golden, root: &Path) -> (f64, f32) {
    let golden: Vec<_> = set.photos.iter().collect();
    let photos: Vec<Photo> =
        golden.iter().map(|(p, _)| Photo::open(&root.join(p), &Limits::default()).unwrap()).collect();
    let found = detector.detect(&photos.iter().collect::<Vec<_>>()).unwrap();
    let (mut same, mut exact, mut dlibs, mut ours, mut worst) = (0, 0, 0, 0, 0.0f32);
    for ((path, faces), found) in golden.iter().zip(&found) {
        dlibs += faces.len();
        ours += found.len();
        for face in *faces {
            match found.iter().find(|d| off(d, face) <= 2.0) {
                Some(d) => {
                    same += 1;
                    exact += usize::from(off(d, face) == 0.0);
                    worst = worst.max((d.score - face[4]).abs());
                }
                None => eprintln!("{path}: {found:?}, dlib {face:?}"),
            }
        }
    }
    let (name, upsample, n) = (&set.name, set.upsample, golden.len());
    eprintln!(
        "{what}, {name} upsample {upsample}, {n} photos: {same} boxes within 2 pixels ({exact} the same) of {ours} here, {dlibs} of dlib; scores off by at most {worst:.5}"
    );
    (f64::from(same) / ours.max(dlibs) as f64, worst)
}

#[test]
fn finds_what_dlib_finds() {
    let Some(root) = datasets() else {
        crate::skipped(format_args!("finds_what_dlib_finds: no data sets; set BLEDSOE_DATASETS"));
        return;
    };
    for set in golden().iter().filter(|s| s.name != "astronaut") {
        let detector = detector(Backend::Native, Store::new(None).onnx("mmod").unwrap(), set.upsample);
        let (share, worst) = compare("f16 pack, native", &detector, set, &root);
        // JPEG decoders differ by a step or two; of two windows with almost the same score the other may then win.
        assert!(share >= 0.98, "{} upsample {}: {share} agree", set.name, set.upsample);
        assert!(worst < 0.02, "{} upsample {}: a score off by {worst}", set.name, set.upsample);
    }
}

#[test]
fn finds_what_dlib_finds_in_a_photo_without_compression() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/agreement/golden");
    for set in golden().iter().filter(|s| s.name == "astronaut") {
        let detector = detector(Backend::Native, Store::new(None).onnx("mmod").unwrap(), set.upsample);
        let (share, worst) = compare("f16 pack, native", &detector, set, &root);
        assert!(share == 1.0 && worst < 0.002, "upsample {}: {share} agree, a score off by {worst}", set.upsample);
    }
}

#[test]
fn the_users_file_on_every_engine_finds_what_dlib_finds() {
    let name = "the_users_file_on_every_engine_finds_what_dlib_finds";
    let (Some(root), Some(folder)) = (datasets(), std::env::var_os("BLEDSOE_DLIB_MODELS").map(PathBuf::from)) else {
        crate::skipped(format_args!("{name}: set BLEDSOE_DLIB_MODELS and BLEDSOE_DATASETS"));
        return;
    };
    let bytes = std::fs::read(folder.join("mmod_human_face_detector.dat")).unwrap();
    let onnx = mmod_to_onnx(&bytes, "mmod").unwrap();
    let ort = std::env::var_os(library::VARIABLE).is_some();
    if !ort {
        crate::skipped(format_args!("{name} on ONNX Runtime: set {}", library::VARIABLE));
    }
    for backend in [Some(Backend::Native), Some(Backend::Rten), ort.then_some(Backend::Ort)].into_iter().flatten() {
        let set = &golden()[0];
        let (share, worst) =
            compare(&format!("f32 file, {backend:?}"), &detector(backend, onnx.clone(), 0), set, &root);
        assert!(share >= 0.98 && worst < 0.02, "{backend:?}: {share} agree, a score off by {worst}");
    }
}

#[test]
fn the_details_travel_with_the_pack() {
    let onnx = Store::new(None).onnx("mmod").unwrap();
    let details = MmodDetails::of_onnx(&onnx, "mmod").unwrap();
    let [window] = &details.windows[..] else { panic!("{details:?}") };
    assert_eq!((window.width, window.height, &*window.label), (80, 80, ""));
    assert_eq!((details.padding, details.outer_padding), (10, 11));
    // Three convolutions of 5 pixels with step 2, three of 5, one of 9.
    assert_eq!((details.stride, details.offset, details.above, details.below, details.least), (8, 14, 80, 108, 29));
    assert!((details.max_iou - 0.338_276).abs() < 1e-6 && details.max_covered == 1.0);
    assert!(MmodDetails::of_onnx(&Store::new(None).onnx("dlib").unwrap(), "dlib").is_err());
}
