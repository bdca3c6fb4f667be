#![no_main]
use std::{collections::BTreeMap, io::Write};

use bledsoe::gallery::store::{FileStore, NewTemplate, Origin, Role, Store};
use libfuzzer_sys::fuzz_target;

// Without a good beginning nothing but the head of SQLite's format would be tried: let the corpus begin with a small gallery.
fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gallery");
    std::fs::File::create(&path).unwrap().write_all(bytes).unwrap();
    let Ok(mut store) = FileStore::open(&path, None) else { return };
    let mut vector = vec![0.0; store.model().dim];
    vector[0] = 1.0;
    let _ = store.check();
    let _ = store.size();
    let _ = store.note("note");
    let _ = store.visit(&mut |_| Ok(()));
    if let Ok(found) = store.nearest(&[&vector], 3) {
        assert!(found[0].len() <= 3);
    }
    for person in store.people().unwrap_or_default() {
        let _ = store.templates(person.id);
        let _ = store.erase(person.id);
    }
    let template = NewTemplate { role: Role::Enrolled, vector: vector.clone(), origin: Origin::default() };
    let _ = store.create("new", &BTreeMap::new()).and_then(|id| store.add(id, &[template]));
    let _ = store.nearest(&[&vector], 3);
});
