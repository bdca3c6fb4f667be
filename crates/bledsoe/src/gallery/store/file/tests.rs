//! What the file itself promises, with an index that settles early, and that is grouped in cells early.

use std::collections::BTreeMap;

use half::f16;

use super::{super::Origin, *};

const DIM: usize = 32;
const KEYS: [Option<[u8; 32]>; 2] = [None, Some([7; 32])];

fn model() -> Model {
    Model { id: "tests".into(), dim: DIM }
}

fn vector(seed: u64) -> Vec<f32> {
    let mut random = fastrand::Rng::with_seed(seed);
    let v: Vec<f32> = (0..DIM).map(|_| random.f32() - 0.5).collect();
    let norm = v.iter().map(|x| x * x).sum::<f32>().sqrt();
    v.into_iter().map(|x| x / norm).collect()
}

fn template(seed: u64) -> NewTemplate {
    let photo = format!("secret photo of {seed}.jpg");
    NewTemplate { role: Role::Enrolled, vector: vector(seed), origin: Origin { photo, ..Origin::default() } }
}

fn small(mut store: FileStore) -> FileStore {
    store.db.sizes = index::Sizes { few: 500, scanned: 0, batch: 100 };
    store
}

/// The most numbers that are scanned: cells from the start, cells that come later, none.
const SCANNED: [usize; 3] = [0, 800 * DIM, usize::MAX];

fn scanning(mut store: FileStore, scanned: usize) -> FileStore {
    store.db.sizes.scanned = scanned;
    store
}

fn create(path: &Path, key: Option<[u8; 32]>) -> FileStore {
    small(FileStore::create(path, &model(), key.map(Key::new)).unwrap())
}

fn open(path: &Path, key: Option<[u8; 32]>) -> FileStore {
    small(FileStore::open(path, key.map(Key::new)).unwrap())
}

/// Enrols people of three templates each; the number of the first person is `first`.
fn enrol(store: &mut FileStore, people: std::ops::Range<u64>) -> Vec<PersonId> {
    let mut ids = Vec::new();
    store
        .atomically(&mut |store| {
            for person in people.clone() {
                let id = store.create(&format!("secret name {person}"), &BTreeMap::new())?;
                store.add(id, &[template(3 * person), template(3 * person + 1), template(3 * person + 2)])?;
                ids.push(id);
            }
            Ok(())
        })
        .unwrap();
    ids
}

fn parts_in(store: &FileStore) -> i64 {
    store.db.count("SELECT count(*) FROM part").unwrap()
}

#[track_caller]
fn assert_sound(store: &FileStore) {
    assert_eq!(store.check().unwrap(), Vec::<String>::new());
}

/// Every template of `people` is found by its own vector, and none of `gone`.
#[track_caller]
fn assert_found(store: &FileStore, people: impl IntoIterator<Item = u64>, gone: &[u64]) {
    for person in people {
        let probe = vector(3 * person + 1);
        let hit = store.nearest(&[&probe], 1).unwrap().remove(0).remove(0);
        let name = store.person_by_id(hit.person).unwrap().unwrap().name;
        assert!(!gone.contains(&person), "{name} is found");
        assert_eq!((name, hit.similarity > 0.9999), (format!("secret name {person}"), true));
    }
    for &person in gone {
        let hits = store.nearest(&[&vector(3 * person)], 20).unwrap().remove(0);
        assert!(hits.iter().all(|hit| hit.similarity < 0.999));
    }
}

/// The ways in which a vector may be written.
fn forms(vector: &[f32]) -> [Vec<u8>; 3] {
    let greatest = vector.iter().fold(0.0f32, |m, x| m.max(x.abs()));
    [
        vector.iter().flat_map(|x| x.to_le_bytes()).collect(),
        vector.iter().flat_map(|&x| f16::from_f32(x).to_le_bytes()).collect(),
        vector.iter().map(|x| (x / (greatest / 127.0)).round() as i8 as u8).collect(),
    ]
}

/// How often any form of the vector, or an eighth of it, is in the file or beside it.
fn traces(folder: &Path, seed: u64) -> usize {
    let files = fs::read_dir(folder).unwrap().map(|file| fs::read(file.unwrap().path()).unwrap());
    let bytes: Vec<u8> = files.flatten().collect();
    let forms = forms(&vector(seed));
    let pieces: Vec<&[u8]> = forms.iter().flat_map(|form| form.chunks(form.len() / 4)).collect();
    let [shortest, ..] = forms.each_ref().map(|form| form.len() / 4);
    assert!(shortest >= 8);
    bytes.windows(8).filter(|window| pieces.iter().any(|piece| piece.starts_with(window))).count()
}

