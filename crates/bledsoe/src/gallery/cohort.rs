//! The cohort: synthetic strangers, compiled in, whom a gallery of any size and make can be calibrated against.
//!
//! `tools/convert/cohort.py` makes the file and says how; `docs/calibration.md` tells how well it serves.

use std::{collections::BTreeMap, sync::OnceLock};

use rayon::prelude::*;
use safetensors::{Dtype, SafeTensors};
use serde::Deserialize;

use super::calibration::{Mates, Tops};
use crate::{Error, Result, model};

/// The cohort's id in the registry.
const ID: &str = "cohort";
/// What seeds the noise of the directions that the file leaves out.
const SEED: u64 = 2026;

/// What is known of an embedder without the synthetic strangers themselves.
#[derive(Debug, Clone)]
pub(super) struct Cohort {
    parts: BTreeMap<String, f32>,
    dim: usize,
    /// By how much real pairs of different people are more alike than those of a synthetic and a real one, on average.
    pub(super) pair_offset: f64,
    /// How much more they vary: the ratio of standard deviations.
    pub(super) pair_ratio: f64,
    pub(super) mates: Mates,
    /// How alike strangers are to the most alike of people that they were not made of.
    pub(super) tops: Tops,
    /// The strangers' embeddings, once they are needed.
    strangers: OnceLock<Vec<Vec<f32>>>,
}

#[derive(Deserialize)]
struct Entry {
    parts: BTreeMap<String, f32>,
    pair_offset: f64,
    pair_ratio: f64,
    mates: BTreeMap<usize, Vec<f32>>,
    strangers: Tops,
}

impl Cohort {
    /// The embedded cohort of `embedder`; `None` for one that has none.
    pub(super) fn of(embedder: &str) -> Result<Option<Self>> {
        let bytes = model::Store::new(None).bytes(ID)?;
        let (blocks, mut embedders) = header(&bytes)?;
        let Some(entry) = embedders.remove(embedder) else { return Ok(None) };
        let Entry { parts, pair_offset, pair_ratio, mates, strangers: tops } = entry;
        let mates = Mates::new(mates.into_iter().collect()).ok_or_else(|| fail("quantiles that are none"))?;
        let dim = blocks.iter().filter(|(name, _)| parts.contains_key(name)).map(|(_, size)| size).sum();
        Ok(Some(Self { parts, dim, pair_offset, pair_ratio, mates, tops, strangers: OnceLock::new() }))
    }

    /// Length of the embedder's vectors.
    pub(super) fn dim(&self) -> usize {
        self.dim
    }

    /// The synthetic strangers' embeddings, unit length; made by the first call.
    pub(super) fn strangers(&self) -> Result<&[Vec<f32>]> {
        match self.strangers.get() {
            Some(made) => Ok(made),
            None => self.unfold().map(|made| &**self.strangers.get_or_init(|| made)),
        }
    }

    fn unfold(&self) -> Result<Vec<Vec<f32>>> {
        let bytes = model::Store::new(None).bytes(ID)?;
        let (blocks, _) = header(&bytes)?;
        let file = SafeTensors::deserialize(&bytes).map_err(|e| fail(e.to_string()))?;
        let width: usize = blocks.iter().map(|(_, size)| size).sum();
        let (codes, code_scales) = (bytes_of(&file, "codes")?, floats(&file, "codes.scale")?);
        let (basis, basis_scales) = (bytes_of(&file, "basis")?, floats(&file, "basis.scale")?);
        let (mean, noise) = (floats(&file, "mean")?, floats(&file, "noise")?);
        let directions = code_scales.len();
        if directions == 0
            || codes.is_empty()
            || !codes.len().is_multiple_of(directions)
            || basis_scales.len() != directions
            || basis.len() != directions * width
            || mean.len() != width
            || noise.len() != width
        {
            return Err(fail("its parts do not fit together"));
        }
        // The columns that this embedder's parts take, and what each part is multiplied by.
        let mut columns = Vec::new();
        let mut start = 0;
        for (name, size) in &blocks {
            if let Some(weight) = self.parts.get(name) {
                columns.push((start..start + size, weight.sqrt()));
            }
            start += size;
        }
        let basis: Vec<Vec<f32>> = basis
            .chunks_exact(width)
            .zip(basis_scales)
            .map(|(row, scale)| row.iter().map(|&b| f32::from(b as i8) * scale).collect())
            .collect();
        // Each stranger's noise goes on where the last one's ended.
        let mut random = fastrand::Rng::with_seed(SEED);
        let starts: Vec<fastrand::Rng> = (0..codes.len() / directions)
            .map(|_| {
                let start = random.clone();
                (0..DRAWS * self.dim).for_each(|_| _ = random.f32());
                start
            })
            .collect();
        let unfold = |(codes, mut random): (&[u8], fastrand::Rng)| {
            let mut vector = Vec::with_capacity(self.dim);
            for (range, factor) in &columns {
                let mut part: Vec<f32> = range.clone().map(|i| mean[i] + noise[i] * gaussian(&mut random)).collect();
                for ((&code, scale), row) in codes.iter().zip(&code_scales).zip(&basis) {
                    let code = f32::from(code as i8) * scale;
                    part.iter_mut().zip(&row[range.clone()]).for_each(|(x, direction)| *x += code * direction);
                }
                let factor = factor / norm(&part);
                vector.extend(part.iter().map(|x| x * factor));
            }
            let norm = norm(&vector);
            vector.iter_mut().for_each(|x| *x /= norm);
            vector
        };
        let strangers: Vec<Vec<f32>> = codes.par_chunks_exact(directions).zip(starts).map(unfold).collect();
        if strangers.iter().flatten().all(|x| x.is_finite()) {
            Ok(strangers)
        } else {
            Err(fail("a vector without length"))
        }
    }
}

