//! `bledsoe benchmark`: one file a protocol.

mod detection;
mod faces;
mod identification;
mod landmarks;
mod verification;

use std::process::ExitCode;

use anyhow::Result;

/// Measure accuracy by standard protocols, with 95 % intervals. (For speed: `bledsoe bench`.)
#[derive(clap::Args)]
#[command(after_help = "Example:\n  bledsoe benchmark verification --protocol lfw --root lfw --report lfw.html")]
pub struct Args {
    #[command(subcommand)]
    protocol: Protocol,
}

#[derive(clap::Subcommand)]
enum Protocol {
    Verification(verification::Args),
    Identification(identification::Args),
    Detection(detection::Args),
    Landmarks(landmarks::Args),
}

/// How intervals are drawn.
#[derive(clap::Args, Debug, Clone, Copy)]
struct BootstrapArgs {
    /// How often the test is drawn anew for the 95 % intervals; 0 for none
    #[arg(long, default_value_t = 1000, value_name = "N")]
    replicates: usize,
    /// Seed of the drawing: the same seed gives the same intervals
    #[arg(long, default_value_t = 0, value_name = "N")]
    seed: u64,
}

impl From<BootstrapArgs> for bledsoe::evaluate::Bootstrap {
    fn from(args: BootstrapArgs) -> Self {
        Self { replicates: args.replicates, seed: args.seed }
    }
}

pub fn run(args: Args) -> Result<ExitCode> {
    match args.protocol {
        Protocol::Verification(args) => verification::run(args),
        Protocol::Identification(args) => identification::run(args),
        Protocol::Detection(args) => detection::run(args),
        Protocol::Landmarks(args) => landmarks::run(args),
    }
}
