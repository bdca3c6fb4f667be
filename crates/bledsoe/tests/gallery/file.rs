//! The store in a file: the suite, and what it promises besides.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

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

/// Where the child of the next test works.
const KILLED: &str = "BLEDSOE_TEST_KILLED";
const KILLS: usize = 200;

fn name(number: u64) -> String {
    format!("person {number}")
}

/// Not a test: what the next one starts and kills. Enrols people, and erases some, and says so when it is done.
#[test]
fn child_that_is_killed() {
    let Some(path) = std::env::var_os(KILLED) else { return };
    let path = Path::new(&path);
    let mut store = match FileStore::open(path, None) {
        Err(_) => FileStore::create(path, &suite::model(), None).unwrap(),
        opened => opened.unwrap(),
    };
    let mut out = std::io::stdout();
    let mut say = |what: &str, number: u64| {
        writeln!(out, "\n{what} {number}").unwrap();
        out.flush().unwrap();
    };
    say("ready", 0);
    let first = store.people().unwrap().iter().filter_map(|p| p.name.strip_prefix("person ")?.parse().ok()).max();
    for number in first.map_or(0, |first: u64| first + 1).. {
        store
            .atomically(&mut |store| {
                let id = store.create(&name(number), &BTreeMap::new())?;
                store.add(id, &[suite::template(2 * number), suite::template(2 * number + 1)])?;
                store.set_note("last", Some(name(number).as_bytes()))
            })
            .unwrap();
        say("enrolled", number);
        if number % 3 == 0 && number > 10 {
            say("erasing", number - 10);
            let person = store.person(&name(number - 10)).unwrap();
            store.erase(person.map_or(0, |person| person.id)).ok();
            say("erased", number - 10);
        }
    }
}

#[test]
fn what_was_acknowledged_survives_being_killed() {
    let folder = tempfile::tempdir().unwrap();
    let mut random = fastrand::Rng::new();
    eprintln!("seed {}", random.get_seed());
    let (mut enrolled, mut erasing, mut erased) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let mut path = PathBuf::new();
    let mut acknowledged = 0;
    for kill in 0..KILLS {
        if kill % 25 == 0 {
            path = folder.path().join(kill.to_string());
            [&mut enrolled, &mut erasing, &mut erased].into_iter().for_each(BTreeSet::clear);
        }
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "file::child_that_is_killed", "--nocapture"])
            .env(KILLED, &path)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        // One in four is killed while it starts.
        let delay = Duration::from_micros(if kill % 4 == 0 { random.u64(..8000) } else { random.u64(..60_000) });
        if kill % 4 != 0 {
            assert!(lines.any(|line| line == "ready 0"), "the child did not start");
        }
        std::thread::sleep(delay);
        child.kill().unwrap();
        child.wait().unwrap();
        for line in lines {
            // The last may be cut.
            let Some((what, Ok(number))) = line.split_once(' ').map(|(what, number)| (what, number.parse::<u64>()))
            else {
                continue;
            };
            match what {
                "enrolled" => enrolled.insert(number),
                "erasing" => erasing.insert(number),
                "erased" => erased.insert(number),
                _ => continue,
            };
            acknowledged += 1;
        }
        let store = match FileStore::open(&path, None) {
            // Killed before it was made.
            Err(_) if enrolled.is_empty() => continue,
            opened => opened.unwrap(),
        };
        assert_eq!(store.check().unwrap(), Vec::<String>::new());
        let people = store.people().unwrap();
        let there = |number: u64| people.iter().find(|person| person.name == name(number));
        for &number in &enrolled {
            match there(number) {
                Some(person) => assert!(person.templates == 2 && !erased.contains(&number), "{}", person.name),
                None => assert!(erasing.contains(&number), "person {number} was acknowledged and is lost"),
            }
        }
        // Nobody is there by half, acknowledged or not.
        assert!(people.iter().all(|person| person.templates == 2));
        let last = people.iter().max_by_key(|person| person.id).map(|person| person.name.clone().into_bytes());
        assert_eq!(store.note("last").unwrap(), last);
    }
    assert!(acknowledged > KILLS, "{acknowledged} changes: the children were killed too early to test anything");
    eprintln!("{acknowledged} acknowledged changes");
}
