//! `train --search`: settings are found, told and kept.

use std::{fs, path::Path};

use bledsoe::{
    classify::{ClassifierFile, ClassifierKind},
    embed::table::FaceRow,
};

use crate::{
    datasets, example_photos, json, photos_below, run,
    tables::{row, write},
    text,
};

fn table(dir: &Path) -> std::path::PathBuf {
    let table = dir.join("faces.parquet");
    let people = ["ada", "bob", "cleo", "dan", "eve"];
    let mut rows: Vec<FaceRow> = people.iter().flat_map(|p| (0..20).map(|i| row(p, i))).collect();
    // A near-duplicate of a photo: other bytes, nearly the same embedding.
    let mut copy = FaceRow { path: "bob/copy.jpg".into(), sha256: "c0".repeat(32), ..row("bob", 0) };
    copy.vector[0] += 1e-3;
    rows.push(copy);
    write(&table, "mobilefacenet", &rows);
    table
}

#[test]
fn settings_are_searched_for_and_what_was_tried_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let table = table(dir.path());
    let (model, report) = (dir.path().join("people.bledsoe"), dir.path().join("search.html"));
    let args = ["train", text(&table), "--search", "--out", text(&model), "--split", "0.9", "--seed", "3"];
    let told = json(&run(&[&args[..], &["--json", "--report", text(&report)]].concat()));
    let (tried, chosen) = (told["search"]["tried"].as_array().unwrap(), &told["search"]["chosen"]);
    assert_eq!(tried.len(), 41, "{told}");
    assert!(
        tried
            .iter()
            .all(|tried| tried["seconds"].as_f64() >= Some(0.0) && !tried["scores"].as_array().unwrap().is_empty())
    );
    assert!(told["search"]["copies"].as_u64() <= Some(1) && told["search"]["stopped"] == false);
    assert_eq!(told["classifier"], chosen["classifier"]);
    assert!(told["search"]["score"]["accuracy"].as_f64() > Some(0.95), "{told}");

    let bytes = fs::read(&model).unwrap();
    let file = ClassifierFile::load(&model).unwrap();
    let kept = file.search.unwrap();
    assert_eq!(kept.tried.len(), tried.len());
    assert_eq!((&kept.chosen.classifier, kept.seed), (&file.kind, 3));
    assert_eq!(serde_json::to_value(&kept.chosen).unwrap(), *chosen);
    let html = fs::read_to_string(&report).unwrap();
    assert!(html.contains("svm-linear, C 0.1") && html.contains("<svg class=\"plot\"") && !html.contains("http:"));

    let printed = run(&args);
    let printed = String::from_utf8_lossy(&printed.stdout).into_owned();
    assert!(printed.contains("chosen, of ties the simplest: ") && printed.contains("± s.e."), "{printed}");
    assert!(fs::read(&model).unwrap() == bytes, "the same seed made another file");

    let result = json(&run(&["evaluate", text(&table), "--model", text(&model), "--json"]));
    assert!(result["accuracy"].as_f64() > Some(0.9), "{result}");
}