#[test]
fn the_index_is_kept_and_followed() {
    for (key, scanned) in KEYS.into_iter().flat_map(|key| SCANNED.map(|scanned| (key, scanned))) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gallery");
        let create = |path, key| scanning(create(path, key), scanned);
        let open = |path, key| scanning(open(path, key), scanned);
        let mut store = create(&path, key);
        enrol(&mut store, 0..150);
        assert_found(&store, [0, 77, 149], &[]);
        assert_eq!(parts_in(&store), 0);
        enrol(&mut store, 150..400);
        assert_found(&store, (0..400).step_by(7), &[]);
        assert!(parts_in(&store) > 1, "the index is in the file");
        assert_sound(&store);

        // Another handle reads it, and follows what the first does.
        let mut other = open(&path, key);
        assert_found(&other, (0..400).step_by(7), &[]);
        assert_eq!(other.db.connection.total_changes(), 0, "it is not built anew");
        let later = enrol(&mut store, 400..420);
        assert_found(&other, [405, 419, 3], &[]);
        other.erase(later[5]).unwrap();
        other.erase(7).unwrap();
        assert_found(&store, [5, 404, 7], &[405, 6]);
        assert_found(&other, [5, 404, 7], &[405, 6]);
        enrol(&mut other, 420..600);
        assert_found(&other, (420..600).step_by(11), &[405, 6]);
        assert_found(&store, (420..600).step_by(11), &[405, 6]);
        assert_sound(&store);
        drop((store, other));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside the file");
        assert_found(&open(&path, key), (420..600).step_by(11).chain([5, 404, 7]), &[405, 6]);
    }
}

#[test]
fn who_missed_too_many_erasures_reads_the_index_anew() {
    for scanned in SCANNED {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gallery");
        let mut store = scanning(create(&path, None), scanned);
        let ids = enrol(&mut store, 0..300);
        store.build_index(&mut |_, _| Ok(())).unwrap();
        enrol(&mut store, 300..310);
        let other = scanning(open(&path, None), scanned);
        assert_found(&other, [5, 305], &[]);
        store.erase(ids[5]).unwrap();
        store.erase(ids[6]).unwrap();
        // As if these were long ago.
        store.db.execute("DELETE FROM erased WHERE number < 5", []).unwrap();
        assert_found(&other, [4, 7, 305], &[5, 6]);
    }
}

#[test]
fn nothing_of_an_erased_vector_remains_in_the_file() {
    for scanned in SCANNED {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gallery");
        let mut store = scanning(create(&path, None), scanned);
        let mut ids = enrol(&mut store, 0..300);
        store.build_index(&mut |_, _| Ok(())).unwrap();
        assert!(parts_in(&store) > 1);
        ids.extend(enrol(&mut store, 300..330));
        let seeds = |person: u64| 3 * person..3 * person + 3;
        // In the templates, and those that settled as int8 too.
        assert!(seeds(299).all(|seed| traces(folder.path(), seed) >= 2));
        assert!(seeds(329).all(|seed| traces(folder.path(), seed) >= 1));

        // With the index in memory, without it, within a greater change, and one that has not settled.
        store.nearest(&[&vector(1)], 1).unwrap();
        store.erase(ids[10]).unwrap();
        drop(store);
        let mut store = scanning(open(&path, None), scanned);
        store.erase(ids[299]).unwrap();
        assert!(store.index.borrow().is_none(), "a person is erased without reading the index");
        store.erase(ids[329]).unwrap();
        store
            .atomically(&mut |store| {
                store.hand_over(ids[20], ids[21])?;
                store.erase(ids[21]).map(|_| ())
            })
            .unwrap();
        for person in [10, 299, 329, 20, 21] {
            assert!(seeds(person).all(|seed| traces(folder.path(), seed) == 0), "{person}");
            let bytes = fs::read(&path).unwrap();
            let photo = format!("secret photo of {}.jpg", 3 * person);
            assert!(!bytes.windows(photo.len()).any(|window| window == photo.as_bytes()));
        }
        assert!(seeds(11).all(|seed| traces(folder.path(), seed) >= 2), "the others are as they were");
        assert_found(&store, [9, 11, 22, 298, 328], &[10, 299, 329, 20, 21]);
        assert_sound(&store);
    }
}

