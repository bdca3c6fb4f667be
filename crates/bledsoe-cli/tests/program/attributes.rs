//! `train --labels` and `attributes`, on tables of people who do not exist.

use std::{
    fs,
    path::{Path, PathBuf},
};

use bledsoe::{attribute::Head, embed::table::FaceRow};

use super::{datasets, example_photos, json, run, tables, text};

/// Sixty people of two photos; half of them wear glasses and all have a shoe size, which their embeddings tell.
struct Staff {
    dir: tempfile::TempDir,
    rows: Vec<FaceRow>,
}

impl Staff {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let rows: Vec<FaceRow> =
            (0..60).flat_map(|i| [1, 2].map(|number| tables::row(&format!("p{i:02}"), number))).collect();
        let mut csv = String::from("image,glasses,size,nothing\n");
        for row in &rows {
            csv += &format!("{},{},{:.1},\n", row.path, glasses(row), size(row));
        }
        csv += "nobody/1.jpg,yes,40,\n";
        fs::write(dir.path().join("labels.csv"), csv).unwrap();
        let staff = Self { dir, rows };
        tables::write(&staff.file("staff.parquet"), "mobilefacenet", &staff.rows);
        staff
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn train(&self, target: &str, more: &[&str]) -> std::process::Output {
        let (table, labels, out) = (self.file("staff.parquet"), self.file("labels.csv"), self.file(target));
        let args =
            ["train", text(&table), "--labels", text(&labels), "--target", target, "--out", text(&out), "--json"];
        run(&[&args, more].concat())
    }
}

fn glasses(row: &FaceRow) -> &'static str {
    if row.vector[0] + row.vector[1] > 0.0 { "yes" } else { "no" }
}

fn size(row: &FaceRow) -> f64 {
    f64::from(40.0 + 8.0 * (row.vector[2] - row.vector[3]))
}

#[test]
fn labels_of_ones_own_are_learnt_and_answered() {
    let staff = Staff::new();
    // Two photos of the table had no face: the exit code tells.
    let trained = staff.train("glasses", &[]);
    assert_eq!(trained.status.code(), Some(1), "{trained:?}");
    let trained = json(&trained);
    let figures = &trained["about"]["figures"];
    assert_eq!((&figures["task"], &figures["people"]), (&"classify".into(), &60.into()));
    assert!(figures["accuracy"].as_f64().unwrap() > 0.85, "{figures}");
    assert_eq!(trained["joined"]["unmatched"][0]["key"], "nobody/1.jpg");
    assert_eq!(trained["about"]["training"]["data"]["labels"], "labels.csv");
    let sized = json(&staff.train("size", &["--centres", "0"]));
    let figures = &sized["about"]["figures"];
    assert_eq!(figures["task"], "regress");
    assert!(figures["mean_absolute_error"].as_f64() < figures["baseline"].as_f64().map(|x| x / 2.0), "{figures}");

    let (table, csv) = (staff.file("staff.parquet"), staff.file("said.csv"));
    let (glasses_head, size_head) = (staff.file("glasses"), staff.file("size"));
    let args =
        ["attributes", text(&table), "--model", text(&glasses_head), "--model", text(&size_head), "--csv", text(&csv)];
    let said = run(&[&args[..], &["--json"]].concat());
    assert!(String::from_utf8_lossy(&said.stderr).contains("gender: left out"), "{said:?}");
    let said = json(&said);
    let faces = said["faces"].as_array().unwrap();
    assert_eq!(faces.len(), staff.rows.len());
    let right = faces.iter().zip(&staff.rows).filter(|(face, row)| face["glasses"]["label"] == glasses(row)).count();
    assert!(right > 105, "{right}");
    let number = |face: &serde_json::Value, name: &str| face["size"][name].as_f64().unwrap();
    let inside = |(face, row): &(&serde_json::Value, &FaceRow)| {
        assert!(number(face, "low") <= number(face, "value") && number(face, "value") <= number(face, "high"));
        (number(face, "low")..=number(face, "high")).contains(&size(row))
    };
    assert!(faces.iter().zip(&staff.rows).filter(inside).count() > 90);
    let lines = fs::read_to_string(csv).unwrap();
    assert!(lines.starts_with(
        "path,face,left,top,right,bottom,\"glasses\",\"glasses_probability\",\"size\",\"size_low\",\"size_high\"\n"
    ));
    assert_eq!(lines.lines().count(), 121);
    assert!(lines.lines().nth(1).unwrap().starts_with("\"p00/1.jpg\",0,0,0,9,9,"), "{lines}");
}

