//! Whether a model's contract is right: does its network tell people apart better when it is fed otherwise?
//!
//! A wrong order of channels, scaling or crop seldom makes a network fail; it makes it worse, and nobody notices. Here the
//! same faces are embedded by the contract and by contracts that differ from it in one thing. How well people are told
//! apart is measured by d', the distance between the mean similarities of pairs of one person and pairs of different
//! people, over the root of their mean variance (Green and Swets, "Signal Detection Theory and Psychophysics", 1966):
//! unlike an accuracy it does not reach its end on easy photos. Where a change makes it larger by more than chance would,
//! that change names the likely mistake; it is made, and the search goes on from there for a second one.

use std::{collections::BTreeMap, sync::Arc};

use rayon::prelude::*;
use serde::Serialize;

use crate::{
    Error, Result,
    align::{FaceChip, Template},
    embed::{Embedder, Embedding, NetworkEmbedder},
    engine::{Session, Tensor},
    evaluate::{Bootstrap, separation::Separation},
    model::{Channels, Contract, Input},
};

/// With fewer people than this nothing but gross mistakes can be seen.
const FEW_PEOPLE: usize = 10;
/// With this many people most mistakes can.
const MANY_PEOPLE: usize = 50;
/// With few people, the least gain that is no chance. On the photos compiled in, the best wrong contract of the embedded
/// networks reaches 0.99 of the right one's d' (facenet, the crop of arcface), the second best 0.91.
const GAIN_FEW: f64 = 1.08;
/// The least gain worth telling with more people, where chance is bounded by an interval.
const GAIN: f64 = 1.03;
/// Mistakes looked for, one after the other.
const MISTAKES: usize = 3;

/// A face: whose it is, and its chip by each template.
#[derive(Debug, Clone)]
pub struct Face {
    /// The person's number.
    pub person: usize,
    /// One chip for each of the templates tried, of the size of the network's input.
    pub chips: Vec<FaceChip>,
}

/// One thing changed in a contract.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// The other order of channels.
    Channels(Channels),
    /// Another mean and scale.
    Scaling {
        /// What it is known as.
        name: &'static str,
        /// Subtracted.
        mean: [f32; 3],
        /// Multiplied afterwards.
        scale: [f32; 3],
    },
    /// Each chip brought to mean 0 and standard deviation 1. No contract can say this: it is a diagnosis.
    Whitening,
    /// Another place of the face in the chip.
    Template(String),
    /// Averaged with the mirrored chip's embedding, or not. It helps most networks a little: never a mistake.
    Flip(bool),
}

impl Change {
    /// What to write into the contract.
    pub fn advice(&self) -> String {
        match self {
            Self::Channels(Channels::Rgb) => "set input.channels = \"rgb\"".into(),
            Self::Channels(Channels::Bgr) => "set input.channels = \"bgr\"".into(),
            Self::Scaling { mean, scale, .. } => format!("set input.mean = {mean:?} and input.scale = {scale:?}"),
            Self::Whitening => {
                "the network expects each chip brought to mean 0 and standard deviation 1, which no contract \
                                can say: put it into the ONNX file"
                    .into()
            }
            Self::Template(name) => format!("set template = \"{name}\""),
            Self::Flip(flip) => format!("set output.flip = {flip}"),
        }
    }

    /// What is different, in a few words.
    pub fn name(&self) -> String {
        match self {
            Self::Channels(Channels::Rgb) => "channels rgb".into(),
            Self::Channels(Channels::Bgr) => "channels bgr".into(),
            Self::Scaling { name, .. } => (*name).to_owned(),
            Self::Whitening => "per-chip whitening".into(),
            Self::Template(name) => format!("template {name}"),
            Self::Flip(flip) => format!("flip {flip}"),
        }
    }
}

/// A contract tried.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Trial {
    /// What is different from the contract.
    pub change: Change,
    /// How well it tells people apart; `None` where the network gave no usable numbers.
    pub separation: Option<f64>,
    /// That of the change over that of the contract.
    pub gain: Option<f64>,
    /// The 99 % interval of how much larger its separation is, people resampled; `None` with few people.
    pub interval: Option<[f64; 2]>,
    /// Whether it is better by more than chance.
    pub better: bool,
}

