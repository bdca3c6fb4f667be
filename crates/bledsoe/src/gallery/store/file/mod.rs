//! A gallery in one file.
//!
//! The file is a SQLite database in rollback-journal mode: one process writes while many read, and a change is whole or
//! not there at all. Every piece of it is sealed (see [`Seal`]): damage is noticed, and with a [`Key`] names, labels,
//! photos, vectors, notes and the index are unreadable. What stays visible then: how many people, templates and notes
//! there are, who has how many, and how long each piece is. Whoever can write the file can put an older state of it
//! back.
//!
//! **Erasing** overwrites: `secure_delete` fills deleted bytes with zeros, and a template's row in the search index is
//! zeroed in place. While a change is under way the old bytes are in a journal beside the file, which is deleted at its
//! end; what a file system or an SSD keeps of deleted files no program can promise.
//!
//! **Why SQLite**: redb and LMDB write changed pages to new places and fjall merges files later, so that erased bytes
//! stay in the file until chance writes over them; none of them can be told otherwise. SQLite can, lets processes share
//! the file, and needs nothing else beside it at rest. It costs a C compiler, and a minute of one core to build.
//!
//! **Searching**: see [`index`].

mod check;
mod index;
mod parts;
mod schema;
mod seal;
#[cfg(test)]
mod tests;

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

pub use self::seal::{KEY_VARIABLE, Key};
use self::{
    index::Index,
    schema::Refusal,
    seal::{Place, SALT, Seal},
};
use super::{Hit, Model, NewTemplate, Person, PersonId, Role, Size, Store, StoredTemplate, TemplateId, TemplateVector};
use crate::{Error, Result, search};

/// People and templates in one file, or in memory.
pub struct FileStore {
    db: Db,
    index: RefCell<Option<Index>>,
    /// Whether a call of [`Store::atomically`] is under way.
    working: bool,
    /// Whether it has changed anything.
    wrote: bool,
    /// Whether the index has seen such changes.
    tainted: Cell<bool>,
}

/// The database, and how its pieces are read and written.
struct Db {
    connection: Connection,
    seal: Seal,
    model: Model,
    /// For errors.
    path: PathBuf,
    /// What the index does with how many templates: smaller in tests.
    sizes: index::Sizes,
}

const FLAGS: OpenFlags = OpenFlags::SQLITE_OPEN_READ_WRITE.union(OpenFlags::SQLITE_OPEN_NO_MUTEX);
const MEMORY: &str = "<memory>";
/// How many templates a visit reads at once. Between two readings, others may write.
const VISITED: i64 = 256;
/// So many numbers of erased templates are kept for other processes; one that missed more reads its index anew.
const ERASED_KEPT: i64 = 100_000;

impl FileStore {
    /// A new gallery in a new file that only its owner may read (on Unix), encrypted if a key is given. An empty file
    /// is taken for a new one: that is what is left where this was interrupted.
    ///
    /// # Errors
    /// [`Error::Io`] when there is a file at `path` or none can be made, [`Error::Invalid`] for a model without
    /// numbers.
    pub fn create(path: &Path, model: &Model, key: Option<Key>) -> Result<Self> {
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        match options.open(path) {
            Err(e) if e.kind() == ErrorKind::AlreadyExists && fs::metadata(path).is_ok_and(|file| file.len() == 0) => {}
            opened => _ = opened.map_err(|e| Error::io(path, e))?,
        }
        let connection = Connection::open_with_flags(path, FLAGS).map_err(|e| fault(path, e))?;
        Self::fill(connection, path, model, key)
    }

