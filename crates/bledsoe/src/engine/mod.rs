//! Engines: run a network.
//!
//! An [`Engine`] is a backend opened once; it loads ONNX bytes into [`Session`]s. There are two: rten, compiled in and
//! always there, and ONNX Runtime, a shared library that [`install`] fetches, several times faster. What was chosen,
//! and why, is in [`Engine::describe`]; a backend asked for by name is never silently replaced.

pub mod install;
pub mod library;
mod ort;
mod rten;

use std::{str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// A dense f32 tensor, row-major; images are N x C x H x W.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// Lengths of the axes, outermost first.
    pub shape: Vec<usize>,
    /// `shape.iter().product()` values.
    pub data: Vec<f32>,
}

/// A loaded network with one input. Safe to call from several threads; calls may be serialised inside.
pub trait Session: Send + Sync {
    /// Runs the network; one tensor per graph output, in the graph's order.
    ///
    /// # Errors
    /// [`Error::Engine`] when the shape does not fit or the backend fails.
    fn run(&self, input: Tensor) -> Result<Vec<Tensor>>;

    /// Runs the network on an input of `shape` that `fill` writes where the device reads it, without a copy. The memory
    /// may hold an earlier input: `fill` writes every value.
    ///
    /// # Errors
    /// As [`Session::run`].
    fn fill_and_run(&self, shape: &[usize], fill: &mut dyn FnMut(&mut [f32])) -> Result<Vec<Tensor>> {
        let mut data = vec![0.0; shape.iter().product()];
        fill(&mut data);
        self.run(Tensor { shape: shape.to_vec(), data })
    }

    /// How many times the inputs that suit a processor's caches it takes at once: a GPU computes many as fast as one.
    fn appetite(&self) -> usize {
        1
    }
}

/// One network for several users.
impl<S: Session + ?Sized> Session for Arc<S> {
    fn run(&self, input: Tensor) -> Result<Vec<Tensor>> {
        (**self).run(input)
    }

    fn fill_and_run(&self, shape: &[usize], fill: &mut dyn FnMut(&mut [f32])) -> Result<Vec<Tensor>> {
        (**self).fill_and_run(shape, fill)
    }

    fn appetite(&self) -> usize {
        (**self).appetite()
    }
}

/// Which backend to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// The fastest that loads, or the one that starts soonest.
    #[default]
    Auto,
    /// ONNX Runtime, from its shared library.
    Ort,
    /// rten, compiled in.
    Rten,
}

impl FromStr for Backend {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        match s {
            "auto" => Ok(Self::Auto),
            "ort" => Ok(Self::Ort),
            "rten" => Ok(Self::Rten),
            _ => Err(Error::Invalid(format!("engine {s:?}: expected auto, ort or rten"))),
        }
    }
}

/// Where networks run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Device {
    /// The processor.
    #[default]
    Cpu,
    /// An NVIDIA GPU, through ONNX Runtime.
    Cuda,
}

impl FromStr for Device {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        match s {
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda),
            _ => Err(Error::Invalid(format!("device {s:?}: expected cpu or cuda"))),
        }
    }
}

/// How exactly a network must be computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Precision {
    /// bf16 where the processor has it, TF32 on a GPU: embeddings agree with f32 to a cosine of 0.9999.
    Fast,
    /// f32 throughout: for detectors, whose boxes and points move with small errors.
    Full,
}

/// How to open an engine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineConfig {
    /// Which backend.
    pub backend: Backend,
    /// Where networks run.
    pub device: Device,
    /// Threads of the engine; 0 takes all cores.
    pub threads: usize,
    /// On the processor: what starts soonest instead of what is fastest once it runs, for the sake of a few photos.
    pub soon: bool,
}

/// A backend that is ready to load networks.
pub struct Engine {
    backend: Opened,
    description: String,
}

enum Opened {
    Ort(Arc<ort::Runtime>),
    Rten(rten::Runtime),
}

impl Engine {
    /// Opens the backend of `config`. `Backend::Auto` takes ONNX Runtime if it loads, else rten; to start soon, rten.
    ///
    /// # Errors
    /// [`Error::Engine`] when the backend asked for cannot be loaded, or has no such device.
    pub fn open(config: &EngineConfig) -> Result<Self> {
        let threads = if config.threads > 0 {
            config.threads
        } else {
            std::thread::available_parallelism().map_or(1, usize::from)
        };
        let rten = |why: &str| {
            if config.device == Device::Cuda {
                return Err(Error::engine(
                    "rten",
                    format!(
                        "runs on the CPU only{why}; --device cuda needs ONNX Runtime: bledsoe engine install --cuda"
                    ),
                ));
            }
            Ok(Self {
                description: format!("{}, {threads} threads{why}", rten::NAME),
                backend: Opened::Rten(rten::Runtime::new(threads)),
            })
        };
        let ort = || {
            let runtime = ort::Runtime::open(config.device, threads, config.soon)?;
            Ok(Self { description: runtime.description().to_owned(), backend: Opened::Ort(Arc::new(runtime)) })
        };
        match config.backend {
            Backend::Rten => rten(""),
            Backend::Ort => ort(),
            Backend::Auto if config.soon && config.device == Device::Cpu => rten(""),
            Backend::Auto => ort().or_else(|error: Error| rten(&format!(" ({error})"))),
        }
    }

