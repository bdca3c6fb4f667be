//! The loop: batches, loss, gradients, and what does best on people held out.

use std::{sync::atomic::Ordering, time::Instant};

use candle_core::{DType, Device, Result as CandleResult, Tensor, Var};
use candle_nn::{AdamW, Optimizer, ParamsAdamW};
use serde::{Deserialize, Serialize};

use super::{
    Examples, Loss, Measure, Mining, Shape, Weights,
    batches::batches,
    candle,
    loss::Objective,
    measure::Measured,
    network::{Network, Unfrozen},
    shape::Projection,
};
use crate::{
    Error, Result,
    embed::{Features, Map, dot},
    engine,
    model::graph::{End, Graph},
    pipeline::{Counts, Monitor},
};

/// Rows whose embeddings by the engine and by the network in the form that learns are compared.
const COMPARED: usize = 64;
/// Embeddings of the engine and of the network in the form that learns agree at least so well, in bf16 too; if not, it is
/// another network that would be learnt.
const LEAST_AGREEMENT: f32 = 0.99;

/// How to train.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Training {
    /// What is made small.
    pub loss: Loss,
    /// Weight of the mean squared distance between the vectors that result and those of the embedder as it was: against harm to faces
    /// unlike those learnt from.
    pub stay_close: f32,
    /// People in a batch.
    pub people: usize,
    /// Photos of each in a batch, at most.
    pub photos: usize,
    /// Step size (AdamW without decay: I. Loshchilov, F. Hutter, ICLR 2019).
    pub learning_rate: f64,
    /// Passes over the people, at most.
    pub epochs: usize,
    /// Passes without a better one after which training ends.
    pub patience: usize,
    /// Share of the people held out.
    pub held_out: f64,
    /// Decides who is held out, the batches, and how a map begins.
    pub seed: u64,
    /// Where the tensors are.
    #[serde(skip)]
    pub device: engine::Device,
}

impl Default for Training {
    fn default() -> Self {
        Self {
            loss: Loss::Triplet { margin: 0.2, mining: Mining::SemiHard },
            stay_close: 1.0,
            people: 64,
            photos: 4,
            learning_rate: 1e-4,
            epochs: 100,
            patience: 15,
            held_out: 0.2,
            seed: 0,
            device: engine::Device::Cpu,
        }
    }
}

/// What an epoch left.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// Its number; 0 is before the first.
    pub epoch: usize,
    /// Mean loss of its batches, the weight of staying close included; none before the first, or where no batch taught
    /// anything.
    pub loss: Option<f64>,
    /// The measure on people held out.
    pub figure: f64,
}

/// What training gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Trained<T> {
    /// What did best on people held out.
    pub learnt: T,
    /// How it went.
    pub course: Course,
}

/// How a training went.
#[derive(Debug, Clone, PartialEq)]
pub struct Course {
    /// The epoch that did best on people held out.
    pub best: Epoch,
    /// The similarity accepted at the measure's false accept rate, as it was then.
    pub threshold: Option<f32>,
    /// Every epoch, the one before the first included.
    pub curve: Vec<Epoch>,
    /// What was measured.
    pub measure: Measure,
    /// Photos and people learnt from.
    pub trained_on: [usize; 2],
    /// Photos and people held out.
    pub held_out: [usize; 2],
    /// Whether somebody stopped it before it was done.
    pub stopped: bool,
    /// How long the middle one of the epochs took, its measure included; none without epochs.
    pub seconds_per_epoch: Option<f64>,
}

/// What can be learnt: a way to unit vectors, which candle can derive.
pub(super) trait Learner {
    /// What is kept of it.
    type Learnt;

    /// What is moved by gradients.
    fn variables(&self) -> Vec<Var>;

    /// Unit vectors of some rows of `examples`, row by row.
    fn vectors(&self, examples: &Examples, rows: &[usize]) -> CandleResult<Tensor>;

    /// What has been learnt so far.
    fn learnt(&self) -> CandleResult<Self::Learnt>;
}

impl Training {
    /// Makes sure that each setting is in its range.
    ///
    /// # Errors
    /// [`Error::Invalid`] where one is not.
    pub fn check(&self) -> Result<()> {
        let sound = match self.loss {
            Loss::Triplet { margin, .. } => margin > 0.0 && margin <= 4.0,
            Loss::Arcface { margin, scale } => (0.0..=1.5).contains(&margin) && scale > 0.0 && scale <= 1e4,
            Loss::Supcon { temperature } => (1e-3..=1e3).contains(&temperature),
        };
        let fine = sound
            && (0.0..=1e6).contains(&self.stay_close)
            && self.people >= 2
            && self.photos >= 2
            && self.learning_rate > 0.0
            && self.learning_rate <= 1.0
            && self.held_out > 0.0
            && self.held_out < 1.0;
        if fine {
            Ok(())
        } else {
            Err(Error::Invalid(format!("a setting of the training is out of its range: {self:?}")))
        }
    }
}

