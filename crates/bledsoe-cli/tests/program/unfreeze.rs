//! `finetune --unfreeze`: the last layers of a real network, on chips of people who do not exist.

use std::{fs, path::PathBuf, process::Output};

use bledsoe::{
    embed::table,
    model::{Contract, Registry},
    pipeline::{ALIGNMENT_FILE, Alignment},
};

use super::{json, run, text};

const SIDE: u32 = 112;

/// Sixteen people of three chips: a colour pattern each, under a weaker one that changes from chip to chip.
struct Patterns {
    dir: tempfile::TempDir,
}

impl Patterns {
    fn new() -> Self {
        let patterns = Self { dir: tempfile::tempdir().unwrap() };
        let template = Registry::embedded().unwrap().template("arcface").unwrap().clone();
        let alignment = Alignment { template, size: SIDE, settings: serde_json::Value::Null };
        fs::create_dir(patterns.file("chips")).unwrap();
        let description = serde_json::to_vec(&alignment).unwrap();
        fs::write(patterns.file("chips").join(ALIGNMENT_FILE), description).unwrap();
        for person in 0..16u32 {
            let folder = patterns.file("chips").join(format!("p{person:02}"));
            fs::create_dir(&folder).unwrap();
            for number in 0..3 {
                let (own, other) = (waves(person), waves(100 + 3 * person + number));
                let pixel = |x: u32, y: u32| {
                    image::Rgb([0, 1, 2].map(|c| (128.0 + 80.0 * own(x, y, c) + 40.0 * other(x, y, c)) as u8))
                };
                image::RgbImage::from_fn(SIDE, SIDE, pixel).save(folder.join(format!("{number}.png"))).unwrap();
            }
        }
        patterns
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn finetune(&self, out: &str, more: &[&str]) -> Output {
        let (chips, out) = (self.file("chips"), self.file(out));
        let fixed = ["finetune", text(&chips), "--out", text(&out), "--engine", "rten", "--json"];
        run(&[&fixed[..], more].concat())
    }
}

/// Waves over a chip, from -1 to 1, in directions and lengths that `seed` and the channel decide.
fn waves(seed: u32) -> impl Fn(u32, u32, u32) -> f32 {
    move |x, y, channel| {
        let number = |salt: u32| ((seed * 7 + channel * 3 + salt) as f32 * 12.9898).sin();
        let (x, y) = (x as f32 / SIDE as f32, y as f32 / SIDE as f32);
        (18.0 * (x * number(1) + y * number(2)) + 6.0 * number(3)).sin()
    }
}

#[test]
fn layers_are_learnt_and_every_command_takes_the_network() {
    let patterns = Patterns::new();
    let settings = ["--loss", "supcon", "--stay-close", "0", "--learning-rate", "0.0003", "--epochs", "4"];
    let named = ["--embedder", "mobilefacenet-straight", "--unfreeze", "2"];
    let report = patterns.file("a.html");
    let output = patterns.finetune("a.onnx", &[&settings[..], &named, &["--report", text(&report)]].concat());
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let learnt = json(&output);
    let about = &learnt["about"];
    let losses: Vec<f64> = about["curve"].as_array().unwrap().iter().filter_map(|e| e["loss"].as_f64()).collect();
    assert!(losses.len() == 4 && losses[3] < 0.8 * losses[0], "{losses:?}");
    assert!(learnt["best"]["figure"].as_f64() < learnt["before"]["figure"].as_f64(), "{learnt}");
    // The last convolution but one is in front of the last, and nothing beside them.
    assert_eq!(about["unfrozen"]["layers"], 2);
    assert_eq!(about["unfrozen"]["parameters"], 512 * 512 + 512 + 512 * 192 + 192);
    assert_eq!(learnt["feature_bytes"], 48 * 512 * 2);
    assert_eq!((&learnt["device"], learnt["seconds_per_epoch"].is_f64()), (&"cpu".into(), true));
    assert!(fs::read_to_string(report).unwrap().contains("<svg"));

    let network = patterns.file("a.onnx");
    let contract = Contract::of_file(&network).unwrap();
    assert_eq!(learnt["id"], contract.id.as_str());
    assert!(contract.id.starts_with("mobilefacenet-straight-tuned-"), "{}", contract.id);
    assert!(contract.source.contains("mobilefacenet-straight (SHA-256") && contract.source.contains("supcon"));
    // Of four people held out no rate can be told, and the old network's threshold is not this one's.
    assert_eq!(contract.threshold, None);
    contract.verify(&fs::read(&network).unwrap(), "here").unwrap();

    let (chips, rows) = (patterns.file("chips"), patterns.file("a.parquet"));
    let embedded =
        run(&["embed", text(&chips), "--embedder", text(&network), "--out", text(&rows), "--engine", "rten"]);
    assert_eq!(embedded.status.code(), Some(0), "{embedded:?}");
    assert_eq!(table::read(&rows).unwrap().0.model, contract.id);
    // The same seed gives the same network, whose layers can be learnt further.
    patterns.finetune("b.onnx", &[&settings[..], &named].concat());
    assert_eq!(Contract::of_file(&patterns.file("b.onnx")).unwrap().sha256, contract.sha256);
    let again = patterns.finetune("c.onnx", &["--embedder", text(&network), "--unfreeze", "1", "--epochs", "0"]);
    assert_eq!(json(&again)["about"]["unfrozen"]["layers"], 1, "{again:?}");
}

#[test]
fn what_cannot_be_unfrozen_says_why() {
    let patterns = Patterns::new();
    let fails = |out: &str, more: &[&str], what: &str| {
        let output = patterns.finetune(out, more);
        assert_eq!(output.status.code(), Some(2), "{more:?} {output:?}");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains(what), "{what}: {said}");
    };
    let straight = ["--embedder", "mobilefacenet-straight", "--unfreeze"];
    let asked = |more: &[&'static str]| [&straight[..], more].concat();
    fails("a.onnx", &asked(&["0"]), "it has 52 layers with weights, 0 were asked for");
    fails("a.onnx", &asked(&["53"]), "it has 52 layers with weights, 53 were asked for");
    fails("a.safetensors", &asked(&["1"]), "is written to a file called .onnx");
    fails("a.onnx", &asked(&["1", "--memory", "0.00001"]), "allow more with --memory");
    fails("a.onnx", &asked(&["1", "--select", "all"]), "--select center or largest");
    fails("a.onnx", &asked(&["1", "--shape", "mlp"]), "cannot be used with");
    fails("a.onnx", &["--unfreeze", "1"], "one network at a time");
    fails("a.onnx", &["--memory", "1"], "--unfreeze");
    let table = patterns.file("t.parquet");
    fs::write(&table, "").unwrap();
    let output = run(&["finetune", text(&table), "--out", text(&patterns.file("a.onnx")), "--unfreeze", "1"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("a table has none"), "{output:?}");
    assert!(!patterns.file("a.onnx").exists() && !patterns.file("a.toml").exists());
}
