#![no_main]
use std::path::Path;

use bledsoe::dataset::protocol;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let file = Path::new("pairs");
    let _ = protocol::parse_lfw_pairs(text, file);
    let _ = protocol::parse_lfw_people(text, file);
    let _ = protocol::parse_pairs_csv(text, file);
});