#[test]
fn churn_leaves_nothing_of_the_erased() {
    for scanned in SCANNED {
        let folder = tempfile::tempdir().unwrap();
        let mut store = scanning(create(&folder.path().join("gallery"), None), scanned);
        let mut random = fastrand::Rng::with_seed(9);
        let (mut live, mut gone) = (Vec::new(), Vec::new());
        for round in 0..60u64 {
            let people = 40 * round..40 * round + random.u64(1..40);
            live.extend(people.clone().zip(enrol(&mut store, people)));
            for _ in 0..random.usize(..40).min(live.len()) {
                let (person, id) = live.swap_remove(random.usize(..live.len()));
                store.erase(id).unwrap();
                gone.push(person);
            }
            if round % 7 == 3 {
                store.build_index(&mut |_, _| Ok(())).unwrap();
            }
        }
        let bytes: Vec<u8> = fs::read(folder.path().join("gallery")).unwrap();
        let windows: std::collections::HashSet<&[u8]> = bytes.windows(16).collect();
        let left = |person: u64| {
            let forms = (3 * person..3 * person + 3).flat_map(|seed| forms(&vector(seed)));
            forms.filter(|form| form.chunks_exact(16).any(|piece| windows.contains(piece))).count()
        };
        assert!(gone.len() > 300);
        assert_eq!(gone.iter().filter(|&&person| left(person) > 0).count(), 0);
        assert!(live.iter().all(|&(person, _)| left(person) > 0));
        assert_sound(&store);
    }
}

#[test]
fn an_encrypted_gallery_shows_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gallery");
    for key in KEYS {
        let _ = fs::remove_file(&path);
        let mut store = create(&path, key);
        enrol(&mut store, 0..200);
        store.update(3, "secret name", &[("secret label".to_owned(), "secret value".to_owned())].into()).unwrap();
        store.set_note("secret note", Some(b"secret content")).unwrap();
        store.build_index(&mut |_, _| Ok(())).unwrap();
        assert!(parts_in(&store) > 1);
        drop(store);
        let bytes = fs::read(&path).unwrap();
        let secret = bytes.windows(6).filter(|window| window == b"secret").count();
        let found = traces(folder.path(), 33);
        match key {
            None => assert!(secret > 600 && found >= 2, "else this test finds nothing anywhere"),
            Some(_) => assert_eq!((secret, found), (0, 0)),
        }
        assert!(!bytes.windows(16).any(|window| window == b"bledsoe search 1") || key.is_none());
    }
}

#[test]
fn the_right_key_is_needed() {
    let folder = tempfile::tempdir().unwrap();
    let [plain, secret] = ["plain", "secret"].map(|name| folder.path().join(name));
    create(&plain, None);
    enrol(&mut create(&secret, Some([1; 32])), 0..2);
    let reason = |path: &Path, key: Option<[u8; 32]>| match FileStore::open(path, key.map(Key::new)) {
        Err(Error::Invalid(reason)) => reason,
        Err(e) => panic!("{e:?}"),
        Ok(_) => panic!("it was opened"),
    };
    assert!(reason(&secret, None).contains("its key is needed"));
    assert!(reason(&secret, Some([2; 32])).contains("not the key"));
    assert!(reason(&plain, Some([1; 32])).contains("not encrypted"));
    assert_sound(&open(&secret, Some([1; 32])));
}

#[test]
fn what_is_no_gallery_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gallery");
    let reason = |path: &Path| match FileStore::open(path, None) {
        Err(Error::Format { reason, .. }) => reason,
        Err(e) => panic!("{e:?}"),
        Ok(_) => panic!("it was opened"),
    };
    assert!(matches!(FileStore::open(&path, None), Err(Error::Io { .. })));
    assert!(!path.exists(), "opening makes no file");
    fs::write(
        &path,
        "a text, and longer than the head of a database is, which has one hundred bytes; this one too, or so I hope",
    )
    .unwrap();
    assert_eq!(reason(&path), "not a gallery");
    assert!(matches!(FileStore::create(&path, &model(), None), Err(Error::Io { .. })));
    fs::write(&path, "").unwrap();
    assert_eq!(reason(&path), "not a gallery");
    drop(create(&path, None));
    assert!(matches!(FileStore::create(&path, &model(), None), Err(Error::Io { .. })), "nothing is overwritten");
    assert_sound(&open(&path, None));

    let other = folder.path().join("other");
    Connection::open(&other).unwrap().execute_batch("CREATE TABLE person (id)").unwrap();
    assert_eq!(reason(&other), "not a gallery");
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch("PRAGMA user_version = 9").unwrap();
    assert!(reason(&path).contains("version 9"));
    assert!(FileStore::create(&other, &Model { id: "m".into(), dim: 0 }, None).is_err());
}

