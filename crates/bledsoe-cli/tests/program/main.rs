//! The program as a user runs it: exit codes, JSON, bad photos, killed runs.

// Clippy knows test functions, not those that they share.
#![allow(clippy::unwrap_used, clippy::panic)]

mod attributes;
mod bad_photos;
mod bench;
mod clusters;
mod demo;
mod detection;
mod doctor;
#[cfg(feature = "finetune")]
mod finetune;
mod galleries;
mod lfw;
mod models;
mod plot;
mod protocols;
mod resume;
mod tables;
mod tuning;
#[cfg(feature = "finetune")]
mod unfreeze;
mod whole_path;

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// The program, kept off the user's cache and of a fixed engine so that a test says the same everywhere.
fn bledsoe() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bledsoe"));
    command.env("BLEDSOE_CACHE", std::env::temp_dir().join("bledsoe-test-cache"));
    command
}

fn run(args: &[&str]) -> Output {
    bledsoe().args(args).output().unwrap()
}

/// Standard output as JSON; fails the test with both streams if it is none.
fn json(output: &Output) -> serde_json::Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| {
        panic!(
            "{e}\nstdout: {}\nstderr: {}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )
    })
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The data sets beside the checkout, or a loud word that the test was skipped.
fn datasets(test: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("BLEDSOE_DATASETS")
        .map(PathBuf::from)
        .unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/datasets"));
    if folder.join("lfw/images").is_dir() {
        return Some(folder);
    }
    crate::skipped(format_args!("{test}: no data sets at {} (set BLEDSOE_DATASETS)", folder.display()));
    None
}

/// Public-domain photos of the repository.
fn example_photos() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/photos")
}

/// Every file below `folder` that looks like a photo, sorted.
fn photos_below(folder: &Path) -> Vec<PathBuf> {
    let mut photos = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "jpg" || e == "png") {
                photos.push(path);
            }
        }
    }
    photos.sort();
    photos
}

/// Says that a test was skipped: past the test harness, which hides what passing tests print.
fn skipped(what: std::fmt::Arguments<'_>) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "\n!! SKIPPED {what}");
}
