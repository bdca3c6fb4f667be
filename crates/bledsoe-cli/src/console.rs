//! What a person sees: the progress bar, Ctrl-C, JSON, and the list of skipped photos.

use std::{
    fmt,
    io::{self, Write},
    path::Path,
    process::ExitCode,
    sync::atomic::{AtomicBool, Ordering},
};

use anyhow::{Context, Result, bail};
use bledsoe::{
    dataset::Skipped,
    pipeline::{Counts, Monitor},
};
use indicatif::{ProgressBar, ProgressStyle};

/// Set by the first Ctrl-C; one a process, as its handler is.
static STOP: AtomicBool = AtomicBool::new(false);

/// How a stopped run that has --resume goes on.
pub const RESUMABLE: &str = "finished work is kept: the same with --resume goes on";
/// What a stopped run over photos loses, and how one is made that does not.
pub const EMBED_FIRST: &str =
    "nothing was written. A run that can be resumed: `bledsoe embed --resume`, then give its table with --embeddings";
/// What a stopped run loses where nothing of it is kept.
pub const NOT_KEPT: &str = "nothing was written: run the same again";

/// Runs `work` with a progress bar over `total` photos on standard error. The first Ctrl-C stops it after the chunk in
/// hand, the second at once; `if_stopped` says what was kept and how to go on.
pub fn with_progress<T>(
    total: usize,
    if_stopped: &str,
    work: impl FnOnce(&Monitor<'_>) -> bledsoe::Result<T>,
) -> Result<T> {
    with_progress_of("photos", total, if_stopped, work)
}

/// The same over something else than photos.
pub fn with_progress_of<T>(
    what: &str,
    total: usize,
    if_stopped: &str,
    work: impl FnOnce(&Monitor<'_>) -> bledsoe::Result<T>,
) -> Result<T> {
    let bar = ProgressBar::new(total as u64);
    let shown = bar.clone();
    // Fails only if it was set for an earlier part of this command, and then it serves this part too.
    let _ = ctrlc::set_handler(move || {
        if STOP.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
        shown.suspend(|| eprintln!("stopping after the work in hand; press Ctrl-C again to stop at once"));
    });
    bar.set_style(ProgressStyle::with_template(&format!(
        "{{bar:30}} {{pos}}/{{len}} {what}, {{per_sec}}, {{eta}} left {{msg}}"
    ))?);
    let progress = |counts: Counts| {
        bar.set_position(counts.photos as u64);
        if counts.faces + counts.skipped > 0 {
            bar.set_message(format!("({} faces, {} skipped)", counts.faces, counts.skipped));
        }
    };
    let result = work(&Monitor { progress: &progress, stop: &STOP });
    bar.finish_and_clear();
    match result {
        Err(error @ bledsoe::Error::Interrupted) => bail!("{error}; {if_stopped}"),
        result => Ok(result?),
    }
}

/// `println!`, but a reader that has gone (`bledsoe … | head`) is no failure.
macro_rules! say {
    ($($text:tt)*) => { $crate::console::print(format_args!($($text)*)) };
}

/// Prints a line on standard output; ends the program when that fails, unless only the reader has gone.
pub fn print(line: fmt::Arguments<'_>) {
    match writeln!(io::stdout(), "{line}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            eprintln!("error: standard output: {error}");
            std::process::exit(2);
        }
        _ => {}
    }
}

/// Prints a result as JSON on standard output.
pub fn print_json(value: &impl serde::Serialize) -> Result<()> {
    say!("{}", serde_json::to_string_pretty(value)?);
    Ok(())
}

/// Refuses a file whose folder is not there, before long work is done for it.
pub fn check_folder(file: &Path) -> Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.is_dir() {
        bail!("{}: there is no folder {}; make it first", file.display(), folder.display());
    }
    Ok(())
}

/// Writes the list of skipped photos as CSV: `path,stage,reason`.
pub fn write_skipped(path: &Path, skipped: &[Skipped]) -> Result<()> {
    let quote = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let mut csv = String::from("path,stage,reason\n");
    for photo in skipped {
        csv += &format!("{},{},{}\n", quote(&photo.path), quote(&photo.stage), quote(&photo.reason));
    }
    std::fs::write(path, csv).with_context(|| path.display().to_string())
}

/// Tells of skipped photos on standard error: the first few by name, then where all are.
pub fn tell_skipped(skipped: &[Skipped], list: Option<&Path>) {
    const SHOWN: usize = 10;
    for photo in skipped.iter().take(SHOWN) {
        eprintln!("skipped {} ({}): {}", photo.path, photo.stage, photo.reason);
    }
    if skipped.len() > SHOWN {
        eprintln!("… and {} more", skipped.len() - SHOWN);
    }
    if let Some(list) = list.filter(|_| !skipped.is_empty()) {
        eprintln!("all {} skipped photos with their reasons: {}", skipped.len(), list.display());
    }
}

/// 0 when every photo was done, 1 when some were skipped.
pub fn exit_code(skipped: &[Skipped]) -> ExitCode {
    ExitCode::from(u8::from(!skipped.is_empty()))
}
