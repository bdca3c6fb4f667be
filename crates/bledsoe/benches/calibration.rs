//! Do galleries keep what they promise? Error rates and probabilities on people whom nothing was fitted to.
//!
//! ```sh
//! bledsoe embed lfw/images --out lfw.parquet
//! bledsoe embed orl --out orl.parquet
//! cargo bench --bench calibration -- lfw.parquet --orl orl.parquet > calibration.json
//! ```
//!
//! Of LFW only the half of the people counts that `tools/convert/cohort.py` left out. Each person with two photos or
//! more is enrolled by one, drawn anew for each gallery; their other photos are looked up, and one photo of each person
//! with a single one is a stranger's. Small galleries are of ten such people, and everybody else is a stranger. Of
//! ORL's 40 people half are enrolled, by one photo each, and all photos of the other half are strangers.

use std::{collections::BTreeMap, path::Path};

use bledsoe::{
    embed::{Embedding, table},
    evaluate::reliability::{Answer, Reliability, reliability},
    gallery::{
        Enrolment, Face, Gallery, Limit, Probe, Rule,
        store::{FileStore, Model},
    },
    hash,
};

type Failure = Box<dyn std::error::Error>;
type People = BTreeMap<String, Vec<Embedding>>;

const RATES: [f64; 2] = [0.01, 0.001];
const BINS: usize = 10;

fn main() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let Some(lfw) = args.first() else { return Err("usage: calibration LFW.parquet [--orl ORL.parquet]".into()) };
    let orl = args.iter().position(|arg| arg == "--orl").and_then(|i| args.get(i + 1));
    let (model, people) = read(lfw.as_ref())?;
    let kept: People = people.into_iter().filter(|(name, _)| left_out(name)).collect();
    let mut results = BTreeMap::new();
    results.insert("lfw", measure(&model, &kept, 5, |people, random| draw(people, usize::MAX, true, random))?);
    for (key, size) in [("lfw of 10", 10), ("lfw of 100", 100)] {
        results.insert(key, measure(&model, &kept, 40, |people, random| draw(people, size, true, random))?);
    }
    if let Some(orl) = orl {
        let (other, people) = read(orl.as_ref())?;
        if other != model {
            return Err("the two tables are of different embedders".into());
        }
        results.insert("orl", measure(&model, &people, 40, |people, random| draw(people, 20, false, random))?);
        results.insert("orl of 10", measure(&model, &people, 40, |people, random| draw(people, 10, false, random))?);
    }
    println!("{}", serde_json::to_string_pretty(&serde_json::json!({ "embedder": model.id, "results": results }))?);
    Ok(())
}

fn read(path: &Path) -> Result<(Model, People), Failure> {
    let (origin, rows) = table::read(path)?;
    let mut people = People::new();
    for row in rows {
        let name = row.person.ok_or("a face of nobody")?;
        people.entry(name).or_default().push(Embedding::new(&*origin.model, row.vector)?);
    }
    Ok((Model { id: origin.model, dim: origin.dim }, people))
}

/// Whether the cohort was made without this person.
fn left_out(name: &str) -> bool {
    u8::from_str_radix(&hash::sha256(name)[..2], 16).is_ok_and(|first| first % 2 == 1)
}

/// Who is enrolled, by one face; whose other faces are looked up; and strangers.
struct Trial<'a> {
    enrolled: Vec<(&'a str, &'a Embedding)>,
    mates: Vec<(&'a str, &'a Embedding)>,
    strangers: Vec<&'a Embedding>,
}

fn draw<'a>(people: &'a People, size: usize, first_only: bool, random: &mut fastrand::Rng) -> Trial<'a> {
    let mut several: Vec<(&String, &Vec<Embedding>)> = people.iter().filter(|(_, faces)| faces.len() > 1).collect();
    let mut trial = Trial { enrolled: Vec::new(), mates: Vec::new(), strangers: Vec::new() };
    random.shuffle(&mut several);
    let (enrolled, others) = several.split_at(size.min(several.len()));
    for (name, faces) in enrolled {
        let one = random.usize(..faces.len());
        trial.enrolled.push((name, &faces[one]));
        trial.mates.extend(faces.iter().enumerate().filter(|(i, _)| *i != one).map(|(_, face)| (name.as_str(), face)));
    }
    let singles = people.values().filter(|faces| faces.len() == 1);
    for faces in others.iter().map(|(_, faces)| *faces).chain(singles) {
        trial.strangers.extend(faces.iter().take(if first_only { 1 } else { usize::MAX }));
    }
    trial
}

