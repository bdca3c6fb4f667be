//! The bledsoe program: a thin door into the library of the same name.

#[macro_use]
mod console;

mod arguments;
mod command;
mod gallery;
mod learning;
mod portraits;

use std::process::ExitCode;

use clap::Parser;

/// Face recognition: from a folder of photos to a trained, tested classifier. Works offline.
///
/// Exit codes: 0 all done, 1 done but some photos failed (they are listed), 2 could not run.
#[derive(Parser)]
#[command(name = "bledsoe", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: command::Command,
}

fn main() -> ExitCode {
    match Cli::parse().command.run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}