/// How much the verdict rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Evidence {
    /// Fewer than 10 people: only gross mistakes show, and silence proves nothing.
    Weak,
    /// 10 to 49 people.
    Fair,
    /// At least 50 people.
    Strong,
}

/// What was found out about a contract.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Examination {
    /// The model.
    pub model: String,
    /// People.
    pub people: usize,
    /// Faces.
    pub faces: usize,
    /// Pairs of one person.
    pub genuine: usize,
    /// Pairs of different people.
    pub impostor: usize,
    /// How much the verdict rests on.
    pub evidence: Evidence,
    /// How well the contract as it is tells people apart; `None` where the network gave no usable numbers.
    pub separation: Option<f64>,
    /// The likely mistakes, the worst first; each is measured with those before it mended.
    pub mistakes: Vec<Trial>,
    /// Every change to the contract as it is, by separation descending.
    pub trials: Vec<Trial>,
}

/// Examines `contract`, whose network is loaded in `session`. `templates` are those tried, each of the size of the
/// network's input, the contract's own among them; the faces have chips of them, in that order.
///
/// # Errors
/// [`Error::Invalid`] when the faces are of fewer than two people or no person has two, [`Error::Model`] when the contract
/// is not an embedder's or its template is not tried, [`Error::Engine`].
pub fn examine(
    contract: &Contract,
    session: Box<dyn Session>,
    templates: &[Template],
    faces: &[Face],
) -> Result<Examination> {
    let bench = Bench { session: Arc::from(session), templates, faces };
    let people: Vec<usize> = faces.iter().map(|face| face.person).collect();
    let mut state = Fed::by(contract)?;
    // The contract as it is must run: an error of its own is no separation of zero.
    let mut current = bench.separation(&state)?;
    let counted = Separation::of(&people, |_, _| 0.0);
    if counted.genuine() == 0 || counted.impostor() == 0 {
        return Err(Error::Invalid("no pairs: photos of at least two people, two of one, are needed".into()));
    }
    let evidence = match counted.people() {
        0..FEW_PEOPLE => Evidence::Weak,
        FEW_PEOPLE..MANY_PEOPLE => Evidence::Fair,
        _ => Evidence::Strong,
    };
    let separation = current.as_ref().and_then(Separation::d_prime);
    let (mut mistakes, mut first) = (Vec::new(), None);
    while mistakes.len() < MISTAKES {
        let mut trials = Vec::new();
        for change in state.changes(templates) {
            let tried = bench.separation(&state.with(&change))?;
            let trial = compare(change, current.as_ref(), tried.as_ref(), evidence);
            trials.push((trial, tried));
        }
        trials.sort_by(|(a, _), (b, _)| b.separation.unwrap_or(0.0).total_cmp(&a.separation.unwrap_or(0.0)));
        first.get_or_insert_with(|| trials.iter().map(|(trial, _)| trial.clone()).collect());
        let Some((trial, tried)) = trials.into_iter().find(|(trial, _)| trial.better) else { break };
        state = state.with(&trial.change);
        current = tried;
        mistakes.push(trial);
    }
    Ok(Examination {
        model: contract.id.clone(),
        people: counted.people(),
        faces: faces.len(),
        genuine: counted.genuine(),
        impostor: counted.impostor(),
        evidence,
        separation,
        mistakes,
        trials: first.unwrap_or_default(),
    })
}

/// Whether a change tells people better apart than what it changes.
fn compare(change: Change, current: Option<&Separation>, tried: Option<&Separation>, evidence: Evidence) -> Trial {
    let separation = tried.and_then(Separation::d_prime);
    let before = current.and_then(Separation::d_prime);
    let gain = match (separation, before) {
        (Some(after), Some(before)) if before > 0.0 => Some(after / before),
        _ => None,
    };
    let interval = match (current, tried) {
        (Some(current), Some(tried)) if evidence != Evidence::Weak => {
            tried.difference_interval(current, 0.99, &Bootstrap::default())
        }
        _ => None,
    };
    let better = match evidence {
        // A contract that tells nobody apart is wrong if anything else does.
        Evidence::Weak => gain.map_or(separation.is_some_and(|after| after > 1.0), |gain| gain >= GAIN_FEW),
        // A difference, not a gain: where d' is near 0 the gain has no bounds.
        _ => gain.is_none_or(|gain| gain >= GAIN) && interval.is_some_and(|[low, _]| low > 0.0),
    };
    let better = better && !matches!(change, Change::Flip(_));
    Trial { change, separation, gain, interval, better }
}

