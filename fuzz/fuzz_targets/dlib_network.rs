//! No bytes may make the readers of dlib's networks panic, nor the reader of the details that travel with a detector.
#![no_main]
use bledsoe::model::dlib::network::{MmodDetails, mmod_to_onnx, resnet_to_onnx};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = resnet_to_onnx(bytes, "fuzz");
    if let Ok(onnx) = mmod_to_onnx(bytes, "fuzz") {
        MmodDetails::of_onnx(&onnx, "fuzz").unwrap();
    }
    let _ = MmodDetails::of_onnx(bytes, "fuzz");
});
