//! ONNX Runtime, from its shared library: OpenVINO, CUDA or its own CPU kernels.

mod gpu;

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
};

use ::ort::{
    environment::Environment,
    ep::{self, ArbitrarilyConfigurableExecutionProvider, ExecutionProvider},
    session::{self, builder::GraphOptimizationLevel},
    value::{TensorRef, ValueRef},
};

use gpu::GpuNetwork;

use super::{Device, Precision, Session, Tensor, library};
use crate::{Error, Result};

/// One library and environment a process: ONNX Runtime allows no second. Holds the failure too, so that it is told each
/// time.
static ENVIRONMENT: OnceLock<(PathBuf, Result<Environment, String>)> = OnceLock::new();

/// An opened library with its provider.
pub(super) struct Runtime {
    environment: &'static Environment,
    provider: Provider,
    threads: usize,
    soon: bool,
    description: String,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Provider {
    OpenVino,
    Cuda,
    Cpu,
}

impl Runtime {
    pub(super) fn open(device: Device, threads: usize, soon: bool) -> Result<Self> {
        let fail = |reason: String| Error::engine("ort", reason);
        let cuda = device == Device::Cuda;
        let path = library::find(cuda).ok_or_else(|| {
            let flag = if cuda { " --cuda" } else { "" };
            fail(format!("ONNX Runtime is not installed: run `bledsoe engine install{flag}`"))
        })?;
        let (loaded, environment) = ENVIRONMENT.get_or_init(|| (path.clone(), load(&path)));
        if *loaded != path {
            return Err(fail(format!("this process runs {} and cannot load {} too", loaded.display(), path.display())));
        }
        let environment = environment.as_ref().map_err(|e| fail(format!("{}: {e}", path.display())))?;
        let folder = path.parent().unwrap_or(Path::new("."));
        let has = |name: &str| folder.join(name).exists();
        let provider = match device {
            Device::Cuda if ep::CUDA::is_available().unwrap_or(false) => Provider::Cuda,
            Device::Cuda => {
                return Err(fail(format!(
                    "{} has no CUDA provider: run `bledsoe engine install --cuda`",
                    path.display()
                )));
            }
            // OpenVINO compiles each network when it loads it.
            Device::Cpu if soon => Provider::Cpu,
            Device::Cpu if has("libonnxruntime_providers_openvino.so") => Provider::OpenVino,
            Device::Cpu => Provider::Cpu,
        };
        let kernels = match provider {
            Provider::Cuda => "CUDA, TF32 embedders".to_owned(),
            Provider::Cpu => {
                let why = if soon { " (they start soonest)" } else { "" };
                format!("CPU kernels{why}, f32, {threads} threads")
            }
            Provider::OpenVino => {
                let precision = if library::has_bf16() { "bf16" } else { "f32" };
                format!("OpenVINO, {precision} embedders, {threads} threads")
            }
        };
        Ok(Self {
            environment,
            provider,
            threads,
            soon,
            description: format!("ONNX Runtime {}, {kernels}", version(&path)),
        })
    }

    pub(super) fn description(&self) -> &str {
        &self.description
    }

