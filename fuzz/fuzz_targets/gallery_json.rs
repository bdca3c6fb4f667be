//! Any bytes as an exported gallery; what can be read is imported, in memory.
#![no_main]

use std::path::Path;

use bledsoe::gallery::{Exported, Gallery, store::FileStore};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(exported) = Exported::parse_json(bytes, Path::new("fuzz.json")) else { return };
    let Ok(store) = FileStore::in_memory(&exported.model) else { return };
    if let Ok(mut gallery) = Gallery::new(Box::new(store)) {
        let _ = gallery.import(exported, |_| true);
        assert_eq!(gallery.examine().unwrap(), Vec::<String>::new());
    }
});
