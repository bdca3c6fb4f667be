//! Protocols as a user runs them.

use std::{fs, path::Path};

use bledsoe::embed::table::FaceRow;

use crate::{
    example_photos, json, run,
    tables::{row, write},
    text,
};

const PEOPLE: [&str; 6] = ["ada", "bob", "cleo", "dan", "eve", "fay"];

/// Five photos each of six people, one each of ten more, and two photos without a face.
fn table(path: &Path) {
    let rows: Vec<FaceRow> = PEOPLE
        .iter()
        .flat_map(|p| (0..5).map(|i| row(p, i)))
        .chain((0..10).map(|i| row(&format!("lone{i}"), 0)))
        .collect();
    write(path, "made up", &rows);
}

/// Pairs of the six people, in two folds; the last has a photo without a face.
fn pairs(path: &Path) {
    let mut csv = String::from("image_a,image_b,same,fold\n");
    for (i, person) in PEOPLE.iter().enumerate() {
        for k in 0..4 {
            let (next, fold) = (PEOPLE[(i + 1) % 6], k % 2);
            csv += &format!("{person}/{k}.jpg,{person}/{}.jpg,1,{fold}\n", k + 1);
            csv += &format!("{person}/{k}.jpg,{next}/{k}.jpg,0,{fold}\n");
        }
    }
    csv += "ada/0.jpg,ada/99.jpg,same,0\n";
    fs::write(path, csv).unwrap();
}

#[test]
fn verification_counts_failures_and_is_the_same_twice() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| dir.path().join(name);
    table(&file("faces.parquet"));
    pairs(&file("pairs.csv"));
    fs::write(file("labels.csv"), "person,side\nada,left\nbob,left\ncleo,right\nnobody,right\n").unwrap();
    let arguments = |threads: &'static str| -> Vec<String> {
        ["benchmark", "verification", "--json", "--root", "nowhere", "--threads", threads, "--replicates", "50"]
            .map(String::from)
            .into_iter()
            .chain(["--protocol".into(), text(&file("pairs.csv")).into()])
            .chain(["--embeddings".into(), text(&file("faces.parquet")).into()])
            .chain(["--labels".into(), text(&file("labels.csv")).into()])
            .collect()
    };
    let start = |threads| run(&arguments(threads).iter().map(String::as_str).collect::<Vec<_>>());
    let output = start("2");
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    let score = json(&output);
    assert_eq!((score["pairs"].as_u64(), score["failures_to_detect"].as_u64()), (Some(49), Some(1)));
    let accuracy = score["accuracy_mean"].as_f64().unwrap();
    assert!((0.8..1.0).contains(&accuracy), "the pair without a face is an error: {accuracy}");
    for far in ["1e-1", "1e-2", "1e-3", "1e-4"] {
        let tar = score["tar_at_far"][far].as_f64().unwrap();
        assert!((0.5..=24.0 / 25.0).contains(&tar), "{far}: {tar}");
        assert!(score["thresholds"][far].as_f64().is_some());
    }
    for key in ["accuracy_stderr", "auc", "eer"] {
        assert!(score[key].as_f64().is_some(), "{key}");
    }
    assert_eq!(score["by_group"]["unmatched"][0]["key"], "nobody");
    assert_eq!(output.stdout, start("2").stdout, "the same command gives the same bytes");
    assert_eq!(output.stdout, start("1").stdout, "the number of threads changes nothing");
}

