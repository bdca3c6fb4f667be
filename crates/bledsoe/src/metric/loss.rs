//! Losses: how wrong a batch of embeddings is about who is who.
//!
//! In: unit vectors, row by row, and whose each is. Out: one number, which candle can derive.

use candle_core::{DType, Device, Result as CandleResult, Tensor, Var};
use serde::{Deserialize, Serialize};

use super::{Examples, Mining};

/// Cosines are kept so far from -1 and 1, where the arc cosine has no slope.
const EDGE: f64 = 1e-6;
/// What takes a logit out of a sum of exponentials.
const NEVER: f64 = -1e9;

/// A loss, with its settings.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "lowercase")]
pub enum Loss {
    /// The mean of `max(0, d(anchor, positive) - d(anchor, negative) + margin)` over the triplets mined, `d` being the
    /// squared Euclidean distance (F. Schroff, D. Kalenichenko, J. Philbin: FaceNet, CVPR 2015).
    Triplet {
        /// By how much a negative should be farther than a positive.
        margin: f32,
        /// Which triplets.
        mining: Mining,
    },
    /// Softmax regression on a centre a person, both of unit length, with the angle to the own centre made larger by
    /// `margin` (J. Deng, J. Guo, N. Xue, S. Zafeiriou: ArcFace, CVPR 2019). The centres begin as the people's means.
    Arcface {
        /// In radians.
        margin: f32,
        /// What cosines are multiplied by.
        scale: f32,
    },
    /// Each face should be told by every other of its person, among all of the batch (P. Khosla et al.: Supervised
    /// contrastive learning, NeurIPS 2020, `L_out`); the mean over faces that have another of their person.
    Supcon {
        /// What cosines are divided by.
        temperature: f32,
    },
}

/// A loss over the people of some examples, with what of it is learnt too.
pub(super) struct Objective {
    loss: Loss,
    /// ArcFace's, one a person.
    centres: Option<Var>,
}

impl Objective {
    pub(super) fn new(loss: Loss, examples: &Examples, kind: DType, device: &Device) -> CandleResult<Self> {
        let centres = match loss {
            Loss::Arcface { .. } => {
                let mean = |person: usize| {
                    let mut sum = vec![0.0f32; examples.dim()];
                    for row in examples.rows(person) {
                        sum.iter_mut().zip(examples.vector(row)).for_each(|(sum, x)| *sum += x);
                    }
                    sum
                };
                let means: Vec<f32> = (0..examples.people()).flat_map(mean).collect();
                let means = Tensor::from_vec(means, (examples.people(), examples.dim()), device)?.to_dtype(kind)?;
                Some(Var::from_tensor(&unit_rows(&means)?)?)
            }
            _ => None,
        };
        Ok(Self { loss, centres })
    }

    /// What is learnt beside the map.
    pub(super) fn variables(&self) -> Vec<Var> {
        self.centres.iter().cloned().collect()
    }

    /// The loss of unit `vectors` (n x dim) of `people`; `None` where there is nothing to learn.
    pub(super) fn of(&self, vectors: &Tensor, people: &[u32]) -> CandleResult<Option<Tensor>> {
        match (self.loss, &self.centres) {
            (Loss::Triplet { margin, mining }, _) => triplet(vectors, people, margin, mining),
            (Loss::Arcface { margin, scale }, Some(centres)) => {
                arcface(vectors, people, centres.as_tensor(), margin, scale).map(Some)
            }
            (Loss::Arcface { .. }, None) => Ok(None),
            (Loss::Supcon { temperature }, _) => supcon(vectors, people, temperature),
        }
    }
}

/// Rows made of unit length.
pub(super) fn unit_rows(rows: &Tensor) -> CandleResult<Tensor> {
    let norms = (rows.sqr()?.sum_keepdim(1)? + 1e-12)?.sqrt()?;
    rows.broadcast_div(&norms)
}

fn triplet(vectors: &Tensor, people: &[u32], margin: f32, mining: Mining) -> CandleResult<Option<Tensor>> {
    let n = people.len();
    let distances = vectors.matmul(&vectors.t()?)?.affine(-2.0, 2.0)?.flatten_all()?;
    let mined = mining.triplets(&distances.to_dtype(DType::F32)?.to_vec1()?, people, margin);
    if mined.is_empty() {
        return Ok(None);
    }
    let to = |other: usize| {
        let places: Vec<u32> = mined.iter().map(|triplet| (triplet[0] * n + triplet[other]) as u32).collect();
        distances.index_select(&Tensor::from_vec(places, mined.len(), vectors.device())?, 0)
    };
    let hinge = ((to(1)? - to(2)?)? + f64::from(margin))?.relu()?;
    hinge.mean_all().map(Some)
}

fn arcface(vectors: &Tensor, people: &[u32], centres: &Tensor, margin: f32, scale: f32) -> CandleResult<Tensor> {
    let (n, classes) = (people.len(), centres.dim(0)?);
    let cosines = vectors.matmul(&unit_rows(centres)?.t()?)?.clamp(EDGE - 1.0, 1.0 - EDGE)?;
    let own = Tensor::from_slice(people, (n, 1), vectors.device())?;
    let cosine = cosines.gather(&own, 1)?;
    let (sin_margin, cos_margin) = f64::from(margin).sin_cos();
    let sine = (1.0 - cosine.sqr()?)?.sqrt()?;
    let turned = ((&cosine * cos_margin)? - (sine * sin_margin)?)?;
    // Beyond pi the cosine would rise again: there a straight line goes on, as the paper's authors have it in their code.
    let beyond = (&cosine - f64::from(margin) * sin_margin)?;
    let turned = cosine.gt(-cos_margin)?.where_cond(&turned, &beyond)?;
    let scale = f64::from(scale);
    let here = one_hot(people, classes, vectors)?;
    let logits = ((&cosines * (1.0 - &here)?)? + here.broadcast_mul(&turned)?)?.affine(scale, 0.0)?;
    (logits.log_sum_exp(1)? - turned.squeeze(1)?.affine(scale, 0.0)?)?.mean_all()
}

