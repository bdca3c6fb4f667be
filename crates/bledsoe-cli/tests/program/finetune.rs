//! `finetune`, and its adapter in other commands, on tables of people who do not exist.

use std::{fs, path::PathBuf, process::Output};

use bledsoe::embed::{Adapter, table::FaceRow};

use super::{example_photos, json, run, tables, text};

/// Forty people of three photos; half of the numbers say nothing of who it is.
struct Staff {
    dir: tempfile::TempDir,
    rows: Vec<FaceRow>,
}

impl Staff {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let people = (0..40).flat_map(|i| [1, 2, 3].map(|number| tables::row(&format!("p{i:02}"), number)));
        let mut rows: Vec<FaceRow> = people.collect();
        for row in &mut rows {
            let noise = tables::row(&row.path, 7).vector;
            let half = tables::DIM / 2;
            row.vector[half..].copy_from_slice(&noise[half..]);
            let norm = row.vector.iter().map(|x| x * x).sum::<f32>().sqrt();
            row.vector.iter_mut().for_each(|x| *x /= norm);
        }
        rows.push(tables::row("alone", 1));
        let staff = Self { dir, rows };
        tables::write(&staff.file("staff.parquet"), "own", &staff.rows);
        staff
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn finetune(&self, out: &str, more: &[&str]) -> Output {
        let (table, out) = (self.file("staff.parquet"), self.file(out));
        let quick = ["--learning-rate", "0.003", "--stay-close", "0"];
        run(&[&["finetune", text(&table), "--out", text(&out), "--json"][..], &quick[..], more].concat())
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn an_adapter_is_learnt_and_tells_people_held_out_better_apart() {
    let staff = Staff::new();
    let report = staff.file("a.html");
    // Two photos of the table had no face: the exit code tells.
    let output = staff.finetune("a.safetensors", &["--report", text(&report)]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let learnt = json(&output);
    let training = &learnt["about"]["training"];
    assert_eq!(training["measure"]["name"], "triplet_loss");
    assert!(learnt["best"]["figure"].as_f64() < learnt["before"]["figure"].as_f64(), "{learnt}");
    assert_eq!(training["trained_on"], serde_json::json!([96, 32]));
    assert_eq!(training["held_out"], serde_json::json!([24, 8]));
    assert_eq!(learnt["left_out"]["one_photo"], 1);
    assert_eq!(training["inputs"][0]["in"], "staff.parquet");
    let html = fs::read_to_string(report).unwrap();
    assert!(html.contains("<svg") && html.contains("triplet loss of 24 photos of 8 people"), "{html}");

    let adapter = Adapter::load(&staff.file("a.safetensors")).unwrap();
    assert_eq!(learnt["id"], adapter.id());
    // The same seed gives the same adapter, another seed another one.
    staff.finetune("same.safetensors", &[]);
    staff.finetune("other.safetensors", &["--seed", "1"]);
    let bytes = |name: &str| fs::read(staff.file(name)).unwrap();
    assert!(bytes("a.safetensors") == bytes("same.safetensors"));
    assert!(bytes("a.safetensors") != bytes("other.safetensors"));
}

#[test]
fn every_loss_and_shape_runs_and_no_epochs_change_nothing() {
    let staff = Staff::new();
    for more in [
        &["--loss", "triplet", "--mining", "hard", "--margin", "0.3"][..],
        &["--loss", "triplet", "--mining", "all", "--shape", "mlp"],
        &["--loss", "arcface", "--scale", "16"],
        &["--loss", "supcon", "--temperature", "0.2", "--shape", "mlp"],
    ] {
        let learnt = json(&staff.finetune("x.safetensors", more));
        assert!(learnt["best"]["figure"].as_f64() < learnt["before"]["figure"].as_f64(), "{more:?}");
    }
    assert_eq!(staff.finetune("0.safetensors", &["--epochs", "0"]).status.code(), Some(1));
    let unchanged = Adapter::load(&staff.file("0.safetensors")).unwrap().apply(&[&staff.rows[0].vector]).unwrap();
    assert!(unchanged[0].iter().zip(&staff.rows[0].vector).all(|(a, b)| (a - b).abs() < 1e-6));
}

#[test]
fn what_cannot_be_learnt_from_says_why() {
    let staff = Staff::new();
    let fails = |output: &Output, what: &str| {
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(said(output).contains(what), "{what}: {}", said(output));
    };
    let few = staff.file("few.parquet");
    tables::write(&few, "mobilefacenet", &staff.rows[..9]);
    let out = staff.file("x.safetensors");
    fails(&run(&["finetune", text(&few), "--out", text(&out)]), "3 people with two photos or more");
    let single: Vec<FaceRow> = (0..20).map(|i| tables::row(&format!("p{i}"), 1)).collect();
    tables::write(&few, "mobilefacenet", &single);
    fails(&run(&["finetune", text(&few), "--out", text(&out)]), "0 people with two photos or more (and 20 with one)");
    fails(
        &staff.finetune("x.safetensors", &["--loss", "arcface", "--mining", "hard"]),
        "--mining is not for this --loss",
    );
    fails(&staff.finetune("x.safetensors", &["--held-out", "1"]), "out of its range");
    fails(&staff.finetune("x.safetensors", &["--embedder", "facenet"]), "not of facenet");
    tables::write(&few, "facenet", &staff.rows);
    let both = ["finetune", text(&staff.file("staff.parquet")), text(&few), "--out", text(&out)].map(str::to_owned);
    fails(&run(&both.each_ref().map(String::as_str)), "of facenet");
    assert!(!out.exists());
}

#[test]
fn tables_are_adapted_and_never_mixed() {
    let staff = Staff::new();
    staff.finetune("a.safetensors", &[]);
    let (table, adapter, out) = (staff.file("staff.parquet"), staff.file("a.safetensors"), staff.file("b.parquet"));
    let adapted = run(&["embed", text(&table), "--adapter", text(&adapter), "--out", text(&out), "--json"]);
    let id = Adapter::load(&adapter).unwrap().id();
    assert_eq!((adapted.status.code(), &json(&adapted)["embedder"]), (Some(1), &id.as_str().into()));

    // A gallery of adapted embeddings takes such, and no others.
    let gallery = staff.file("g.gallery");
    let enrolled = run(&["enroll", text(&gallery), text(&out), "--adapter", text(&adapter), "--force", "--json"]);
    assert_eq!(json(&enrolled)["faces"], 121, "{enrolled:?}");
    assert_eq!(json(&enrolled)["embedder"]["id"], id);
    let identified = run(&["identify", text(&gallery), text(&out), "--threshold", "0.9", "--json"]);
    assert_eq!(json(&identified)["faces"].as_array().unwrap().len(), 121);
    let refused = |args: &[&str], what: &str| {
        let output = run(args);
        assert_eq!(output.status.code(), Some(2), "{args:?} {output:?}");
        assert!(said(&output).contains(what), "{what}: {}", said(&output));
    };
    refused(&["identify", text(&gallery), text(&table)], "`bledsoe embed TABLE --adapter FILE`");
    refused(&["embed", text(&table), "--out", text(&out)], "--adapter");
    refused(&["embed", text(&out), "--adapter", text(&adapter), "--out", text(&out)], "of which none");
    refused(&["finetune", text(&out), "--out", text(&adapter)], "have an adapter behind them already");
    // Without it no photo can be looked up; with it no gallery without it.
    let photo = example_photos();
    refused(&["identify", text(&gallery), text(&photo)], "--adapter");
    let plain = staff.file("plain.gallery");
    assert_eq!(run(&["enroll", text(&plain), text(&table), "--embedder", "own", "--force"]).status.code(), Some(1));
    refused(&["identify", text(&plain), text(&table), "--adapter", text(&adapter)], "with this adapter they are of");
    refused(&["enroll", text(&plain), text(&table), "--adapter", text(&adapter)], "leave --adapter out");

    // A classifier remembers the adapter too.
    let model = staff.file("m.bledsoe");
    let trained = ["train", text(&out), "--out", text(&model), "--min-images", "3", "--split", "0.67"];
    assert_eq!(run(&trained).status.code(), Some(1));
    assert!(
        run(&["evaluate", text(&out), "--model", text(&model), "--adapter", text(&adapter)]).status.code() < Some(2)
    );
    refused(&["evaluate", text(&table), "--model", text(&model)], "adapter-");
}

#[test]
fn photos_are_embedded_through_the_adapter_of_their_embedder_only() {
    // An adapter of the real network's length, which changes nothing.
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| dir.path().join(name);
    let about = |base: &str| bledsoe::embed::About {
        bledsoe: "0".into(),
        base: base.into(),
        base_settings: serde_json::Value::Null,
        dim: 192,
        training: serde_json::Value::Null,
        threshold: Some(bledsoe::model::Threshold { similarity: 0.4, far: 0.01, measured_on: "a test".into() }),
    };
    let weight = (0..192 * 192).map(|i| f32::from(u8::from(i % 193 == 0))).collect();
    let map = bledsoe::embed::Map::Linear { weight, bias: vec![0.0; 192] };
    let adapter = Adapter::new(about("mobilefacenet-straight"), map.clone()).unwrap();
    adapter.save(&file("a.safetensors")).unwrap();
    Adapter::new(about("facenet"), map).unwrap().save(&file("facenet.safetensors")).unwrap();

    let photos = super::photos_below(&example_photos());
    let (a, b) = (text(&photos[0]), text(&photos[1]));
    let verify = |more: &[&str]| run(&[&["verify", a, b, "--engine", "rten", "--json"], more].concat());
    let plain = json(&verify(&["--embedder", "mobilefacenet-straight"]));
    let path = file("a.safetensors");
    let adapted = json(&verify(&["--adapter", text(&path)]));
    assert_eq!(adapted["embedder"], adapter.id());
    let near = |x: &serde_json::Value, y: &serde_json::Value| (x.as_f64().unwrap() - y.as_f64().unwrap()).abs() < 1e-5;
    assert!(near(&adapted["similarity"], &plain["similarity"]), "{adapted} {plain}");
    assert!(
        near(&adapted["threshold"], &0.4.into()) && adapted["threshold_origin"].as_str().unwrap().contains("a test")
    );

    // A preset asks for an embedder by name; the adapter was made for another.
    let wrong = verify(&["--embedder", "facenet", "--adapter", text(&path)]);
    assert_eq!(wrong.status.code(), Some(2));
    let (why, other) = (said(&wrong), file("facenet.safetensors"));
    assert!(why.contains("made for embeddings of mobilefacenet-straight, not of facenet"), "{why}");
    let longer = verify(&["--adapter", text(&other)]);
    assert!(said(&longer).contains("vectors of 192 numbers, those of facenet have 512"), "{longer:?}");
    fs::write(&other, &fs::read(&path).unwrap()[..1000]).unwrap();
    let damaged = verify(&["--adapter", text(&other)]);
    assert_eq!(damaged.status.code(), Some(2));
    assert!(said(&damaged).contains("not an adapter"), "{damaged:?}");

    let table = file("t.parquet");
    let folder = example_photos();
    let embedded = run(&["embed", text(&folder), "--adapter", text(&path), "--out", text(&table), "--json"]);
    assert_eq!(json(&embedded)["embedder"], adapter.id(), "{embedded:?}");
}
