//! Clustering: photos without names put together, corrected, and added to.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use bledsoe::{dataset::clusters, embed::table::FaceRow};
use serde_json::Value;

use crate::{
    example_photos, json, run,
    tables::{row, write},
    text,
};

/// The made-up embedder of these tables has no cohort.
const THRESHOLD: &str = "0.75";

fn table(dir: &Path, rows: &[FaceRow]) -> PathBuf {
    let table = dir.join("faces.parquet");
    write(&table, "made up", rows);
    table
}

/// The name of each photo's cluster.
fn names(out: &Path) -> BTreeMap<String, String> {
    let rows = clusters::read(&out.join("clusters.csv")).unwrap();
    rows.into_iter().map(|row| (format!("{}#{}", row.path, row.face), row.cluster)).collect()
}

fn cluster(table: &Path, out: &Path, more: &[&str]) -> Value {
    let mut args = vec!["cluster", text(table), "--out", text(out), "--threshold", THRESHOLD, "--json"];
    args.extend(more);
    json(&run(&args))
}

fn people(people: &[&str], photos: std::ops::Range<usize>) -> Vec<FaceRow> {
    people.iter().flat_map(|person| photos.clone().map(|number| row(person, number))).collect()
}

#[test]
fn faces_are_put_together_scored_and_keep_their_names_when_photos_are_added() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (dir.path().join("first"), dir.path().join("second"));
    let faces = table(dir.path(), &people(&["ada", "bob", "cyd"], 0..4));
    let found = cluster(&faces, &first, &["--evaluate"]);
    assert_eq!((&found["people"], &found["alone"], &found["faces"]), (&3.into(), &0.into(), &12.into()), "{found}");
    assert_eq!((found["scores"]["bcubed"]["f"].as_f64(), found["calibrated"].as_bool()), (Some(1.0), Some(false)));
    assert_eq!(found["photos_not_linked"], 12);
    assert!(fs::read_to_string(first.join("clusters.html")).unwrap().contains("People: 3"));

    // A name of the user's own, and more photos, also of somebody new.
    let list = first.join("clusters.csv");
    let named = names(&first)["ada/0.jpg#0"].clone();
    fs::write(&list, fs::read_to_string(&list).unwrap().replace(&named, "Ada Lovelace")).unwrap();
    let faces = table(dir.path(), &people(&["eve", "bob", "ada", "cyd"], 0..6));
    cluster(&faces, &second, &["--known", text(&list)]);
    let (before, after) = (names(&first), names(&second));
    assert!(before.iter().all(|(photo, name)| after[photo] == *name), "{before:?} {after:?}");
    assert_eq!((&*after["ada/5.jpg#0"], &after["bob/4.jpg#0"]), ("Ada Lovelace", &before["bob/0.jpg#0"]));
    assert!(!before.values().any(|name| *name == after["eve/0.jpg#0"]));
    // The result of a run is never written over.
    let again = run(&["cluster", text(&faces), "--out", text(&second), "--threshold", THRESHOLD]);
    assert_eq!(again.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&again.stderr).contains("not empty"));
}

