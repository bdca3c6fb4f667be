//! From photos or embeddings to a trained, tested classifier that names people.

use std::{
    fs::{self, File},
    path::Path,
};

use bledsoe::embed::table::{FaceRow, Origin, TableWriter};

use crate::{
    example_photos, json, photos_below, run,
    tables::{DIM, row, write},
    text,
};

#[test]
fn embeddings_are_trained_on_and_the_rest_evaluated() {
    let dir = tempfile::tempdir().unwrap();
    let (table, model) = (dir.path().join("faces.parquet"), dir.path().join("people.bledsoe"));
    let people = ["ada", "bob", "cleo", "dan", "eve"];
    let mut rows: Vec<FaceRow> = people.iter().flat_map(|p| (0..20).map(|i| row(p, i))).collect();
    rows.extend((0..3).map(|i| row("rare", i)));
    // A copy of a photo under another name: it must lie on the side of its original.
    rows.push(FaceRow { path: "bob/copy.jpg".into(), ..row("bob", 0) });
    write(&table, "mobilefacenet", &rows);

    for classifier in ["svm-linear", "svm-rbf", "knn", "centroid"] {
        let train = run(&["train", text(&table), "--out", text(&model), "--classifier", classifier, "--json"]);
        let trained = json(&train);
        assert_eq!(train.status.code(), Some(1), "two photos of the table had no face");
        assert_eq!(trained["dropped"], serde_json::json!({ "rare": 3 }));
        let (seen, held) = (trained["train_images"].as_u64().unwrap(), trained["held_back"].as_u64().unwrap());
        assert_eq!(seen + held, 101, "{trained}");
        assert!((70..=71).contains(&seen), "{trained}");

        let first = fs::read(&model).unwrap();
        run(&["train", text(&table), "--out", text(&model), "--classifier", classifier]);
        assert!(fs::read(&model).unwrap() == first, "{classifier}: a second run made another file");

        let evaluate = run(&["evaluate", text(&table), "--model", text(&model), "--json"]);
        let result = json(&evaluate);
        assert_eq!(evaluate.status.code(), Some(1));
        assert_eq!(result["total"].as_u64(), Some(held), "{result}");
        assert!(result["accuracy"].as_f64().unwrap() > 0.95, "{classifier}: {result}");
        assert_eq!((&result["trained_left_out"], &result["not_known_left_out"]), (&seen.into(), &3.into()));
        assert_eq!(result["without_face"], 1);
        assert_eq!(result["skipped"].as_array().unwrap().len(), 2);
        assert!(result["accuracy_with_failures"].as_f64() < result["accuracy"].as_f64());
        assert_eq!(result["per_class"].as_object().unwrap().len(), 5);
    }
}

#[test]
fn what_was_trained_on_is_never_evaluated() {
    let dir = tempfile::tempdir().unwrap();
    let (table, model) = (dir.path().join("faces.parquet"), dir.path().join("people.bledsoe"));
    let rows: Vec<FaceRow> = ["ada", "bob"].iter().flat_map(|p| (0..10).map(|i| row(p, i))).collect();
    write(&table, "mobilefacenet", &rows);
    assert!(run(&["train", text(&table), "--out", text(&model), "--split", "1"]).status.code() < Some(2));
    let renamed: Vec<FaceRow> = rows.iter().map(|r| FaceRow { path: format!("new/{}", r.path), ..r.clone() }).collect();
    let other = dir.path().join("renamed.parquet");
    let mut writer = TableWriter::new(File::create(&other).unwrap(), &other, "mobilefacenet", DIM).unwrap();
    writer.write(&renamed).unwrap();
    let origin = bledsoe::embed::table::read(&table).unwrap().0;
    writer.finish(&Origin { skipped: Vec::new(), ..origin }).unwrap();
    let refused = run(&["evaluate", text(&other), "--model", text(&model), "--json"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("nothing to evaluate"));

    write(&other, "facenet", &rows);
    let foreign = run(&["evaluate", text(&other), "--model", text(&model)]);
    assert_eq!(foreign.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&foreign.stderr).contains("mobilefacenet"));
}