/// Learns a map behind the embedder. Deterministic for a seed on one machine. The monitor is told of epochs as photos;
/// where it stops the training, the best so far is what is given.
///
/// # Errors
/// [`Error::Invalid`] for a setting out of its range or too few people; [`Error::Engine`] when the device fails.
pub fn train(examples: &Examples, shape: Shape, training: &Training, monitor: &Monitor<'_>) -> Result<Trained<Map>> {
    let begin = |device: &Device| {
        let mut random = fastrand::Rng::with_seed(training.seed);
        Projection::identity(shape, examples.dim(), &mut random, DType::F32, device).map_err(candle)
    };
    run(begin, examples, training, monitor)
}

/// Learns the weights of the end of a network, likewise. `features` are what `end`'s tensor is of each face, and of each
/// row of `examples` the one at its [`Examples::source`].
///
/// # Errors
/// As [`train`]; [`Error::Model`] when it has an operator that cannot be learnt through, [`Error::Mismatch`] when
/// features or embeddings are not this network's.
pub fn train_network(
    graph: &Graph<'_>,
    end: &End<'_, '_>,
    features: &Features,
    examples: &Examples,
    training: &Training,
    monitor: &Monitor<'_>,
) -> Result<Trained<Weights>> {
    if (0..examples.len()).any(|row| examples.source(row) >= features.len()) {
        return Err(Error::Mismatch(format!("features of {} faces, of more there are embeddings", features.len())));
    }
    let begin = |device: &Device| {
        let network = Network::new(graph, end, DType::F32, device)?;
        let unfrozen = Unfrozen { network, features, device: device.clone() };
        let some: Vec<usize> = (0..examples.len().min(COMPARED)).collect();
        let made: Vec<Vec<f32>> = unfrozen.vectors(examples, &some).and_then(|made| made.to_vec2()).map_err(candle)?;
        let agreement = some.iter().zip(&made).map(|(&row, made)| match made.len() == examples.dim() {
            true => dot(examples.vector(row), made),
            false => 0.0,
        });
        let mean = agreement.sum::<f32>() / some.len().max(1) as f32;
        if mean < LEAST_AGREEMENT {
            return Err(Error::Mismatch(format!(
                "{}: the layers to be learnt give other embeddings than the network (mean cosine {mean:.3})",
                graph.name()
            )));
        }
        Ok(unfrozen)
    };
    run(begin, examples, training, monitor)
}

fn run<L: Learner>(
    begin: impl FnOnce(&Device) -> Result<L>,
    examples: &Examples,
    training: &Training,
    monitor: &Monitor<'_>,
) -> Result<Trained<L::Learnt>> {
    training.check()?;
    let device = match training.device {
        engine::Device::Cpu => Device::Cpu,
        engine::Device::Cuda => Device::new_cuda(0).map_err(|e| {
            let how = "CUDA, for which the program is built with `--features finetune-cuda`";
            Error::engine("candle", format!("{e}: training on a GPU takes {how}"))
        })?,
    };
    let (learnt, held) = examples.split(training.held_out, training.seed)?;
    let mut run = Run::new(begin(&device)?, &learnt, &held, training, device).map_err(candle)?;
    let mut random = fastrand::Rng::with_seed(training.seed);
    let mut curve = vec![run.best.epoch];
    let mut seconds = Vec::new();
    let mut stopped = false;
    for number in 1..=training.epochs {
        let start = Instant::now();
        let Some(epoch) = run.epoch(number, &mut random, monitor).map_err(candle)? else {
            stopped = true;
            break;
        };
        curve.push(epoch);
        seconds.push(start.elapsed().as_secs_f64());
        (monitor.progress)(Counts { photos: number, ..Counts::default() });
        if number >= run.best.epoch.epoch + training.patience.max(1) {
            break;
        }
    }
    seconds.sort_by(f64::total_cmp);
    Ok(Trained {
        learnt: run.best.learnt,
        course: Course {
            best: run.best.epoch,
            threshold: run.best.measured.threshold,
            curve,
            measure: run.measure,
            trained_on: [learnt.len(), learnt.people()],
            held_out: [held.len(), held.people()],
            stopped,
            seconds_per_epoch: seconds.get(seconds.len() / 2).copied(),
        },
    })
}

struct Best<T> {
    learnt: T,
    epoch: Epoch,
    measured: Measured,
}

struct Run<'a, L: Learner> {
    learner: L,
    training: &'a Training,
    learnt: &'a Examples,
    held: &'a Examples,
    device: Device,
    objective: Objective,
    optimizer: AdamW,
    measure: Measure,
    best: Best<L::Learnt>,
}

