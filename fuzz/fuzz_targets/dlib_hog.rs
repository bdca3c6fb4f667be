#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = bledsoe::model::dlib::hog::read(bytes, "fuzz.svm");
});
