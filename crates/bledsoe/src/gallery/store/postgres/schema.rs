//! The tables of a gallery in a PostgreSQL database.

use postgres::types::Type;

use super::connection::Connection;
use crate::{Error, Result, gallery::store::Model};

/// What the tables are like; one higher with each change.
const FORMAT: i32 = 1;

/// The most numbers of a vector that pgvector's index takes.
pub(super) const MAX_DIM: usize = 2000;

/// The longest vector that is kept in the table's row: 6 kB of a page of 8. Longer ones are kept beside the table, and
/// a search that looks at all of them is slower.
const MAX_DIM_IN_ROW: usize = 1500;

/// A name as SQL writes it.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Whether `name` can be a schema's.
pub(super) fn check_name(name: &str) -> Result<()> {
    // PostgreSQL would cut a longer one.
    if name.is_empty() || name.len() > 63 || name.contains('\0') || name.starts_with("pg_") {
        return Err(Error::Invalid(format!("{name:?} cannot be the name of a schema")));
    }
    Ok(())
}

/// The tables of an empty gallery. Vectors are unit vectors, so their inner product is their cosine similarity.
fn tables(dim: usize) -> String {
    let in_row = if dim <= MAX_DIM_IN_ROW { "ALTER TABLE template ALTER embedding SET STORAGE PLAIN;" } else { "" };
    format!(
        "CREATE TABLE gallery (
             one boolean PRIMARY KEY DEFAULT true CHECK (one),
             format integer NOT NULL,
             model text NOT NULL,
             dim integer NOT NULL,
             templates bigint NOT NULL
         );
         CREATE TABLE person (
             id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
             name text NOT NULL,
             -- An index cannot hold names of any length.
             name_sha256 text NOT NULL UNIQUE,
             labels jsonb NOT NULL
         );
         CREATE TABLE template (
             id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
             person bigint NOT NULL REFERENCES person,
             role text NOT NULL CHECK (role IN ('enrolled', 'rejected')),
             embedding vector({dim}) NOT NULL,
             origin jsonb NOT NULL
         );
         {in_row}
         CREATE INDEX template_person ON template (person);
         CREATE TABLE note (key_sha256 text PRIMARY KEY, key text NOT NULL, value bytea NOT NULL);"
    )
}

/// Builds the index over the templates. It takes memory of the server for as long as it is built.
pub(super) const BUILD_INDEX: &str = "SET LOCAL maintenance_work_mem = '512MB';
     CREATE INDEX IF NOT EXISTS template_embedding ON template
     USING hnsw (embedding vector_ip_ops) WITH (m = 16, ef_construction = 128) WHERE role = 'enrolled'";

pub(super) const DROP_INDEX: &str = "DROP INDEX IF EXISTS template_embedding";

/// How many templates a search by the index looks at: the more, the fewer it misses.
const SEARCH: &str = "SET hnsw.ef_search = 400; SET hnsw.iterative_scan = strict_order";

/// Makes the tables in a schema that has none.
pub(super) fn create(connection: &Connection, schema: &str, model: &Model) -> Result<()> {
    if model.dim == 0 || model.dim > MAX_DIM {
        return Err(Error::Invalid(format!(
            "vectors of {} numbers cannot be kept in PostgreSQL: pgvector's index takes 1 to {MAX_DIM}",
            model.dim
        )));
    }
    if extension(connection)?.is_none() {
        connection.run("CREATE EXTENSION vector").map_err(|e| {
            let reason = format!(
                "pgvector cannot be had ({}): install it on the server, and have an administrator run CREATE EXTENSION \
                 vector in this database",
                e.reason()
            );
            Error::io(connection.place(), std::io::Error::other(reason))
        })?;
    }
    connection.begin("BEGIN")?;
    lock(connection, schema)?;
    connection.run(&format!("CREATE SCHEMA IF NOT EXISTS {}", quoted(schema)))?;
    settle(connection, schema)?;
    if exists(connection, schema)? {
        return Err(Error::Invalid(format!("{}: there is a gallery already", connection.place())));
    }
    connection.run(&tables(model.dim))?;
    let dim = i32::try_from(model.dim).unwrap_or(i32::MAX);
    connection.rows(
        "INSERT INTO gallery (format, model, dim, templates) VALUES ($1, $2, $3, 0)",
        &[(&FORMAT, Type::INT4), (&model.id, Type::TEXT), (&dim, Type::INT4)],
    )?;
    connection.commit()
}

/// The model of the gallery in a schema.
pub(super) fn open(connection: &Connection, schema: &str) -> Result<Model> {
    if extension(connection)?.is_none() || !exists(connection, schema)? {
        return Err(Error::Invalid(format!("{}: there is no gallery", connection.place())));
    }
    settle(connection, schema)?;
    let damaged = |reason: &str| Error::format(connection.place(), reason);
    let row = connection.row("SELECT format, model, dim FROM gallery", &[])?;
    let row = row.ok_or_else(|| damaged("the table gallery is empty"))?;
    let (format, id, dim): (i32, String, i32) = (read(&row, 0)?, read(&row, 1)?, read(&row, 2)?);
    if format != FORMAT {
        return Err(damaged(&format!("a gallery of format {format}; this bledsoe knows {FORMAT}")));
    }
    let dim = usize::try_from(dim).map_err(|_| damaged("its vectors have no length"))?;
    Ok(Model { id, dim })
}

/// One column of a row.
pub(super) fn read<'a, T: postgres::types::FromSql<'a>>(row: &'a postgres::Row, column: usize) -> Result<T> {
    row.try_get(column).map_err(|e| Error::format("the database", format!("a column that cannot be read: {e}")))
}

/// Whether a schema has the tables of a gallery.
pub(super) fn exists(connection: &Connection, schema: &str) -> Result<bool> {
    let sql = "SELECT 1 FROM pg_tables WHERE schemaname = $1 AND tablename = 'gallery'";
    Ok(connection.row(sql, &[(&schema, Type::TEXT)])?.is_some())
}

/// The schema and version of pgvector in this database.
fn extension(connection: &Connection) -> Result<Option<(String, String)>> {
    let sql = "SELECT n.nspname::text, e.extversion FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
               WHERE e.extname = 'vector'";
    connection.row(sql, &[])?.map(|row| Ok((read(&row, 0)?, read(&row, 1)?))).transpose()
}

/// Settles how this connection finds the tables and searches.
fn settle(connection: &Connection, schema: &str) -> Result<()> {
    let (vectors, version) =
        extension(connection)?.ok_or_else(|| Error::Invalid(format!("{}: no pgvector", connection.place())))?;
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0u32));
    if (parts.next(), parts.next()) < (Some(0), Some(8)) {
        let reason = format!("{}: pgvector {version} is too old, 0.8 is needed", connection.place());
        return Err(Error::Invalid(reason));
    }
    connection.run(&format!("SET search_path = {}, {}; {SEARCH}", quoted(schema), quoted(&vectors)))
}

/// Waits until no other process writes into this schema; until the end of the transaction, none can.
pub(super) fn lock(connection: &Connection, schema: &str) -> Result<()> {
    connection.rows(
        "SELECT pg_advisory_xact_lock(hashtextextended('bledsoe gallery ' || $1, 0))",
        &[(&schema, Type::TEXT)],
    )?;
    Ok(())
}
