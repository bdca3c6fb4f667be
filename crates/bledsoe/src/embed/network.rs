//! An embedder that is one network.

use std::sync::Arc;

use rayon::prelude::*;

use super::{Embedder, Embedding};
use crate::{
    Error, Result,
    align::{FaceChip, Template},
    engine::Session,
    model::{Channels, Contract, Input},
};

/// Chips to a call of the network on a processor: in larger batches, what its layers hand on leaves the cache.
const BATCH: usize = 16;

/// A network with its contract.
pub struct NetworkEmbedder {
    id: Arc<str>,
    sha256: String,
    session: Box<dyn Session>,
    input: Input,
    dim: usize,
    flip: bool,
    template: [Template; 1],
}

impl NetworkEmbedder {
    /// An embedder that feeds `session` by `contract`, with chips of `template`.
    ///
    /// # Errors
    /// [`Error::Model`] when the contract is not an embedder's, or the template is of another size.
    pub fn new(contract: &Contract, template: Template, session: Box<dyn Session>) -> Result<Self> {
        let input = contract.input()?.clone();
        let output = contract
            .output
            .as_ref()
            .ok_or_else(|| Error::model(&contract.id, "its contract has no [output]: not an embedder"))?;
        if template.size() != input.size {
            let reason =
                format!("template {} is of {} pixels, its input of {}", template.name(), template.size(), input.size);
            return Err(Error::model(&contract.id, reason));
        }
        Ok(Self {
            id: contract.id.as_str().into(),
            sha256: contract.sha256.clone(),
            session,
            input,
            dim: output.dim,
            flip: output.flip,
            template: [template],
        })
    }

    /// Writes a chip as planes of `(pixel - mean) * scale`, mirrored if asked.
    fn fill(&self, chip: &FaceChip, mirrored: bool, planes: &mut [f32]) {
        let side = self.input.size as usize;
        for (plane, values) in planes.chunks_exact_mut(side * side).enumerate() {
            let channel = match self.input.channels {
                Channels::Rgb => plane,
                Channels::Bgr => 2 - plane,
            };
            let (mean, scale) = (self.input.mean[plane], self.input.scale[plane]);
            for (row, pixels) in values.chunks_exact_mut(side).zip(chip.rgb.chunks_exact(3 * side)) {
                for (x, value) in row.iter_mut().enumerate() {
                    let from = if mirrored { side - 1 - x } else { x };
                    *value = (f32::from(pixels[3 * from + channel]) - mean) * scale;
                }
            }
        }
    }

    fn run(&self, chips: &[&FaceChip], mirrored: bool) -> Result<Vec<f32>> {
        let side = self.input.size as usize;
        let output = self.session.fill_and_run(&[chips.len(), 3, side, side], &mut |data| {
            data.par_chunks_exact_mut(3 * side * side)
                .zip(chips)
                .for_each(|(planes, chip)| self.fill(chip, mirrored, planes));
        })?;
        let vectors = output.into_iter().next().map(|t| t.data).unwrap_or_default();
        if vectors.len() != chips.len() * self.dim {
            let reason =
                format!("{} numbers for {} chips, its contract says {} each", vectors.len(), chips.len(), self.dim);
            return Err(Error::model(&*self.id, reason));
        }
        Ok(vectors)
    }
}

impl Embedder for NetworkEmbedder {
    fn id(&self) -> &str {
        &self.id
    }

    fn settings(&self) -> serde_json::Value {
        serde_json::json!({ "id": &*self.id, "sha256": self.sha256, "input": self.input, "flip": self.flip })
    }

    fn dim(&self) -> usize {
        self.dim
    }

    fn templates(&self) -> &[Template] {
        &self.template
    }

    fn embed(&self, faces: &[Vec<FaceChip>]) -> Result<Vec<Embedding>> {
        let chips = faces
            .iter()
            .map(|chips| match chips.as_slice() {
                [chip] if chip.size == self.input.size => Ok(chip),
                _ => Err(Error::Mismatch(format!("{} takes one chip of {} pixels a face", self.id, self.input.size))),
            })
            .collect::<Result<Vec<_>>>()?;
        let mut embeddings = Vec::with_capacity(chips.len());
        for batch in chips.chunks(BATCH * self.session.appetite()) {
            let straight = self.run(batch, false)?;
            let mirrored = if self.flip { Some(self.run(batch, true)?) } else { None };
            for (i, vector) in straight.chunks_exact(self.dim).enumerate() {
                let mut embedding = Embedding::new(Arc::clone(&self.id), vector.to_vec())?;
                if let Some(mirrored) = &mirrored {
                    let other = Embedding::new("", mirrored[i * self.dim..][..self.dim].to_vec())?;
                    let sum = embedding.vector.iter().zip(&other.vector).map(|(a, b)| a + b).collect();
                    embedding = Embedding::new(Arc::clone(&self.id), sum)?;
                }
                embeddings.push(embedding);
            }
        }
        Ok(embeddings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{align::Affine, engine::Tensor, model::Registry};

    /// A network whose output is the mean of each input plane.
    struct Means;

    impl Session for Means {
        fn run(&self, input: Tensor) -> Result<Vec<Tensor>> {
            let plane = input.shape[2] * input.shape[3];
            let data = input.data.chunks_exact(plane).map(|p| p.iter().sum::<f32>() / plane as f32).collect();
            Ok(vec![Tensor { shape: vec![input.shape[0], 3], data }])
        }
    }

    fn contract(channels: &str) -> Contract {
        toml::from_str(&format!(
            "id = \"means\"\ntask = \"embed\"\nformat = \"onnx\"\nfile = \"x\"\nsha256 = \"\"\nsource = \"\"\nlicence = \"\"\n\
             template = \"arcface\"\n[input]\nsize = 112\nchannels = \"{channels}\"\nmean = [10, 20, 30]\nscale = [1, 1, 1]\n\
             [output]\ndim = 3\nmetric = \"cosine\"\nflip = true"
        ))
        .unwrap()
    }

    fn chip(size: u32, rgb: [u8; 3]) -> Vec<FaceChip> {
        let identity = Affine { m: [1.0, 0.0, 0.0, 0.0, 1.0, 0.0] };
        vec![FaceChip { size, rgb: rgb.repeat((size * size) as usize), transform: identity }]
    }

    #[test]
    fn channels_mean_and_scale_follow_the_contract() {
        let template = Registry::embedded().unwrap().template("arcface").unwrap().clone();
        let embed = |channels: &str, face: Vec<FaceChip>| {
            NetworkEmbedder::new(&contract(channels), template.clone(), Box::new(Means)).unwrap().embed(&[face])
        };
        let direction = |v: [f32; 3]| Embedding::new("means", v.to_vec()).unwrap().vector;
        let near = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(x, y)| (x - y).abs() < 1e-4);
        let rgb = embed("rgb", chip(112, [110, 60, 50])).unwrap();
        assert!(near(&rgb[0].vector, &direction([100.0, 40.0, 20.0])));
        let bgr = embed("bgr", chip(112, [110, 60, 50])).unwrap();
        assert!(near(&bgr[0].vector, &direction([40.0, 40.0, 80.0])));
        assert!(matches!(embed("rgb", chip(100, [1, 2, 3])), Err(Error::Mismatch(_))));
        assert!(matches!(embed("rgb", Vec::new()), Err(Error::Mismatch(_))));
    }
}
