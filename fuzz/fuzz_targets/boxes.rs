#![no_main]
use bledsoe::benchmark::boxes;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(photos) = boxes::parse(text) {
        for face in photos.values().flatten() {
            assert!(face.rect.right.is_finite() && face.rect.bottom.is_finite());
            assert!(face.landmarks.iter().all(|landmarks| landmarks.points.len() == landmarks.scheme.len()));
        }
    }
});