#[test]
fn strangers_are_searched_for_and_reported() {
    let dir = tempfile::tempdir().unwrap();
    let faces = dir.path().join("faces.parquet");
    table(&faces);
    let benchmark = |more: &[&str]| {
        let mut arguments =
            vec!["benchmark", "identification", "--json", "--root", "nowhere", "--replicates", "50", "--seeds", "2"];
        arguments.extend(["--embeddings", text(&faces)]);
        arguments.extend(more);
        run(&arguments)
    };
    let open = json(&benchmark(&["--protocol", "open", "--enrol", "1"]));
    assert!(open["fnir_at_fpir"]["1e-1"].as_f64().unwrap() < 0.3, "{open}");
    assert!(open["rank1"].as_f64().unwrap() > 0.7, "{open}");
    // The photo without a face of somebody with others is a probe or enrolled; that of the stranger is a stranger's.
    assert_eq!(open["people"], serde_json::json!({"enrolled": 6, "strangers": 11, "left_out": 0}));
    let closed = json(&benchmark(&["--protocol", "closed", "--enrol", "70%"]));
    assert!(closed["rank5"].as_f64().unwrap() >= closed["rank1"].as_f64().unwrap());
    assert!(closed["fnir_at_fpir"].is_null());
    let refused = benchmark(&["--protocol", "open", "--enrol", "0"]);
    assert_eq!(refused.status.code(), Some(2));
    // Refused before the work, not after it.
    let nowhere = dir.path().join("no/such/report.html");
    let refused = benchmark(&["--protocol", "open", "--report", text(&nowhere)]);
    assert_eq!((refused.status.code(), refused.stdout.len()), (Some(2), 0));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("make it first"));
    // A report that cannot be written does not take the figures with it: the photos for it are nowhere.
    let report = dir.path().join("report.html");
    let figures = benchmark(&["--protocol", "open", "--report", text(&report)]);
    assert_eq!(figures.status.code(), Some(2));
    assert_eq!(json(&figures)["people"]["enrolled"], 6);
}

#[test]
fn photos_become_a_report_and_a_missing_photo_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let photos = example_photos();
    let csv = dir.path().join("pairs.csv");
    let report = dir.path().join("report.html");
    let obama = ["2009-congress", "2010-blue-room", "2012-oval-office"].map(|n| format!("Barack_Obama/{n}.jpg"));
    let mut text_of_pairs = String::from("image_a,image_b,same\n");
    for [a, b] in [[0, 1], [1, 2], [2, 0]] {
        text_of_pairs += &format!("{},{},1\n", obama[a], obama[b]);
    }
    for (photo, other) in
        obama.iter().zip(["Grace_Hopper/1984-us-navy", "Eileen_Collins/nasa-portrait", "Joe_Biden/2010-blue-room"])
    {
        text_of_pairs += &format!("{photo},{other}.jpg,0\n");
    }
    fs::write(&csv, &text_of_pairs).unwrap();
    let arguments =
        ["benchmark", "verification", "--root", text(&photos), "--protocol", text(&csv), "--engine", "rten"];
    let output = run(&[&arguments[..], &["--report", text(&report), "--json"]].concat());
    let score = json(&output);
    assert_eq!(output.status.code(), Some(0), "{score}");
    assert_eq!(score["auc"].as_f64(), Some(1.0), "{score}");
    let html = fs::read_to_string(&report).unwrap();
    assert!(
        html.contains("mobilefacenet") && html.contains("<svg") && !html.contains("http:") && !html.contains("https:")
    );

    // The engine sums in another order on one thread; the figures stay.
    let alone = json(&run(&[&arguments[..], &["--threads", "1", "--json"]].concat()));
    for key in ["accuracy_mean", "auc", "eer"] {
        let (one, many) = (alone[key].as_f64().unwrap(), score[key].as_f64().unwrap());
        assert!((one - many).abs() < 1e-6, "{key}: {one} on one thread, {many} on all");
    }
    let (one, many) = (&alone["thresholds"]["1e-3"], &score["thresholds"]["1e-3"]);
    assert!((one.as_f64().unwrap() - many.as_f64().unwrap()).abs() < 1e-6, "{one} {many}");

    fs::write(&csv, text_of_pairs + "Barack_Obama/not-there.jpg,Barack_Obama/2009-congress.jpg,1\n").unwrap();
    let output = run(&arguments);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("Barack_Obama/not-there.jpg"));
}
