//! Any bytes as a packed network.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = bledsoe::model::pack::widen(bytes, "fuzz");
});
