//! Reports for people: one self-contained HTML file each, readable offline, on a phone, in print, light or dark.
//!
//! In: photos, faces, decisions, figures. Out: a page with everything inside it, pictures and plots included; it loads
//! nothing, and only [`space`] runs a script, the one inside it.
//!
//! - [`annotate`]: boxes and names on copies of photos, outside of any page;
//! - [`identification`]: who was enrolled, and who was recognised;
//! - [`benchmark`]: the figures of a protocol, with plots and the worst errors;
//! - [`clusters`]: who was put together, with the doubtful faces apart;
//! - [`doctor`]: what is wrong with a folder of photos;
//! - `finetune`: how an adapter was trained (cargo feature `finetune`);
//! - [`space`]: embeddings as points in two and three dimensions;
//! - [`tuning`]: the settings that a search tried.
//!
//! ```
//! use bledsoe::{
//!     photo::Photo,
//!     report::identification::{Enrolled, Report, write},
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let report = Report {
//!     enrolled: vec![Enrolled { name: "Ada".into(), chips: vec![Photo::new(2, 2, vec![128; 12])?] }],
//!     probes: Vec::new(),
//!     summary: "Nobody came.".into(),
//!     notes: String::new(),
//!     settings: serde_json::json!({ "threshold": 0.4 }),
//! };
//! # let folder = tempfile::tempdir()?;
//! write(&folder.path().join("report.html"), &report)?;
//! # Ok(())
//! # }
//! ```

pub mod annotate;
pub mod benchmark;
pub mod clusters;
pub mod doctor;
#[cfg(feature = "finetune")]
pub mod finetune;
pub mod identification;
mod page;
mod plot;
pub mod space;
pub mod tuning;
