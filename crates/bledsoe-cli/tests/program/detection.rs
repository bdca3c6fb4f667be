//! Detectors, landmarks and contracts measured, as a user does it.

use std::{fs, path::Path};

use bledsoe::model::Store;

use crate::{datasets, example_photos, json, run, text};

/// The faces that dlib 20.0.1 finds in the example photos, the points of one of them (its 68, reduced to five), and a box
/// without a face that dlib finds too, to be ignored.
const BOXES: &str = r#"[
    {"image": "Barack_Obama/2009-congress.jpg", "faces": [{"box": [137, 185, 216, 216]}]},
    {"image": "Barack_Obama/2010-blue-room.jpg", "faces": [{"box": [228, 95, 150, 150]}]},
    {"image": "Eileen_Collins/nasa-portrait.jpg", "faces": [
        {"box": [179, 83, 88, 88], "points": [[203.3, 101.5], [246.8, 103.7], [225, 127], [200, 139], [246, 141]]},
        {"box": [131, 333, 88, 87], "ignore": true}
    ]},
    {"image": "Grace_Hopper/1984-us-navy.jpg", "faces": [{"box": [161, 137, 216, 216]}]}
]"#;

#[test]
fn hog_finds_dlibs_boxes_again() {
    let dir = tempfile::tempdir().unwrap();
    let boxes = dir.path().join("boxes.json");
    fs::write(&boxes, BOXES).unwrap();
    let (photos, boxes) = (example_photos(), text(&boxes));
    let args = ["benchmark", "detection", "--root", text(&photos), "--boxes", boxes, "--detector", "hog", "--json"];
    let output = run(&args);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(output.stdout, run(&args).stdout, "the same bytes");
    let result = json(&output);
    assert_eq!((&result["photos"], &result["faces"], &result["ignored"]), (&4.into(), &4.into(), &1.into()));
    assert_eq!((&result["recall"], &result["precision"]), (&1.0.into(), &1.0.into()), "{result}");
    assert_eq!(result["average_precision"], 1.0);
    assert!(result["mean_iou"].as_f64().unwrap() > 0.95, "{result}");
    assert_eq!(result["intervals"]["recall"], serde_json::json!([1.0, 1.0]));
    assert_eq!(result["by_size"][2]["faces"], 1);
    assert_eq!(result["settings"]["detector"], "hog min-score -1");
    // A photo that is not there: its face is missed, the rest is done.
    let photos = dir.path().join("photos");
    fs::create_dir_all(photos.join("Grace_Hopper")).unwrap();
    let grace = "Grace_Hopper/1984-us-navy.jpg";
    fs::copy(example_photos().join(grace), photos.join(grace)).unwrap();
    let output =
        run(&["benchmark", "detection", "--root", text(&photos), "--boxes", boxes, "--detector", "hog", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let result = json(&output);
    assert_eq!((&result["recall"], &result["failures"]), (&0.25.into(), &3.into()), "{result}");
    assert_eq!(result["skipped"].as_array().unwrap().len(), 3);
}

#[test]
fn landmarks_are_near_those_of_dlib() {
    let dir = tempfile::tempdir().unwrap();
    let boxes = dir.path().join("boxes.json");
    fs::write(&boxes, BOXES).unwrap();
    let photos = example_photos();
    let args = ["benchmark", "landmarks", "--root", text(&photos), "--boxes", text(&boxes), "--engine", "rten"];
    let result = json(&run(&[&args[..], &["--iou", "0.3", "--json"]].concat()));
    assert_eq!((&result["faces"], &result["failures"], &result["scheme"]), (&1.into(), &0.into(), &"arcface5".into()));
    assert!(result["nme"].as_f64().unwrap() < 0.1, "{result}");
    assert_eq!(result["failure_rate"]["0.1"], 0.0);
    // dlib's five are other points.
    let other = run(&[&args[..], &["--landmarks", "landmarks5"]].concat());
    assert_eq!(other.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&other.stderr).contains("68 points"));
}

#[test]
fn a_boxes_file_that_is_wrong_is_told_by_field() {
    let dir = tempfile::tempdir().unwrap();
    let boxes = dir.path().join("boxes.json");
    fs::write(&boxes, r#"{"a.jpg": [{"x": 1, "y": 1, "w": 0, "h": 3}]}"#).unwrap();
    let output = run(&["benchmark", "detection", "--root", text(dir.path()), "--boxes", text(&boxes)]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("boxes.json: a.jpg: face 1: w, h"), "{said}");
}

/// Writes MobileFaceNet as a user's own ONNX file with a contract of its own.
fn own_model(folder: &Path, template: &str, scaling: &str) -> String {
    let onnx = Store::new(None).onnx("mobilefacenet").unwrap();
    let path = folder.join("own.onnx");
    fs::write(&path, &onnx).unwrap();
    let contract = format!(
        "id = \"own\"\ntask = \"embed\"\nformat = \"onnx\"\nfile = \"own.onnx\"\nsha256 = \"{}\"\nsource = \"a test\"\n\
         licence = \"none\"\ntemplate = \"{template}\"\n[input]\nsize = 112\n{scaling}\n[output]\ndim = 192\nmetric = \"cosine\"",
        bledsoe::hash::sha256(&onnx)
    );
    fs::write(path.with_extension("toml"), contract).unwrap();
    text(&path).to_owned()
}

const RIGHT: &str = "mean = [127.5, 127.5, 127.5]\nscale = [0.0078125, 0.0078125, 0.0078125]";
const IMAGENET: &str = "mean = [123.675, 116.28, 103.53]\nscale = [0.017125, 0.017507, 0.017429]";

fn advice(model: &str) -> (Option<i32>, Vec<String>) {
    let output = run(&["models", "verify", "--benchmark", model, "--json"]);
    let result = json(&output);
    assert_eq!(result["models"][0]["evidence"], "weak", "{result}");
    let mistakes = result["models"][0]["mistakes"].as_array().unwrap();
    (output.status.code(), mistakes.iter().map(|mistake| mistake["change"].to_string()).collect())
}

#[test]
fn a_wrong_contract_is_told_by_its_mistake() {
    let dir = tempfile::tempdir().unwrap();
    let (code, mistakes) = advice(&own_model(dir.path(), "arcface", RIGHT));
    assert_eq!((code, mistakes.len()), (Some(0), 0), "{mistakes:?}");
    let (code, mistakes) = advice(&own_model(dir.path(), "facenet", RIGHT));
    assert_eq!((code, &mistakes[..]), (Some(1), &["{\"template\":\"arcface\"}".to_owned()][..]));
    let (code, mistakes) = advice(&own_model(dir.path(), "arcface", IMAGENET));
    assert_eq!((code, mistakes.len()), (Some(1), 1), "{mistakes:?}");
    assert!(mistakes[0].contains("scaling"), "{mistakes:?}");
}

#[test]
fn detectors_on_dlibs_example_photos() {
    let Some(datasets) = datasets("detectors_on_dlibs_example_photos") else { return };
    let faces = datasets.join("dlib_faces");
    let (root, boxes) = (faces.join("faces"), faces.join("boxes.json"));
    let args = ["benchmark", "detection", "--root", text(&root), "--boxes", text(&boxes), "--json"];
    let result = json(&run(&[&args[..], &["--detector", "hog", "--upsample", "1"]].concat()));
    assert_eq!(result["faces"], 43);
    assert!(result["recall"].as_f64().unwrap() > 0.7, "{result}");
}