impl<'a, L: Learner> Run<'a, L> {
    fn new(
        learner: L,
        learnt: &'a Examples,
        held: &'a Examples,
        training: &'a Training,
        device: Device,
    ) -> CandleResult<Self> {
        let objective = Objective::new(training.loss, learnt, DType::F32, &device)?;
        let variables = learner.variables().into_iter().chain(objective.variables()).collect();
        let settings = ParamsAdamW { lr: training.learning_rate, weight_decay: 0.0, ..ParamsAdamW::default() };
        let measure = Measure::of(held);
        let measured = measure.measure(held, &all_vectors(&learner, held, training.people * training.photos)?);
        let epoch = Epoch { epoch: 0, loss: None, figure: measured.figure };
        let best = Best { learnt: learner.learnt()?, epoch, measured };
        let optimizer = AdamW::new(variables, settings)?;
        Ok(Self { learner, training, learnt, held, device, objective, optimizer, measure, best })
    }

    /// A pass over everybody, then the measure; `None` if it was stopped.
    fn epoch(
        &mut self,
        number: usize,
        random: &mut fastrand::Rng,
        monitor: &Monitor<'_>,
    ) -> CandleResult<Option<Epoch>> {
        let mut losses = Vec::new();
        for rows in batches(self.learnt, self.training.people, self.training.photos, random) {
            if monitor.stop.load(Ordering::Relaxed) {
                return Ok(None);
            }
            losses.extend(self.step(&rows)?);
        }
        let loss = (!losses.is_empty()).then(|| losses.iter().sum::<f64>() / losses.len() as f64);
        let vectors = all_vectors(&self.learner, self.held, self.training.people * self.training.photos)?;
        let measured = self.measure.measure(self.held, &vectors);
        let epoch = Epoch { epoch: number, loss, figure: measured.figure };
        if self.measure.better(epoch.figure, self.best.epoch.figure) {
            self.best = Best { learnt: self.learner.learnt()?, epoch, measured };
        }
        Ok(Some(epoch))
    }

    /// Learns from a batch; its loss.
    fn step(&mut self, rows: &[usize]) -> CandleResult<Option<f64>> {
        let people: Vec<u32> = rows.iter().map(|&row| self.learnt.person(row) as u32).collect();
        let made = self.learner.vectors(self.learnt, rows)?;
        let Some(mut loss) = self.objective.of(&made, &people)? else { return Ok(None) };
        if self.training.stay_close > 0.0 {
            let moved = (made - self.learnt.tensor(rows, &self.device)?)?.sqr()?.sum_all()?;
            loss = (loss + moved.affine(f64::from(self.training.stay_close) / rows.len() as f64, 0.0)?)?;
        }
        self.optimizer.backward_step(&loss)?;
        Ok(Some(loss.to_scalar::<f32>()?.into()))
    }
}

