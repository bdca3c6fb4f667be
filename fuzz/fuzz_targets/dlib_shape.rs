#![no_main]

use bledsoe::model::dlib::shape;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = shape::read_dat(bytes, "fuzz");
    let _ = shape::read_compact(bytes, "fuzz");
});