/// What a network is fed.
#[derive(Debug, Clone)]
struct Fed {
    contract: Contract,
    input: Input,
    template: String,
    flip: bool,
    whitened: bool,
}

impl Fed {
    fn by(contract: &Contract) -> Result<Self> {
        Ok(Self {
            input: contract.input()?.clone(),
            template: contract.template.clone().unwrap_or_default(),
            flip: contract.output.as_ref().is_some_and(|output| output.flip),
            whitened: false,
            contract: contract.clone(),
        })
    }

    fn with(&self, change: &Change) -> Self {
        let mut changed = self.clone();
        match change {
            Change::Channels(channels) => changed.input.channels = *channels,
            Change::Scaling { mean, scale, .. } => {
                (changed.input.mean, changed.input.scale, changed.whitened) = (*mean, *scale, false);
            }
            Change::Whitening => changed.whitened = true,
            Change::Template(name) => changed.template = name.clone(),
            Change::Flip(flip) => changed.flip = *flip,
        }
        changed
    }

    /// All that is tried instead.
    fn changes(&self, templates: &[Template]) -> Vec<Change> {
        let channels = match self.input.channels {
            Channels::Rgb => Channels::Bgr,
            Channels::Bgr => Channels::Rgb,
        };
        let mut changes = vec![Change::Channels(channels)];
        changes.extend(scalings(channels == Channels::Rgb).into_iter().filter(|change| !self.scales_as(change)));
        if !self.whitened {
            changes.push(Change::Whitening);
        }
        let others = templates.iter().map(Template::name).filter(|name| *name != self.template);
        changes.extend(others.map(|name| Change::Template(name.to_owned())));
        changes.push(Change::Flip(!self.flip));
        changes
    }

    /// Whether a scaling is as good as the one in use: (pixel - 127.5) / 127.5 is (pixel - 127.5) / 128.
    fn scales_as(&self, change: &Change) -> bool {
        let Change::Scaling { mean, scale, .. } = change else { return false };
        let near = |a: f32, b: f32, by: f32| (a - b).abs() <= by;
        !self.whitened
            && self.input.mean.iter().zip(mean).all(|(a, b)| near(*a, *b, 1.0))
            && self.input.scale.iter().zip(scale).all(|(a, b)| near(*a, *b, 0.02 * b.abs()))
    }
}

/// The scalings in use, in the order of channels that the network is fed.
fn scalings(bgr: bool) -> Vec<Change> {
    let order = |mut v: [f32; 3]| {
        if bgr {
            v.reverse();
        }
        v
    };
    let scaling =
        |name, mean: [f32; 3], scale: [f32; 3]| Change::Scaling { name, mean: order(mean), scale: order(scale) };
    vec![
        scaling("(pixel - 127.5) / 128", [127.5; 3], [1.0 / 128.0; 3]),
        scaling("pixel / 255", [0.0; 3], [1.0 / 255.0; 3]),
        scaling("raw pixels, 0 to 255", [0.0; 3], [1.0; 3]),
        scaling("pixel - mean colour", [123.0, 117.0, 104.0], [1.0; 3]),
        scaling("dlib's mean colour, / 256", [122.782, 117.001, 104.298], [1.0 / 256.0; 3]),
        // ImageNet's mean and standard deviation (0.485, 0.456, 0.406; 0.229, 0.224, 0.225), times 255.
        scaling("ImageNet's mean and deviation", [123.675, 116.28, 103.53], [1.0 / 58.395, 1.0 / 57.12, 1.0 / 57.375]),
    ]
}

struct Bench<'a> {
    session: Arc<dyn Session>,
    templates: &'a [Template],
    faces: &'a [Face],
}