    /// Opens a gallery. A file that may not be written can still be read.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Format`] for a file that is no gallery, of a newer version, or damaged;
    /// [`Error::Invalid`] when the key is missing, wrong, or given for a gallery that is not encrypted.
    pub fn open(path: &Path, key: Option<Key>) -> Result<Self> {
        // The system says more clearly than SQLite why it cannot be opened.
        fs::File::open(path).map_err(|e| Error::io(path, e))?;
        let sql = |e| fault(path, e);
        let connection = Connection::open_with_flags(path, FLAGS).map_err(sql)?;
        schema::configure(&connection).map_err(sql)?;
        schema::verify(&connection, schema::MIGRATIONS).map_err(|refusal| match refusal {
            Refusal::Sql(e) => fault(path, e),
            Refusal::Reason(reason) => Error::format(path, reason),
        })?;
        let row = connection.query_row("SELECT encrypted, salt, sealed FROM gallery", [], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?, row.get::<_, Vec<u8>>(2)?))
        });
        let (encrypted, salt, sealed) = row.map_err(sql)?;
        let refused = |reason: &str| Err(Error::Invalid(format!("{}: {reason}", path.display())));
        match (encrypted != 0, key.is_some()) {
            (true, false) => return refused("an encrypted gallery: its key is needed"),
            (false, true) => return refused("a key was given, but this gallery is not encrypted"),
            _ => {}
        }
        let seal = Seal::new(key.as_ref(), &salt);
        let Some(model) = seal.open(Place::GALLERY, &sealed) else {
            return match key {
                Some(_) => refused("not the key of this gallery"),
                None => Err(damaged(path, "the gallery's own row")),
            };
        };
        let model = serde_json::from_slice(&model).map_err(|e| Error::format(path, e.to_string()))?;
        Self::new(connection, path, model, seal)
    }

    /// A new gallery that is gone when dropped.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a model without numbers.
    pub fn in_memory(model: &Model) -> Result<Self> {
        let path = Path::new(MEMORY);
        let connection = Connection::open_in_memory().map_err(|e| fault(path, e))?;
        Self::fill(connection, path, model, None)
    }

    fn fill(connection: Connection, path: &Path, model: &Model, key: Option<Key>) -> Result<Self> {
        schema::configure(&connection).and_then(|()| schema::prepare(&connection)).map_err(|e| fault(path, e))?;
        let salt: [u8; SALT] = seal::random()?;
        let store = Self::new(connection, path, model.clone(), Seal::new(key.as_ref(), &salt))?;
        let db = &store.db;
        let sealed = db.seal.close(Place::GALLERY, &json(model)?)?;
        // One change: a gallery is there whole, or the file is empty.
        db.transaction("BEGIN EXCLUSIVE", "COMMIT", "ROLLBACK", || {
            if !schema::create(&db.connection).map_err(|e| db.sql(e))? {
                return Err(Error::io(path, ErrorKind::AlreadyExists.into()));
            }
            let row = params![key.is_some(), salt, sealed];
            db.execute("INSERT INTO gallery (id, encrypted, salt, sealed) VALUES (1, ?1, ?2, ?3)", row)
        })?;
        Ok(store)
    }

    fn new(connection: Connection, path: &Path, model: Model, seal: Seal) -> Result<Self> {
        // As much as an index can hold.
        search::Exact::new(model.dim, search::Storage::F32)?;
        let db = Db { connection, seal, model, path: path.to_owned(), sizes: index::Sizes::default() };
        Ok(Self { db, index: RefCell::default(), working: false, wrote: false, tainted: Cell::new(false) })
    }

    /// Changes something, wholly or not at all.
    fn write<T>(&mut self, work: impl FnOnce(&Db) -> Result<T>) -> Result<T> {
        let db = &self.db;
        if !self.working {
            return db.transaction("BEGIN IMMEDIATE", "COMMIT", "ROLLBACK", || work(db));
        }
        // Some errors, such as a full disk, end the whole transaction.
        if db.connection.is_autocommit() {
            return Err(Error::io(&db.path, std::io::Error::other("the change was abandoned after an error")));
        }
        self.wrote = true;
        db.transaction("SAVEPOINT change", "RELEASE change", "ROLLBACK TO change; RELEASE change", || work(db))
    }

    /// Takes erased templates out of the index in memory, so that nothing of them stays there.
    fn forget(&self) -> Result<()> {
        let mut index = self.index.borrow_mut();
        if index.is_some() {
            self.tainted.set(self.tainted.get() || self.wrote);
            self.db.read(|| Index::sync_erased(&mut index, &self.db))?;
        }
        Ok(())
    }

    /// Brings the index up to date, and writes it to the file if much is new.
    fn prepare(&self, progress: &mut dyn FnMut(usize, usize) -> Result<()>) -> Result<()> {
        let mut index = self.index.borrow_mut();
        index::prepare(&mut index, &self.db, progress)?;
        if !self.working && self.db.keeps_index() && index.as_ref().is_some_and(|index| index.is_worth_saving(&self.db))
        {
            // It answers from memory all the same; `build_index` says why it cannot be kept.
            let _ = index::save(&mut index, &self.db);
        }
        Ok(())
    }
}

