//! `bledsoe gallery`

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use serde_json::json;

use crate::{
    console,
    gallery::{GalleryArgs, shown},
};

/// Look after a gallery's file.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand)]
enum Action {
    /// Read everything and tell what is damaged. Exit code 1 means that something is
    #[command(after_help = "Example:\n  bledsoe gallery check staff.gallery")]
    Check(Common),
    /// Build the index that a gallery of very many templates is searched by; else the first search does
    #[command(after_help = "Example:\n  bledsoe gallery index staff.gallery")]
    Index(Common),
}

#[derive(clap::Args)]
struct Common {
    /// The gallery
    gallery: PathBuf,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    opening: GalleryArgs,
}

pub fn run(args: Args) -> Result<ExitCode> {
    match args.action {
        Action::Check(common) => check(&common),
        Action::Index(common) => index(&common),
    }
}

fn check(args: &Common) -> Result<ExitCode> {
    let mut gallery = args.opening.open(&args.gallery)?;
    let (faults, size) = (gallery.examine()?, gallery.size()?);
    if args.json {
        console::print_json(
            &json!({ "gallery": shown(&args.gallery), "sound": faults.is_empty(), "faults": faults, "size": size }),
        )?;
    } else if faults.is_empty() {
        say!("{}: {} people and {} templates, all sound", shown(&args.gallery), size.people, size.templates);
    } else {
        faults.iter().for_each(|fault| say!("{fault}"));
    }
    Ok(ExitCode::from(u8::from(!faults.is_empty())))
}

fn index(args: &Common) -> Result<ExitCode> {
    let mut gallery = args.opening.open(&args.gallery)?;
    let templates = gallery.size()?.templates;
    console::with_progress_of("templates", templates, console::NOT_KEPT, |monitor| {
        gallery.build_index(&mut |done, _| {
            (monitor.progress)(bledsoe::pipeline::Counts { photos: done, ..Default::default() });
            monitor.check()
        })
    })?;
    if args.json {
        console::print_json(&json!({ "gallery": shown(&args.gallery), "size": gallery.size()? }))?;
    } else {
        say!("{}: {templates} templates are ready to be searched", shown(&args.gallery));
    }
    Ok(ExitCode::SUCCESS)
}
