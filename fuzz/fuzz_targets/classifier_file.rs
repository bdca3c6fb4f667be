//! The classifier file's parser. Its hash is made to fit, so that the fuzzer reaches what lies behind it.
#![no_main]

use std::path::Path;

use bledsoe::{classify::ClassifierFile, hash::sha256};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut file = bytes.to_vec();
    let hash = sha256(bytes);
    file.extend((0..hash.len()).step_by(2).filter_map(|i| u8::from_str_radix(&hash[i..i + 2], 16).ok()));
    if let Ok(classifier) = ClassifierFile::parse(&file, Path::new("fuzz")) {
        let row = vec![0.5; classifier.guard.dim];
        let _ = classifier.model.classifier().probabilities(&row);
    }
});
