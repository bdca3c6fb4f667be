//! One file a command.

mod align;
mod attributes;
mod bench;
mod benchmark;
mod calibrate;
mod cluster;
mod demo;
mod doctor;
mod embed;
mod engine;
mod enroll;
mod evaluate;
mod export;
#[cfg(feature = "finetune")]
mod finetune;
mod forget;
mod gallery;
mod identify;
mod import;
mod list;
mod merge;
mod models;
mod plot;
mod reject;
mod rename;
mod stats;
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
    Attributes(attributes::Args),
    Train(train::Args),
    #[cfg(feature = "finetune")]
    Finetune(Box<finetune::Args>),
    Evaluate(evaluate::Args),
    Benchmark(benchmark::Args),
    Bench(bench::Args),
    Doctor(doctor::Args),
    Cluster(Box<cluster::Args>),
    Plot(plot::Args),
    Enroll(enroll::Args),
    Identify(identify::Args),
    Verify(verify::Args),
    Reject(reject::Args),
    Forget(forget::Args),
    Rename(rename::Args),
    Merge(merge::Args),
    List(list::Args),
    Stats(stats::Args),
    Calibrate(calibrate::Args),
    Export(export::Args),
    Import(import::Args),
    Gallery(gallery::Args),
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
            Self::Attributes(args) => attributes::run(args),
            Self::Train(args) => train::run(args),
            #[cfg(feature = "finetune")]
            Self::Finetune(args) => finetune::run(*args),
            Self::Evaluate(args) => evaluate::run(args),
            Self::Benchmark(args) => benchmark::run(args),
            Self::Bench(args) => bench::run(args),
            Self::Doctor(args) => doctor::run(args),
            Self::Cluster(args) => cluster::run(*args),
            Self::Plot(args) => plot::run(args),
            Self::Enroll(args) => enroll::run(args),
            Self::Identify(args) => identify::run(args),
            Self::Verify(args) => verify::run(args),
            Self::Reject(args) => reject::run(args),
            Self::Forget(args) => forget::run(args),
            Self::Rename(args) => rename::run(args),
            Self::Merge(args) => merge::run(args),
            Self::List(args) => list::run(args),
            Self::Stats(args) => stats::run(args),
            Self::Calibrate(args) => calibrate::run(args),
            Self::Export(args) => export::run(args),
            Self::Import(args) => import::run(args),
            Self::Gallery(args) => gallery::run(args),
            Self::Models(args) => models::run(args),
            Self::Engine(args) => engine::run(args),
        }
    }
}
