//! Galleries, from the first photo enrolled to the last person forgotten.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::{
    bledsoe, example_photos, json, run,
    tables::{row, write},
    text,
};

const OBAMA: &str = "Barack Obama";

/// A gallery of two people, each by one photo of the examples.
fn two_people(dir: &Path) -> PathBuf {
    let gallery = dir.join("two.gallery");
    for (photo, name) in
        [("Barack_Obama/2012-oval-office.jpg", OBAMA), ("Eileen_Collins/nasa-portrait.jpg", "Eileen Collins")]
    {
        let photo = example_photos().join(photo);
        let enrolled = json(&run(&[
            "enroll",
            text(&gallery),
            text(&photo),
            "--name",
            name,
            "--label",
            "job=astronaut or so",
            "--json",
        ]));
        assert_eq!(enrolled["enrolled"][name], 1, "{enrolled}");
    }
    gallery
}

fn names(identified: &Value) -> Vec<&str> {
    identified["faces"].as_array().unwrap().iter().map(|face| face["name"].as_str().unwrap()).collect()
}

#[test]
fn people_are_enrolled_found_in_photos_and_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let gallery = two_people(dir.path());
    let photos = dir.path().join("photos");
    fs::create_dir(&photos).unwrap();
    for (photo, copy) in [("Barack_Obama/2009-congress.jpg", "a.jpg"), ("Grace_Hopper/1984-us-navy.jpg", "b.jpg")] {
        fs::copy(example_photos().join(photo), photos.join(copy)).unwrap();
    }
    let (seen, csv) = (dir.path().join("seen"), dir.path().join("faces.csv"));
    let output = run(&[
        "identify",
        text(&gallery),
        text(&photos),
        "--json",
        "--xmp",
        "--annotate",
        text(&seen),
        "--csv",
        text(&csv),
    ]);
    let identified = json(&output);
    assert_eq!(output.status.code(), Some(0), "{identified}");
    let known: Vec<&Value> =
        identified["faces"].as_array().unwrap().iter().filter(|face| face["known"] == true).collect();
    assert_eq!(known.len(), 1, "{identified}");
    assert_eq!(known[0]["name"], OBAMA);
    assert!(known[0]["probability"].as_f64().unwrap() > 0.95);
    let interval: Vec<f64> = known[0]["interval"].as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect();
    assert!(interval[0] <= known[0]["probability"].as_f64().unwrap());
    assert!(names(&identified).iter().filter(|name| **name == "unknown").count() >= 1);
    let stranger = identified["faces"].as_array().unwrap().iter().find(|face| face["known"] == false).unwrap();
    assert_eq!(stranger["doubt"]["reason"], "too-far");
    // The copies, the names beside the photos, the table.
    assert!(seen.join("a.jpg").is_file() && seen.join("b.jpg").is_file());
    assert!(fs::read_to_string(photos.join("a.jpg.xmp")).unwrap().contains(OBAMA));
    assert_eq!(fs::read_to_string(&csv).unwrap().lines().count(), 1 + identified["faces"].as_array().unwrap().len());

    // Those names enroll people in another gallery.
    let other = dir.path().join("other.gallery");
    let marked = json(&run(&["enroll", text(&other), text(&photos), "--xmp", "--json"]));
    assert_eq!(marked["enrolled"], serde_json::json!({ OBAMA: 1 }), "{marked}");

    // A stricter rate asks for more.
    let strict = json(&run(&["identify", text(&gallery), text(&photos.join("a.jpg")), "--fpir", "0.0001", "--json"]));
    assert!(strict["faces"][0]["threshold"].as_f64() > identified["faces"][0]["threshold"].as_f64());

    let verified = json(&run(&["verify", text(&gallery), OBAMA, text(&photos.join("a.jpg")), "--json"]));
    assert_eq!(verified["same"], true, "{verified}");
    let other = json(&run(&["verify", text(&gallery), "Eileen Collins", text(&photos.join("a.jpg")), "--json"]));
    assert_eq!(other["same"], false, "{other}");

    // Once told that this is not Obama, it does not say so again.
    assert_eq!(run(&["reject", text(&gallery), OBAMA, text(&photos.join("a.jpg"))]).status.code(), Some(0));
    let again = json(&run(&["identify", text(&gallery), text(&photos.join("a.jpg")), "--select", "center", "--json"]));
    assert_eq!(again["faces"][0]["doubt"]["reason"], "not-this-person", "{again}");

    let receipt = json(&run(&["forget", text(&gallery), OBAMA, "--json"]));
    assert_eq!((receipt["name"].as_str(), receipt["templates"].as_array().unwrap().len()), (Some(OBAMA), 2));
    assert!(
        !fs::read(&gallery).unwrap().windows(OBAMA.len()).any(|bytes| bytes == OBAMA.as_bytes()),
        "the name is still in the file"
    );
    let people = json(&run(&["list", text(&gallery), "--json"]));
    assert_eq!((people.as_array().unwrap().len(), people[0]["name"].as_str()), (1, Some("Eileen Collins")));
    assert_eq!(run(&["forget", text(&gallery), OBAMA]).status.code(), Some(2));
    assert_eq!(run(&["gallery", "check", text(&gallery)]).status.code(), Some(0));
}