/// The vectors of all rows, so many at a time.
fn all_vectors(learner: &impl Learner, examples: &Examples, at_once: usize) -> CandleResult<Vec<Vec<f32>>> {
    let rows: Vec<usize> = (0..examples.len()).collect();
    let mut vectors = Vec::with_capacity(rows.len());
    for some in rows.chunks(at_once.max(1)) {
        vectors.extend(learner.vectors(examples, some)?.to_vec2()?);
    }
    Ok(vectors)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;
    use crate::embed::{About, Adapter, Embedding, dot};

    const DIM: usize = 12;

    /// People whom the first half of the numbers tells apart; the other half is noise.
    fn examples(people: usize, photos: usize) -> Examples {
        let mut random = fastrand::Rng::with_seed(4);
        let mut vectors = Vec::new();
        for _ in 0..people {
            let person: Vec<f32> = (0..DIM / 2).map(|_| random.f32() - 0.5).collect();
            for _ in 0..photos {
                let face = (0..DIM).map(|i| match person.get(i) {
                    Some(own) => own + 0.1 * (random.f32() - 0.5),
                    None => 1.5 * (random.f32() - 0.5),
                });
                vectors.extend(Embedding::new("", face.collect()).unwrap().vector);
            }
        }
        Examples::new(DIM, vectors, (0..people * photos).map(|row| row / photos).collect()).unwrap()
    }

    fn quiet(stop: &AtomicBool) -> Monitor<'_> {
        Monitor { progress: &|_| {}, stop }
    }

    fn settings(loss: Loss) -> Training {
        Training { loss, stay_close: 0.0, learning_rate: 3e-3, epochs: 30, ..Training::default() }
    }

    #[test]
    fn every_loss_and_shape_learns_what_tells_new_people_apart() {
        let examples = examples(120, 4);
        for shape in [Shape::Linear, Shape::Mlp] {
            for loss in [
                Loss::Triplet { margin: 0.2, mining: Mining::SemiHard },
                Loss::Triplet { margin: 0.2, mining: Mining::Hard },
                Loss::Triplet { margin: 0.2, mining: Mining::All },
                Loss::Arcface { margin: 0.3, scale: 16.0 },
                Loss::Supcon { temperature: 0.1 },
            ] {
                let monitor = AtomicBool::new(false);
                let trained = train(&examples, shape, &settings(loss), &quiet(&monitor)).unwrap().course;
                assert!(trained.measure.better(trained.best.figure, trained.curve[0].figure), "{shape:?} {loss:?}");
                let gain = (trained.best.figure - trained.curve[0].figure).abs();
                assert!(gain > 0.05, "{shape:?} {loss:?}: {:?} from {:?}", trained.best, trained.curve[0]);
            }
        }
    }

    #[test]
    fn nobody_is_learnt_from_and_held_out() {
        let once = Training { epochs: 1, ..Training::default() };
        let trained = train(&examples(40, 3), Shape::Linear, &once, &quiet(&AtomicBool::new(false))).unwrap().course;
        assert_eq!((trained.trained_on, trained.held_out), ([96, 32], [24, 8]));
    }

    #[test]
    fn the_same_seed_gives_the_same_map() {
        let examples = examples(40, 3);
        let map = |seed| {
            let training = Training { seed, ..settings(Training::default().loss) };
            train(&examples, Shape::Mlp, &training, &quiet(&AtomicBool::new(false))).unwrap().learnt
        };
        let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        assert!(one.install(|| map(1)) == map(1));
        assert!(map(1) != map(2));
    }

    #[test]
    fn what_was_stopped_or_has_no_epochs_is_the_best_so_far() {
        let examples = examples(40, 3);
        let identity = |map: &Map| match map {
            Map::Linear { weight, .. } => (0..DIM * DIM).all(|i| weight[i] == f32::from(u8::from(i % (DIM + 1) == 0))),
            Map::Mlp { .. } => false,
        };
        let stopped = train(&examples, Shape::Linear, &Training::default(), &quiet(&AtomicBool::new(true))).unwrap();
        assert!(stopped.course.stopped && stopped.course.best.epoch == 0 && identity(&stopped.learnt));
        let none = Training { epochs: 0, ..Training::default() };
        let none = train(&examples, Shape::Linear, &none, &quiet(&AtomicBool::new(false))).unwrap();
        assert!(!none.course.stopped && identity(&none.learnt));
        // Stopped by whoever watches the third epoch.
        let stop = AtomicBool::new(false);
        let progress = |counts: Counts| stop.store(counts.photos >= 3, Ordering::Relaxed);
        let monitor = Monitor { progress: &progress, stop: &stop };
        let third = train(&examples, Shape::Linear, &settings(Training::default().loss), &monitor).unwrap().course;
        assert!(third.stopped && third.curve.len() == 4);
    }

    #[test]
    fn staying_close_keeps_vectors_where_they_were() {
        let examples = examples(60, 4);
        // Of all vectors, the mean squared distance.
        let moved = |stay_close| {
            let training = Training { stay_close, ..settings(Training::default().loss) };
            let map = train(&examples, Shape::Linear, &training, &quiet(&AtomicBool::new(false))).unwrap().learnt;
            let about = About {
                bledsoe: String::new(),
                base: "m".into(),
                base_settings: serde_json::Value::Null,
                dim: DIM,
                training: serde_json::Value::Null,
                threshold: None,
            };
            let rows: Vec<&[f32]> = (0..examples.len()).map(|row| examples.vector(row)).collect();
            let made = Adapter::new(about, map).unwrap().apply(&rows).unwrap();
            made.iter().zip(rows).map(|(a, b)| 2.0 - 2.0 * dot(a, b)).sum::<f32>() / examples.len() as f32
        };
        assert!(moved(10.0) < 0.5 * moved(0.0), "{} {}", moved(10.0), moved(0.0));
    }

    #[test]
    fn settings_out_of_their_range_are_errors() {
        let examples = examples(10, 2);
        for wrong in [
            Training { people: 1, ..Training::default() },
            Training { stay_close: f32::NAN, ..Training::default() },
            Training { learning_rate: 0.0, ..Training::default() },
            Training { held_out: 1.0, ..Training::default() },
            Training { loss: Loss::Triplet { margin: f32::NAN, mining: Mining::All }, ..Training::default() },
            Training { loss: Loss::Arcface { margin: 3.0, scale: 16.0 }, ..Training::default() },
            Training { loss: Loss::Supcon { temperature: 0.0 }, ..Training::default() },
        ] {
            let refused = train(&examples, Shape::Linear, &wrong, &quiet(&AtomicBool::new(false)));
            assert!(matches!(refused, Err(Error::Invalid(_))), "{wrong:?}");
        }
    }
}
