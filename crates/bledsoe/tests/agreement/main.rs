//! Agreement with independent implementations (dlib, scikit-learn), from golden files made by tools/reference/.

// Clippy knows test functions, not those that they share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod align;
mod attribute;
mod boxes;
mod clustering;
mod gpu;
mod hdbscan;
mod hog;
mod jpeg;
mod landmarks;
mod metrics;
mod mmod;
mod networks;
mod regions;
mod resnet;
mod svm;
mod yunet;

/// Says that a test was skipped: past the test harness, which hides what passing tests print.
fn skipped(what: std::fmt::Arguments<'_>) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "\n!! SKIPPED {what}");
}