#[test]
fn what_is_asked_for_by_name_is_not_varied() {
    let dir = tempfile::tempdir().unwrap();
    let table = table(dir.path());
    let model = dir.path().join("people.bledsoe");
    let kinds = |more: &[&str]| -> Vec<ClassifierKind> {
        let output = run(&[&["train", text(&table), "--search", "--out", text(&model)], more].concat());
        assert!(output.status.code() < Some(2), "{}", String::from_utf8_lossy(&output.stderr));
        ClassifierFile::load(&model).unwrap().search.unwrap().tried.into_iter().map(|t| t.setting.classifier).collect()
    };
    assert_eq!(kinds(&["--classifier", "knn", "--k", "2"]), [ClassifierKind::Knn { k: 2 }]);
    let linear = kinds(&["--classifier", "svm-linear"]);
    assert!(linear.len() > 3 && linear.iter().all(|kind| matches!(kind, ClassifierKind::SvmLinear { .. })));
    let penalty = kinds(&["--c", "2"]);
    assert!(penalty.contains(&ClassifierKind::Centroid) && penalty.contains(&ClassifierKind::SvmLinear { c: 2.0 }));
    assert!(!penalty.contains(&ClassifierKind::SvmLinear { c: 1.0 }));

    for (more, word) in [
        (&["--classifier", "knn", "--c", "1"][..], "--c is not"),
        (&["--c", "-1"], "-1"),
        (&["--augment", "flip"], "augmented"),
        (&["--epochs", "0"], "--epochs"),
        (&["--embedder", "facenet"], "facenet"),
        (&["--labels", "x.csv", "--target", "y"], "--search"),
        (&["--split", "0.05"], "--split"),
    ] {
        let output = run(&[&["train", text(&table), "--search", "--out", text(&dir.path().join("no"))], more].concat());
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{more:?}: {error}");
        assert!(error.contains(word) && !dir.path().join("no").exists(), "{more:?}: {error}");
    }
    let alone = run(&["train", text(&table), "--out", text(&model), "--report", "x.html"]);
    assert_eq!(alone.status.code(), Some(2), "a report of no search");
}

#[test]
fn copies_of_one_picture_are_no_test() {
    let dir = tempfile::tempdir().unwrap();
    let photos = dir.path().join("photos");
    for person in ["Grace_Hopper", "Eileen_Collins"] {
        let folder = photos.join(person);
        fs::create_dir_all(&folder).unwrap();
        let photo = image::open(&photos_below(&example_photos().join(person))[0]).unwrap().thumbnail(600, 600);
        let small = photo.thumbnail(400, 400);
        for (i, picture) in [photo.clone(), photo.brighten(20), photo.adjust_contrast(-20.0), small].iter().enumerate()
        {
            picture.save(folder.join(format!("{i}.jpg"))).unwrap();
        }
    }
    let model = dir.path().join("people.bledsoe");
    let args =
        ["--search", "--out", text(&model), "--min-images", "2", "--fast", "--augment", "none", "--engine", "rten"];
    let output = run(&[&["train", text(&photos)], &args[..]].concat());
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains("copies of one picture count once"), "{error}");
}

#[test]
fn a_folder_is_searched_with_each_augmentation() {
    let Some(datasets) = datasets("a_folder_is_searched_with_each_augmentation") else { return };
    let dir = tempfile::tempdir().unwrap();
    let (photos, model) = (dir.path().join("photos"), dir.path().join("people.bledsoe"));
    for person in ["Colin_Powell", "Serena_Williams", "Tony_Blair"] {
        fs::create_dir_all(photos.join(person)).unwrap();
        for photo in photos_below(&datasets.join("lfw/images").join(person)).iter().take(8) {
            fs::copy(photo, photos.join(person).join(photo.file_name().unwrap())).unwrap();
        }
    }
    let fixed = ["--min-images", "2", "--fast", "--epochs", "2", "--engine", "rten", "--json"];
    let output = run(&[&["train", text(&photos), "--search", "--out", text(&model)], &fixed[..]].concat());
    let told = json(&output);
    assert_eq!(output.status.code(), Some(0), "{told}");
    let tried = told["search"]["tried"].as_array().unwrap();
    let of = |flip: bool, crop: bool| {
        tried
            .iter()
            .filter(|t| t["setting"]["augment"]["flip"] == flip && t["setting"]["augment"]["crop"] == crop)
            .count()
    };
    assert_eq!((of(false, false), of(true, false), of(true, true)), (41, 41, 41));
    assert!(told["search"]["score"]["accuracy"].as_f64() > Some(0.9), "{told}");
    assert_eq!(told["embedder"], "mobilefacenet-straight");
    assert_eq!(ClassifierFile::load(&model).unwrap().search.unwrap().tried.len(), 123);
    assert!(!dir.path().join("people.bledsoe.partial").exists());
    let result =
        json(&run(&["evaluate", text(&photos), "--model", text(&model), "--engine", "rten", "--fast", "--json"]));
    assert!(result["accuracy"].as_f64() > Some(0.8), "{result}");
}
