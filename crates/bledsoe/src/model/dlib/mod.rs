//! Readers of dlib's own files: HOG detectors (`.svm`), shape predictors and networks (`.dat`).

pub mod hog;
pub mod network;
mod reader;
pub mod shape;