#[derive(serde::Serialize)]
struct Measured {
    galleries: usize,
    enrolled: usize,
    mates: usize,
    strangers: usize,
    at: Vec<At>,
    reliability: Reliability,
}

/// What happened where a rate was asked for: means over the galleries, and the least and greatest.
#[derive(serde::Serialize)]
struct At {
    asked: f64,
    fpir: f64,
    fpir_range: [f64; 2],
    fnir: f64,
    fnir_range: [f64; 2],
}

fn measure<'a>(
    model: &Model,
    people: &'a People,
    galleries: usize,
    draw: impl Fn(&'a People, &mut fastrand::Rng) -> Trial<'a>,
) -> Result<Measured, Failure> {
    let mut random = fastrand::Rng::with_seed(20);
    let mut rates = vec![Vec::new(); RATES.len()];
    let mut answers = Vec::new();
    let mut measured = (0, 0, 0);
    for _ in 0..galleries {
        let trial = draw(people, &mut random);
        measured = (trial.enrolled.len(), trial.mates.len(), trial.strangers.len());
        let mut gallery = Gallery::new(Box::new(FileStore::in_memory(model)?))?;
        let enrolment = |(name, face): &(&str, &Embedding)| Enrolment {
            name: (*name).into(),
            labels: BTreeMap::new(),
            faces: vec![Face::of((*face).clone())],
        };
        let enrolments: Vec<Enrolment> = trial.enrolled.iter().map(enrolment).collect();
        gallery.enroll_many(&enrolments, |_| true)?;
        let probe = |face: &Embedding| Probe { embedding: face.clone(), faults: Vec::new() };
        let mates: Vec<Probe> = trial.mates.iter().map(|(_, face)| probe(face)).collect();
        let strangers: Vec<Probe> = trial.strangers.iter().map(|face| probe(face)).collect();
        for (rate, rates) in RATES.iter().zip(&mut rates) {
            let rule = Rule { limit: Limit::FalsePositiveRate(*rate), ..Rule::default() };
            let (found, false_alarms) = (gallery.identify(&mates, &rule)?, gallery.identify(&strangers, &rule)?);
            let hits =
                found.iter().zip(&trial.mates).filter(|(said, (name, _))| said.name.as_deref() == Some(name)).count();
            let alarms = false_alarms.iter().filter(|said| said.name.is_some()).count();
            rates.push((alarms as f64 / strangers.len() as f64, 1.0 - hits as f64 / mates.len() as f64));
            if *rate == RATES[0] {
                // As many faces of people enrolled as of strangers, as the rule's prior says.
                for (said, (name, _)) in found.iter().zip(&trial.mates) {
                    let Some(best) = said.candidates.first() else { continue };
                    answers.push(answer(best.probability, best.name == *name, mates.len())?);
                }
                for said in &false_alarms {
                    let Some(best) = said.candidates.first() else { continue };
                    answers.push(answer(best.probability, false, strangers.len())?);
                }
            }
        }
    }
    let at = RATES.iter().zip(rates).map(|(&asked, rates)| {
        let mean = |of: fn(&(f64, f64)) -> f64| rates.iter().map(of).sum::<f64>() / rates.len() as f64;
        let range = |of: fn(&(f64, f64)) -> f64| {
            [rates.iter().map(of).fold(f64::MAX, f64::min), rates.iter().map(of).fold(f64::MIN, f64::max)]
        };
        At { asked, fpir: mean(|r| r.0), fpir_range: range(|r| r.0), fnir: mean(|r| r.1), fnir_range: range(|r| r.1) }
    });
    let at = at.collect();
    let (enrolled, mates, strangers) = measured;
    Ok(Measured { galleries, enrolled, mates, strangers, at, reliability: reliability(&answers, BINS)? })
}

fn answer(probability: Option<f64>, right: bool, of: usize) -> Result<Answer, Failure> {
    let probability = probability.ok_or("a decision without a probability")?;
    Ok(Answer { probability, right, weight: 1.0 / of as f64 })
}
