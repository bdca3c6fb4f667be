//! The pipeline: from photo files to face chips, chunk by chunk.
//!
//! A *chunk* is the unit of everything: up to 256 photos (or 16 MB of files) are read, decoded, searched for faces and
//! aligned on all cores, their faces embedded in batches, and the result put into a [`Journal`] before the next chunk
//! begins. Within a chunk only so many photos are decoded at once as have 48 million pixels together; one whose faces
//! the detector finds at a glance is cut up as soon as it is decoded. So memory does not grow with the folder, no two
//! stages fight for the cores, and a killed run repeats at most one chunk and ends with the same bytes, because the
//! batches of a chunk never depend on what came before it.
//!
//! [`embed`] and [`align`] are the two runs over whole folders; [`Source`] is what they share with training: it turns
//! encoded photos into chips, from raw photos ([`Finder`]) or from chips aligned earlier ([`ChipReader`]).

pub mod align;
mod chips;
mod chunk;
pub mod embed;
mod features;
mod finder;
mod journal;
mod loader;
mod naming;
mod portraits;

use std::{
    fs::File,
    io::Read,
    sync::atomic::{AtomicBool, Ordering},
};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use chips::{ALIGNMENT_FILE, Alignment, ChipReader};
pub use chunk::chunks;
pub use features::features;
pub use finder::Finder;
pub(crate) use finder::{Searched, batches, with_headers};
pub use journal::Journal;
pub(crate) use loader::detector_precision;
pub use loader::{
    ACCURATE_EMBEDDER, DEFAULT_DETECTOR, DEFAULT_EMBEDDER, DetectorOptions, FAST_DETECTOR, FAST_EMBEDDER, Loader,
};
pub use portraits::{Portrait, portraits};

use crate::{
    Error, Result,
    align::FaceChip,
    dataset::{Item, Skipped},
    detect::Detection,
    geometry::Rect,
    hash,
    landmark::Landmarks,
    photo::Limits,
};

/// A photo file's bytes, and their hash.
#[derive(Debug, Clone)]
pub struct Encoded {
    /// Which photo.
    pub item: Item,
    /// The file, or why it could not be read.
    pub bytes: Result<Vec<u8>, String>,
    /// SHA-256 of the bytes in hex; of the reason if there are none.
    pub sha256: String,
}

impl Encoded {
    /// Reads the file of `item`. A failure is kept inside, to be listed with the photo.
    pub fn read(item: &Item) -> Self {
        let bytes = read_bounded(item);
        let sha256 = match &bytes {
            Ok(bytes) => hash::sha256(bytes),
            Err(reason) => hash::sha256(reason),
        };
        Self { item: item.clone(), bytes, sha256 }
    }

    /// Reads many files on all cores.
    pub fn read_all(items: &[Item]) -> Vec<Self> {
        items.par_iter().map(Self::read).collect()
    }
}

/// The file of `item`, unless it is larger than any photo may be.
fn read_bounded(item: &Item) -> Result<Vec<u8>, String> {
    let limit = Limits::default().max_bytes;
    let mut bytes = Vec::new();
    let file = File::open(&item.path).map_err(|e| format!("cannot be read: {e}"))?;
    file.take(limit + 1).read_to_end(&mut bytes).map_err(|e| format!("cannot be read: {e}"))?;
    if bytes.len() as u64 > limit {
        return Err(format!("the file is larger than the limit of {} MB", limit >> 20));
    }
    Ok(bytes)
}

/// A face, cut out.
#[derive(Debug, Clone)]
pub struct FoundFace {
    /// Where it was.
    pub detection: Detection,
    /// The landmarks it was aligned by; empty for a chip aligned earlier.
    pub landmarks: Landmarks,
    /// One chip per template asked for, in that order.
    pub chips: Vec<FaceChip>,
}

/// What became of one photo.
#[derive(Debug, Clone)]
pub struct Processed {
    /// Which photo.
    pub item: Item,
    /// SHA-256 of the file, in hex.
    pub sha256: String,
    /// The faces asked for (at least one), or why there is none.
    pub faces: Result<Vec<FoundFace>, Skipped>,
    /// Where all faces of the photo are, chosen or not; only the face's own for a chip aligned earlier.
    pub seen: Vec<Rect>,
}

/// Turns encoded photos into face chips.
pub trait Source: Send + Sync {
    /// One result a photo, in order. A bad photo is a [`Skipped`] inside, never an error.
    ///
    /// # Errors
    /// When an engine fails.
    fn process(&self, photos: Vec<Encoded>) -> Result<Vec<Processed>>;

    /// Every setting that decides the chips, for results and for the journal's keys.
    fn settings(&self) -> serde_json::Value;
}

/// Counts of a run, for the summary and the progress bar.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Photos done, skipped ones included.
    pub photos: usize,
    /// Faces found.
    pub faces: usize,
    /// Photos skipped.
    pub skipped: usize,
    /// Photos whose work was found in the journal.
    pub resumed: usize,
}

/// Watches a run and may stop it.
pub struct Monitor<'a> {
    /// Called after each chunk with the counts so far.
    pub progress: &'a (dyn Fn(Counts) + Sync),
    /// Set to stop after the current chunk.
    pub stop: &'a AtomicBool,
}

impl Monitor<'_> {
    /// Whether the run may go on.
    ///
    /// # Errors
    /// [`Error::Interrupted`] once a stop is asked for.
    pub fn check(&self) -> Result<()> {
        if self.stop.load(Ordering::Relaxed) { Err(Error::Interrupted) } else { Ok(()) }
    }
}

/// The journal's key of a chunk: its photos by path and content, and all settings.
pub(crate) fn key(settings: &serde_json::Value, photos: &[Encoded]) -> String {
    let mut digest = Sha256::new();
    digest.update(env!("CARGO_PKG_VERSION"));
    digest.update(settings.to_string());
    for photo in photos {
        digest.update([0]);
        digest.update(&photo.item.relative);
        digest.update([0]);
        digest.update(&photo.sha256);
    }
    hash::hex(&digest.finalize())
}
