//! The parser of a head's file, and what is asked of a head that it lets pass.
#![no_main]

use std::path::Path;

use bledsoe::attribute::Head;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(head) = Head::parse(bytes, Path::new("fuzz")) {
        let row = vec![0.5; head.fitted.basis.dim()];
        let _ = head.answer(&[&row]);
    }
});
