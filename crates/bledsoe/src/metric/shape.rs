//! The maps that can be learnt. Each begins as the identity, and gives unit vectors.

use candle_core::{DType, Device, Result as CandleResult, Tensor, Var};
use serde::{Deserialize, Serialize};

use super::{Examples, loss::unit_rows, training::Learner};
use crate::embed::Map;

/// A kind of map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Shape {
    /// `y = x + A x + b`, `A` and `b` from zero.
    Linear,
    /// `y = x + B relu(A x + a) + b`, `B` and `b` from zero; as many hidden numbers as there are in a vector.
    Mlp,
}

/// A map in the making.
pub(super) struct Projection {
    shape: Shape,
    /// In the order of [`Map`]'s fields.
    variables: Vec<Var>,
}

impl Projection {
    /// The identity on vectors of `dim` numbers.
    pub(super) fn identity(
        shape: Shape,
        dim: usize,
        random: &mut fastrand::Rng,
        kind: DType,
        device: &Device,
    ) -> CandleResult<Self> {
        let zeros = |shape: &[usize]| Var::zeros(shape, kind, device);
        let variables = match shape {
            Shape::Linear => vec![zeros(&[dim, dim])?, zeros(&[dim])?],
            Shape::Mlp => {
                // As K. He et al. have it for rectified units (ICCV 2015), though uniform: of variance 2 / dim.
                let bound = (6.0 / dim as f64).sqrt();
                let weights: Vec<f64> = (0..dim * dim).map(|_| bound * (2.0 * random.f64() - 1.0)).collect();
                let inner = Tensor::from_vec(weights, (dim, dim), device)?.to_dtype(kind)?;
                vec![Var::from_tensor(&inner)?, zeros(&[dim])?, zeros(&[dim, dim])?, zeros(&[dim])?]
            }
        };
        Ok(Self { shape, variables })
    }

    /// What becomes of `vectors` (n x dim): unit rows.
    fn forward(&self, vectors: &Tensor) -> CandleResult<Tensor> {
        let affine = |x: &Tensor, weight: &Var, bias: &Var| x.matmul(&weight.t()?)?.broadcast_add(bias.as_tensor());
        let moved = match self.variables.as_slice() {
            [weight, bias] => affine(vectors, weight, bias)?,
            [inner, inner_bias, outer, outer_bias] => {
                affine(&affine(vectors, inner, inner_bias)?.relu()?, outer, outer_bias)?
            }
            _ => return Ok(vectors.clone()),
        };
        unit_rows(&(vectors + moved)?)
    }

    /// The map as it is now.
    fn map(&self) -> CandleResult<Map> {
        let mut arrays = self.variables.iter().map(|variable| {
            variable.as_tensor().to_dtype(DType::F32)?.to_device(&Device::Cpu)?.flatten_all()?.to_vec1::<f32>()
        });
        let mut next = || arrays.next().unwrap_or_else(|| Ok(Vec::new()));
        Ok(match self.shape {
            Shape::Linear => {
                let (mut weight, bias) = (next()?, next()?);
                weight.iter_mut().step_by(bias.len() + 1).for_each(|diagonal| *diagonal += 1.0);
                Map::Linear { weight, bias }
            }
            Shape::Mlp => Map::Mlp { inner: next()?, inner_bias: next()?, outer: next()?, outer_bias: next()? },
        })
    }
}

impl Learner for Projection {
    type Learnt = Map;

    fn variables(&self) -> Vec<Var> {
        self.variables.clone()
    }

    fn vectors(&self, examples: &Examples, rows: &[usize]) -> CandleResult<Tensor> {
        let device = self.variables.first().map_or(&Device::Cpu, |variable| variable.device());
        self.forward(&examples.tensor(rows, device)?)
    }

    fn learnt(&self) -> CandleResult<Map> {
        self.map()
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{differences::slopes, loss::tests::golden},
        *,
    };
    use crate::embed::{About, Adapter};

    fn projection(shape: Shape, dim: usize) -> Projection {
        Projection::identity(shape, dim, &mut fastrand::Rng::with_seed(3), DType::F64, &Device::Cpu).unwrap()
    }

    /// Moves every weight a little, so that none is at a corner.
    fn shake(projection: &Projection) {
        let mut random = fastrand::Rng::with_seed(9);
        for variable in &projection.variables {
            let old: Vec<f64> = variable.flatten_all().unwrap().to_vec1().unwrap();
            let moved: Vec<f64> = old.iter().map(|x| x + 0.2 * (random.f64() - 0.5)).collect();
            variable.set(&Tensor::from_vec(moved, variable.shape(), &Device::Cpu).unwrap()).unwrap();
        }
    }

    fn adapter(projection: &Projection, dim: usize) -> Adapter {
        let about = About {
            bledsoe: String::new(),
            base: "m".into(),
            base_settings: serde_json::Value::Null,
            dim,
            training: serde_json::Value::Null,
            threshold: None,
        };
        Adapter::new(about, projection.map().unwrap()).unwrap()
    }

    #[test]
    fn maps_begin_as_the_identity_and_are_applied_as_they_were_learnt() {
        let golden = golden();
        let batch = unit_rows(&golden.batch(DType::F64)).unwrap();
        for shape in [Shape::Linear, Shape::Mlp] {
            let projection = projection(shape, golden.dim);
            for shaken in [false, true] {
                if shaken {
                    shake(&projection);
                }
                let learnt: Vec<Vec<f64>> = projection.forward(&batch).unwrap().to_vec2().unwrap();
                let rows: Vec<Vec<f64>> = batch.to_vec2().unwrap();
                let narrow: Vec<Vec<f32>> = rows.iter().map(|row| row.iter().map(|&x| x as f32).collect()).collect();
                let narrow: Vec<&[f32]> = narrow.iter().map(Vec::as_slice).collect();
                let applied = adapter(&projection, golden.dim).apply(&narrow).unwrap();
                for ((learnt, applied), row) in learnt.iter().zip(applied).zip(&rows) {
                    assert!(learnt.iter().zip(&applied).all(|(a, &b)| (a - f64::from(b)).abs() < 1e-6));
                    let moved = learnt.iter().zip(row).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
                    assert_eq!(moved < 1e-9, !shaken, "{shape:?}: {moved}");
                }
            }
        }
    }

    #[test]
    fn gradients_are_what_small_steps_show() {
        let golden = golden();
        let batch = unit_rows(&golden.batch(DType::F64)).unwrap();
        for shape in [Shape::Linear, Shape::Mlp] {
            for case in &golden.cases {
                let projection = projection(shape, golden.dim);
                shake(&projection);
                let objective = golden.objective(case.loss, DType::F64);
                let loss = || objective.of(&projection.forward(&batch).unwrap(), &golden.people).unwrap().unwrap();
                let gradients = loss().backward().unwrap();
                for variable in projection.variables.iter().chain(&objective.variables()) {
                    let gradient: Vec<f64> =
                        gradients.get(variable.as_tensor()).unwrap().flatten_all().unwrap().to_vec1().unwrap();
                    // A few of each.
                    for (i, slope) in slopes(variable, gradient.len() / 5 + 1, || loss().to_scalar().unwrap()) {
                        let off = (slope - gradient[i]).abs() / (1e-3 + slope.abs());
                        assert!(off < 1e-4, "{shape:?} {:?}: {} by candle, {slope}", case.loss, gradient[i]);
                    }
                }
            }
        }
    }
}
