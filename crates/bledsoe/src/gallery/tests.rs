//! What a gallery promises, on made-up people.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{
    store::{FileStore, Model},
    tops::Tops,
    *,
};
use crate::quality::Fault;

const DIM: usize = 16;

fn model() -> Model {
    Model { id: "made up".into(), dim: DIM }
}

fn gallery() -> Gallery {
    Gallery::new(Box::new(FileStore::in_memory(&model()).unwrap())).unwrap()
}

/// A direction of its own for each seed, and photos around it.
fn face(person: u64, photo: u64) -> Embedding {
    let mut random = fastrand::Rng::with_seed(person);
    let mut own = fastrand::Rng::with_seed(person * 1000 + photo);
    let vector = (0..DIM).map(|_| random.f32() - 0.5 + 0.2 * (own.f32() - 0.5)).collect();
    Embedding::new("made up", vector).unwrap()
}

fn faces(person: u64, photos: std::ops::Range<u64>) -> Vec<Face> {
    photos.map(|photo| Face::of(face(person, photo))).collect()
}

fn probe(person: u64, photo: u64) -> Probe {
    Probe { embedding: face(person, photo), faults: Vec::new() }
}

fn enroll(gallery: &mut Gallery, person: u64, photos: std::ops::Range<u64>) {
    gallery.enroll(&person.to_string(), &BTreeMap::new(), &faces(person, photos)).unwrap();
}

fn score(least: f32) -> Rule {
    Rule { limit: Limit::Score(least), ..Rule::default() }
}

fn names(decisions: &[Decision]) -> Vec<Option<&str>> {
    decisions.iter().map(|decision| decision.name.as_deref()).collect()
}

