//! Speed of the stages: figures that hang together, not how large they are.

use crate::{example_photos, json, run, text};

/// The figures of one timing: its unit, count and median, checked against its repeats.
fn figures(timing: &serde_json::Value, repeats: usize) -> (String, u64) {
    let seconds: Vec<f64> = timing["seconds"].as_array().unwrap().iter().map(|s| s.as_f64().unwrap()).collect();
    assert_eq!(seconds.len(), repeats, "{timing:#}");
    let (ms, rate) = (timing["milliseconds"].as_f64().unwrap(), timing["per_second"].as_f64().unwrap());
    assert!((ms * rate - 1000.0).abs() < 1e-6, "{timing:#}");
    let mut sorted = seconds;
    sorted.sort_by(f64::total_cmp);
    let count = timing["count"].as_u64().unwrap();
    assert!((ms * count as f64 / 1e3 - sorted[repeats / 2]).abs() < 1e-9, "{timing:#}");
    (timing["unit"].as_str().unwrap().to_owned(), count)
}

#[test]
fn every_stage_of_a_folder_is_timed() {
    let folder = tempfile::tempdir().unwrap();
    let photo = example_photos().join("Barack_Obama/2012-oval-office.jpg");
    for name in ["a.jpg", "b.jpg", "c.jpg"] {
        std::fs::copy(&photo, folder.path().join(name)).unwrap();
    }
    std::fs::write(folder.path().join("d.jpg"), b"no photo").unwrap();
    let output = run(&[
        "bench",
        text(folder.path()),
        "--fast",
        "--engine",
        "rten",
        "--threads",
        "1",
        "--repeats",
        "3",
        "--batch",
        "2,5",
        "--json",
    ]);
    let result = json(&output);
    assert_eq!(output.status.code(), Some(1), "a photo is unreadable: {result:#}");
    let speed = &result["speed"];
    assert_eq!((&speed["photos"], &speed["undecodable"], &speed["faces"]), (&4.into(), &1.into(), &3.into()));
    let stages = speed["stages"].as_array().unwrap();
    let told: Vec<_> = stages.iter().map(|s| (s["name"].as_str().unwrap(), figures(s, 3))).collect();
    let expected = [
        ("read", "photo", 4),
        ("decode", "photo", 3),
        ("detect", "photo", 3),
        ("align", "face", 3),
        ("embed", "face", 3),
    ];
    assert_eq!(told, expected.map(|(name, unit, count)| (name, (unit.to_owned(), count))));
    assert_eq!(figures(&speed["whole"], 3), ("photo".to_owned(), 4));

    let machine = &result["machine"];
    assert_eq!(machine["threads"], 1);
    assert!(machine["gflops"].as_f64().unwrap() > 0.1 && machine["gigabytes_per_second"].as_f64().unwrap() > 0.1);
    let networks = result["networks"].as_array().unwrap();
    let timed: Vec<_> = networks.iter().map(|n| (n["id"].as_str().unwrap(), n["shape"][0].as_u64().unwrap())).collect();
    assert_eq!(timed, [("mobilefacenet-straight", 2), ("mobilefacenet-straight", 5), ("yunet-half", 16)]);
    for network in networks {
        let rate = network["timing"]["per_second"].as_f64().unwrap();
        let expected = 2e-3 * network["million_multiply_adds"].as_f64().unwrap() * rate;
        assert!((network["gflops"].as_f64().unwrap() / expected - 1.0).abs() < 1e-6, "{network:#}");
    }
}

#[test]
fn without_a_folder_the_examples_are_timed() {
    let output = run(&["bench", "--fast", "--engine", "rten", "--repeats", "1"]);
    let table = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{table}{}", String::from_utf8_lossy(&output.stderr));
    for row in ["decode ", "detect ", "align ", "embed ", "all ", "mobilefacenet-straight "] {
        assert!(table.lines().any(|line| line.starts_with(row)), "no {row}in\n{table}");
    }
    assert!(!table.contains("read  "), "nothing is read:\n{table}");
}

#[test]
fn what_cannot_be_timed_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let empty = run(&["bench", text(folder.path()), "--engine", "rten"]);
    assert_eq!(empty.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&empty.stderr).contains("no photos there"));
    let never = run(&["bench", "--repeats", "0"]);
    assert_eq!(never.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&never.stderr).contains("--repeats"));
}