impl Db {
    fn sql(&self, e: rusqlite::Error) -> Error {
        fault(&self.path, e)
    }

    fn damaged(&self, what: impl std::fmt::Display) -> Error {
        damaged(&self.path, what)
    }

    fn transaction<T>(&self, begin: &str, commit: &str, rollback: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        self.batch(begin)?;
        let done = work().and_then(|value| self.batch(commit).map(|()| value));
        // After some errors SQLite has already rolled back.
        done.inspect_err(|_| _ = self.connection.execute_batch(rollback))
    }

    /// Several readings of one state.
    fn read<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        if self.connection.is_autocommit() { self.transaction("BEGIN", "COMMIT", "ROLLBACK", work) } else { work() }
    }

    fn batch(&self, sql: &str) -> Result<()> {
        self.connection.execute_batch(sql).map_err(|e| self.sql(e))
    }

    fn execute(&self, sql: &str, params: impl rusqlite::Params) -> Result<usize> {
        let mut statement = self.connection.prepare_cached(sql).map_err(|e| self.sql(e))?;
        statement.execute(params).map_err(|e| self.sql(e))
    }

    fn one<T>(
        &self,
        sql: &str,
        params: impl rusqlite::Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>> {
        let mut statement = self.connection.prepare_cached(sql).map_err(|e| self.sql(e))?;
        statement.query_row(params, read).optional().map_err(|e| self.sql(e))
    }

    fn all<T>(
        &self,
        sql: &str,
        params: impl rusqlite::Params,
        mut read: impl FnMut(&Row<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        let mut all = Vec::new();
        self.each(sql, params, |row| {
            all.push(read(row)?);
            Ok(())
        })?;
        Ok(all)
    }

    fn each(
        &self,
        sql: &str,
        params: impl rusqlite::Params,
        mut read: impl FnMut(&Row<'_>) -> Result<()>,
    ) -> Result<()> {
        let mut statement = self.connection.prepare_cached(sql).map_err(|e| self.sql(e))?;
        let mut rows = statement.query(params).map_err(|e| self.sql(e))?;
        while let Some(row) = rows.next().map_err(|e| self.sql(e))? {
            read(row)?;
        }
        Ok(())
    }

    fn number(&self, row: &Row<'_>, column: usize) -> Result<i64> {
        row.get(column).map_err(|e| self.sql(e))
    }

    fn blob<'a>(&self, row: &'a Row<'_>, column: usize) -> Result<&'a [u8]> {
        row.get_ref(column)
            .map_err(|e| self.sql(e))?
            .as_blob()
            .map_err(|_| self.damaged("a number or text where bytes should be"))
    }

    fn count(&self, sql: &str) -> Result<i64> {
        Ok(self.one(sql, [], |row| row.get(0))?.unwrap_or(0))
    }

    /// The highest number that `table` ever gave.
    fn sequence(&self, table: &str) -> Result<i64> {
        let found = self.one("SELECT seq FROM sqlite_sequence WHERE name = ?1", [table], |row| row.get(0))?;
        Ok(found.unwrap_or(0))
    }

    /// Whether an index can be written to the file, and is of use there.
    fn keeps_index(&self) -> bool {
        self.path != Path::new(MEMORY) && self.connection.is_readonly(rusqlite::MAIN_DB) == Ok(false)
    }

    /// `id, name, sealed, templates` of a row.
    fn person(&self, row: &Row<'_>) -> Result<Person> {
        let id = self.number(row, 0)?;
        let piece = self.seal.open(Place::person(id), self.blob(row, 2)?);
        let sealed: Option<SealedPerson> = piece.and_then(|piece| serde_json::from_slice(&piece).ok());
        let sound = sealed.filter(|sealed| self.blob(row, 1).is_ok_and(|name| name == self.seal.name(&sealed.name)));
        let SealedPerson { name, labels } = sound.ok_or_else(|| self.damaged(format!("person {id}")))?;
        Ok(Person { id, name, labels, templates: usize::try_from(self.number(row, 3)?).unwrap_or(0) })
    }

    /// `id, person, role, vector` of a row: the first three, and the vector.
    fn vector(&self, row: &Row<'_>) -> Result<(TemplateId, PersonId, Role, Vec<f32>)> {
        let [id, person, role] = [self.number(row, 0)?, self.number(row, 1)?, self.number(row, 2)?];
        let bytes = self.seal.open(Place::vector(id, person, role), self.blob(row, 3)?);
        let vector = bytes.and_then(|bytes| match bytes.as_chunks() {
            (numbers, []) if numbers.len() == self.model.dim => {
                Some(numbers.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect::<Vec<f32>>())
            }
            _ => None,
        });
        let broken = || self.damaged(format!("template {id}"));
        let vector = vector.ok_or_else(broken)?;
        search::check(&[&vector], self.model.dim).map_err(|_| broken())?;
        Ok((id, person, role_of(role).ok_or_else(broken)?, vector))
    }

    /// `id, person, role, vector, origin` of a row.
    fn template(&self, row: &Row<'_>) -> Result<StoredTemplate> {
        let (id, person, role, vector) = self.vector(row)?;
        let origin = self.seal.open(Place::origin(id, person, number_of(role)), self.blob(row, 4)?);
        let origin = origin.and_then(|origin| serde_json::from_slice(&origin).ok());
        let origin = origin.ok_or_else(|| self.damaged(format!("where template {id} came from")))?;
        Ok(StoredTemplate { id, person, template: NewTemplate { role, vector, origin } })
    }

    fn seal_template(&self, stored: &StoredTemplate) -> Result<(Vec<u8>, Vec<u8>)> {
        let StoredTemplate { id, person, template: NewTemplate { role, vector, origin } } = stored;
        let role = number_of(*role);
        let bytes: Vec<u8> = vector.iter().flat_map(|x| x.to_le_bytes()).collect();
        Ok((
            self.seal.close(Place::vector(*id, *person, role), &bytes)?,
            self.seal.close(Place::origin(*id, *person, role), &json(origin)?)?,
        ))
    }

    fn exists(&self, id: PersonId) -> Result<()> {
        match self.one("SELECT 1 FROM person WHERE id = ?1", [id], |_| Ok(()))? {
            Some(()) => Ok(()),
            None => Err(Error::Invalid(format!("no person has the number {id}"))),
        }
    }

    /// Refuses a name that another person has.
    fn is_free(&self, name: &str, key: &[u8; 32], owner: PersonId) -> Result<()> {
        match self.one("SELECT id FROM person WHERE name = ?1", [key], |row| row.get::<_, i64>(0))? {
            Some(id) if id != owner => Err(Error::Invalid(format!("somebody is already called {name:?}"))),
            _ => Ok(()),
        }
    }

    fn templates_of(&self, id: PersonId) -> Result<Vec<StoredTemplate>> {
        self.all("SELECT id, person, role, vector, origin FROM template WHERE person = ?1 ORDER BY id", [id], |row| {
            self.template(row)
        })
    }
}

#[derive(Serialize, Deserialize)]
struct SealedPerson {
    name: String,
    labels: BTreeMap<String, String>,
}

fn number_of(role: Role) -> i64 {
    match role {
        Role::Enrolled => 0,
        Role::Rejected => 1,
    }
}

fn role_of(number: i64) -> Option<Role> {
    match number {
        0 => Some(Role::Enrolled),
        1 => Some(Role::Rejected),
        _ => None,
    }
}

fn json(value: &impl Serialize) -> Result<Vec<u8>> {
    let bytes = serde_json::to_vec(value).map_err(|e| Error::Invalid(e.to_string()))?;
    if bytes.len() > schema::LONGEST {
        return Err(Error::Invalid(format!(
            "{} bytes in one piece: at most {} are possible",
            bytes.len(),
            schema::LONGEST
        )));
    }
    Ok(bytes)
}

fn damaged(path: &Path, what: impl std::fmt::Display) -> Error {
    Error::format(path, format!("damaged: {what}"))
}

/// What SQLite says, as ours.
fn fault(path: &Path, e: rusqlite::Error) -> Error {
    match e.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => Error::format(path, "not a gallery"),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            Error::io(path, std::io::Error::new(ErrorKind::WouldBlock, "in use by another process"))
        }
        Some(ErrorCode::ReadOnly) => Error::io(path, ErrorKind::ReadOnlyFilesystem.into()),
        Some(ErrorCode::DiskFull) => Error::io(path, ErrorKind::StorageFull.into()),
        Some(ErrorCode::CannotOpen | ErrorCode::SystemIoFailure | ErrorCode::PermissionDenied) => {
            Error::io(path, std::io::Error::other(e.to_string()))
        }
        _ => damaged(path, e),
    }
}