#[test]
fn nonsense_is_refused_with_exit_code_2() {
    let dir = tempfile::tempdir().unwrap();
    let (table, model) = (dir.path().join("faces.parquet"), dir.path().join("people.bledsoe"));
    let rows: Vec<FaceRow> = ["ada", "bob"].iter().flat_map(|p| (0..10).map(|i| row(p, i))).collect();
    write(&table, "mobilefacenet", &rows);
    for extra in [
        &["--min-images", "11"][..],
        &["--split", "0"],
        &["--epochs", "0"],
        &["--classifier", "tree"],
        &["--k", "3"],
        &["--c", "-1"],
        &["--augment", "flip"],
        &["--embedder", "facenet"],
    ] {
        let output = run(&[&["train", text(&table), "--out", text(&model)], extra].concat());
        assert_eq!(output.status.code(), Some(2), "{extra:?}");
        assert!(!output.stderr.is_empty() && !model.exists(), "{extra:?}");
    }
    fs::write(&model, b"no classifier").unwrap();
    let output = run(&["evaluate", text(&table), "--model", text(&model)]);
    assert_eq!(output.status.code(), Some(2));
}

/// Four pictures of each person in the repository, made from their first photo: this tests the path, not accuracy.
fn four_pictures_each(into: &Path) {
    for person in fs::read_dir(example_photos()).unwrap().map(|entry| entry.unwrap().path()).filter(|p| p.is_dir()) {
        let folder = into.join(person.file_name().unwrap());
        fs::create_dir_all(&folder).unwrap();
        let photo = image::open(&photos_below(&person)[0]).unwrap();
        let pictures = [photo.clone(), photo.fliph(), photo.brighten(30), photo.adjust_contrast(-25.0)];
        for (i, picture) in pictures.iter().enumerate() {
            picture.save(folder.join(format!("{i}.jpg"))).unwrap();
        }
    }
}

#[test]
fn photos_are_trained_on_evaluated_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let photos = dir.path().join("photos");
    four_pictures_each(&photos);
    let model = dir.path().join("people.bledsoe");
    let train = run(&[
        "train",
        text(&photos),
        "--out",
        text(&model),
        "--min-images",
        "2",
        "--split",
        "0.6",
        "--epochs",
        "2",
        "--json",
    ]);
    let trained = json(&train);
    assert!(train.status.code() < Some(2), "{trained}");
    assert!(trained["people"].as_u64() >= Some(2) && trained["held_back"].as_u64() >= Some(2), "{trained}");
    assert!(trained["samples"].as_u64() > trained["train_images"].as_u64(), "two passes: {trained}");
    assert!(!dir.path().join("people.bledsoe.partial").exists());

    let result = json(&run(&["evaluate", text(&photos), "--model", text(&model), "--json"]));
    assert!(result["accuracy"].as_f64() >= Some(0.8), "{result}");
    assert_eq!(result["trained_left_out"], trained["train_images"]);

    let named = json(&run(&["identify", "--model", text(&model), text(&photos), "--json"]));
    let faces = named["faces"].as_array().unwrap();
    assert!(faces.len() + named["skipped"].as_array().unwrap().len() >= photos_below(&photos).len(), "{named}");
    let mut wrong = 0;
    for face in faces {
        let folder = Path::new(face["path"].as_str().unwrap()).parent().unwrap().to_str().unwrap();
        let name = face["name"].as_str().unwrap();
        wrong += usize::from(name != "unknown" && !folder.ends_with(name));
        assert!(face["box"]["right"].as_f64() > face["box"]["left"].as_f64());
        assert!(face["runner_up"]["probability"].as_f64() <= face["probability"].as_f64());
    }
    assert_eq!(wrong, 0, "{named}");
}