impl Bench<'_> {
    /// How well the network tells the faces apart, fed as said; `None` where its numbers are not usable.
    fn separation(&self, fed: &Fed) -> Result<Option<Separation>> {
        let place = self.templates.iter().position(|template| template.name() == fed.template);
        let template = place.and_then(|place| self.templates.get(place)).ok_or_else(|| {
            Error::model(&fed.contract.id, format!("template {}: none of those that can be tried here", fed.template))
        })?;
        let mut contract = fed.contract.clone();
        if let Some(output) = &mut contract.output {
            output.flip = fed.flip;
        }
        let session: Box<dyn Session> = if fed.whitened {
            contract.input = Some(Input { mean: [0.0; 3], scale: [1.0; 3], ..fed.input.clone() });
            Box::new(Whitened(Arc::clone(&self.session)))
        } else {
            contract.input = Some(fed.input.clone());
            Box::new(Arc::clone(&self.session))
        };
        let embedder = NetworkEmbedder::new(&contract, template.clone(), session)?;
        let chips: Vec<Vec<FaceChip>> = self
            .faces
            .iter()
            .map(|face| place.and_then(|place| face.chips.get(place)).cloned().into_iter().collect())
            .collect();
        let embeddings: Vec<Embedding> = match embedder.embed(&chips) {
            Ok(embeddings) => embeddings,
            // What overflows is not a way to feed this network, but no reason to stop.
            Err(Error::Invalid(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        let people: Vec<usize> = self.faces.iter().map(|face| face.person).collect();
        let similarity = |a: usize, b: usize| {
            let pairs = embeddings[a].vector.iter().zip(&embeddings[b].vector);
            pairs.map(|(x, y)| f64::from(*x) * f64::from(*y)).sum()
        };
        Ok(Some(Separation::of(&people, similarity)))
    }
}

/// Brings each chip to mean 0 and standard deviation 1 on its way into the network.
struct Whitened(Arc<dyn Session>);

impl Session for Whitened {
    fn run(&self, mut input: Tensor) -> Result<Vec<Tensor>> {
        let chip = input.shape.iter().skip(1).product::<usize>().max(1);
        input.data.par_chunks_mut(chip).for_each(|values| {
            let n = values.len() as f32;
            let mean = values.iter().sum::<f32>() / n;
            let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / n;
            let scale = 1.0 / variance.sqrt().max(1.0 / n.sqrt());
            values.iter_mut().for_each(|v| *v = (*v - mean) * scale);
        });
        self.0.run(input)
    }
}

/// Numbers for people's names, in the order of their first photo.
pub fn number_people<'a>(names: impl Iterator<Item = &'a str>) -> Vec<usize> {
    let mut numbers = BTreeMap::new();
    names
        .map(|name| {
            let next = numbers.len();
            *numbers.entry(name).or_insert(next)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::align::Affine;

    const SIDE: usize = 8;

    /// A network that was trained on red first, scaled to -1 to 1: it sees nothing in the third plane, and no more of a
    /// value than its place between -1 and 1.
    struct Red;

    impl Session for Red {
        fn run(&self, input: Tensor) -> Result<Vec<Tensor>> {
            let plane = SIDE * SIDE;
            let squash = |v: &f32| v.clamp(-1.0, 1.0) + 0.01;
            let data: Vec<f32> =
                input.data.chunks_exact(3 * plane).flat_map(|chip| chip[..plane].iter().map(squash)).collect();
            Ok(vec![Tensor { shape: vec![input.shape[0], plane], data }])
        }
    }

    fn contract(channels: &str, scaling: &str, template: &str) -> Contract {
        toml::from_str(&format!(
            "id = \"red\"\ntask = \"embed\"\nformat = \"onnx\"\nfile = \"x\"\nsha256 = \"\"\nsource = \"\"\nlicence = \"\"\n\
             template = \"{template}\"\n[input]\nsize = {SIDE}\nchannels = \"{channels}\"\n{scaling}\n\
             [output]\ndim = {}\nmetric = \"cosine\"",
            SIDE * SIDE
        ))
        .unwrap()
    }

    const RIGHT: &str = "mean = [127.5, 127.5, 127.5]\nscale = [0.0078125, 0.0078125, 0.0078125]";
    const RAW: &str = "mean = [0, 0, 0]\nscale = [1, 1, 1]";

    /// Faces of `people`, three photos each: red shows the person by the template `arcface`, all else is noise.
    fn faces(people: usize) -> (Vec<Template>, Vec<Face>) {
        let mut generator = fastrand::Rng::with_seed(5);
        let registry = crate::model::Registry::embedded().unwrap();
        let templates = ["arcface", "facenet"].map(|name| registry.template(name).unwrap().at(SIDE as u32));
        let identity = Affine { m: [1.0, 0.0, 0.0, 0.0, 1.0, 0.0] };
        let mut faces = Vec::new();
        for person in 0..people {
            let own: Vec<u8> = (0..SIDE * SIDE).map(|_| generator.u8(..)).collect();
            for _ in 0..3 {
                let mut chip = |red: Option<&[u8]>| {
                    let mut rgb = Vec::new();
                    for i in 0..SIDE * SIDE {
                        let noise = generator.u8(..);
                        rgb.push(red.map_or(noise, |red| red[i] / 4 * 3 + generator.u8(..64)));
                        rgb.extend([noise, generator.u8(..)]);
                    }
                    FaceChip { size: SIDE as u32, rgb, transform: identity }
                };
                faces.push(Face { person, chips: vec![chip(Some(&own)), chip(None)] });
            }
        }
        (templates.to_vec(), faces)
    }

    fn mistakes(channels: &str, scaling: &str, template: &str, people: usize) -> Vec<String> {
        let (templates, faces) = faces(people);
        let examination = examine(&contract(channels, scaling, template), Box::new(Red), &templates, &faces).unwrap();
        examination.mistakes.iter().map(|trial| trial.change.advice()).collect()
    }

    #[test]
    fn the_mistake_is_named_and_a_right_contract_is_left_in_peace() {
        for people in [5, 20] {
            assert_eq!(mistakes("rgb", RIGHT, "arcface", people), [""; 0]);
            assert_eq!(mistakes("bgr", RIGHT, "arcface", people), ["set input.channels = \"rgb\""]);
            assert_eq!(mistakes("rgb", RIGHT, "facenet", people), ["set template = \"arcface\""]);
            let scaled = mistakes("rgb", RAW, "arcface", people);
            assert_eq!(scaled.len(), 1, "{scaled:?}");
            assert!(scaled[0].starts_with("set input.mean = [127.5"), "{scaled:?}");
        }
    }

    #[test]
    fn evidence_grows_with_people() {
        let evidence = |people| {
            let (templates, faces) = faces(people);
            examine(&contract("rgb", RIGHT, "arcface"), Box::new(Red), &templates, &faces).unwrap()
        };
        assert_eq!(evidence(5).evidence, Evidence::Weak);
        assert!(evidence(5).trials.iter().all(|trial| trial.interval.is_none()));
        assert_eq!(evidence(12).evidence, Evidence::Fair);
        let strong = evidence(50);
        assert_eq!((strong.evidence, strong.people, strong.genuine), (Evidence::Strong, 50, 150));
        assert!(strong.trials.iter().all(|trial| trial.interval.is_some()));
    }

    #[test]
    fn one_person_and_a_template_not_tried_are_errors() {
        let (templates, faces) = faces(1);
        let error = examine(&contract("rgb", RIGHT, "arcface"), Box::new(Red), &templates, &faces).unwrap_err();
        assert!(error.to_string().contains("two people"), "{error}");
        let error = examine(&contract("rgb", RIGHT, "dlib"), Box::new(Red), &templates, &faces).unwrap_err();
        assert!(error.to_string().contains("dlib"), "{error}");
    }

    #[test]
    fn whitening_takes_away_brightness_and_contrast() {
        struct Echo;
        impl Session for Echo {
            fn run(&self, input: Tensor) -> Result<Vec<Tensor>> {
                Ok(vec![input])
            }
        }
        let whiten = |data: Vec<f32>| {
            let input = Tensor { shape: vec![2, 3, 1, 1], data };
            Whitened(Arc::new(Echo)).run(input).unwrap().remove(0).data
        };
        let out = whiten(vec![1.0, 2.0, 3.0, 110.0, 120.0, 130.0]);
        assert!(out[..3].iter().zip(&out[3..]).all(|(a, b)| (a - b).abs() < 1e-4), "{out:?}");
        assert!((out[2] - 1.5f32.sqrt()).abs() < 1e-4, "{out:?}");
        assert!(whiten(vec![7.0; 6]).iter().all(|v| *v == 0.0));
    }
}