/// Says that something is wrong, or refuses to read it at all.
fn notices(path: &Path, key: Option<[u8; 32]>) -> bool {
    match FileStore::open(path, key.map(Key::new)) {
        Err(_) => true,
        Ok(store) => store.check().map_or(true, |faults| !faults.is_empty()),
    }
}

#[test]
fn exchanged_and_changed_rows_are_noticed() {
    for key in KEYS {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gallery");
        let mut store = create(&path, key);
        enrol(&mut store, 0..200);
        let rejected = NewTemplate { role: Role::Rejected, ..template(7000) };
        store.add(1, &[rejected]).unwrap();
        store.set_note("a", Some(b"1")).unwrap();
        store.set_note("b", Some(b"2")).unwrap();
        store.build_index(&mut |_, _| Ok(())).unwrap();
        drop(store);
        assert!(!notices(&path, key));
        let sound = fs::read(&path).unwrap();
        let exchange = |table: &str, column: &str, id: &str, a: &str, b: &str| {
            format!(
                "CREATE TEMP TABLE kept AS SELECT {column} AS v FROM {table} WHERE {id} = {a}; \
                 UPDATE {table} SET {column} = (SELECT {column} FROM {table} WHERE {id} = {b}) WHERE {id} = {a}; \
                 UPDATE {table} SET {column} = (SELECT v FROM kept) WHERE {id} = {b};"
            )
        };
        for change in [
            exchange("person", "sealed", "id", "1", "2"),
            exchange("template", "vector", "id", "1", "5"),
            exchange("template", "origin", "id", "1", "5"),
            exchange("part", "sealed", "number", "0", "1"),
            exchange("place", "row", "template", "1", "5"),
            "UPDATE template SET vector = origin WHERE id = 1".into(),
            "UPDATE template SET person = 2 WHERE id = 1".into(),
            "UPDATE template SET role = 0 WHERE role = 1".into(),
            "UPDATE template SET role = 1 WHERE id = 1".into(),
            "UPDATE template SET role = 'x' WHERE id = 1".into(),
            "UPDATE note SET sealed = (SELECT max(sealed) FROM note)".into(),
            "DELETE FROM person WHERE id = 1".into(),
            "DELETE FROM template WHERE id = 1".into(),
            "DELETE FROM place WHERE template = 1".into(),
            "DELETE FROM part WHERE number = 1".into(),
            "UPDATE place SET row = 100000 WHERE template = 1".into(),
            "UPDATE sqlite_sequence SET seq = 3".into(),
            "DELETE FROM gallery".into(),
            "UPDATE gallery SET salt = x'00', sealed = sealed || x'00'".into(),
        ] {
            fs::write(&path, &sound).unwrap();
            Connection::open(&path).unwrap().execute_batch(&change).unwrap();
            assert!(notices(&path, key), "{change}");
        }
        fs::write(&path, &sound).unwrap();
        assert!(!notices(&path, key));
    }
}

/// Does everything that reads, and some that writes; what it returns does not matter.
fn use_all(path: &Path, key: Option<[u8; 32]>) -> Result<()> {
    let mut store = small(FileStore::open(path, key.map(Key::new))?);
    let _ = store.check();
    let _ = store.people();
    let _ = store.size();
    let _ = store.note("note");
    let _ = store.nearest(&[&vector(5)], 3);
    let _ = store.templates(2);
    let _ = store.visit(&mut |_| Ok(()));
    let _ = store.create("new", &BTreeMap::new()).and_then(|id| store.add(id, &[template(9)]));
    let _ = store.erase(2);
    let _ = store.nearest(&[&vector(6)], 3);
    Ok(())
}

