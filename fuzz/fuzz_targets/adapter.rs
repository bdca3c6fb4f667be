//! The parser of an adapter's file, and what is asked of an adapter that it lets pass.
#![no_main]

use std::path::Path;

use bledsoe::embed::Adapter;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(adapter) = Adapter::parse(bytes, Path::new("fuzz")) {
        let row = vec![0.5; adapter.about().dim];
        let _ = adapter.apply(&[&row]);
        let _ = adapter.to_bytes();
    }
});
