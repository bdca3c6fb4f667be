//! `bledsoe align`

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result, bail};
use bledsoe::pipeline::{self, align::ChipFormat};
use serde_json::json;

use crate::{
    arguments::{EngineArgs, FinderArgs, scan},
    console,
};

/// Find, align and cut out the face of every photo (the tutorial's preprocess).
///
/// Keeps the folder layout: IN/person/photo.jpg becomes OUT/person/photo.png. Photos without a face are listed in
/// OUT/skipped.csv. OUT/align.json tells later commands how the chips were made.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  bledsoe align lfw chips --size 180 --template arcface")]
pub struct Args {
    /// Folder of photos, one folder a person
    r#in: PathBuf,
    /// Folder for the chips
    out: PathBuf,
    /// Side of a chip in pixels (the template's own if absent)
    #[arg(long, value_name = "PIXELS")]
    size: Option<u32>,
    /// Where the face stands in the chip: arcface, facenet, dlib, or eyes-lip (the tutorial's; needs landmarks68)
    #[arg(long, default_value = "arcface", value_name = "NAME")]
    template: String,
    /// File format of the chips: png or jpg
    #[arg(long, default_value = "png", value_name = "FORMAT")]
    format: ChipFormat,
    /// Go on with a run that was stopped
    #[arg(long)]
    resume: bool,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    finder: FinderArgs,
    #[command(flatten)]
    engine: EngineArgs,
}

pub fn run(args: Args) -> Result<ExitCode> {
    let scan = scan(&args.r#in)?;
    if within(&args.out, &args.r#in)? {
        bail!("{}: lies in the folder of photos, where chips would be taken for photos", args.out.display());
    }
    let loader = args.engine.loader()?;
    let template = loader.template(&args.template)?;
    let size = args.size.unwrap_or(template.size());
    let finder = args.finder.finder(&loader, vec![(template, size)])?;
    let summary = console::with_progress(scan.items.len(), console::RESUMABLE, |monitor| {
        pipeline::align::align(&scan, &finder, &args.out, args.format, args.resume, monitor)
    })?;
    let list = args.out.join("skipped.csv");
    console::write_skipped(&list, &summary.skipped)?;
    console::tell_skipped(&summary.skipped, Some(&list));
    if args.json {
        console::print_json(&json!({ "out": args.out, "engine": loader.engine(), "summary": summary }))?;
    } else {
        say!(
            "{} photos, {} chips of {size}x{size} in {}, {} skipped",
            summary.counts.photos,
            summary.counts.faces,
            args.out.display(),
            summary.skipped.len()
        );
    }
    Ok(console::exit_code(&summary.skipped))
}

/// Whether `folder`, which need not exist yet, lies in `outer` or is it.
fn within(folder: &Path, outer: &Path) -> Result<bool> {
    let outer = outer.canonicalize().with_context(|| outer.display().to_string())?;
    let folder = std::path::absolute(folder).with_context(|| folder.display().to_string())?;
    // What exists of the path decides: links in it count.
    let existing = folder.ancestors().find_map(|ancestor| ancestor.canonicalize().ok());
    Ok(existing.is_some_and(|existing| existing.starts_with(&outer)))
}
