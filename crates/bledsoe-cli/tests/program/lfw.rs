//! The tutorial's path on real photos, where LFW is at hand.

use std::fs;

use crate::{datasets, json, run, text};

#[test]
fn a_classifier_of_ten_people_knows_photos_it_has_not_seen() {
    let Some(datasets) = datasets("a_classifier_of_ten_people_knows_photos_it_has_not_seen") else { return };
    let dir = tempfile::tempdir().unwrap();
    let photos = dir.path().join("photos");
    let mut people: Vec<_> =
        fs::read_dir(datasets.join("lfw/images")).unwrap().map(|entry| entry.unwrap().path()).collect();
    people.sort();
    people.retain(|person| (10..16).contains(&fs::read_dir(person).unwrap().count()));
    for person in people.iter().take(10) {
        let folder = photos.join(person.file_name().unwrap());
        fs::create_dir_all(&folder).unwrap();
        for photo in fs::read_dir(person).unwrap() {
            let photo = photo.unwrap();
            fs::copy(photo.path(), folder.join(photo.file_name())).unwrap();
        }
    }
    let model = dir.path().join("model.bledsoe");
    let trained = run(&["train", text(&photos), "--out", text(&model), "--epochs", "2", "--engine", "rten", "--json"]);
    assert_eq!(trained.status.code(), Some(0), "{}", json(&trained));
    let tested = json(&run(&["evaluate", text(&photos), "--model", text(&model), "--engine", "rten", "--json"]));
    assert!(tested["total"].as_u64().unwrap() >= 20, "{tested}");
    assert!(tested["accuracy"].as_f64().unwrap() >= 0.9, "{tested}");
}