/// A call of [`Store::atomically`] under way: dropped before it is finished, all is as it was.
struct Work<'a> {
    store: &'a mut FileStore,
    finished: bool,
}

impl Drop for Work<'_> {
    fn drop(&mut self) {
        let store = &mut *self.store;
        if !self.finished {
            // After some errors SQLite has already rolled back.
            let _ = store.db.connection.execute_batch("ROLLBACK");
            if store.tainted.get() {
                *store.index.get_mut() = None;
            }
        }
        store.working = false;
        store.wrote = false;
        store.tainted.set(false);
    }
}

const PEOPLE: &str = "SELECT id, name, sealed, \
    (SELECT count(*) FROM template WHERE template.person = person.id AND template.role = 0) FROM person";

impl Store for FileStore {
    fn describe(&self) -> String {
        self.db.path.display().to_string()
    }

    fn model(&self) -> &Model {
        &self.db.model
    }

    fn atomically(&mut self, work: &mut dyn FnMut(&mut dyn Store) -> Result<()>) -> Result<()> {
        if self.working {
            return Err(Error::Invalid("atomic work within atomic work".into()));
        }
        self.db.batch("BEGIN IMMEDIATE")?;
        self.working = true;
        let mut open = Work { store: self, finished: false };
        work(&mut *open.store)?;
        open.store.db.batch("COMMIT")?;
        open.finished = true;
        drop(open);
        self.forget()
    }

