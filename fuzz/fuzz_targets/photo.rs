#![no_main]
use bledsoe::photo::{Limits, Photo};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits { max_pixels: 1_000_000, ..Limits::default() };
    if let Ok(photo) = Photo::decode(bytes, &limits) {
        assert_eq!(photo.rgb().len(), 3 * photo.width() as usize * photo.height() as usize);
    }
});
