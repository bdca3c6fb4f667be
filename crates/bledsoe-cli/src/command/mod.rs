//! One file a command.

mod align;
mod bench;
mod benchmark;
mod demo;
mod doctor;
mod embed;
mod engine;
mod evaluate;
mod identify;
mod models;
mod train;
mod verify;

use std::process::ExitCode;

use anyhow::Result;

/// The commands.
#[derive(clap::Subcommand)]
pub enum Command {
    Demo(demo::Args),
    Align(align::Args),
    Embed(embed::Args),
    Train(train::Args),
    Evaluate(evaluate::Args),
    Benchmark(benchmark::Args),
    Bench(bench::Args),
    Doctor(doctor::Args),
    Identify(identify::Args),
    Verify(verify::Args),
    Models(models::Args),
    Engine(engine::Args),
}

impl Command {
    /// Does what was asked.
    pub fn run(self) -> Result<ExitCode> {
        match self {
            Self::Demo(args) => demo::run(args),
            Self::Align(args) => align::run(args),
            Self::Embed(args) => embed::run(args),
            Self::Train(args) => train::run(args),
            Self::Evaluate(args) => evaluate::run(args),
            Self::Benchmark(args) => benchmark::run(args),
            Self::Bench(args) => bench::run(args),
            Self::Doctor(args) => doctor::run(args),
            Self::Identify(args) => identify::run(args),
            Self::Verify(args) => verify::run(args),
            Self::Models(args) => models::run(args),
            Self::Engine(args) => engine::run(args),
        }
    }
}