#[test]
fn what_cannot_be_learnt_is_said() {
    let staff = Staff::new();
    let says = |target: &str, more: &[&str], what: &str| {
        let output = staff.train(target, more);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && error.contains(what), "{error}");
    };
    says("hat", &[], "there are glasses, size, nothing");
    says("nothing", &[], "no label");
    says("box", &[], "use already");
    says("glasses", &["--task", "regress"], "is not a number");
    says("glasses", &["--epochs", "3"], "cannot be used with");
}

#[test]
fn a_damaged_or_foreign_head_is_refused() {
    let staff = Staff::new();
    staff.train("glasses", &[]);
    let (file, table) = (staff.file("glasses"), staff.file("staff.parquet"));
    let whole = fs::read(&file).unwrap();
    assert_eq!(Head::load(&file).unwrap().to_bytes().unwrap(), whole);
    let refused = |what: &str| {
        let output = run(&["attributes", text(&table), "--model", text(&file)]);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && error.contains(what), "{error}");
    };
    for damage in [whole[..whole.len() - 1].to_vec(), b"no head".to_vec(), Vec::new()] {
        fs::write(&file, damage).unwrap();
        refused("not a head");
    }
    let mut flipped = whole.clone();
    let last = flipped.len() - 1;
    flipped[last] ^= 1;
    fs::write(&file, flipped).unwrap();
    refused("SHA-256");
    fs::write(&file, whole).unwrap();
    let other = staff.file("other.parquet");
    tables::write(&other, "dlib", &staff.rows);
    let output = run(&["attributes", text(&other), "--model", text(&file)]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("those of mobilefacenet are needed"), "{output:?}");
}

#[test]
fn gender_and_age_come_with_the_program() {
    let said = run(&["attributes", text(&example_photos()), "--engine", "rten", "--json"]);
    let said = json(&said);
    let faces = said["faces"].as_array().unwrap();
    assert!(!faces.is_empty());
    for face in faces {
        assert!(face["gender"]["label"] == "M" || face["gender"]["label"] == "F", "{face}");
        let probability = face["gender"]["probability"].as_f64().unwrap();
        assert!((0.5..=1.0).contains(&probability), "{face}");
        let age = |name: &str| face["age"][name].as_f64().unwrap();
        assert!(age("low") <= age("value") && age("value") <= age("high"), "{face}");
        assert!(face["box"]["left"].is_number() && face["path"].is_string(), "{face}");
    }
}

/// The half of UTKFace that the heads were not trained on.
fn held_out(images: &Path) -> Vec<PathBuf> {
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    let first = |path: &Path| u8::from_str_radix(&bledsoe::hash::sha256(name(path))[..2], 16).unwrap();
    super::photos_below(images).into_iter().filter(|path| first(path) % 2 == 1).collect()
}

#[test]
fn gender_and_age_are_right_on_faces_not_trained_on() {
    let Some(datasets) = datasets("gender_and_age_are_right_on_faces_not_trained_on") else { return };
    let photos: Vec<PathBuf> = held_out(&datasets.join("utkface/images")).into_iter().step_by(6).collect();
    let paths: Vec<&str> = photos.iter().map(|path| text(path)).collect();
    let said = json(&run(&[&["attributes", "--fast", "--select", "center", "--json"], paths.as_slice()].concat()));
    let (mut right, mut errors) = (0usize, Vec::new());
    for face in said["faces"].as_array().unwrap() {
        // UTKFace's names: age, gender (0 is male), ….
        let name = Path::new(face["path"].as_str().unwrap()).file_name().unwrap().to_str().unwrap().to_owned();
        let parts: Vec<&str> = name.split('_').collect();
        right += usize::from(face["gender"]["label"] == if parts[1] == "0" { "M" } else { "F" });
        errors.push((face["age"]["value"].as_f64().unwrap() - parts[0].parse::<f64>().unwrap()).abs());
    }
    let faces = errors.len();
    assert!(faces > 90, "{faces}");
    assert!(right as f64 > 0.78 * faces as f64, "{right} of {faces}");
    assert!(errors.iter().sum::<f64>() < 9.5 * faces as f64, "{errors:?}");
}