/// Blocks (network and width) and embedders of the file.
#[allow(clippy::type_complexity)]
fn header(bytes: &[u8]) -> Result<(Vec<(String, usize)>, BTreeMap<String, Entry>)> {
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(|e| fail(e.to_string()))?;
    let metadata = metadata.metadata().as_ref().ok_or_else(|| fail("no metadata"))?;
    let text = |key: &str| metadata.get(key).ok_or_else(|| fail(format!("no {key}")));
    let blocks = serde_json::from_str(text("blocks")?).map_err(|e| fail(e.to_string()))?;
    let embedders = serde_json::from_str(text("embedders")?).map_err(|e| fail(e.to_string()))?;
    Ok((blocks, embedders))
}

fn bytes_of<'a>(file: &SafeTensors<'a>, name: &str) -> Result<&'a [u8]> {
    let tensor = file.tensor(name).map_err(|e| fail(e.to_string()))?;
    if tensor.dtype() == Dtype::I8 { Ok(tensor.data()) } else { Err(fail(format!("{name} is not I8"))) }
}

fn floats(file: &SafeTensors<'_>, name: &str) -> Result<Vec<f32>> {
    let tensor = file.tensor(name).map_err(|e| fail(e.to_string()))?;
    if tensor.dtype() != Dtype::F32 {
        return Err(fail(format!("{name} is not F32")));
    }
    Ok(tensor.data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect())
}

fn fail(reason: impl Into<String>) -> Error {
    Error::model(ID, reason)
}

fn norm(x: &[f32]) -> f32 {
    x.iter().map(|x| x * x).sum::<f32>().sqrt()
}

/// Numbers drawn for one of [`gaussian`].
const DRAWS: usize = 2;

fn gaussian(random: &mut fastrand::Rng) -> f32 {
    (-2.0 * random.f32().max(f32::MIN_POSITIVE).ln()).sqrt() * (std::f32::consts::TAU * random.f32()).cos()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{embed::dot, pipeline};

    #[test]
    fn every_preset_has_strangers_of_its_own_length() {
        for (embedder, dim) in [
            (pipeline::DEFAULT_EMBEDDER, 320),
            (pipeline::FAST_EMBEDDER, 192),
            (pipeline::ACCURATE_EMBEDDER, 832),
            ("facenet", 512),
        ] {
            let cohort = Cohort::of(embedder).unwrap().unwrap();
            let strangers = cohort.strangers().unwrap();
            assert!(strangers.len() > 1000);
            assert_eq!(cohort.dim(), dim);
            assert!(strangers.iter().all(|s| s.len() == dim && (dot(s, s) - 1.0).abs() < 1e-4), "{embedder}");
        }
        assert!(Cohort::of("my own network").unwrap().is_none());
    }

    #[test]
    fn strangers_are_as_alike_as_different_people_are() {
        // The mean of real pairs, which `tools/convert/cohort.py` compares with its own unfolding.
        let cohort = Cohort::of(pipeline::DEFAULT_EMBEDDER).unwrap().unwrap();
        let strangers = cohort.strangers().unwrap();
        let pairs = strangers.chunks_exact(2).map(|pair| f64::from(dot(&pair[0], &pair[1])));
        let mean = pairs.sum::<f64>() / (strangers.len() / 2) as f64;
        assert!((mean - 0.43).abs() < 0.02, "{mean}");
        assert_eq!(strangers, Cohort::of(pipeline::DEFAULT_EMBEDDER).unwrap().unwrap().strangers().unwrap());
    }
}
