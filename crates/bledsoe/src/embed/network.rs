//! An embedder that is one network.

use std::sync::Arc;

use rayon::prelude::*;

use super::{Embedder, Embedding, Features};
use crate::{
    Error, Result,
    align::{FaceChip, Template},
    engine::{Session, Tensor},
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

    /// The embeddings of `faces`, as [`Embedder::embed`] gives them; `features` are added what the network's second output
    /// gives of each.
    ///
    /// # Errors
    /// As [`Embedder::embed`] and [`Features::push`]; [`Error::Model`] when there is no second output.
    pub fn embed_with_features(&self, faces: &[Vec<FaceChip>], features: &mut Features) -> Result<Vec<Embedding>> {
        let mut embeddings = Vec::with_capacity(faces.len());
        for batch in self.chips(faces)?.chunks(BATCH * self.session.appetite()) {
            let views = self.views(batch)?;
            let seconds: Option<Vec<&Tensor>> = views.iter().map(|outputs| outputs.get(1)).collect();
            features.push(&seconds.ok_or_else(|| Error::model(&*self.id, "the network has no second output"))?)?;
            embeddings.extend(self.embeddings(&views)?);
        }
        Ok(embeddings)
    }

    /// The one chip of each face.
    fn chips<'a>(&self, faces: &'a [Vec<FaceChip>]) -> Result<Vec<&'a FaceChip>> {
        let chip = |chips: &'a Vec<FaceChip>| match chips.as_slice() {
            [chip] if chip.size == self.input.size => Ok(chip),
            _ => Err(Error::Mismatch(format!("{} takes one chip of {} pixels a face", self.id, self.input.size))),
        };
        faces.iter().map(chip).collect()
    }

    /// The network's outputs for the chips as they are, and for the chips mirrored if that helps.
    fn views(&self, chips: &[&FaceChip]) -> Result<Vec<Vec<Tensor>>> {
        let mirrored: &[bool] = if self.flip { &[false, true] } else { &[false] };
        mirrored.iter().map(|&mirrored| self.run(chips, mirrored)).collect()
    }

    fn run(&self, chips: &[&FaceChip], mirrored: bool) -> Result<Vec<Tensor>> {
        let side = self.input.size as usize;
        let outputs = self.session.fill_and_run(&[chips.len(), 3, side, side], &mut |data| {
            data.par_chunks_exact_mut(3 * side * side)
                .zip(chips)
                .for_each(|(planes, chip)| self.fill(chip, mirrored, planes));
        })?;
        let numbers = outputs.first().map_or(0, |vectors| vectors.data.len());
        if numbers != chips.len() * self.dim {
            let reason = format!("{numbers} numbers for {} chips, its contract says {} each", chips.len(), self.dim);
            return Err(Error::model(&*self.id, reason));
        }
        Ok(outputs)
    }

    /// The directions of the views' first outputs together.
    fn embeddings(&self, views: &[Vec<Tensor>]) -> Result<Vec<Embedding>> {
        let vectors: Vec<&[f32]> =
            views.iter().filter_map(|outputs| outputs.first()).map(|vectors| vectors.data.as_slice()).collect();
        let faces = vectors.first().map_or(0, |vectors| vectors.len() / self.dim);
        let of_face = |face: usize| -> Result<Embedding> {
            let view = |vectors: &&[f32]| {
                Embedding::new(Arc::clone(&self.id), vectors[face * self.dim..][..self.dim].to_vec())
            };
            let mut views = vectors.iter().map(view).collect::<Result<Vec<_>>>()?.into_iter();
            match (views.next(), views.next()) {
                (Some(straight), Some(mirrored)) => {
                    let sum = straight.vector.iter().zip(&mirrored.vector).map(|(a, b)| a + b).collect();
                    Embedding::new(Arc::clone(&self.id), sum)
                }
                (Some(straight), None) => Ok(straight),
                (None, _) => Err(Error::model(&*self.id, "the network gave nothing")),
            }
        };
        (0..faces).map(of_face).collect()
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
        let mut embeddings = Vec::with_capacity(faces.len());
        for batch in self.chips(faces)?.chunks(BATCH * self.session.appetite()) {
            embeddings.extend(self.embeddings(&self.views(batch)?)?);
        }
        Ok(embeddings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{align::Affine, model::Registry};

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