    fn people(&self) -> Result<Vec<Person>> {
        self.db.all(&format!("{PEOPLE} ORDER BY id"), [], |row| self.db.person(row))
    }

    fn person(&self, name: &str) -> Result<Option<Person>> {
        let key = self.db.seal.name(name);
        Ok(self.db.all(&format!("{PEOPLE} WHERE name = ?1"), [key], |row| self.db.person(row))?.pop())
    }

    fn person_by_id(&self, id: PersonId) -> Result<Option<Person>> {
        Ok(self.db.all(&format!("{PEOPLE} WHERE id = ?1"), [id], |row| self.db.person(row))?.pop())
    }

    fn create(&mut self, name: &str, labels: &BTreeMap<String, String>) -> Result<PersonId> {
        let piece = json(&SealedPerson { name: name.to_owned(), labels: labels.clone() })?;
        self.write(|db| {
            let key = db.seal.name(name);
            db.is_free(name, &key, 0)?;
            // The seal needs the number.
            db.execute("INSERT INTO person (name, sealed) VALUES (?1, x'')", [key])?;
            let id = db.connection.last_insert_rowid();
            let sealed = db.seal.close(Place::person(id), &piece)?;
            db.execute("UPDATE person SET sealed = ?2 WHERE id = ?1", params![id, sealed])?;
            Ok(id)
        })
    }

