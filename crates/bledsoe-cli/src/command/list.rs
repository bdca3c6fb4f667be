//! `bledsoe list`

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;

use crate::{console, gallery::GalleryArgs};

/// List the people of a gallery.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  bledsoe list staff.gallery")]
pub struct Args {
    /// The gallery
    gallery: PathBuf,
    /// Print the list as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    opening: GalleryArgs,
}

pub fn run(args: Args) -> Result<ExitCode> {
    let mut people = args.opening.open(&args.gallery)?.store().people()?;
    people.sort_by(|a, b| a.name.cmp(&b.name));
    if args.json {
        console::print_json(&people)?;
        return Ok(ExitCode::SUCCESS);
    }
    for person in &people {
        let labels: Vec<String> = person.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        say!("{:<40} {:>4} templates  {}", person.name, person.templates, labels.join(" "));
    }
    Ok(ExitCode::SUCCESS)
}
