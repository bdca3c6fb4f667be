//! The doctor on a folder with planted faults, from findings to moves and back.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use image::{DynamicImage, ImageFormat};
use serde_json::Value;

use crate::{example_photos, json, photos_below, run, text};

/// The example photos, and: a smaller copy of one, a wrong label, a picture without a face, a blurred face.
fn faulty_folder(into: &Path) -> PathBuf {
    let folder = into.join("photos");
    for photo in photos_below(&example_photos()) {
        let copy = folder.join(photo.strip_prefix(example_photos()).unwrap());
        fs::create_dir_all(copy.parent().unwrap()).unwrap();
        fs::copy(photo, copy).unwrap();
    }
    let save = |image: &DynamicImage, path: &str| {
        DynamicImage::from(image.to_rgb8()).save_with_format(folder.join(path), ImageFormat::Jpeg).unwrap();
    };
    let congress = image::open(folder.join("Barack_Obama/2009-congress.jpg")).unwrap();
    save(&congress.resize(400, 400, image::imageops::FilterType::Triangle), "Barack_Obama/small.jpg");
    let hopper = image::open(folder.join("Grace_Hopper/1984-us-navy.jpg")).unwrap();
    save(&hopper.resize(300, 300, image::imageops::FilterType::Triangle).blur(6.0), "Grace_Hopper/blurred.jpg");
    let slope = image::RgbImage::from_fn(200, 150, |x, y| image::Rgb([x as u8, y as u8, 90]));
    save(&DynamicImage::from(slope), "Grace_Hopper/nobody.jpg");
    fs::rename(folder.join("Barack_Obama/2012-oval-office.jpg"), folder.join("Joe_Biden/2012-oval-office.jpg"))
        .unwrap();
    folder
}

fn photos(findings: &Value, kind: &str) -> Vec<String> {
    let of_kind = findings.as_array().unwrap().iter().filter(|finding| finding["kind"] == kind);
    of_kind.flat_map(|f| f["photos"].as_array().unwrap()).map(|p| p.as_str().unwrap().to_owned()).collect()
}

fn files(folder: &Path) -> BTreeSet<(PathBuf, u64)> {
    let hidden = folder.join(".bledsoe-quarantine");
    let mut files = photos_below(folder);
    if hidden.is_dir() {
        files.extend(photos_below(&hidden));
    }
    files.into_iter().map(|file| (file.clone(), fs::metadata(file).unwrap().len())).collect()
}

#[test]
fn planted_faults_are_found_mended_and_the_mending_undone() {
    let dir = tempfile::tempdir().unwrap();
    let folder = faulty_folder(dir.path());
    let (plan, page) = (dir.path().join("plan.jsonl"), dir.path().join("page.html"));
    let output =
        run(&["doctor", text(&folder), "--engine", "rten", "--json", "--plan", text(&plan), "--report", text(&page)]);
    let result = json(&output);
    assert_eq!(output.status.code(), Some(0), "{result:#}");
    let findings = &result["findings"];
    assert_eq!(photos(findings, "mislabelled"), ["Joe_Biden/2012-oval-office.jpg"], "{findings:#}");
    assert_eq!(photos(findings, "duplicate")[0], "Barack_Obama/small.jpg", "{findings:#}");
    assert_eq!(photos(findings, "no-face"), ["Grace_Hopper/nobody.jpg"], "{findings:#}");
    assert_eq!(photos(findings, "blurred"), ["Grace_Hopper/blurred.jpg"], "{findings:#}");
    for kind in ["split", "merged"] {
        assert_eq!(photos(findings, kind), [""; 0], "{findings:#}");
    }
    let html = fs::read_to_string(&page).unwrap();
    assert!(html.contains("2012-oval-office.jpg") && html.contains("data:image/jpeg;base64,"));
    assert!(!html.contains("http:") && !html.contains("https:") && !html.contains("<script"));

    let before = files(&folder);
    let applied = run(&["doctor", text(&folder), "--apply", text(&plan), "--json"]);
    assert_eq!(applied.status.code(), Some(0), "{}", json(&applied));
    assert!(folder.join("Barack_Obama/2012-oval-office.jpg").is_file());
    assert!(folder.join(".bledsoe-quarantine/Barack_Obama/small.jpg").is_file());
    let again = run(&["doctor", text(&folder), "--apply", text(&plan), "--json"]);
    assert_eq!(json(&again)["moved"]["moved"], 0);
    let undo = plan.with_added_extension("undo");
    let undone = run(&["doctor", text(&folder), "--undo", text(&undo)]);
    assert_eq!(undone.status.code(), Some(0));
    assert_eq!(files(&folder), before);
    // A plan is not written over another, and the check comes before the work.
    let refused = run(&["doctor", text(&folder), "--plan", text(&plan)]);
    assert_eq!(refused.status.code(), Some(2));
}

#[test]
fn leaks_are_found_with_embeddings_made_earlier_and_bad_photos_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let folder = faulty_folder(dir.path());
    let table = dir.path().join("faces.parquet");
    let made = run(&["embed", text(&folder), "--out", text(&table), "--engine", "rten"]);
    assert_eq!(made.status.code(), Some(1), "one photo has no face");
    fs::write(folder.join("Joe_Biden/broken.jpg"), b"no photo").unwrap();
    let output = run(&[
        "doctor",
        text(&folder),
        "--against",
        text(&example_photos()),
        "--only",
        "leak",
        "--embeddings",
        text(&table),
        "--engine",
        "rten",
        "--json",
    ]);
    let result = json(&output);
    assert_eq!(output.status.code(), Some(1), "{result:#}");
    assert_eq!(result["skipped"][0]["path"], "Joe_Biden/broken.jpg");
    let leaks: BTreeSet<String> = photos(&result["findings"], "leak").into_iter().collect();
    assert!(leaks.contains("Barack_Obama/small.jpg") && leaks.contains("Joe_Biden/2012-oval-office.jpg"), "{leaks:?}");
    assert_eq!(leaks.len(), 8, "the six photos, the smaller copy and the blurred one: {leaks:?}");
    assert!(result["faces_not_counted"].as_u64().unwrap() >= 7);
    let foreign = run(&["doctor", text(&folder), "--embeddings", text(&table), "--embedder", "facenet", "--json"]);
    assert_eq!(foreign.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&foreign.stderr).contains("mobilefacenet"));
}