    fn update(&mut self, id: PersonId, name: &str, labels: &BTreeMap<String, String>) -> Result<()> {
        let piece = json(&SealedPerson { name: name.to_owned(), labels: labels.clone() })?;
        self.write(|db| {
            db.exists(id)?;
            let key = db.seal.name(name);
            db.is_free(name, &key, id)?;
            let sealed = db.seal.close(Place::person(id), &piece)?;
            db.execute("UPDATE person SET name = ?2, sealed = ?3 WHERE id = ?1", params![id, key, sealed])?;
            Ok(())
        })
    }

    fn erase(&mut self, id: PersonId) -> Result<Vec<TemplateId>> {
        let gone = self.write(|db| {
            db.exists(id)?;
            let gone =
                db.all("SELECT id FROM template WHERE person = ?1 ORDER BY id", [id], |row| db.number(row, 0))?;
            parts::wipe(db, &gone)?;
            for template in &gone {
                db.execute("DELETE FROM template WHERE id = ?1", [template])?;
                db.execute("INSERT INTO erased (template) VALUES (?1)", [template])?;
            }
            db.execute("DELETE FROM person WHERE id = ?1", [id])?;
            db.execute("DELETE FROM erased WHERE number <= ?1", [db.sequence("erased")?.saturating_sub(ERASED_KEPT)])?;
            Ok(gone)
        })?;
        if !self.working {
            self.forget()?;
        }
        Ok(gone)
    }

    fn add(&mut self, id: PersonId, templates: &[NewTemplate]) -> Result<Vec<TemplateId>> {
        let vectors: Vec<&[f32]> = templates.iter().map(|template| &*template.vector).collect();
        search::check(&vectors, self.db.model.dim)?;
        self.write(|db| {
            db.exists(id)?;
            let mut next = db.sequence("template")?;
            let mut ids = Vec::with_capacity(templates.len());
            for template in templates {
                next = next.checked_add(1).ok_or_else(|| db.damaged("the numbers of templates"))?;
                let stored = StoredTemplate { id: next, person: id, template: template.clone() };
                let (vector, origin) = db.seal_template(&stored)?;
                db.execute(
                    "INSERT INTO template (id, person, role, vector, origin) VALUES (?1, ?2, ?3, ?4, ?5)",
                    params![next, id, number_of(template.role), vector, origin],
                )?;
                ids.push(next);
            }
            Ok(ids)
        })
    }

    fn hand_over(&mut self, from: PersonId, into: PersonId) -> Result<()> {
        self.write(|db| {
            db.exists(from)?;
            db.exists(into)?;
            if from == into {
                return Ok(());
            }
            // Whose a template is belongs to its seal.
            for mut stored in db.templates_of(from)? {
                stored.person = into;
                let (vector, origin) = db.seal_template(&stored)?;
                db.execute(
                    "UPDATE template SET person = ?2, vector = ?3, origin = ?4 WHERE id = ?1",
                    params![stored.id, into, vector, origin],
                )?;
            }
            Ok(())
        })
    }

    fn templates(&self, id: PersonId) -> Result<Vec<StoredTemplate>> {
        self.db.templates_of(id)
    }

    fn vectors(&self, ids: &[PersonId]) -> Result<Vec<Vec<TemplateVector>>> {
        let sql = "SELECT id, person, role, vector FROM template WHERE person = ?1 ORDER BY id";
        let of = |id| {
            self.db.all(sql, [id], |row| {
                let (_, _, role, vector) = self.db.vector(row)?;
                Ok((role, vector))
            })
        };
        self.db.read(|| ids.iter().map(of).collect())
    }