fn supcon(vectors: &Tensor, people: &[u32], temperature: f32) -> CandleResult<Option<Tensor>> {
    let n = people.len();
    let flag = |is: bool| f64::from(u8::from(is));
    let pairs = |i: usize| (0..n).map(move |j| (i, j));
    let positives: Vec<f64> = (0..n).flat_map(pairs).map(|(i, j)| flag(i != j && people[i] == people[j])).collect();
    let counts: Vec<f64> = positives.chunks_exact(n.max(1)).map(|row| row.iter().sum()).collect();
    let anchors = counts.iter().filter(|&&count| count > 0.0).count();
    if anchors == 0 {
        return Ok(None);
    }
    // Each pair weighs one in all pairs of its anchor; anchors without a pair weigh nothing.
    let weights = positives.iter().enumerate().map(|(i, is)| is / counts[i / n].max(1.0)).collect::<Vec<f64>>();
    let weights = Tensor::from_vec(weights, (n, n), vectors.device())?.to_dtype(vectors.dtype())?;
    let selves = Tensor::eye(n, vectors.dtype(), vectors.device())?;
    let logits = vectors.matmul(&vectors.t()?)?.affine(1.0 / f64::from(temperature), 0.0)?;
    let others = (&logits + selves.affine(NEVER, 0.0)?)?.log_sum_exp(1)?;
    let own = (logits * &weights)?.sum(1)?;
    let weight = weights.sum(1)?;
    ((others * weight)? - own)?.sum_all()?.affine(1.0 / anchors as f64, 0.0).map(Some)
}

/// 1 where a row's person stands, else 0, of the type of `like`.
fn one_hot(people: &[u32], classes: usize, like: &Tensor) -> CandleResult<Tensor> {
    let mut flags = vec![0.0f32; people.len() * classes];
    people.iter().enumerate().for_each(|(row, &person)| flags[row * classes + person as usize] = 1.0);
    Tensor::from_vec(flags, (people.len(), classes), like.device())?.to_dtype(like.dtype())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// What `tools/reference/metric.py` computed with PyTorch.
    #[derive(Deserialize)]
    pub struct Golden {
        pub dim: usize,
        pub people: Vec<u32>,
        pub vectors: Vec<f64>,
        pub centres: Vec<f64>,
        pub cases: Vec<Case>,
    }

    #[derive(Deserialize)]
    pub struct Case {
        pub loss: Loss,
        pub value: f64,
        /// Of the loss by the vectors, after they were made of unit length.
        pub gradient: Vec<f64>,
    }

    pub fn golden() -> Golden {
        serde_json::from_str(include_str!("../../tests/agreement/golden/metric.json")).unwrap()
    }

    impl Golden {
        pub fn objective(&self, loss: Loss, kind: DType) -> Objective {
            let people = self.centres.len() / self.dim;
            let centres = Tensor::from_slice(&self.centres, (people, self.dim), &Device::Cpu).unwrap();
            let centres = matches!(loss, Loss::Arcface { .. })
                .then(|| Var::from_tensor(&centres.to_dtype(kind).unwrap()).unwrap());
            Objective { loss, centres }
        }

        pub fn batch(&self, kind: DType) -> Tensor {
            let batch = Tensor::from_slice(&self.vectors, (self.people.len(), self.dim), &Device::Cpu).unwrap();
            batch.to_dtype(kind).unwrap()
        }
    }

    #[test]
    fn values_and_gradients_are_those_of_pytorch() {
        let golden = golden();
        assert!(golden.cases.len() >= 7);
        for (kind, tolerance) in [(DType::F64, 1e-9), (DType::F32, 1e-5)] {
            for case in &golden.cases {
                let batch = Var::from_tensor(&golden.batch(kind)).unwrap();
                let vectors = unit_rows(batch.as_tensor()).unwrap();
                let loss = golden.objective(case.loss, kind).of(&vectors, &golden.people).unwrap().unwrap();
                let value: f64 = loss.to_dtype(DType::F64).unwrap().to_scalar().unwrap();
                let off = (value - case.value).abs() / case.value.abs().max(1.0);
                assert!(off < tolerance, "{:?}: {value}, PyTorch {}", case.loss, case.value);
                let gradient = loss.backward().unwrap().get(batch.as_tensor()).unwrap().flatten_all().unwrap();
                let gradient: Vec<f64> = gradient.to_dtype(DType::F64).unwrap().to_vec1().unwrap();
                let largest = case.gradient.iter().fold(0.0f64, |most, g| most.max(g.abs()));
                for (ours, theirs) in gradient.iter().zip(&case.gradient) {
                    assert!(
                        (ours - theirs).abs() < 10.0 * tolerance * largest.max(1.0),
                        "{:?}: {ours} {theirs}",
                        case.loss
                    );
                }
            }
        }
    }

    #[test]
    fn a_batch_that_teaches_nothing_has_no_loss() {
        let vectors = Tensor::from_slice(&[1.0f32, 0.0, 0.0, 1.0], (2, 2), &Device::Cpu).unwrap();
        for loss in [Loss::Triplet { margin: 0.2, mining: Mining::All }, Loss::Supcon { temperature: 0.1 }] {
            assert!(Objective { loss, centres: None }.of(&vectors, &[0, 1]).unwrap().is_none());
        }
    }
}
