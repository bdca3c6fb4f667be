#![no_main]
use std::path::Path;

use bledsoe::dataset::labels::Labels;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(labels) = Labels::parse(text, Path::new("labels.csv")) {
        let _ = labels.of(&[("person/photo.jpg", Some("person")), (text, Some(text))]);
    }
});
