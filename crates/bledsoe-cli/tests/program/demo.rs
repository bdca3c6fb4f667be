//! The demo: real photos and models, nothing from outside.

use crate::{json, run, text};

#[test]
fn the_demo_decides_right_and_writes_its_report() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("new/demo");
    let output = run(&["demo", "--json", "--engine", "rten", "--out", text(&out)]);
    let result = json(&output);
    assert_eq!(output.status.code(), Some(0), "{result:#}");
    assert_eq!(result["correct"], result["total"]);
    let decisions = result["decisions"].as_array().unwrap();
    for enrolled in [true, false] {
        assert_eq!(decisions.iter().filter(|d| d["enrolled"] == enrolled).count(), 2);
    }
    let report = std::fs::read_to_string(out.join("report.html")).unwrap();
    assert!(report.contains("Grace_Hopper") && report.contains("data:image/jpeg;base64,"));
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, b"in the way").unwrap();
    let output = run(&["demo", "--engine", "rten", "--out", text(&file.join("demo"))]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains(text(&file)));
}
