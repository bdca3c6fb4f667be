#![no_main]
use std::io::Write;

use bledsoe::search::{Cells, Exact, Index};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    let search = |index: &mut dyn Index| {
        let mut probe = vec![0.0; index.dim()];
        probe[0] = 1.0;
        assert!(index.nearest(&[&probe], 3).unwrap()[0].len() <= 3);
        index.add(&[&probe]).unwrap();
    };
    if let Ok(mut index) = Exact::open(file.path()) {
        search(&mut index);
    }
    if let Ok(mut index) = Cells::open(file.path()) {
        search(&mut index);
    }
});
