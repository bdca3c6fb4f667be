//! `bledsoe identify`

use std::process::ExitCode;

use anyhow::Result;

/// Being written.
#[derive(clap::Args)]
pub struct Args {}

pub fn run(_args: Args) -> Result<ExitCode> {
    Ok(ExitCode::from(2))
}