#[test]
fn who_should_not_be_enrolled_is_not_unless_one_insists() {
    let dir = tempfile::tempdir().unwrap();
    let gallery = two_people(dir.path());
    let other_photo = example_photos().join("Barack_Obama/2009-congress.jpg");
    let refused = run(&["enroll", text(&gallery), text(&other_photo), "--name", "Somebody Else", "--json"]);
    assert_eq!(refused.status.code(), Some(2));
    let reason = json(&refused)["skipped"][0]["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains(OBAMA) || reason.contains("too poor"), "{reason}");

    let tiny = dir.path().join("tiny.png");
    let photo = image::open(example_photos().join("Eileen_Collins/nasa-portrait.jpg")).unwrap();
    photo.thumbnail(70, 70).save(&tiny).unwrap();
    let poor = run(&["enroll", text(&gallery), text(&tiny), "--name", "Tiny", "--json"]);
    let reason = json(&poor)["skipped"][0]["reason"].as_str().unwrap().to_owned();
    assert!(poor.status.code() == Some(2) && (reason.contains("small") || reason.contains("no face")), "{reason}");

    // The same photo again changes nothing; more photos of a person do.
    let first = example_photos().join("Barack_Obama/2012-oval-office.jpg");
    let again = json(&run(&["enroll", text(&gallery), text(&first), "--name", OBAMA, "--json"]));
    assert_eq!((&again["faces"], &again["already_enrolled"]), (&0.into(), &1.into()));
    let forced =
        json(&run(&["enroll", text(&gallery), text(&other_photo), "--name", "Somebody Else", "--force", "--json"]));
    assert_eq!(forced["faces"], 1, "{forced}");
    let merged = json(&run(&["merge", text(&gallery), "Somebody Else", OBAMA, "--json"]));
    assert_eq!(merged["templates"], 2, "{merged}");
    assert_eq!(run(&["rename", text(&gallery), OBAMA, "Eileen Collins"]).status.code(), Some(2));
    assert_eq!(run(&["rename", text(&gallery), OBAMA, "B. Obama"]).status.code(), Some(0));
    let stats = json(&run(&["stats", text(&gallery), "--json"]));
    assert_eq!((&stats["size"]["people"], &stats["size"]["templates"]), (&2.into(), &3.into()));
    assert!(stats["calibration"]["thresholds"]["0.01"].as_f64() < stats["calibration"]["thresholds"]["0.001"].as_f64());
}

#[test]
fn folders_and_tables_are_enrolled_exported_and_calibrated_by() {
    let dir = tempfile::tempdir().unwrap();
    let (gallery, table) = (dir.path().join("g.gallery"), dir.path().join("faces.parquet"));
    let people: Vec<String> = (0..60).map(|i| format!("person {i}")).collect();
    let rows: Vec<_> = people.iter().take(40).flat_map(|name| (0..3).map(|i| row(name, i))).collect();
    write(&table, "made up", &rows);
    // Made-up people of few numbers are more alike than people are.
    let enrolled = json(&run(&["enroll", text(&gallery), text(&table), "--force", "--json", "--embedder", "made up"]));
    assert_eq!((&enrolled["faces"], &enrolled["size"]["people"]), (&120.into(), &40.into()), "{enrolled}");

    let other = dir.path().join("other.parquet");
    let rows: Vec<_> = people.iter().skip(30).flat_map(|name| (3..5).map(|i| row(name, i))).collect();
    write(&other, "made up", &rows);
    let calibrated = json(&run(&["calibrate", text(&gallery), "--with", text(&other), "--json"]));
    assert_eq!(
        (&calibrated["calibration"]["met"], &calibrated["calibration"]["mates"]),
        (&20.into(), &20.into()),
        "{calibrated}"
    );
    let identified = json(&run(&["identify", text(&gallery), text(&other), "--fpir", "0.05", "--json"]));
    assert_eq!(identified["faces"].as_array().unwrap().len(), 60);

    for file in ["copy.json", "copy.parquet"] {
        let (file, copy) = (dir.path().join(file), dir.path().join(format!("{file}.gallery")));
        assert_eq!(run(&["export", text(&gallery), text(&file)]).status.code(), Some(0));
        let imported = json(&run(&["import", text(&copy), text(&file), "--json"]));
        assert_eq!((&imported["imported"], &imported["size"]["templates"]), (&40.into(), &120.into()), "{imported}");
        assert_eq!(run(&["gallery", "check", text(&copy)]).status.code(), Some(0));
    }
    let wrong = run(&["enroll", text(&gallery), text(&table), "--embedder", "dlib"]);
    assert!(wrong.status.code() == Some(2) && String::from_utf8_lossy(&wrong.stderr).contains("made up"));
}

#[test]
fn an_encrypted_gallery_opens_with_its_key_only() {
    let dir = tempfile::tempdir().unwrap();
    let (gallery, table, key) =
        (dir.path().join("g.gallery"), dir.path().join("faces.parquet"), dir.path().join("key"));
    write(&table, "made up", &[row("secret person", 0)]);
    fs::write(&key, [7; 32]).unwrap();
    assert_eq!(run(&["import", text(&gallery), text(&table), "--key-file", text(&key)]).status.code(), Some(0));
    let without = run(&["list", text(&gallery)]);
    assert_eq!(without.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&without.stderr).contains("key"));
    let by_variable = bledsoe().args(["list", text(&gallery)]).env("BLEDSOE_KEY", "07".repeat(32)).output().unwrap();
    assert!(String::from_utf8_lossy(&by_variable.stdout).contains("secret person"));
    assert!(!fs::read(&gallery).unwrap().windows(13).any(|bytes| bytes == b"secret person"));
    assert_eq!(
        bledsoe().args(["list", text(&gallery)]).env("BLEDSOE_KEY", "08".repeat(32)).output().unwrap().status.code(),
        Some(2)
    );
}

#[test]
fn what_is_no_gallery_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("no.gallery");
    for command in [["list"].as_slice(), &["stats"], &["gallery", "check"], &["forget"]] {
        let mut args: Vec<&str> = command.to_vec();
        args.push(text(&file));
        if command == ["forget"] {
            args.push("x");
        }
        let output = run(&args);
        assert!(
            output.status.code() == Some(2) && String::from_utf8_lossy(&output.stderr).contains("enroll"),
            "{args:?}"
        );
    }
    fs::write(&file, b"this is no gallery").unwrap();
    let output = run(&["list", text(&file)]);
    assert!(output.status.code() == Some(2) && String::from_utf8_lossy(&output.stderr).contains("no.gallery"));
    assert_eq!(fs::read(&file).unwrap(), b"this is no gallery");
}
