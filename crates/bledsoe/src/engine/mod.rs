//! Engines: run a network.
//!
//! An [`Engine`] is a backend opened once; it loads ONNX bytes into [`Session`]s. There are three: bledsoe's own kernels,
//! compiled in, which have the layers that networks for faces are made of; rten, compiled in, which has nearly all that
//! ONNX knows; and ONNX Runtime, a shared library that [`install`] fetches, for GPUs and for large networks of a user's
//! own. What was chosen, and why, is in [`Engine::describe`]; a backend asked for by name is never silently replaced.

pub mod install;
pub mod library;
mod native;
mod ort;
mod rten;

use std::{
    str::FromStr,
    sync::{Arc, OnceLock},
};

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
    /// On the processor own kernels, and for networks with other layers, or where there are no kernels for the processor,
    /// ONNX Runtime if it loads, else rten; on a GPU ONNX Runtime.
    #[default]
    Auto,
    /// Own kernels, compiled in.
    Native,
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
            "native" => Ok(Self::Native),
            "rten" => Ok(Self::Rten),
            _ => Err(Error::Invalid(format!("engine {s:?}: expected auto, native, ort or rten"))),
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
    /// ONNX Runtime on the processor: what starts soonest instead of what is fastest once it runs, for the sake of a few
    /// photos.
    pub soon: bool,
}

/// A backend that is ready to load networks.
pub struct Engine {
    backend: Opened,
    description: String,
}

enum Opened {
    Native(native::Runtime),
    Ort(Arc<ort::Runtime>),
    Rten(rten::Runtime),
    /// Own kernels, and what was opened for the first network that has other layers.
    Auto(native::Runtime, OnceLock<(Box<Engine>, String)>, EngineConfig),
}

impl Engine {
    /// Opens the backend of `config`.
    ///
    /// # Errors
    /// [`Error::Engine`] when the backend asked for cannot be loaded, or has no such device.
    pub fn open(config: &EngineConfig) -> Result<Self> {
        let threads = if config.threads > 0 {
            config.threads
        } else {
            std::thread::available_parallelism().map_or(1, usize::from)
        };
        let on_cpu = |name| match config.device {
            Device::Cpu => Ok(()),
            Device::Cuda => Err(Error::engine(
                name,
                "runs on the CPU only; --device cuda needs ONNX Runtime: bledsoe engine install --cuda",
            )),
        };
        let native = || native::Runtime::new(threads);
        let (backend, description) = match (config.backend, config.device) {
            (Backend::Native, _) => {
                on_cpu("native")?;
                let runtime = native()?;
                let description = runtime.describe();
                (Opened::Native(runtime), description)
            }
            (Backend::Rten, _) => {
                on_cpu("rten")?;
                (Opened::Rten(rten::Runtime::new(threads)), format!("{}, {threads} threads", rten::NAME))
            }
            (Backend::Ort, _) | (Backend::Auto, Device::Cuda) => {
                let runtime = ort::Runtime::open(config.device, threads, config.soon)?;
                let description = runtime.description().to_owned();
                (Opened::Ort(Arc::new(runtime)), description)
            }
            (Backend::Auto, Device::Cpu) if !native::Runtime::suits_processor() => {
                return Self::for_other_layers(config);
            }
            (Backend::Auto, Device::Cpu) => {
                let runtime = native()?;
                let description = runtime.describe();
                (Opened::Auto(runtime, OnceLock::new(), config.clone()), description)
            }
        };
        Ok(Self { backend, description })
    }

    /// The backend, its version, provider, precision and threads, for people and for results; with what was loaded so far
    /// on another.
    pub fn describe(&self) -> &str {
        match &self.backend {
            Opened::Auto(_, other, _) => other.get().map_or(&self.description, |(_, both)| both),
            _ => &self.description,
        }
    }

    /// Loads a network from ONNX bytes; `name` is for error messages.
    ///
    /// # Errors
    /// [`Error::Engine`] when the backend cannot run the network.
    pub fn load(&self, name: &str, onnx: Vec<u8>, precision: Precision) -> Result<Box<dyn Session>> {
        match &self.backend {
            Opened::Native(runtime) => runtime.load(name, &onnx, precision).map_err(|error| match error {
                Error::Engine { engine, reason } => {
                    Error::Engine { engine, reason: format!("{reason} (--engine auto takes another)") }
                }
                other => other,
            }),
            Opened::Ort(runtime) => runtime.load(name, &onnx, precision),
            Opened::Rten(runtime) => Ok(Box::new(runtime.load(name, onnx)?)),
            Opened::Auto(runtime, other, config) => match runtime.load(name, &onnx, precision) {
                Err(Error::Engine { reason, .. }) => {
                    let (engine, _) = match other.get() {
                        Some(opened) => opened,
                        None => {
                            let engine = Self::for_other_layers(config)?;
                            let both =
                                format!("{}; for other layers ({reason}) {}", self.description, engine.description);
                            other.get_or_init(|| (Box::new(engine), both))
                        }
                    };
                    engine.load(name, onnx, precision)
                }
                loaded => loaded,
            },
        }
    }

    /// ONNX Runtime if it loads, else rten, whose description says why.
    fn for_other_layers(config: &EngineConfig) -> Result<Self> {
        let open = |backend| Self::open(&EngineConfig { backend, ..config.clone() });
        open(Backend::Ort).or_else(|error| {
            let rten = open(Backend::Rten)?;
            Ok(Self { description: format!("{} ({error})", rten.description), ..rten })
        })
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
    fn another_engine_takes_what_own_kernels_lack_and_says_so() {
        if !native::Runtime::suits_processor() {
            return crate::skipped(format_args!("another_engine_takes_what_own_kernels_lack: no AVX2"));
        }
        let engine = Engine::open(&EngineConfig::default()).unwrap();
        assert!(engine.describe().starts_with("bledsoe's own kernels"), "{}", engine.describe());
        assert!(!engine.describe().contains("other layers"));
        computes(&engine);
        assert!(
            engine.describe().contains("; for other layers (small: its input is no batch"),
            "{}",
            engine.describe()
        );
        let native = Engine::open(&EngineConfig { backend: Backend::Native, ..Default::default() }).unwrap();
        let refused = native.load("small", network(), Precision::Full).err().unwrap().to_string();
        assert!(refused.contains("small: its input is no batch of pictures"), "{refused}");
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
    fn what_is_compiled_in_has_no_gpu() {
        for backend in [Backend::Rten, Backend::Native] {
            let config = EngineConfig { backend, device: Device::Cuda, ..Default::default() };
            assert!(Engine::open(&config).err().unwrap().to_string().contains("CPU only"));
        }
    }
}
