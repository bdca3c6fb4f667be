//! A gallery in PostgreSQL, over a real connection: to the server at BLEDSOE_TEST_POSTGRES (an address whose user may
//! make schemas and extensions), or to PGlite, which is PostgreSQL with pgvector in WebAssembly. PGlite needs Node and
//! the packages of `pglite/package.json`, in `pglite/` or in the folder BLEDSOE_PGLITE. Without either, the tests are
//! skipped, loudly.
//!
//! PGlite has one session for all connections, so the tests are one after another. What two writers do at the same
//! moment can only be tested with a real server.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Instant,
};

use bledsoe::{
    Error,
    gallery::store::{Model, NewTemplate, Origin, PostgresStore, Role, Store},
};
use postgres::{Client, NoTls};

use crate::suite;

/// A server, and schemas in it that are there for one test.
struct Server {
    url: String,
    schemas: u32,
    process: Option<Child>,
}

impl Server {
    fn start() -> Option<Self> {
        if let Ok(url) = std::env::var("BLEDSOE_TEST_POSTGRES") {
            return Some(Self { url, schemas: 0, process: None });
        }
        let here = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/gallery/pglite"));
        let folder = std::env::var_os("BLEDSOE_PGLITE").map_or(here, PathBuf::from);
        let installed = folder.join("node_modules/@electric-sql/pglite-socket").is_dir();
        let mut command = Command::new("node");
        command.arg("server.mjs").current_dir(&folder).stdin(Stdio::piped()).stdout(Stdio::piped());
        let Some(mut process) = installed.then(|| command.spawn().ok()).flatten() else {
            // Past the test harness, which hides what passing tests print.
            let _ = writeln!(
                std::io::stderr(),
                "\n!! SKIPPED galleries in PostgreSQL: set BLEDSOE_TEST_POSTGRES, or run `npm ci` in {} (needs Node)",
                folder.display()
            );
            return None;
        };
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().strip_prefix("listening on ").unwrap();
        let url = format!("postgresql://postgres:s3cret@127.0.0.1:{port}/postgres");
        Some(Self { url, schemas: 0, process: Some(process) })
    }

    /// A connection of our own, to look behind the store.
    fn client(&self) -> Client {
        Client::connect(&self.url, NoTls).unwrap()
    }

    /// The name of a schema that is not there.
    fn schema(&mut self) -> String {
        self.schemas += 1;
        let name = format!("bledsoe_test_{}", self.schemas);
        self.client().batch_execute(&format!("DROP SCHEMA IF EXISTS {name} CASCADE")).unwrap();
        name
    }

