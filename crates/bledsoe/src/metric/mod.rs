//! Metric learning: an embedder's vectors, made to tell *these* people better apart.
//!
//! In: embeddings of one embedder, each with its person ([`Examples`]). Out, by [`train`]: the map of an
//! [`Adapter`](crate::embed::Adapter), which stands behind the embedder; that stays as it is. Or, by [`train_network`],
//! from what the front of the embedder's network gives of each face: new [`Weights`] for its last layers. A map begins as
//! the identity, layers as they are; both are moved by gradients (candle's) of a [`Loss`] over batches of a few people
//! with a few photos each. Some people are held out; what does best on them is kept, and that may be what it began as.
//!
//! - [`loss`]: triplets (FaceNet's), ArcFace, supervised contrastive;
//! - [`mining`]: which triplets of a batch are learnt from;
//! - `batches`: which photos make a batch;
//! - [`shape`]: the maps that can be learnt;
//! - `network`: the end of a network, in a form that can be learnt;
//! - [`measure`]: how well people held out are told apart;
//! - [`training`]: the loop around them.
//!
//! ```
//! use bledsoe::{
//!     metric::{Examples, Shape, Training, train},
//!     pipeline::{Counts, Monitor},
//! };
//!
//! # fn main() -> bledsoe::Result<()> {
//! // Sixteen people whom two numbers tell apart, and two more that only disturb.
//! let noise = |i: usize| (i as f32 * 12.9898).sin();
//! let face = |i: usize| {
//!     let angle = std::f32::consts::TAU * (i / 4) as f32 / 16.0;
//!     [angle.cos(), angle.sin(), noise(2 * i), noise(2 * i + 1)]
//! };
//! let vectors: Vec<f32> = (0..64).flat_map(|i| bledsoe::embed::Embedding::new("", face(i).to_vec()).unwrap().vector).collect();
//! let examples = Examples::new(4, vectors, (0..64).map(|i| i / 4).collect())?;
//! let monitor = Monitor { progress: &|_: Counts| {}, stop: &Default::default() };
//! let training = Training { stay_close: 0.0, ..Training::default() };
//! let course = train(&examples, Shape::Linear, &training, &monitor)?.course;
//! assert!(course.best.figure < course.curve[0].figure); // the loss of people held out
//! # Ok(())
//! # }
//! ```

mod batches;
#[cfg(test)]
mod differences;
mod examples;
pub mod loss;
pub mod measure;
pub mod mining;
mod network;
pub mod shape;
pub mod training;

pub use examples::{Examples, LEAST_PEOPLE, LeftOut};
pub use loss::Loss;
pub use measure::Measure;
pub use mining::Mining;
pub use network::Weights;
pub use shape::Shape;
pub use training::{Course, Epoch, Trained, Training, train, train_network};

use crate::Error;

/// An error of candle's: a device that fails, a network whose shapes do not fit together, or a fault here.
fn candle(error: candle_core::Error) -> Error {
    Error::engine("candle", error.to_string())
}
