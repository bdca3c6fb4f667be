//! Aligning a folder: every face becomes a chip in a folder of the same layout (the tutorial's preprocess).

use std::{
    fs,
    path::{Path, PathBuf},
};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{
    ALIGNMENT_FILE, Alignment, Counts, Encoded, Finder, Journal, Monitor, Processed, Source, chunks, embed::Summary,
    key, naming::ChipNames,
};
use crate::{
    Error, Result,
    align::{FaceChip, Template},
    dataset::{Scan, Skipped},
};

/// File format of chips.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChipFormat {
    /// Lossless.
    #[default]
    Png,
    /// Quality 95: a fifth of the size.
    Jpg,
}

impl std::str::FromStr for ChipFormat {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        match s {
            "png" => Ok(Self::Png),
            "jpg" | "jpeg" => Ok(Self::Jpg),
            _ => Err(Error::Invalid(format!("format {s:?}: expected png or jpg"))),
        }
    }
}

/// What the journal holds of a chunk.
#[derive(Serialize, Deserialize)]
struct Chunk {
    chips: Vec<PathBuf>,
    skipped: Vec<Skipped>,
}

/// Aligns every photo of `scan` into `out`: `person/photo.jpg` becomes `person/photo.png`, and where several faces are
/// taken of one photo `photo_1.png`, `photo_2.png`, … follow. Names that would collide are told apart by more of the
/// photo's own name, so that none overwrites another. `finder` has one template.
///
/// # Errors
/// [`Error::Mismatch`] when `out` holds chips that were made otherwise: the two must not mix.
/// [`Error::Interrupted`] when the monitor stops the run, [`Error::Io`] when the disk fails, [`Error::Engine`].
pub fn align(
    scan: &Scan,
    finder: &Finder,
    out: &Path,
    format: ChipFormat,
    resume: bool,
    monitor: &Monitor<'_>,
) -> Result<Summary> {
    let Some((template, size)): Option<&(Template, u32)> = finder.templates.first() else {
        return Err(Error::Invalid("aligning takes one template".into()));
    };
    fs::create_dir_all(out).map_err(|e| Error::io(out, e))?;
    let mut settings = finder.settings();
    settings["format"] = serde_json::json!(format);
    // Written first: what a killed run leaves can already be told from raw photos.
    let alignment = Alignment { template: template.clone(), size: *size, settings: settings.clone() };
    if Alignment::of_folder(out)?.is_some_and(|earlier| earlier.settings != settings) {
        return Err(Error::Mismatch(format!(
            "{}: holds chips made with other settings; name another folder, or delete this one first",
            out.display()
        )));
    }
    let json = serde_json::to_vec_pretty(&alignment).map_err(|e| Error::Invalid(e.to_string()))?;
    let description = out.join(ALIGNMENT_FILE);
    fs::write(&description, json).map_err(|e| Error::io(&description, e))?;

    let journal = Journal::open(&out.join(".partial"), resume)?;
    let names = ChipNames::new(&scan.items);
    let mut counts = Counts { skipped: scan.skipped.len(), ..Counts::default() };
    let mut skipped = scan.skipped.clone();
    for range in chunks(&scan.items) {
        monitor.check()?;
        let photos = Encoded::read_all(&scan.items[range.clone()]);
        // A photo added elsewhere may change a chip's name, and the name is part of the result.
        let first_names: Vec<&str> = photos.iter().map(|p| names.first(&p.item.relative)).collect();
        let key = key(&serde_json::json!([settings, first_names]), &photos);
        let known = journal.get(&key).and_then(|bytes| serde_json::from_slice::<Chunk>(&bytes).ok());
        let chunk = match known.filter(|chunk| chunk.chips.iter().all(|chip| out.join(chip).is_file())) {
            Some(chunk) => {
                counts.resumed += range.len();
                chunk
            }
            None => {
                let chunk = write_chips(finder.process(photos)?, &names, out, format)?;
                let json = serde_json::to_vec(&chunk).map_err(|e| Error::Invalid(e.to_string()))?;
                journal.put(&key, &json)?;
                chunk
            }
        };
        counts.photos += range.len();
        counts.faces += chunk.chips.len();
        counts.skipped += chunk.skipped.len();
        skipped.extend(chunk.skipped);
        (monitor.progress)(counts);
    }
    journal.remove()?;
    Ok(Summary { counts, skipped, settings })
}

fn write_chips(processed: Vec<Processed>, names: &ChipNames, out: &Path, format: ChipFormat) -> Result<Chunk> {
    let written: Vec<Result<Vec<PathBuf>, Skipped>> = processed
        .into_par_iter()
        .map(|photo| match photo.faces {
            Err(skipped) => Ok(Err(skipped)),
            Ok(faces) => {
                let chips = faces.iter().flat_map(|face| &face.chips).enumerate();
                let paths = chips
                    .map(|(number, chip)| write_chip(chip, &names.face(&photo.item.relative, number), out, format));
                Ok(Ok(paths.collect::<Result<_>>()?))
            }
        })
        .collect::<Result<_>>()?;
    let mut chunk = Chunk { chips: Vec::new(), skipped: Vec::new() };
    for photo in written {
        match photo {
            Ok(paths) => chunk.chips.extend(paths),
            Err(skipped) => chunk.skipped.push(skipped),
        }
    }
    Ok(chunk)
}

fn write_chip(chip: &FaceChip, name: &str, out: &Path, format: ChipFormat) -> Result<PathBuf> {
    let extension = match format {
        ChipFormat::Png => "png",
        ChipFormat::Jpg => "jpg",
    };
    let chip_path = PathBuf::from(format!("{name}.{extension}"));
    let path = out.join(&chip_path);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|e| Error::io(folder, e))?;
    }
    chip.save(&path)?;
    Ok(chip_path)
}
