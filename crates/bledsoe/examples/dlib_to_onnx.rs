//! Turns a network of dlib (`.dat`) into ONNX.
//!
//! ```text
//! cargo run --release --example dlib_to_onnx -- mmod_human_face_detector.dat mmod.onnx
//! ```
//!
//! `tools/convert/pack.py mmod.onnx --weights f16 --out models/mmod.safetensors` then makes it small.

use std::{error::Error, path::PathBuf};

use bledsoe::model::dlib::network::{mmod_to_onnx, resnet_to_onnx};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(source), Some(target)) = (arguments.next(), arguments.next()) else {
        return Err("usage: dlib_to_onnx NETWORK.dat OUT.onnx".into());
    };
    let name = source.display().to_string();
    let bytes = std::fs::read(&source).map_err(|e| format!("{name}: {e}"))?;
    // A face descriptor's network, or else a detector's.
    let onnx = resnet_to_onnx(&bytes, &name)
        .or_else(|descriptor| mmod_to_onnx(&bytes, &name).map_err(|detector| format!("{descriptor}; {detector}")))?;
    std::fs::write(&target, onnx).map_err(|e| format!("{}: {e}", target.display()))?;
    Ok(())
}