    pub(super) fn load(&self, name: &str, onnx: &[u8], precision: Precision) -> Result<Box<dyn Session>> {
        let fail = |e: String| Error::engine("ort", format!("cannot load {name}: {e}"));
        // OpenVINO computes on threads of its own; those of ONNX Runtime would only spin beside them.
        let threads = if self.provider == Provider::OpenVino { 1 } else { self.threads };
        let mut builder = session::Session::builder(self.environment)
            .and_then(|b| Ok(b.with_intra_threads(threads)?))
            // They would go on spinning after a run, beside ours and those of the next network.
            .and_then(|b| Ok(b.with_intra_op_spinning(false)?))
            .map_err(|e| fail(e.to_string()))?;
        if self.soon && self.provider == Provider::Cpu {
            // To fuse and arrange a network takes longer than it saves in a few runs.
            builder =
                builder.with_optimization_level(GraphOptimizationLevel::Level1).map_err(|e| fail(e.to_string()))?;
        }
        let provider = match self.provider {
            Provider::Cpu => None,
            Provider::Cuda => Some(cuda(precision).build().error_on_failure()),
            Provider::OpenVino => Some(self.openvino(precision).build().error_on_failure()),
        };
        if let Some(provider) = provider {
            builder = builder.with_execution_providers([provider]).map_err(|e| fail(e.to_string()))?;
        }
        let session = builder.commit_from_memory(onnx).map_err(|e| fail(e.to_string()))?;
        let input = session.inputs().first().ok_or_else(|| fail("the network has no input".into()))?.name().to_owned();
        let network = Network { name: name.to_owned(), input, session: Mutex::new(session) };
        Ok(if self.provider == Provider::Cuda { Box::new(GpuNetwork::new(network)) } else { Box::new(network) })
    }

    fn openvino(&self, precision: Precision) -> ep::OpenVINO {
        let hint = if precision == Precision::Fast && library::has_bf16() { "bf16" } else { "f32" };
        let config = serde_json::json!({ "CPU": {
            "INFERENCE_PRECISION_HINT": hint,
            "INFERENCE_NUM_THREADS": self.threads.to_string(),
            "NUM_STREAMS": "1",
            // A pinned thread waits for its core while ours work there.
            "ENABLE_CPU_PINNING": "NO",
        } });
        ep::OpenVINO::default().with_device_type("CPU").with_arbitrary_config("load_config", config)
    }
}

fn cuda(precision: Precision) -> ep::CUDA {
    ep::CUDA::default()
        // The exhaustive search would be made anew for each length of a batch.
        .with_conv_algorithm_search(ep::cuda::ConvAlgorithmSearch::Heuristic)
        .with_tf32(precision == Precision::Fast)
}

fn load(path: &Path) -> Result<Environment, String> {
    if !path.is_file() {
        return Err("no such file".into());
    }
    let environment = ::ort::init_from(path).map_err(|e| e.to_string())?;
    // ONNX Runtime warns on standard error of things that no user can mend; errors come back as values.
    environment
        .with_telemetry(false)
        .with_logger(std::sync::Arc::new(|_, _, _, _, _| {}))
        .build()
        .map_err(|e| e.to_string())
}

/// The version in the library's name, which ort checked against the one it needs.
fn version(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    name.split_once(".so.").map_or(name.clone(), |(_, version)| version.to_owned())
}

/// A loaded network. ONNX Runtime's sessions are used by one caller at a time: they take all threads themselves.
struct Network {
    name: String,
    input: String,
    session: Mutex<session::Session>,
}

impl Network {
    fn fail(&self, reason: impl ToString) -> Error {
        Error::engine("ort", format!("{}: {}", self.name, reason.to_string()))
    }

    fn session(&self) -> MutexGuard<'_, session::Session> {
        // A panic elsewhere during a run leaves the session itself whole.
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tensors(&self, outputs: &session::SessionOutputs<'_>) -> Result<Vec<Tensor>> {
        let tensor = |value: ValueRef<'_>| {
            let (shape, data) = value.try_extract_tensor::<f32>().map_err(|e| self.fail(e))?;
            Ok(Tensor { shape: shape.iter().map(|&n| n as usize).collect(), data: data.to_vec() })
        };
        outputs.values().map(tensor).collect()
    }
}

impl Session for Network {
    fn run(&self, input: Tensor) -> Result<Vec<Tensor>> {
        let shape: Vec<i64> = input.shape.iter().map(|&n| n as i64).collect();
        let value = TensorRef::from_array_view((shape, input.data.as_slice())).map_err(|e| self.fail(e))?;
        let mut session = self.session();
        let outputs = session.run(::ort::inputs![self.input.as_str() => value]).map_err(|e| self.fail(e))?;
        self.tensors(&outputs)
    }
}