    fn store(&mut self, model: &Model) -> PostgresStore {
        let schema = self.schema();
        PostgresStore::create(&self.url, &schema, model).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

#[test]
fn a_gallery_in_postgresql() {
    let Some(mut server) = Server::start() else { return };
    for (name, case) in suite::CASES {
        eprintln!("{name}");
        case(&mut || Box::new(server.store(&suite::model())));
    }
    let schema = server.schema();
    let mut first = PostgresStore::create(&server.url, &schema, &suite::model()).unwrap();
    let mut second = PostgresStore::open(&server.url, &schema).unwrap();
    suite::handles_see_each_other(&mut first, &mut second);
    drop((first, second));

    it_is_opened_as_it_was_made(&mut server);
    damage_is_found(&mut server);
    a_failed_statement_keeps_nothing(&mut server);
    the_index_finds_what_a_plain_loop_finds(&mut server);
}

fn it_is_opened_as_it_was_made(server: &mut Server) {
    let schema = server.schema();
    let invalid = |result: bledsoe::Result<PostgresStore>| match result {
        Err(Error::Invalid(reason)) => assert!(!reason.contains("s3cret"), "{reason}"),
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("opened"),
    };
    invalid(PostgresStore::open(&server.url, &schema));
    let mut store = PostgresStore::create(&server.url, &schema, &suite::model()).unwrap();
    let id = store.create("Ada", &BTreeMap::new()).unwrap();
    drop(store);
    let store = PostgresStore::open(&server.url, &schema).unwrap();
    assert_eq!((store.model(), store.person("Ada").unwrap().unwrap().id), (&suite::model(), id));
    assert!(store.describe().contains(&schema) && !store.describe().contains("s3cret"), "{}", store.describe());
    drop(store);
    invalid(PostgresStore::create(&server.url, &schema, &suite::model()));
    let long = Model { id: "long".into(), dim: 2001 };
    let free = server.schema();
    invalid(PostgresStore::create(&server.url, &free, &long));
    for name in ["", "pg_mine", &"x".repeat(64), "a\0"] {
        invalid(PostgresStore::create(&server.url, name, &suite::model()));
    }
    // A name is a name, whatever is in it.
    let odd = "odd \"name\"; DROP TABLE x";
    server.client().batch_execute("DROP SCHEMA IF EXISTS \"odd \"\"name\"\"; DROP TABLE x\" CASCADE").unwrap();
    assert_eq!(PostgresStore::create(&server.url, odd, &suite::model()).unwrap().people().unwrap(), []);

    server.client().batch_execute(&format!("UPDATE {schema}.gallery SET format = 99")).unwrap();
    assert!(matches!(PostgresStore::open(&server.url, &schema), Err(Error::Format { .. })));
}

fn damage_is_found(server: &mut Server) {
    let mut store = server.store(&suite::model());
    let schema = format!("bledsoe_test_{}", server.schemas);
    let ada = store.create("Ada", &BTreeMap::new()).unwrap();
    store.add(ada, &[suite::template(1), suite::template(2), suite::template(3)]).unwrap();
    assert_eq!(store.check().unwrap(), [] as [String; 0]);
    for (damage, said) in [
        ("UPDATE {}.gallery SET templates = 7", "counted"),
        ("UPDATE {}.person SET name = 'Eve'", "Eve"),
        ("UPDATE {}.template SET embedding = embedding + embedding", "length"),
        ("UPDATE {}.template SET origin = '[]'", "origin"),
        ("UPDATE {}.person SET labels = '7'", "labels"),
    ] {
        server.client().batch_execute(&damage.replace("{}", &schema)).unwrap();
        let found = store.check().unwrap();
        assert!(found.iter().any(|sentence| sentence.contains(said)), "{damage}: {found:?}");
    }
    assert!(matches!(store.templates(ada), Err(Error::Format { .. })));
    assert!(matches!(store.people(), Err(Error::Format { .. })));
}

/// Even if the work takes no notice of it.
fn a_failed_statement_keeps_nothing(server: &mut Server) {
    let mut store = server.store(&suite::model());
    let schema = format!("bledsoe_test_{}", server.schemas);
    server.client().batch_execute(&format!("DROP TABLE {schema}.note")).unwrap();
    let result = store.atomically(&mut |store| {
        store.create("Ada", &BTreeMap::new())?;
        assert!(store.set_note("note", Some(b"value")).is_err());
        Ok(())
    });
    assert!(matches!(result, Err(Error::Io { .. })), "{result:?}");
    assert_eq!(store.people().unwrap(), []);
    store.create("Ada", &BTreeMap::new()).unwrap();
}

/// Templates of people: each a few near one place, as faces are.
fn people(count: usize, each: usize, dim: usize, seed: u64) -> Vec<Vec<NewTemplate>> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut person = || {
        let place: Vec<f32> = (0..dim).map(|_| random.f32() - 0.5).collect();
        let mut one = || {
            let near: Vec<f32> = place.iter().map(|x| x + 0.3 * (random.f32() - 0.5)).collect();
            let norm = near.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
            let vector = near.iter().map(|&x| (f64::from(x) / norm) as f32).collect();
            NewTemplate { role: Role::Enrolled, vector, origin: Origin::default() }
        };
        (0..each).map(|_| one()).collect()
    };
    (0..count).map(|_| person()).collect()
}

fn the_index_finds_what_a_plain_loop_finds(server: &mut Server) {
    const DIM: usize = 32;
    let mut store = server.store(&Model { id: "index".into(), dim: DIM }).index_from(1000);
    let schema = format!("bledsoe_test_{}", server.schemas);
    let mut client = server.client();
    let mut indexed = || {
        let sql = format!("SELECT to_regclass('{schema}.template_embedding') IS NOT NULL");
        client.query_typed(&sql, &[]).unwrap()[0].get::<_, bool>(0)
    };
    let all = people(400, 5, DIM, 7);
    let mut first = 0;
    for (i, templates) in all.iter().enumerate() {
        let id = store.create(&i.to_string(), &BTreeMap::new()).unwrap();
        store.add(id, templates).unwrap();
        first = if first == 0 { id } else { first };
        assert_eq!(indexed(), 5 * (i + 1) >= 1000);
    }
    let probes: Vec<Vec<f32>> = people(50, 1, DIM, 8).into_iter().map(|mut one| one.remove(0).vector).collect();
    let probes: Vec<&[f32]> = probes.iter().map(Vec::as_slice).chain([&*all[7][2].vector]).collect();
    let found = store.nearest(&probes, 10).unwrap();
    assert_eq!(found[50][0].person, first + 7);
    let mut same = 0;
    for (probe, hits) in probes.iter().zip(&found) {
        let mut truth: Vec<f64> = all.iter().flatten().map(|t| suite::similarity(&t.vector, probe)).collect();
        truth.sort_by(|a, b| b.total_cmp(a));
        same += hits.iter().filter(|hit| f64::from(hit.similarity) >= truth[9] - 1e-6).count();
    }
    assert!(same as f64 >= 0.98 * 510.0, "{same} of 510");
    for id in first..first + 201 {
        store.erase(id).unwrap();
        assert!(store.nearest(&probes, 10).unwrap().iter().all(|hits| hits.iter().all(|hit| hit.person > id)));
    }
    assert!(!indexed());
    assert_eq!(store.check().unwrap(), [] as [String; 0]);
}

/// How fast it is: `cargo test --release --workspace --features bledsoe/postgres --test gallery -- --ignored
/// --nocapture`.
#[test]
#[ignore = "measures; takes minutes"]
fn speed() {
    const DIM: usize = 128;
    let Some(mut server) = Server::start() else { return };
    let mut store = server.store(&Model { id: "speed".into(), dim: DIM });
    let all = people(20_000, 5, DIM, 9);
    let begin = Instant::now();
    for (i, batch) in all.chunks(1000).enumerate() {
        store
            .atomically(&mut |store| {
                for (j, templates) in batch.iter().enumerate() {
                    let id = store.create(&format!("{i} {j}"), &BTreeMap::new())?;
                    store.add(id, templates)?;
                }
                Ok(())
            })
            .unwrap();
    }
    let enrolled = store.size().unwrap().templates;
    println!(
        "{enrolled} templates of {DIM}, five to a person: {:.0}/s",
        enrolled as f64 / begin.elapsed().as_secs_f64()
    );
    let id = store.create("one more", &BTreeMap::new()).unwrap();
    let batch: Vec<NewTemplate> = people(2000, 5, DIM, 10).into_iter().flatten().collect();
    let begin = Instant::now();
    store.add(id, &batch).unwrap();
    println!("{} more in one call: {:.0}/s", batch.len(), batch.len() as f64 / begin.elapsed().as_secs_f64());
    for batch in [1usize, 16] {
        let mut times: Vec<f64> = (0..9)
            .map(|i| {
                let probes: Vec<&[f32]> = all[i * batch..][..batch].iter().map(|t| t[0].vector.as_slice()).collect();
                let begin = Instant::now();
                assert_eq!(store.nearest(&probes, 10).unwrap().len(), batch);
                1e3 * begin.elapsed().as_secs_f64() / batch as f64
            })
            .collect();
        times.sort_by(f64::total_cmp);
        println!("nearest, {batch} at once: median {:.1} ms a probe", times[4]);
    }
    println!("{:?}", store.size().unwrap());
}
