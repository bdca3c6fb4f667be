//! `models` and `engine`, and errors that name the next step.

use std::{fs, process::Output};

use crate::{bledsoe, json, run, text};

/// Standard error of a command that could not run.
fn refusal(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(output.stdout.is_empty());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn models_are_listed_and_shown() {
    let list = json(&run(&["models", "list", "--json"]));
    let entries = list.as_array().unwrap();
    let entry = |id: &str| entries.iter().find(|e| e["contract"]["id"] == id).unwrap();
    assert_eq!(entry("mobilefacenet")["place"], "embedded");
    assert!(entry("landmarks68")["place"].is_null());
    let shown = run(&["models", "show", "landmarks68"]);
    assert!(String::from_utf8_lossy(&shown.stdout).contains("face-recognition-models 0.3.0"));
    assert!(refusal(&run(&["models", "show", "nothing"])).contains("mobilefacenet"));
}

#[test]
fn a_pulled_file_is_checked() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("shape_predictor_68_face_landmarks.dat"), b"something else").unwrap();
    let cache = dir.path().join("cache");
    let mut command = bledsoe();
    command.env("BLEDSOE_CACHE", &cache).args(["models", "pull", "landmarks68", "--from", text(dir.path())]);
    assert!(refusal(&command.output().unwrap()).contains("SHA-256"));
    assert_eq!(fs::read_dir(cache.join("models")).unwrap().count(), 0);
    // No client at all: the error says what else there is.
    let mut command = bledsoe();
    command.env("BLEDSOE_CACHE", &cache).env("PATH", dir.path()).args(["models", "pull", "landmarks68"]);
    let said = refusal(&command.output().unwrap());
    assert!(said.contains("pip") && said.contains("--from"), "{said}");
}

#[test]
fn an_engine_that_is_not_there_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let photo = dir.path().join("photo.png");
    image::RgbImage::new(8, 8).save(&photo).unwrap();
    let cache = dir.path().join("cache");
    let without = || {
        let mut command = bledsoe();
        command.env("BLEDSOE_CACHE", &cache).env_remove("BLEDSOE_ORT_DYLIB");
        command
    };
    let info = json(&without().args(["engine", "info", "--json"]).output().unwrap());
    assert_eq!(info["ort"]["available"], false);
    assert_eq!(info["rten"]["available"], true);
    assert_eq!(info["native"]["available"], true);
    let auto = info["auto"]["description"].as_str().unwrap();
    // Where there are no kernels for the processor, the other engine that needs nothing installed.
    assert!(auto.starts_with("bledsoe's own kernels") || auto.starts_with("rten"), "{info}");
    let out = dir.path().join("t");
    let embed = ["embed", text(&photo), "--out", text(&out), "--engine", "ort"];
    assert!(refusal(&without().args(embed).output().unwrap()).contains("bledsoe engine install"));
    // A file that is no library.
    let mut broken = bledsoe();
    broken.env("BLEDSOE_ORT_DYLIB", &photo).args(embed);
    assert!(refusal(&broken.output().unwrap()).contains("photo.png"));
    let install = without().args(["engine", "install", "--from", text(dir.path())]).output().unwrap();
    assert!(refusal(&install).contains(".whl"));
    assert_eq!(fs::read_dir(cache.join("engine")).unwrap().count(), 0, "nothing is left behind");
}

#[test]
fn chips_do_not_go_among_the_photos() {
    let dir = tempfile::tempdir().unwrap();
    image::RgbImage::new(8, 8).save(dir.path().join("photo.png")).unwrap();
    let out = dir.path().join("a/b");
    assert!(refusal(&run(&["align", text(dir.path()), text(&out)])).contains("taken for photos"));
    assert!(refusal(&run(&["align", text(dir.path()), text(dir.path())])).contains("taken for photos"));
}
