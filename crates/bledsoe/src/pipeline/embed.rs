//! Embedding a folder into a Parquet table.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Counts, Encoded, Journal, Monitor, Processed, Source, chunks, key};
use crate::{
    Error, Result,
    align::FaceChip,
    dataset::{Scan, Skipped},
    embed::{
        Embedder,
        table::{FaceRow, Origin, TableWriter},
    },
    landmark::Scheme,
};

/// What a run gave.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// How many of what.
    pub counts: Counts,
    /// Every photo without a row, and why.
    pub skipped: Vec<Skipped>,
    /// Every setting.
    pub settings: serde_json::Value,
}

/// What the journal holds of a chunk. The vectors follow as raw little-endian f32.
#[derive(Serialize, Deserialize, Default)]
struct Chunk {
    rows: Vec<FaceRow>,
    skipped: Vec<Skipped>,
}

/// The faces of `processed` photos in order, without vectors, and their chips.
pub(super) fn faces(processed: Vec<Processed>) -> (Vec<FaceRow>, Vec<Vec<FaceChip>>, Vec<Skipped>) {
    let (mut rows, mut skipped, mut chips) = (Vec::new(), Vec::new(), Vec::new());
    for photo in processed {
        match photo.faces {
            Err(reason) => skipped.push(reason),
            Ok(faces) => {
                for (number, face) in faces.into_iter().enumerate() {
                    rows.push(FaceRow {
                        path: photo.item.relative.clone(),
                        person: photo.item.person.clone(),
                        sha256: photo.sha256.clone(),
                        face: number as u32,
                        detection: face.detection,
                        landmarks: face.landmarks,
                        vector: Vec::new(),
                    });
                    chips.push(face.chips);
                }
            }
        }
    }
    (rows, chips, skipped)
}

/// Embeds the faces of `processed` photos in batches, in order.
///
/// # Errors
/// When the engine fails.
pub fn rows(processed: Vec<Processed>, embedder: &dyn Embedder) -> Result<(Vec<FaceRow>, Vec<Skipped>)> {
    let (mut rows, chips, skipped) = faces(processed);
    for (row, embedding) in rows.iter_mut().zip(embedder.embed(&chips)?) {
        row.vector = embedding.vector;
    }
    Ok((rows, skipped))
}

/// Embeds every photo of `scan` and writes the table to `out`, whole or not at all.
///
/// Work in progress lies in `OUT.partial`; with `resume` what is there of the same photos and settings is taken over,
/// and the table is the same, byte for byte, as that of an undisturbed run.
///
/// # Errors
/// [`Error::Interrupted`] when the monitor stops the run, [`Error::Io`] when the disk fails, [`Error::Engine`].
pub fn embed(
    scan: &Scan,
    source: &dyn Source,
    embedder: &dyn Embedder,
    engine: &str,
    out: &Path,
    resume: bool,
    monitor: &Monitor<'_>,
) -> Result<Summary> {
    let settings = json!({ "source": source.settings(), "embedder": embedder.settings(), "engine": engine });
    if out.is_dir() {
        return Err(Error::Invalid(format!("{}: a folder; name the file to write", out.display())));
    }
    let partial = beside(out, "partial");
    let journal = Journal::open(&partial, resume)?;
    let mut counts = Counts { skipped: scan.skipped.len(), ..Counts::default() };
    let mut keys = Vec::new();
    for range in chunks(&scan.items) {
        monitor.check()?;
        let photos = Encoded::read_all(&scan.items[range.clone()]);
        let key = key(&settings, &photos);
        let chunk = match journal.get(&key).and_then(|bytes| decode(&bytes, embedder.dim())) {
            Some(chunk) => {
                counts.resumed += range.len();
                chunk
            }
            None => {
                let (rows, skipped) = rows(source.process(photos)?, embedder)?;
                let chunk = Chunk { rows, skipped };
                journal.put(&key, &encode(&chunk)?)?;
                chunk
            }
        };
        counts.photos += range.len();
        counts.faces += chunk.rows.len();
        counts.skipped += chunk.skipped.len();
        keys.push(key);
        (monitor.progress)(counts);
    }
    let skipped = assemble(scan, &journal, &keys, embedder, &settings, out)?;
    journal.remove()?;
    Ok(Summary { counts, skipped, settings })
}

/// Writes the table from the journal, one row group a chunk.
fn assemble(
    scan: &Scan,
    journal: &Journal,
    keys: &[String],
    embedder: &dyn Embedder,
    settings: &serde_json::Value,
    out: &Path,
) -> Result<Vec<Skipped>> {
    let unfinished = beside(out, "tmp");
    let written = write_table(scan, journal, keys, embedder, settings, out, &unfinished);
    if written.is_err() {
        // Half a table helps nobody and may be what fills the disk; the journal has all of it.
        let _ = std::fs::remove_file(&unfinished);
    }
    written
}

fn write_table(
    scan: &Scan,
    journal: &Journal,
    keys: &[String],
    embedder: &dyn Embedder,
    settings: &serde_json::Value,
    out: &Path,
    unfinished: &Path,
) -> Result<Vec<Skipped>> {
    let file = File::create(unfinished).map_err(|e| Error::io(unfinished, e))?;
    let mut writer = TableWriter::new(file, out, embedder.id(), embedder.dim())?;
    let mut skipped = scan.skipped.clone();
    let mut scheme = Scheme::Arcface5;
    for key in keys {
        let chunk = journal
            .get(key)
            .and_then(|bytes| decode(&bytes, embedder.dim()))
            .ok_or_else(|| Error::format(out, "the journal was changed during the run; run again with --resume"))?;
        if let Some(row) = chunk.rows.first() {
            scheme = row.landmarks.scheme;
        }
        writer.write(&chunk.rows)?;
        skipped.extend(chunk.skipped);
    }
    let origin = Origin {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        model: embedder.id().to_owned(),
        dim: embedder.dim(),
        scheme,
        settings: settings.clone(),
        skipped: skipped.clone(),
    };
    let file = writer.finish(&origin)?;
    file.sync_all().map_err(|e| Error::io(unfinished, e))?;
    std::fs::rename(unfinished, out).map_err(|e| Error::io(out, e))?;
    Ok(skipped)
}

/// `OUT.EXTENSION`, in the same folder, so that a rename does not cross file systems.
fn beside(out: &Path, extension: &str) -> PathBuf {
    let mut name = out.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    PathBuf::from(name)
}

fn encode(chunk: &Chunk) -> Result<Vec<u8>> {
    let json = serde_json::to_vec(chunk).map_err(|e| Error::Invalid(e.to_string()))?;
    let mut bytes = (json.len() as u64).to_le_bytes().to_vec();
    bytes.extend(json);
    bytes.extend(chunk.rows.iter().flat_map(|row| &row.vector).flat_map(|v| v.to_le_bytes()));
    Ok(bytes)
}

fn decode(bytes: &[u8], dim: usize) -> Option<Chunk> {
    let (length, rest) = bytes.split_first_chunk::<8>()?;
    let (json, vectors) = rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
    let mut chunk: Chunk = serde_json::from_slice(json).ok()?;
    let mut values = vectors.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b));
    for row in &mut chunk.rows {
        row.vector = values.by_ref().take(dim).collect();
        if row.vector.len() != dim {
            return None;
        }
    }
    Some(chunk)
}