#[derive(Debug, Clone)]
enum Step {
    Enroll(u64, u64),
    Forget(u64),
    Merge(u64, u64),
    Reject(u64, u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..30u64, 1..4u64).prop_map(|(person, photos)| Step::Enroll(person, photos)),
        2 => (0..30u64).prop_map(Step::Forget),
        1 => (0..30u64, 0..30u64).prop_map(|(from, into)| Step::Merge(from, into)),
        1 => (0..30u64, 0..30u64).prop_map(|(not, face)| Step::Reject(not, face)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Person by person, or all at once: decisions rest on the same.
    #[test]
    fn step_by_step_is_as_from_nothing(steps in proptest::collection::vec(step(), 1..40), strangers in 0..20u64) {
        let mut gallery = gallery();
        let met: Vec<Embedding> = (0..strangers).map(|i| face(1000 + i, 0)).collect();
        gallery.calibrate(&met, &[]).unwrap();
        for (i, step) in steps.into_iter().enumerate() {
            let i = 10 * i as u64;
            // A person who is not there is an error, and changes nothing.
            let _ = match step {
                Step::Enroll(person, photos) => {
                    gallery.enroll(&person.to_string(), &BTreeMap::new(), &faces(person, i..i + photos)).map(|_| ())
                }
                Step::Forget(person) => gallery.forget(&person.to_string()).map(|_| ()),
                Step::Merge(from, into) => gallery.merge(&from.to_string(), &into.to_string()),
                Step::Reject(not, person) => gallery.reject(&not.to_string(), &faces(person, i..i + 1)),
            };
        }
        let strangers = gallery.strangers().unwrap();
        let anew = Tops::of(gallery.store.as_ref(), &strangers).unwrap();
        prop_assert_eq!(Tops::load(gallery.store.as_ref()).unwrap(), anew);
        prop_assert_eq!(gallery.examine().unwrap(), Vec::<String>::new());
    }
}

#[test]
fn an_emptied_gallery_is_as_a_new_one() {
    let mut gallery = gallery();
    gallery.calibrate(&[face(500, 0), face(501, 0)], &[]).unwrap();
    assert_eq!(gallery.examine().unwrap(), Vec::<String>::new());
    enroll(&mut gallery, 1, 0..2);
    gallery.forget("1").unwrap();
    assert_eq!(gallery.examine().unwrap(), Vec::<String>::new());
    assert_eq!(Tops::load(gallery.store.as_ref()).unwrap(), Tops::default());
}

#[test]
fn what_calibration_rests_on_is_examined() {
    let mut gallery = gallery();
    gallery.calibrate(&[face(500, 0)], &[]).unwrap();
    (0..5).for_each(|person| enroll(&mut gallery, person, 0..2));
    let sound: serde_json::Value = serde_json::from_slice(&gallery.store.note("tops").unwrap().unwrap()).unwrap();
    let tamperings: [fn(&mut serde_json::Value); 6] = [
        |tops| tops["met"][0]["score"] = 0.25.into(),
        |tops| tops["met"][0]["person"] = 77.into(),
        |tops| tops["met"] = serde_json::Value::Array(Vec::new()),
        |tops| _ = tops["people"].as_object_mut().unwrap().remove("1"),
        |tops| tops["people"]["1"]["top"]["person"] = 1.into(),
        |tops| tops["level"] = 1.into(),
    ];
    for tamper in tamperings {
        let mut tops = sound.clone();
        tamper(&mut tops);
        assert_ne!(tops, sound);
        gallery.store.set_note("tops", Some(&serde_json::to_vec(&tops).unwrap())).unwrap();
        assert_eq!(gallery.examine().unwrap().len(), 1, "{tops}");
    }
    gallery.fit_anew().unwrap();
    assert_eq!(gallery.examine().unwrap(), Vec::<String>::new());
}

#[test]
fn whoever_comes_and_goes_leaves_no_trace_in_the_decisions_even_where_people_are_sampled() {
    let mut gallery = gallery();
    let people: Vec<Enrolment> =
        (0..1024).map(|p| Enrolment { name: p.to_string(), labels: BTreeMap::new(), faces: faces(p, 0..1) }).collect();
    gallery.enroll_many(&people, |_| true).unwrap();
    let probes: Vec<Probe> = (1000..1048).map(|p| probe(p, 7)).collect();
    let rule = Rule::default();
    let before = gallery.identify(&probes, &rule).unwrap();
    assert!(before.iter().any(|d| d.name.is_some()) && before.iter().any(|d| d.name.is_none()));
    // One more, and not all stand for strangers any longer; one less, and they do again.
    enroll(&mut gallery, 5000, 0..3);
    assert!(gallery.calibration().unwrap().enrolled < 600);
    gallery.forget("5000").unwrap();
    assert_eq!(gallery.calibration().unwrap().enrolled, 1024);
    assert_eq!(gallery.identify(&probes, &rule).unwrap(), before);
    assert_eq!(gallery.examine().unwrap(), Vec::<String>::new());
}

#[test]
fn the_known_are_named_and_strangers_are_not() {
    let mut gallery = gallery();
    assert_eq!(gallery.identify(&[probe(1, 1)], &Rule::default()).unwrap()[0].doubt, Some(Doubt::EmptyGallery));
    (0..40).for_each(|person| enroll(&mut gallery, person, 0..2));
    let decisions = gallery.identify(&[probe(3, 9), probe(300, 9)], &Rule::default()).unwrap();
    assert_eq!(names(&decisions), [Some("3"), None]);
    assert_eq!(decisions[1].doubt, Some(Doubt::TooFar));
    assert_eq!((decisions[0].candidates.len(), decisions[0].candidates[0].templates), (5, 2));
    assert!(decisions[0].false_positive_rate < decisions[1].false_positive_rate);
    // No cohort and no mates: no probabilities, and nobody makes them up.
    assert_eq!(decisions[0].probability(), None);
    gallery.calibrate(&[], &[("3".into(), face(3, 20)), ("4".into(), face(4, 20))]).unwrap();
    let sure = gallery.identify(&[probe(3, 9)], &Rule::default()).unwrap();
    assert!(sure[0].probability().unwrap() > 0.9);
}

#[test]
fn a_rate_that_cannot_be_promised_is_not() {
    let mut gallery = gallery();
    enroll(&mut gallery, 1, 0..1);
    let error = gallery.identify(&[probe(1, 2)], &Rule::default()).unwrap_err().to_string();
    assert!(error.contains("bledsoe calibrate"), "{error}");
    assert_eq!(names(&gallery.identify(&[probe(1, 2)], &score(0.9)).unwrap()), [Some("1")]);
    for rule in [
        score(1.5),
        score(f32::NAN),
        Rule { limit: Limit::FalsePositiveRate(0.0), ..Rule::default() },
        Rule { prior: 1.0, ..Rule::default() },
    ] {
        assert!(matches!(gallery.identify(&[probe(1, 2)], &rule), Err(Error::Invalid(_))), "{rule:?}");
    }
    let other = Embedding::new("another", vec![1.0; DIM]).unwrap();
    assert!(matches!(
        gallery.identify(&[Probe { embedding: other.clone(), faults: vec![] }], &score(0.5)),
        Err(Error::Mismatch(_))
    ));
    assert!(matches!(gallery.enroll("x", &BTreeMap::new(), &[Face::of(other)]), Err(Error::Mismatch(_))));
    assert!(gallery.enroll(" ", &BTreeMap::new(), &faces(1, 0..1)).is_err());
    assert!(gallery.enroll("x", &BTreeMap::new(), &[]).is_err());
}

#[test]
fn twins_are_ambiguous_and_a_poor_face_must_be_surer() {
    let mut gallery = gallery();
    enroll(&mut gallery, 1, 0..1);
    gallery.enroll("twin", &BTreeMap::new(), &faces(1, 1..2)).unwrap();
    let said = &gallery.identify(&[probe(1, 5)], &score(0.8)).unwrap()[0];
    assert!(matches!(&said.doubt, Some(Doubt::Ambiguous { .. })), "{said:?}");

    (2..60).for_each(|person| enroll(&mut gallery, person, 0..1));
    let rule = Rule::default();
    let clear = gallery.identify(&[probe(7, 5)], &rule).unwrap().remove(0);
    let blurred = Probe { faults: vec![Fault::Blurred { sharpness: 0.001 }], ..probe(7, 5) };
    let poor = gallery.identify(&[blurred], &rule).unwrap().remove(0);
    assert!(poor.threshold > clear.threshold);
    let rule = Rule { limit: Limit::FalsePositiveRate(2.0 * clear.false_positive_rate.unwrap().max(1e-9)), ..rule };
    let faults = vec![Fault::Small { pixels: 20.0 }];
    let poor = gallery.identify(&[Probe { faults: faults.clone(), ..probe(7, 5) }], &rule).unwrap().remove(0);
    assert_eq!((poor.name, poor.doubt), (None, Some(Doubt::PoorFace { faults })));
}

#[test]
fn who_was_said_to_be_somebody_else_is_not_named_so_again() {
    let mut gallery = gallery();
    (0..3).for_each(|person| enroll(&mut gallery, person, 0..1));
    assert_eq!(names(&gallery.identify(&[probe(1, 5)], &score(0.8)).unwrap()), [Some("1")]);
    gallery.reject("1", &faces(1, 5..6)).unwrap();
    let said = gallery.identify(&[probe(1, 5), probe(1, 0)], &score(0.8)).unwrap();
    assert_eq!(said[0].doubt, Some(Doubt::NotThisPerson { name: "1".into() }));
    assert_eq!(said[1].name.as_deref(), Some("1"), "the face enrolled is nearer to the person");
    assert!(gallery.reject("nobody", &faces(1, 5..6)).is_err());
    assert!(!gallery.verify("1", &probe(1, 5), &score(0.8)).unwrap().same);
}

#[test]
fn nobody_is_twice_in_one_photo() {
    let mut gallery = gallery();
    (0..3).for_each(|person| enroll(&mut gallery, person, 0..1));
    let alone = gallery.identify(&[probe(1, 0), probe(1, 5)], &score(0.5)).unwrap();
    assert_eq!(names(&alone), [Some("1"), Some("1")]);
    let together = gallery.identify_together(&[probe(1, 5), probe(1, 0), probe(2, 4)], &score(0.8)).unwrap();
    assert_eq!(names(&together), [None, Some("1"), Some("2")], "the nearer face keeps the name");
    assert_eq!(together[0].doubt, Some(Doubt::Taken { name: "1".into() }));
}

#[test]
fn verification_asks_about_one_person() {
    let mut gallery = gallery();
    (0..60).for_each(|person| enroll(&mut gallery, person, 0..1));
    let met: Vec<Embedding> = (500..700).map(|person| face(person, 0)).collect();
    gallery.calibrate(&met, &[("3".into(), face(3, 20)), ("4".into(), face(4, 20))]).unwrap();
    let rule = Rule { limit: Limit::FalsePositiveRate(0.001), ..Rule::default() };
    let (own, other) =
        (gallery.verify("3", &probe(3, 5), &rule).unwrap(), gallery.verify("3", &probe(4, 5), &rule).unwrap());
    assert!(own.same && !other.same && own.probability > other.probability && own.threshold == other.threshold);
    assert!(own.false_accept_rate.unwrap() < 1e-3 && other.false_accept_rate.unwrap() > 1e-3);
    assert!(gallery.verify("nobody", &probe(3, 5), &rule).is_err());
}

#[test]
fn somebody_enrolled_under_another_name_is_noticed() {
    let mut gallery = gallery();
    (0..60).for_each(|person| enroll(&mut gallery, person, 0..1));
    assert_eq!(gallery.resembles("new", &[face(700, 0)]).unwrap(), None);
    assert_eq!(gallery.resembles("new", &[face(7, 3)]).unwrap().unwrap().name, "7");
    assert_eq!(gallery.resembles("7", &[face(7, 3)]).unwrap(), None, "more of oneself is welcome");
}

#[test]
fn people_are_renamed_merged_and_forgotten_with_a_receipt() {
    let mut gallery = gallery();
    (1..4).for_each(|person| enroll(&mut gallery, person, 0..2));
    gallery.rename("1", "Ada").unwrap();
    assert!(
        gallery.rename("2", "Ada").is_err()
            && gallery.rename("nobody", "x").is_err()
            && gallery.rename("2", "").is_err()
    );
    assert_eq!(names(&gallery.identify(&[probe(1, 0)], &score(0.8)).unwrap()), [Some("Ada")]);
    gallery.merge("2", "Ada").unwrap();
    assert!(gallery.merge("Ada", "Ada").is_err() && gallery.merge("2", "Ada").is_err());
    assert_eq!(names(&gallery.identify(&[probe(2, 0)], &score(0.5)).unwrap()), [Some("Ada")]);
    let receipt = gallery.forget("Ada").unwrap();
    assert_eq!((receipt.name.as_str(), receipt.templates.len()), ("Ada", 4));
    assert_eq!(gallery.size().unwrap().people, 1);
    assert!(gallery.forget("Ada").is_err());
}

#[test]
fn what_is_exported_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut gallery = gallery();
    let labels = BTreeMap::from([("badge".to_owned(), "7".to_owned())]);
    gallery.enroll("Ada", &labels, &faces(1, 0..3)).unwrap();
    gallery.enroll("Grace \"Amazing\" Hopper", &BTreeMap::new(), &faces(2, 0..1)).unwrap();
    gallery.reject("Ada", &faces(9, 0..1)).unwrap();
    let (json, table) = (dir.path().join("g.json"), dir.path().join("g.parquet"));
    gallery.export_json(&json).unwrap();
    gallery.export_table(&table).unwrap();

    let mut copy = self::gallery();
    copy.import(Exported::read_json(&json).unwrap(), |_| true).unwrap();
    copy.export_json(&dir.path().join("copy.json")).unwrap();
    assert_eq!(std::fs::read(&json).unwrap(), std::fs::read(dir.path().join("copy.json")).unwrap());

    let mut enrolled = self::gallery();
    enrolled.import(Exported::read_table(&table).unwrap(), |_| true).unwrap();
    assert_eq!((enrolled.size().unwrap().people, enrolled.size().unwrap().templates), (2, 4));

    std::fs::write(&json, "{}").unwrap();
    assert!(matches!(Exported::read_json(&json), Err(Error::Format { .. })));
}
