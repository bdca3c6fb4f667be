#!/usr/bin/env bash
# Makes the rivals' environments below a folder, with Python 3.11, from their packages.
#
# Usage: benches/rivals/setup.sh FOLDER STEP...
#   STEP  packages  dlib-bin and the rest of requirements.txt, and bledsoe's networks as ONNX
#         compiled  the same with dlib compiled here: native instructions, OpenBLAS; many minutes. Needs g++ and
#                   libopenblas-dev
#         mtcnn     facenet-pytorch on torch, and mtcnn on TensorFlow; gigabytes
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
folder=${1:?folder}
python=${PYTHON:-python3.11}
shift
mkdir -p "$folder"
pip() { "$folder/$1/bin/python" -m pip --quiet "${@:2}"; }

for step in "$@"; do
    [ -x "$folder/$step/bin/python" ] || "$python" -m venv "$folder/$step"
    case $step in
    packages)
        pip packages install wheel==0.48.0
        pip packages install --no-deps --no-build-isolation -r "$here/requirements.txt"
        pip packages install --no-deps dlib-bin==20.0.1.post1
        "$folder/packages/bin/python" "$here/networks.py" "$folder/networks"
        ;;
    compiled)
        pip compiled install wheel==0.48.0 cmake==4.4.5
        pip compiled install --no-deps --no-build-isolation -r "$here/requirements.txt"
        # dlib's setup.py takes CMake's settings from variables named DLIB_; AVX follows from the compiler's flags.
        DLIB_USE_CUDA=0 DLIB_USE_BLAS=1 DLIB_USE_LAPACK=1 CXXFLAGS=-march=native PATH="$folder/compiled/bin:$PATH" \
            pip compiled install --no-deps --no-build-isolation --no-binary dlib dlib==20.0.1
        "$folder/compiled/bin/python" -c 'import dlib; assert dlib.USE_AVX_INSTRUCTIONS and dlib.DLIB_USE_BLAS'
        ;;
    mtcnn)
        pip mtcnn install -r "$here/requirements-mtcnn.txt"
        # They ask for old versions of what the file above pins.
        pip mtcnn install --no-deps facenet-pytorch==2.6.0 mtcnn==1.0.0
        ;;
    *)
        echo "unknown step $step" >&2
        exit 2
        ;;
    esac
done
