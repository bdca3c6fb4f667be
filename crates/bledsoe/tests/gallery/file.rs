//! The store in a file: the suite, and what it promises besides.

use bledsoe::gallery::store::{FileStore, Key, Store};

use crate::suite;

#[test]
fn a_file_does_what_every_store_must() {
    let folder = tempfile::tempdir().unwrap();
    for key in [None, Some(Key::new([7; 32]))] {
        let mut made = 0;
        let mut new = || -> Box<dyn Store> {
            made += 1;
            let path = folder.path().join(format!("{made}-{}", key.is_some()));
            Box::new(FileStore::create(&path, &suite::model(), key.clone()).unwrap())
        };
        for (name, case) in suite::CASES {
            eprintln!("{name}, encrypted: {}", key.is_some());
            case(&mut new);
        }
    }
}

#[test]
fn memory_does_what_every_store_must() {
    for (name, case) in suite::CASES {
        eprintln!("{name}");
        case(&mut || Box::new(FileStore::in_memory(&suite::model()).unwrap()));
    }
}

#[test]
fn two_handles_see_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gallery");
    let mut first = FileStore::create(&path, &suite::model(), None).unwrap();
    let mut second = FileStore::open(&path, None).unwrap();
    suite::handles_see_each_other(&mut first, &mut second);
}
