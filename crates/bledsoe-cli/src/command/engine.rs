//! `bledsoe engine`

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use bledsoe::engine::{Backend, Device, Engine, EngineConfig, install, library};
use serde_json::json;

use crate::console;

/// Tell which engines there are, or install the fast one.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  bledsoe engine info\n  bledsoe engine install")]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand)]
enum Action {
    /// Tell which engines there are, which one `--engine auto` takes, and where things lie
    Info {
        /// Where networks are to run: cpu or cuda
        #[arg(long, default_value = "cpu", value_name = "DEVICE")]
        device: Device,
        /// Print the result as JSON
        #[arg(long)]
        json: bool,
    },
    /// Install ONNX Runtime from its wheel, with your own pip or uv, checked by SHA-256
    Install {
        /// The build for NVIDIA GPUs; CUDA 12 and cuDNN 9 must be on the machine
        #[arg(long)]
        cuda: bool,
        /// Take the wheel from here instead: the file, or the folder with it
        #[arg(long, value_name = "PATH")]
        from: Option<PathBuf>,
        /// Print the result as JSON
        #[arg(long)]
        json: bool,
    },
}

pub fn run(args: Args) -> Result<ExitCode> {
    match args.action {
        Action::Info { device, json } => info(device, json),
        Action::Install { cuda, from, json } => install(cuda, from, json),
    }
}

fn open(backend: Backend, device: Device) -> bledsoe::Result<Engine> {
    Engine::open(&EngineConfig { backend, device, ..EngineConfig::default() })
}

fn info(device: Device, as_json: bool) -> Result<ExitCode> {
    let state = |backend| match open(backend, device) {
        Ok(engine) => (true, engine.describe().to_owned()),
        Err(error) => (false, error.to_string()),
    };
    let [auto, native, ort, rten] = [Backend::Auto, Backend::Native, Backend::Ort, Backend::Rten].map(state);
    let path = library::find(device == Device::Cuda);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let features = library::processor_features();
    if as_json {
        let entry =
            |(available, description): &(bool, String)| json!({ "available": available, "description": description });
        console::print_json(&json!({
            "device": device, "auto": entry(&auto), "native": entry(&native), "ort": entry(&ort),
            "rten": entry(&rten), "library": path, "threads": threads, "processor": features, "cache": library::cache(),
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mark = |(available, description): &(bool, String)| {
        format!("{} {description}", if *available { "yes:" } else { "no: " })
    };
    say!("auto       {}", auto.1);
    say!("native     {}", mark(&native));
    say!("ort        {}", mark(&ort));
    say!("rten       {}", mark(&rten));
    say!("library    {}", path.map_or_else(|| "none".to_owned(), |p| p.display().to_string()));
    say!("processor  {threads} threads, {}", features.join(" "));
    say!("cache      {}", library::cache().display());
    Ok(ExitCode::SUCCESS)
}

fn install(cuda: bool, from: Option<PathBuf>, as_json: bool) -> Result<ExitCode> {
    if from.is_none() && !as_json {
        eprintln!("fetching ONNX Runtime with pip …");
    }
    let folder = install::install(cuda, from.as_deref(), None)?;
    // Proof that it loads here: a CUDA build also needs the driver and CUDA's own libraries.
    let device = if cuda { Device::Cuda } else { Device::Cpu };
    let engine = open(Backend::Ort, device)?;
    if as_json {
        console::print_json(&json!({ "folder": folder, "engine": engine.describe() }))?;
    } else {
        say!("{}\n{}", folder.display(), engine.describe());
    }
    Ok(ExitCode::SUCCESS)
}