#[test]
fn what_the_user_says_of_pairs_holds() {
    let dir = tempfile::tempdir().unwrap();
    let mut rows = people(&["ada", "bob"], 0..3);
    // Two faces of one photo, as like as can be.
    rows.push(FaceRow { face: 1, ..rows[0].clone() });
    rows.sort_by(|a, b| (&a.path, a.face).cmp(&(&b.path, b.face)));
    let faces = table(dir.path(), &rows);
    let (same, different) = (dir.path().join("same.csv"), dir.path().join("different.csv"));
    fs::write(&same, "a,b\nada/1.jpg,bob/1.jpg\n").unwrap();
    fs::write(&different, "a,b\nada/0.jpg#0,ada/2.jpg\n").unwrap();
    let plain = dir.path().join("plain");
    cluster(&faces, &plain, &[]);
    let found = names(&plain);
    assert_ne!(found["ada/0.jpg#0"], found["ada/0.jpg#1"]);
    assert_ne!(found["ada/1.jpg#0"], found["bob/1.jpg#0"]);
    for method in ["agglomerative", "whispers", "dbscan", "hdbscan"] {
        let out = dir.path().join(method);
        cluster(&faces, &out, &["--same", text(&same), "--different", text(&different), "--method", method]);
        let found = names(&out);
        assert_eq!(found["ada/1.jpg#0"], found["bob/1.jpg#0"], "{method}");
        assert_ne!(found["ada/0.jpg#0"], found["ada/2.jpg#0"], "{method}");
        assert_ne!(found["ada/0.jpg#0"], found["ada/0.jpg#1"], "{method}");
    }
    for (text_of, said) in
        [("a,b\nada/0.jpg,ada/1.jpg\n", "2 faces"), ("a,b\nada/9.jpg,ada/1.jpg\n", "ada/9.jpg is not")]
    {
        fs::write(&same, text_of).unwrap();
        let out = dir.path().join("wrong");
        let wrong =
            run(&["cluster", text(&faces), "--out", text(&out), "--threshold", THRESHOLD, "--same", text(&same)]);
        assert_eq!(wrong.status.code(), Some(2));
        let error = String::from_utf8_lossy(&wrong.stderr).into_owned();
        assert!(error.contains("line 2") && error.contains(said), "{error}");
    }
}

#[test]
fn without_a_cohort_a_threshold_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let faces = table(dir.path(), &people(&["ada"], 0..2));
    let output = run(&["cluster", text(&faces), "--out", text(&dir.path().join("out"))]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("give a threshold"));
}

#[test]
fn photos_are_linked_by_person_and_shown() {
    let dir = tempfile::tempdir().unwrap();
    let (out, copies) = (dir.path().join("out"), dir.path().join("copies"));
    let photos = example_photos();
    let found =
        json(&run(&["cluster", text(&photos), "--out", text(&out), "--evaluate", "--select", "center", "--json"]));
    let scores = &found["scores"];
    assert!(scores["bcubed"]["f"].as_f64().unwrap() > 0.99, "{found}");
    assert_eq!((&found["calibrated"], &found["photos_not_linked"]), (&true.into(), &0.into()));
    let rows = clusters::read(&out.join("clusters.csv")).unwrap();
    let obama: Vec<_> = rows.iter().filter(|row| row.path.contains("Barack_Obama")).collect();
    assert!(obama.len() > 1 && obama.iter().all(|row| row.cluster == obama[0].cluster));
    assert!(rows.iter().all(|row| (0.0..=1.0).contains(&row.confidence.unwrap())));
    let linked = fs::read_dir(out.join(&obama[0].cluster)).unwrap().map(|entry| entry.unwrap().path());
    let linked: Vec<PathBuf> = linked.map(|link| fs::canonicalize(link).unwrap()).collect();
    assert_eq!(linked.len(), obama.len());
    assert!(linked.iter().all(|photo| photo.parent().unwrap().ends_with("Barack_Obama")));
    let sheet = fs::read_to_string(out.join("clusters.html")).unwrap();
    assert!(sheet.contains("data:image/jpeg;base64,") && !sheet.contains("cannot be shown"));

    // A gallery knows the names.
    let gallery = dir.path().join("people.gallery");
    let photo = photos.join("Barack_Obama/2012-oval-office.jpg");
    json(&run(&["enroll", text(&gallery), text(&photo), "--name", "Barack Obama", "--json"]));
    json(&run(&["cluster", text(&photos), "--out", text(&copies), "--known", text(&gallery), "--copy", "--json"]));
    let copied = fs::read_dir(copies.join("Barack Obama")).unwrap().map(|entry| entry.unwrap().path());
    let copied: Vec<PathBuf> = copied.collect();
    assert!(copied.len() >= obama.len() && copied.iter().all(|copy| !copy.is_symlink()), "{copied:?}");
}
