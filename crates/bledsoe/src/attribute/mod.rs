//! Attributes: what else an embedding tells of a face. Gender and age come with bledsoe; any other label can be
//! trained.
//!
//! In: embeddings of one embedder, each with a label. Out: a [`Head`], which answers for further embeddings of that
//! embedder: a class with its probability, or a number with the range that holds it eight times in ten.
//!
//! A head is linear in a [`Basis`]: the embedding's own numbers (as they are, or standardised), or how near it is to some hundred photos of the
//! training (Nyström's approximation of a kernel machine: C. Williams, M. Seeger, NIPS 2000). Classes are told apart by
//! softmax regression, numbers by ridge regression. The settings are chosen by cross-validation, the figures come from
//! another one around it, and both keep a person's photos together. Memory and time grow with the photos, and at most
//! [`MOST_PHOTOS`] are trained on.
//!
//! ```
//! use bledsoe::attribute::{Answer, Examples, Training, Truth, train};
//!
//! # fn main() -> bledsoe::Result<()> {
//! // Sixty people in a plane; those to the right wear glasses.
//! let angle = |i: usize| std::f32::consts::TAU * (i as f32 + 0.5) / 60.0;
//! let vectors = (0..60).flat_map(|i| [angle(i).cos(), angle(i).sin()]).collect();
//! let of = (0..60).map(|i| usize::from(angle(i).cos() > 0.0)).collect();
//! let truth = Truth::Classes { names: vec!["no".into(), "yes".into()], of };
//! let examples = Examples::new(2, vectors, truth, (0..60).collect())?;
//! let head = train("example", "glasses", &examples, &Training::default())?;
//! let Answer::Class { label, probability } = &head.answer(&[&[1.0, 0.0]])?[0] else { panic!() };
//! assert_eq!(label, "yes");
//! assert!(*probability > 0.9);
//! # Ok(())
//! # }
//! ```

mod basis;
mod cholesky;
mod examples;
mod file;
mod fitting;
mod head;
mod range;
mod regression;
mod scaling;
mod training;

pub use basis::{Basis, Centres, Kernel};
pub use examples::{Examples, Joined, Task, Truth};
pub use fitting::{Fitted, Settings, fit};
pub use head::{About, Answer, Figures, Head, Output};
pub use range::{Place, Ranges};
pub use training::{MOST_PHOTOS, Training, train};

/// What photos are embedded by for bledsoe's own heads: layers of the default embedder's networks that still tell where
/// in the face something is. Their final embeddings are trained to be the same for a person at every age, and forget it.
pub const EMBEDDER: &str = "mobilefacenet-spatial+dlib-spatial";
