//! The tables of a gallery's file: making them, bringing them up to date, and refusing any that are not ours.

use std::time::Duration;

use rusqlite::{Connection, config::DbConfig, limits::Limit};

/// Marks a SQLite file as a gallery: "bled".
const APPLICATION: i32 = i32::from_be_bytes(*b"bled");
/// Bytes of a page of the file. A template of 512 numbers and its origin are a seventh of it.
const PAGE: u32 = 16 << 10;
/// The most bytes of a piece: no name, note or vector is longer.
pub(super) const LONGEST: usize = 64 << 20;
/// How long to wait for another process that writes.
const PATIENCE: Duration = Duration::from_secs(60);

/// What each version adds to the one before. Files in use hold any of them, so that none may be changed.
pub(super) const MIGRATIONS: &[&str] = &[include_str!("version_1.sql")];

/// Why a file was not taken.
#[derive(Debug)]
pub(super) enum Refusal {
    Sql(rusqlite::Error),
    Reason(String),
}

impl From<rusqlite::Error> for Refusal {
    fn from(e: rusqlite::Error) -> Self {
        Self::Sql(e)
    }
}

/// What holds for each connection.
pub(super) fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(PATIENCE)?;
    connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, LONGEST as i32 + 1024)?;
    connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
    // A file from elsewhere may hold any schema.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    // Nothing beside the file but the journal.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // With EXTRA the folder is synchronised too: a finished change stays finished when the power fails.
    connection.pragma_update(None, "synchronous", "EXTRA")?;
    connection.pragma_update(None, "secure_delete", true)?;
    connection.pragma_update(None, "cache_size", -16_384)
}

/// Before anything is in the file.
pub(super) fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "page_size", PAGE)
}

/// Makes the tables, within a transaction, unless there is anything in the file: then it says so.
pub(super) fn create(connection: &Connection) -> rusqlite::Result<bool> {
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if tables > 0 {
        return Ok(false);
    }
    connection.pragma_update(None, "application_id", APPLICATION)?;
    apply(connection, MIGRATIONS, 0)?;
    Ok(true)
}

/// Makes sure that the file is a gallery of this version, or of an earlier one and is now brought up to date.
pub(super) fn verify(connection: &Connection, migrations: &[&str]) -> Result<(), Refusal> {
    let number = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    if number("application_id")? != i64::from(APPLICATION) {
        return Err(Refusal::Reason("not a gallery".into()));
    }
    let known = migrations.len();
    let version = match usize::try_from(number("user_version")?) {
        Ok(version @ 1..) => version,
        _ => return Err(Refusal::Reason("not a gallery".into())),
    };
    if version > known {
        return Err(Refusal::Reason(format!(
            "a gallery of version {version}: this program knows up to version {known}; use a newer one"
        )));
    }
    let expected = Connection::open_in_memory()?;
    migrate(&expected, &migrations[..version], 0)?;
    if tables(connection)? != tables(&expected)? {
        return Err(Refusal::Reason("not a gallery: its tables are others than a gallery has".into()));
    }
    if version < known {
        if connection.is_readonly(rusqlite::MAIN_DB)? {
            return Err(Refusal::Reason(format!(
                "a gallery of version {version}, which cannot be brought to version {known}: it is read-only"
            )));
        }
        migrate(connection, migrations, version)?;
    }
    Ok(())
}

/// Applies the migrations after the first `done`, all or none.
fn migrate(connection: &Connection, migrations: &[&str], done: usize) -> rusqlite::Result<()> {
    connection.execute_batch("BEGIN EXCLUSIVE")?;
    let work = || {
        // Another process may have been faster.
        let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if version == done as i64 {
            apply(connection, migrations, done)?;
        }
        connection.execute_batch("COMMIT")
    };
    work().inspect_err(|_| _ = connection.execute_batch("ROLLBACK"))
}

fn apply(connection: &Connection, migrations: &[&str], done: usize) -> rusqlite::Result<()> {
    migrations[done..].iter().try_for_each(|migration| connection.execute_batch(migration))?;
    connection.pragma_update(None, "user_version", migrations.len() as i64)
}

/// All that the schema says.
fn tables(connection: &Connection) -> rusqlite::Result<Vec<[Option<String>; 4]>> {
    let mut statement =
        connection.prepare("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name LIMIT 100")?;
    let rows = statement.query_map([], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?]))?;
    rows.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(result: Result<(), Refusal>) -> String {
        match result {
            Err(Refusal::Reason(reason)) => reason,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_older_version_is_brought_up_to_date_and_a_newer_one_refused() {
        let connection = Connection::open_in_memory().unwrap();
        assert!(create(&connection).unwrap());
        connection.execute("INSERT INTO note (name, sealed) VALUES (x'00', x'01')", []).unwrap();
        let newer = [MIGRATIONS, &["CREATE TABLE more (id INTEGER PRIMARY KEY)"]].concat();
        verify(&connection, &newer).unwrap();
        verify(&connection, &newer).unwrap();
        let notes = |connection: &Connection| {
            connection.query_row("SELECT count(*) FROM note", [], |row| row.get::<_, i64>(0)).unwrap()
        };
        assert_eq!(notes(&connection), 1);
        assert!(reason(verify(&connection, MIGRATIONS)).contains("use a newer one"));

        let failing = [&newer[..], &["CREATE TABLE again (id)", "CREATE TABLE again (id)"]].concat();
        assert!(matches!(verify(&connection, &failing), Err(Refusal::Sql(_))));
        verify(&connection, &newer).unwrap();
        assert_eq!(notes(&connection), 1);
    }

    #[test]
    fn other_tables_are_refused() {
        let connection = Connection::open_in_memory().unwrap();
        assert_eq!(reason(verify(&connection, MIGRATIONS)), "not a gallery");
        assert!(create(&connection).unwrap());
        verify(&connection, MIGRATIONS).unwrap();
        for change in [
            "CREATE TRIGGER t AFTER INSERT ON person BEGIN DELETE FROM note; END",
            "CREATE VIEW v AS SELECT 1",
            "DROP TABLE note",
            "CREATE INDEX i ON person (sealed)",
        ] {
            connection.execute_batch("BEGIN").unwrap();
            connection.execute_batch(change).unwrap();
            assert!(reason(verify(&connection, MIGRATIONS)).contains("tables"), "{change}");
            connection.execute_batch("ROLLBACK").unwrap();
        }
        verify(&connection, MIGRATIONS).unwrap();
    }
}