    fn first_vectors(&self, ids: &[PersonId]) -> Result<Vec<Option<Vec<f32>>>> {
        let sql = "SELECT id, person, role, vector FROM template WHERE person = ?1 AND role = 0 ORDER BY id LIMIT 1";
        let first = |id| Ok(self.db.all(sql, [id], |row| self.db.vector(row))?.pop().map(|(.., vector)| vector));
        ids.iter().map(first).collect()
    }

    fn visit(&self, each: &mut dyn FnMut(StoredTemplate) -> Result<()>) -> Result<()> {
        let mut last = 0;
        loop {
            let some = self.db.all(
                "SELECT id, person, role, vector, origin FROM template WHERE id > ?1 ORDER BY id LIMIT ?2",
                [last, VISITED],
                |row| self.db.template(row),
            )?;
            let Some(template) = some.last() else { return Ok(()) };
            last = template.id;
            some.into_iter().try_for_each(&mut *each)?;
        }
    }

    fn nearest(&self, probes: &[&[f32]], k: usize) -> Result<Vec<Vec<Hit>>> {
        search::check(probes, self.db.model.dim)?;
        if k == 0 || probes.is_empty() {
            return Ok(vec![Vec::new(); probes.len()]);
        }
        self.tainted.set(self.tainted.get() || self.wrote);
        self.prepare(&mut |_, _| Ok(()))?;
        let mut index = self.index.borrow_mut();
        self.db.read(|| {
            Index::sync(&mut index, &self.db, usize::MAX)?;
            index.as_ref().map_or_else(|| Ok(Vec::new()), |index| index.nearest(&self.db, probes, k))
        })
    }

    fn build_index(&mut self, progress: &mut dyn FnMut(usize, usize) -> Result<()>) -> Result<()> {
        match self.prepare(progress) {
            // What was made of the templates can be made again.
            Err(Error::Format { .. }) => {
                *self.index.get_mut() = None;
                self.write(parts::clear)?;
                self.prepare(progress)?;
            }
            prepared => prepared?,
        }
        if self.working || !self.db.keeps_index() {
            return Ok(());
        }
        index::save(self.index.get_mut(), &self.db)
    }

    fn note(&self, key: &str) -> Result<Option<Vec<u8>>> {
        let name = self.db.seal.name(key);
        let sealed = self.db.one("SELECT sealed FROM note WHERE name = ?1", [name], |row| row.get::<_, Vec<u8>>(0))?;
        let open = |sealed: Vec<u8>| {
            let piece = self.db.seal.open(Place::note(&name), &sealed);
            piece.ok_or_else(|| self.db.damaged(format!("the note {key:?}")))
        };
        sealed.map(open).transpose()
    }

    fn set_note(&mut self, key: &str, value: Option<&[u8]>) -> Result<()> {
        if let Some(value) = value.filter(|value| value.len() > schema::LONGEST) {
            let (length, most) = (value.len(), schema::LONGEST);
            return Err(Error::Invalid(format!("a note of {length} bytes: at most {most} are possible")));
        }
        self.write(|db| {
            let name = db.seal.name(key);
            match value {
                None => db.execute("DELETE FROM note WHERE name = ?1", [name])?,
                Some(value) => db.execute(
                    "INSERT INTO note (name, sealed) VALUES (?1, ?2) \
                     ON CONFLICT (name) DO UPDATE SET sealed = excluded.sealed",
                    params![name, db.seal.close(Place::note(&name), value)?],
                )?,
            };
            Ok(())
        })
    }

    fn size(&self) -> Result<Size> {
        let number = |sql| Ok::<_, Error>(self.db.count(sql)?.unsigned_abs());
        self.db.read(|| {
            Ok(Size {
                people: number("SELECT count(*) FROM person")? as usize,
                templates: number("SELECT count(*) FROM template")? as usize,
                bytes: number("PRAGMA page_count")? * number("PRAGMA page_size")?,
            })
        })
    }

    fn check(&self) -> Result<Vec<String>> {
        self.db.read(|| check::check(&self.db))
    }
}