    /// The backend, its version, provider, precision and threads, for people and for results.
    pub fn describe(&self) -> &str {
        &self.description
    }

    /// Loads a network from ONNX bytes; `name` is for error messages.
    ///
    /// # Errors
    /// [`Error::Engine`] when the backend cannot run the network.
    pub fn load(&self, name: &str, onnx: Vec<u8>, precision: Precision) -> Result<Box<dyn Session>> {
        match &self.backend {
            Opened::Ort(runtime) => runtime.load(name, &onnx, precision),
            Opened::Rten(runtime) => Ok(Box::new(runtime.load(name, onnx)?)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::onnx::{self, Writer};

    fn message(fields: impl FnOnce(&mut Writer)) -> Vec<u8> {
        let mut writer = Writer::default();
        fields(&mut writer);
        writer.finish()
    }

    /// An N x 2 tensor called `name`.
    fn value(name: &str) -> Vec<u8> {
        let shape = message(|w| {
            w.bytes(1, &message(|dim| dim.bytes(2, b"n")));
            w.bytes(1, &message(|dim| dim.int(1, 2)));
        });
        let tensor = message(|w| {
            w.int(1, 1); // FLOAT
            w.bytes(2, &shape);
        });
        message(|w| {
            w.bytes(1, name.as_bytes());
            w.bytes(2, &message(|kind| kind.bytes(1, &tensor)));
        })
    }

    /// y = max(0, x + (1, -2)).
    fn network() -> Vec<u8> {
        let node = |inputs: &[&str], output: &str, operator: &str| {
            message(|w| {
                inputs.iter().for_each(|input| w.bytes(1, input.as_bytes()));
                w.bytes(2, output.as_bytes());
                w.bytes(4, operator.as_bytes());
            })
        };
        let graph = message(|w| {
            w.bytes(1, &node(&["x", "shift"], "sum", "Add"));
            w.bytes(1, &node(&["sum"], "y", "Relu"));
            w.bytes(2, b"g");
            onnx::initializer(w, "shift", &[2], &[1.0, -2.0]);
            w.bytes(11, &value("x"));
            w.bytes(12, &value("y"));
        });
        let rest = message(|w| {
            w.int(1, 8); // IR version
            w.bytes(8, &message(|set| set.int(2, 13))); // operator set
        });
        onnx::model(&rest, &graph)
    }

    fn computes(engine: &Engine) {
        let session = engine.load("small", network(), Precision::Full).unwrap();
        let output = session.run(Tensor { shape: vec![2, 2], data: vec![1.0, 1.0, -3.0, 5.0] }).unwrap();
        assert_eq!(output, [Tensor { shape: vec![2, 2], data: vec![2.0, 0.0, 0.0, 3.0] }], "{}", engine.describe());
        assert!(session.run(Tensor { shape: vec![2, 3], data: vec![0.0; 6] }).is_err());
        assert!(engine.load("bad", b"not a network".to_vec(), Precision::Full).is_err());
    }

    #[test]
    fn rten_runs_a_small_network() {
        computes(&Engine::open(&EngineConfig { backend: Backend::Rten, threads: 1, ..Default::default() }).unwrap());
    }

    #[test]
    fn onnx_runtime_runs_a_small_network_or_says_how_to_get_it() {
        for soon in [false, true] {
            match Engine::open(&EngineConfig { backend: Backend::Ort, threads: 1, soon, ..Default::default() }) {
                Ok(engine) => {
                    computes(&engine);
                    assert!(!soon || engine.describe().contains("CPU kernels"), "{}", engine.describe());
                }
                Err(error) if library::find(false).is_none() => {
                    assert!(error.to_string().contains("bledsoe engine install"), "{error}");
                    crate::skipped(format_args!("onnx_runtime_runs_a_small_network: {error}"));
                }
                Err(error) => panic!("{error}"),
            }
        }
    }

    #[test]
    fn auto_starts_soon_with_what_is_built_in() {
        let engine = Engine::open(&EngineConfig { soon: true, ..Default::default() }).unwrap();
        assert!(engine.describe().starts_with("rten"), "{}", engine.describe());
    }

    #[test]
    fn rten_has_no_gpu() {
        let config = EngineConfig { backend: Backend::Rten, device: Device::Cuda, ..Default::default() };
        assert!(Engine::open(&config).err().unwrap().to_string().contains("CPU only"));
    }
}
