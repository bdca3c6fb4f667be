//! Speed: how long each stage takes on this machine, what the machine could do at most ([`machine`]), and how much of that
//! each network reaches ([`networks`]).
//!
//! In: photos, and stages that are loaded. Out: the seconds of every repeat, and their medians.

pub mod machine;
pub mod networks;
mod timing;

use std::time::Instant;

use rayon::prelude::*;
use serde::Serialize;

pub use timing::{Timing, Unit};

use crate::{
    Result,
    dataset::Item,
    embed::Embedder,
    pipeline::{self, Counts, Encoded, Finder, Monitor, Searched, Source},
};

/// The photos that are timed.
#[derive(Debug, Clone, Copy)]
pub enum Photos<'a> {
    /// Files, read anew in every repeat; from the second time on the system has them in memory.
    Files(&'a [Item]),
    /// Files in memory: there is nothing to read.
    Memory(&'a [Encoded]),
}

impl Photos<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Files(items) => items.len(),
            Self::Memory(photos) => photos.len(),
        }
    }

    fn encoded(&self) -> Vec<Encoded> {
        match self {
            Self::Files(items) => Encoded::read_all(items),
            Self::Memory(photos) => photos.to_vec(),
        }
    }
}

/// How long the stages took.
#[derive(Debug, Clone, Serialize)]
pub struct Speed {
    /// Photos timed.
    pub photos: usize,
    /// Of them, those that could not be decoded.
    pub undecodable: usize,
    /// Faces embedded.
    pub faces: usize,
    /// Each stage by itself, one after the other: `read` (if there are files), `decode` (as finely as the detector looks),
    /// `detect`, `align` (landmarks and chips; with decoding once more, finer, where a chip needs it), `embed`.
    pub stages: Vec<Timing>,
    /// All stages as [`pipeline::embed`] runs them, `read` included. Not their sum: it may let stages share work.
    pub whole: Timing,
}

/// Seconds of one repeat.
#[derive(Default)]
struct Round {
    read: f64,
    decode: f64,
    detect: f64,
    align: f64,
    embed: f64,
    whole: f64,
}

/// Times the stages on all threads of rayon's pool and of the engine: one round that is not counted, then `repeats`.
/// Progress is told in photos, two for each photo of a round: by stages, then whole.
///
/// # Errors
/// [`crate::Error::Interrupted`] when the monitor stops the run; [`crate::Error::Engine`].
pub fn run(
    photos: Photos<'_>,
    finder: &Finder,
    embedder: &dyn Embedder,
    repeats: usize,
    monitor: &Monitor<'_>,
) -> Result<Speed> {
    let mut rounds = Vec::with_capacity(repeats);
    let (mut undecodable, mut faces, mut counts) = (0, 0, Counts::default());
    for number in 0..=repeats {
        let mut round = Round::default();
        for whole in [false, true] {
            monitor.check()?;
            if whole {
                round.whole = seconds(|| whole_path(photos, finder, embedder))?.1;
            } else {
                (undecodable, faces) = by_stages(photos, finder, embedder, &mut round)?;
            }
            counts.photos += photos.len();
            counts.faces += faces;
            (monitor.progress)(counts);
        }
        if number > 0 {
            rounds.push(round);
        }
    }
    let decoded = photos.len() - undecodable;
    let timing =
        |name, unit, count, of: fn(&Round) -> f64| Timing::new(name, unit, count, rounds.iter().map(of).collect());
    let read = matches!(photos, Photos::Files(_)).then(|| timing("read", Unit::Photo, photos.len(), |r| r.read));
    let others = [
        timing("decode", Unit::Photo, decoded, |r| r.decode),
        timing("detect", Unit::Photo, decoded, |r| r.detect),
        timing("align", Unit::Face, faces, |r| r.align),
        timing("embed", Unit::Face, faces, |r| r.embed),
    ];
    Ok(Speed {
        photos: photos.len(),
        undecodable,
        faces,
        stages: read.into_iter().chain(others).collect(),
        whole: timing("whole", Unit::Photo, photos.len(), |r| r.whole),
    })
}

/// What `work` gives, and its seconds.
fn seconds<T>(work: impl FnOnce() -> Result<T>) -> Result<(T, f64)> {
    let start = Instant::now();
    let result = work()?;
    Ok((result, start.elapsed().as_secs_f64()))
}

/// Adds each stage's seconds to `round`. Gives how many photos could not be decoded and how many faces were embedded.
fn by_stages(
    photos: Photos<'_>,
    finder: &Finder,
    embedder: &dyn Embedder,
    round: &mut Round,
) -> Result<(usize, usize)> {
    let (encoded, read) = seconds(|| Ok(photos.encoded()))?;
    round.read = read;
    let (mut undecodable, mut chips) = (0, Vec::new());
    for batch in pipeline::batches(encoded) {
        let count = batch.len();
        let decode = |(photo, header)| Some(finder.decode_to_search(photo, header)).filter(Searched::is_decoded);
        let photos = pipeline::with_headers(batch).into_par_iter();
        let (decoded, time) = seconds(|| Ok(photos.filter_map(decode).collect::<Vec<Searched>>()))?;
        round.decode += time;
        undecodable += count - decoded.len();
        let glanced = decoded.into_par_iter().map(|photo| finder.glance(photo));
        let (found, time) = seconds(|| finder.search(glanced.collect()))?;
        round.detect += time;
        // A photo without a face is skipped, as it is by `embed`.
        let cut_out = |photo| finder.finish::<()>(photo, None).0.faces.unwrap_or_default();
        let (faces, time) = seconds(|| Ok(found.into_par_iter().flat_map_iter(cut_out).collect::<Vec<_>>()))?;
        round.align += time;
        chips.extend(faces.into_iter().map(|face| face.chips));
    }
    let (embeddings, embed) = seconds(|| embedder.embed(&chips))?;
    round.embed = embed;
    Ok((undecodable, embeddings.len()))
}

/// Chunk by chunk, as [`pipeline::embed::embed`] goes, without its journal and table.
fn whole_path(photos: Photos<'_>, finder: &Finder, embedder: &dyn Embedder) -> Result<()> {
    let chunk = |photos| pipeline::embed::rows(finder.process(photos)?, embedder).map(|_| ());
    match photos {
        Photos::Memory(_) => chunk(photos.encoded()),
        Photos::Files(items) => {
            pipeline::chunks(items).into_iter().try_for_each(|range| chunk(Encoded::read_all(&items[range])))
        }
    }
}
