//! Any bytes as XMP; what can be written into is read back.
#![no_main]

use std::path::Path;

use bledsoe::{
    geometry::Rect,
    photo::{Stored, Turn},
    regions::{FaceRegion, merge, parse},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let file = Path::new("fuzz.xmp");
    let orientation = Turn::from_exif(bytes.len() as u8 % 8 + 1).unwrap();
    let stored = Stored { width: 400, height: 300, orientation };
    let _ = parse(bytes, &stored, file);
    let rect = Rect { left: 100.0, top: 100.0, right: 150.0, bottom: 150.0 };
    let new = [FaceRegion { name: Some("Ada & Co".into()), rect }];
    if let Ok(merged) = merge(Some(bytes), &stored, &new, || Ok(Vec::new()), file) {
        assert!(parse(merged.text.as_bytes(), &stored, file).unwrap().is_some());
    }
});