#[test]
fn a_damaged_file_never_panics() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gallery");
    let mut random = fastrand::Rng::with_seed(3);
    for (key, scanned) in KEYS.into_iter().zip([0, usize::MAX]).chain([(None, usize::MAX)]) {
        let _ = fs::remove_file(&path);
        let mut store = scanning(create(&path, key), scanned);
        enrol(&mut store, 0..180);
        store.set_note("note", Some(&[1; 40_000])).unwrap();
        store.build_index(&mut |_, _| Ok(())).unwrap();
        drop(store);
        let sound = fs::read(&path).unwrap();
        let mut noticed = 0;
        for round in 0..300 {
            let mut bytes = sound.clone();
            match round % 6 {
                0 => bytes.truncate(random.usize(..bytes.len())),
                // The head, and the schema after it.
                1 => bytes[random.usize(..100)] = random.u8(..),
                2 => bytes[random.usize(..16 << 10)] ^= 1 << random.u8(..8),
                // The head of a page.
                3 => {
                    let page = random.usize(..bytes.len() / (16 << 10)) * (16 << 10);
                    bytes[page + random.usize(..16)] = random.u8(..);
                }
                4 => {
                    let start = random.usize(..bytes.len() - 64);
                    bytes[start..start + 64].iter_mut().for_each(|byte| *byte = random.u8(..));
                }
                _ => {
                    let place = random.usize(..bytes.len());
                    bytes[place] ^= 1 << random.u8(..8);
                }
            }
            fs::write(&path, &bytes).unwrap();
            noticed += usize::from(notices(&path, key));
            let _ = use_all(&path, key);
            let _ = fs::remove_file(folder.path().join("gallery-journal"));
        }
        assert!(noticed > 150, "{noticed} of 300");
    }
}

#[test]
fn a_damaged_index_is_built_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gallery");
    let mut store = create(&path, None);
    let ids = enrol(&mut store, 0..200);
    store.build_index(&mut |_, _| Ok(())).unwrap();
    drop(store);
    Connection::open(&path).unwrap().execute("UPDATE part SET sealed = x'00' WHERE number = 1", []).unwrap();
    let mut store = open(&path, None);
    let refused = store.nearest(&[&vector(1)], 1);
    assert!(matches!(&refused, Err(Error::Format { reason, .. }) if reason.contains("built anew")), "{refused:?}");
    store.build_index(&mut |_, _| Ok(())).unwrap();
    assert_found(&store, 0..200, &[]);
    assert_sound(&store);

    // Who is erased must be gone from an index that cannot be read: all of it goes.
    Connection::open(&path).unwrap().execute("UPDATE part SET sealed = x'00' WHERE number = 1", []).unwrap();
    let mut store = open(&path, None);
    store.erase(ids[0]).unwrap();
    assert_eq!(parts_in(&store), 0);
    assert_sound(&store);
    assert_found(&store, 1..200, &[0]);
}

#[test]
fn a_graph_of_an_earlier_version_is_built_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gallery");
    let mut store = create(&path, None);
    let ids = enrol(&mut store, 0..200);
    let graph = |store: &FileStore| {
        let head = r#"{"layout":{"storage":2,"dim":32,"rows":600,"starts":64,"slots":48},"length":64,"last":600}"#;
        for (number, piece) in [(0, head.as_bytes()), (1, &[1; 64])] {
            let sealed = store.db.seal.close(seal::Place::part(number), piece).unwrap();
            store
                .db
                .execute("INSERT OR REPLACE INTO part (number, sealed) VALUES (?1, ?2)", params![number, sealed])
                .unwrap();
        }
    };
    store.build_index(&mut |_, _| Ok(())).unwrap();
    graph(&store);
    drop(store);
    let mut store = open(&path, None);
    assert_sound(&store);
    assert_found(&store, (0..200).step_by(7), &[]);
    store.build_index(&mut |_, _| Ok(())).unwrap();
    assert!(parts::head(&store.db).unwrap().is_some(), "it is written over the graph");
    assert_found(&open(&path, None), (0..200).step_by(7), &[]);

    // Who is erased must be gone from the graph too: all of it goes.
    graph(&store);
    drop(store);
    let mut store = open(&path, None);
    store.erase(ids[0]).unwrap();
    assert_eq!(parts_in(&store), 0);
    assert_found(&store, 1..200, &[0]);
}

#[test]
fn work_that_panics_leaves_nothing() {
    let mut store = FileStore::in_memory(&model()).unwrap();
    enrol(&mut store, 0..2);
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        store.atomically(&mut |store| {
            store.erase(1)?;
            panic!("as this test wants");
        })
    }));
    assert!(panicked.is_err());
    assert_eq!(store.people().unwrap().len(), 2);
    enrol(&mut store, 2..3);
}

#[test]
fn a_file_that_may_not_be_written_can_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gallery");
    let mut store = create(&path, None);
    enrol(&mut store, 0..200);
    drop(store);
    // Who runs this may be root, whom no permission stops: SQLite is told so.
    let connection = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let mut store = open(&path, None);
    store.db.connection = connection;
    assert_found(&store, [3, 150], &[]);
    assert!(matches!(store.create("new", &BTreeMap::new()), Err(Error::Io { .. })));
    assert_sound(&store);
}
