#!/bin/sh
# Builds bledsoe with training on NVIDIA GPUs (feature finetune-cuda) where there is neither a CUDA toolkit nor a driver:
# the compiler and the libraries to link with come from Python packages, and a stub stands in for the driver's library.
#
#     tools/measure/cuda-build.sh FOLDER [CARGO ARGUMENT...]
#
# FOLDER gets the packages (1.2 GB). CUDA_COMPUTE_CAP is the GPU's generation: 90 (H100, H200) if not set. To run, the
# machine needs its driver and CUDA 13's libraries on LD_LIBRARY_PATH.
set -eu

folder=$1
shift
cd "$(dirname "$0")/../.."
[ -d "$folder/venv" ] || python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q nvidia-cuda-nvcc==13.0.* nvidia-cuda-crt==13.0.* nvidia-nvvm==13.0.* \
    nvidia-cuda-runtime==13.0.* nvidia-cuda-cccl==13.0.* nvidia-cuda-nvrtc==13.0.* nvidia-cublas==13.0.* \
    nvidia-curand==10.4.*
cuda=$(echo "$folder"/venv/lib/python3*/site-packages/nvidia/cu13)

mkdir -p "$folder/lib"
for library in cudart.so.13 nvrtc.so.13 curand.so.10 cublas.so.13 cublasLt.so.13; do
    ln -sf "$cuda/lib/lib$library" "$folder/lib/lib${library%.so*}.so"
done
export CUDA_HOME="$cuda" CUDA_PATH="$cuda" CUDA_ROOT="$cuda" PATH="$cuda/bin:$PATH" LIBRARY_PATH="$folder/lib"
export CUDA_COMPUTE_CAP="${CUDA_COMPUTE_CAP:-90}"

# What the program wants of the driver is known once the crate that calls it is compiled.
cargo build --release -p bledsoe --features finetune-cuda "$@"
nm -u target/release/deps/libcudarc-*.rlib target/release/deps/libcandle_core-*.rlib 2>/dev/null |
    sed -n 's/.* \(cu[A-Z][A-Za-z0-9_]*\)$/void \1(void) {}/p' | sort -u >"$folder/cuda.c"
cc -shared -fPIC -Wl,-soname,libcuda.so.1 -o "$folder/lib/libcuda.so" "$folder/cuda.c"
cargo build --release --bin bledsoe --features finetune-cuda "$@"
