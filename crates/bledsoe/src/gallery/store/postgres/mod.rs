//! A gallery in a PostgreSQL database with pgvector 0.8 or later, for several machines: see [`PostgresStore`].

mod connection;
mod schema;

use std::collections::{BTreeMap, HashMap};

use postgres::{Row, types::Type};

use super::{Hit, Model, NewTemplate, Person, PersonId, Role, Size, Store, StoredTemplate, TemplateId, TemplateVector};
use crate::{
    Error, Result, hash,
    search::{self, INDEX_PAYS},
};
use connection::Connection;
use schema::read;

/// Rows that are sent or fetched at once.
const PAGE: usize = 1000;

/// A gallery in one schema of a PostgreSQL database.
///
/// - **Several processes** on several machines may open one gallery. Writers take turns (an advisory lock); readers
///   never wait, and see what is finished.
/// - **Search** looks at every template as long as there are not many more than [`INDEX_PAYS`] of them: the server does
///   so in parallel. From a quarter more than that on, there is an index (HNSW), which may miss some; adding the
///   template that crosses this line builds it, which takes minutes. It goes when the gallery shrinks below
///   [`INDEX_PAYS`].
/// - **Erasing** deletes the rows, and then has PostgreSQL clear them away (`VACUUM`). That frees their place but does
///   not overwrite it: bytes of an erased vector can remain in freed places of the tables' files until others are
///   written there, in the write-ahead log until its files are recycled, and in backups. `VACUUM FULL` writes the
///   tables anew.
/// - **Connections are not encrypted**: use a Unix socket, a private network or a tunnel. A server that demands TLS
///   refuses the connection. Poolers must keep a session on one connection.
///
/// It speaks PostgreSQL's own protocol; any program may read the tables `person`, `template`, `note` and `gallery`.
pub struct PostgresStore {
    connection: Connection,
    schema: String,
    model: Model,
    /// From how many templates on there is an index.
    index_from: i64,
    /// Below how many there is none.
    index_until: i64,
    /// Whether rows were deleted that are yet to be cleared away.
    dead_rows: bool,
}

impl PostgresStore {
    /// Makes an empty gallery in `schema` of the database at `url` (`postgresql://user:password@host:5432/database`, or
    /// as `host=... user=...`). The schema and the extension `vector` are created where they are missing.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an address or name that is none, a model with vectors too long for pgvector's index
    /// (2,000), or if the schema holds a gallery already; [`Error::Io`] when the database cannot be reached or refuses.
    pub fn create(url: &str, schema: &str, model: &Model) -> Result<Self> {
        schema::check_name(schema)?;
        let connection = Connection::open(url, schema)?;
        schema::create(&connection, schema, model)?;
        Self::new(connection, schema)
    }

    /// Whether there is a gallery in `schema` of the database at `url`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an address or name that is none; [`Error::Io`] when the database cannot be reached or
    /// refuses.
    pub fn exists(url: &str, schema: &str) -> Result<bool> {
        schema::check_name(schema)?;
        schema::exists(&Connection::open(url, schema)?, schema)
    }

    /// Opens the gallery in `schema` of the database at `url`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an address or name that is none, or if there is no gallery; [`Error::Io`] when the
    /// database cannot be reached or refuses; [`Error::Format`] for a gallery of another version.
    pub fn open(url: &str, schema: &str) -> Result<Self> {
        schema::check_name(schema)?;
        Self::new(Connection::open(url, schema)?, schema)
    }

    fn new(connection: Connection, schema: &str) -> Result<Self> {
        let model = schema::open(&connection, schema)?;
        let least = INDEX_PAYS as i64;
        let (index_from, index_until) = (least + least / 4, least);
        Ok(Self { connection, schema: schema.to_owned(), model, index_from, index_until, dead_rows: false })
    }

    /// For tests: the index is built from this many templates on. Every process that writes must say the same.
    #[doc(hidden)]
    pub fn index_from(self, templates: u32) -> Self {
        Self { index_from: templates.into(), index_until: templates.into(), ..self }
    }

    /// Does `work` in a transaction that no other writer is in.
    fn write<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.connection.in_transaction() {
            return work(self);
        }
        self.connection.begin("BEGIN")?;
        let locked = schema::lock(&self.connection, &self.schema);
        let done = match locked.and_then(|()| work(self)) {
            Ok(done) => self.connection.commit().map(|()| done),
            Err(e) => Err(e),
        };
        let dead_rows = std::mem::take(&mut self.dead_rows);
        if done.is_err() {
            self.connection.roll_back();
        } else if dead_rows {
            // Not possible within a transaction. Where the server refuses, its own vacuum comes later.
            for table in ["template", "person"] {
                self.connection.run(&format!("VACUUM {table}")).map_err(|e| {
                    let reason = format!("erased, but its dead rows are not yet cleared away: {}", e.reason());
                    Error::io(self.connection.place(), std::io::Error::other(reason))
                })?;
            }
        }
        done
    }

    /// Whether somebody else than `except` is called `name`.
    fn is_taken(&self, name: &str, except: PersonId) -> Result<bool> {
        let sql = "SELECT 1 FROM person WHERE name_sha256 = $1 AND id <> $2";
        let values = [(&hash::sha256(name) as _, Type::TEXT), (&except as _, Type::INT8)];
        Ok(self.connection.row(sql, &values)?.is_some())
    }

    fn must_exist(&self, id: PersonId) -> Result<()> {
        match self.connection.row("SELECT 1 FROM person WHERE id = $1", &[(&id, Type::INT8)])? {
            Some(_) => Ok(()),
            None => Err(Error::Invalid(format!("no person has the number {id}"))),
        }
    }

    /// Counts `change` templates more, and makes the index or drops it where that changes what pays.
    fn count(&self, change: i64) -> Result<()> {
        let sql = "UPDATE gallery SET templates = templates + $1 RETURNING templates,
                   to_regclass('template_embedding') IS NOT NULL";
        let row = self.connection.row(sql, &[(&change, Type::INT8)])?;
        let row = row.ok_or_else(|| Error::format(self.connection.place(), "the table gallery is empty"))?;
        let (templates, indexed): (i64, bool) = (read(&row, 0)?, read(&row, 1)?);
        if !indexed && templates >= self.index_from {
            self.connection.run(schema::BUILD_INDEX)?;
        } else if indexed && templates < self.index_until {
            self.connection.run(schema::DROP_INDEX)?;
        }
        Ok(())
    }

    /// People, of those that `condition` is true for.
    fn people_where(&self, condition: &str, values: connection::Values<'_>) -> Result<Vec<Person>> {
        let sql = format!(
            "SELECT p.id, p.name, p.labels::text,
                    (SELECT count(*) FROM template t WHERE t.person = p.id AND t.role = 'enrolled')
             FROM person p WHERE {condition} ORDER BY p.id"
        );
        self.connection.rows(&sql, values)?.iter().map(|row| self.person_of(row)).collect()
    }

    fn person_of(&self, row: &Row) -> Result<Person> {
        let (id, labels, templates): (_, &str, i64) = (read(row, 0)?, read(row, 2)?, read(row, 3)?);
        let labels =
            serde_json::from_str(labels).map_err(|e| self.damaged(&format!("the labels of person {id}: {e}")))?;
        Ok(Person { id, name: read(row, 1)?, labels, templates: usize::try_from(templates).unwrap_or(0) })
    }

    /// `id, person, role, embedding` of a row.
    fn vector_of(&self, row: &Row) -> Result<(TemplateId, PersonId, Role, Vec<f32>)> {
        let (id, role): (TemplateId, &str) = (read(row, 0)?, read(row, 2)?);
        let role = match role {
            "enrolled" => Role::Enrolled,
            "rejected" => Role::Rejected,
            other => return Err(self.damaged(&format!("template {id} is {other:?}"))),
        };
        let vector: Vec<f32> = read(row, 3)?;
        if vector.len() != self.model.dim {
            return Err(self.damaged(&format!("template {id} has a vector of {} numbers", vector.len())));
        }
        Ok((id, read(row, 1)?, role, vector))
    }

    /// `id, person, role, embedding, origin` of a row.
    fn template_of(&self, row: &Row) -> Result<StoredTemplate> {
        let (id, person, role, vector) = self.vector_of(row)?;
        let origin = serde_json::from_str(read(row, 4)?)
            .map_err(|e| self.damaged(&format!("the origin of template {id}: {e}")))?;
        Ok(StoredTemplate { id, person, template: NewTemplate { role, vector, origin } })
    }

    fn damaged(&self, what: &str) -> Error {
        Error::format(self.connection.place(), what)
    }

    /// Shows every template to `each`, in pages, as they are at one moment.
    fn pages(&self, each: &mut dyn FnMut(Result<StoredTemplate>) -> Result<()>) -> Result<()> {
        const SQL: &str = "SELECT id, person, role, embedding::real[], origin::text FROM template
                           WHERE id > $1 ORDER BY id LIMIT $2";
        let (page, mut last) = (PAGE as i64, 0i64);
        loop {
            let rows = self.connection.rows(SQL, &[(&last, Type::INT8), (&page, Type::INT8)])?;
            let Some(row) = rows.last() else { return Ok(()) };
            last = read(row, 0)?;
            for row in &rows {
                each(self.template_of(row))?;
            }
        }
    }

    /// Does `look` so that all it sees is of one moment.
    fn at_one_moment<T>(&self, look: impl FnOnce() -> Result<T>) -> Result<T> {
        if self.connection.in_transaction() {
            return look();
        }
        self.connection.begin("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")?;
        let seen = look();
        self.connection.roll_back();
        seen
    }
}

/// PostgreSQL's text holds every character but NUL.
fn check_text<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<()> {
    match texts.into_iter().find(|text| text.contains('\0')) {
        Some(text) => Err(Error::Invalid(format!("{text:?} cannot be kept in PostgreSQL: it holds a NUL character"))),
        None => Ok(()),
    }
}

fn check_person(name: &str, labels: &BTreeMap<String, String>) -> Result<()> {
    check_text(std::iter::once(name).chain(labels.iter().flat_map(|(key, value)| [key.as_str(), value])))
}

fn json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|e| Error::Invalid(e.to_string()))
}

fn role_name(role: Role) -> &'static str {
    match role {
        Role::Enrolled => "enrolled",
        Role::Rejected => "rejected",
    }
}

impl Store for PostgresStore {
    fn describe(&self) -> String {
        self.connection.place().to_owned()
    }

    fn model(&self) -> &Model {
        &self.model
    }

    fn atomically(&mut self, work: &mut dyn FnMut(&mut dyn Store) -> Result<()>) -> Result<()> {
        if self.connection.in_transaction() {
            return Err(Error::Invalid("atomic work within atomic work".into()));
        }
        self.write(|store| work(store))
    }

    fn people(&self) -> Result<Vec<Person>> {
        self.people_where("true", &[])
    }

    fn person(&self, name: &str) -> Result<Option<Person>> {
        Ok(self.people_where("p.name_sha256 = $1", &[(&hash::sha256(name), Type::TEXT)])?.pop())
    }

    fn person_by_id(&self, id: PersonId) -> Result<Option<Person>> {
        Ok(self.people_where("p.id = $1", &[(&id, Type::INT8)])?.pop())
    }

    fn create(&mut self, name: &str, labels: &BTreeMap<String, String>) -> Result<PersonId> {
        check_person(name, labels)?;
        self.write(|store| {
            if store.is_taken(name, 0)? {
                return Err(Error::Invalid(format!("{name:?} is enrolled already")));
            }
            let sql = "INSERT INTO person (name, name_sha256, labels) VALUES ($1, $2, $3::text::jsonb) RETURNING id";
            let (sha256, labels) = (hash::sha256(name), json(labels)?);
            let values = [(&name as _, Type::TEXT), (&sha256 as _, Type::TEXT), (&labels as _, Type::TEXT)];
            let row = store.connection.row(sql, &values)?;
            read(&row.ok_or_else(|| store.damaged("no number was given"))?, 0)
        })
    }

    fn update(&mut self, id: PersonId, name: &str, labels: &BTreeMap<String, String>) -> Result<()> {
        check_person(name, labels)?;
        self.write(|store| {
            store.must_exist(id)?;
            if store.is_taken(name, id)? {
                return Err(Error::Invalid(format!("another person is called {name:?}")));
            }
            let sql = "UPDATE person SET name = $1, name_sha256 = $2, labels = $3::text::jsonb WHERE id = $4";
            let (sha256, labels) = (hash::sha256(name), json(labels)?);
            let values = [
                (&name as _, Type::TEXT),
                (&sha256 as _, Type::TEXT),
                (&labels as _, Type::TEXT),
                (&id as _, Type::INT8),
            ];
            store.connection.rows(sql, &values).map(drop)
        })
    }

    fn erase(&mut self, id: PersonId) -> Result<Vec<TemplateId>> {
        self.write(|store| {
            store.must_exist(id)?;
            let sql = "DELETE FROM template WHERE person = $1 RETURNING id";
            let rows = store.connection.rows(sql, &[(&id, Type::INT8)])?;
            let mut erased = rows.iter().map(|row| read(row, 0)).collect::<Result<Vec<TemplateId>>>()?;
            erased.sort_unstable();
            store.connection.rows("DELETE FROM person WHERE id = $1", &[(&id, Type::INT8)])?;
            store.count(-(erased.len() as i64))?;
            store.dead_rows = true;
            Ok(erased)
        })
    }

    fn add(&mut self, id: PersonId, templates: &[NewTemplate]) -> Result<Vec<TemplateId>> {
        let vectors: Vec<&[f32]> = templates.iter().map(|template| template.vector.as_slice()).collect();
        search::check(&vectors, self.model.dim)?;
        check_text(templates.iter().flat_map(|t| [t.origin.photo.as_str(), t.origin.sha256.as_str()]))?;
        self.write(|store| {
            store.must_exist(id)?;
            // All vectors of a page are one parameter, cut up by the server.
            let sql = "INSERT INTO template (person, role, embedding, origin)
                       SELECT $1, t.role, ($2::real[])[(t.i - 1) * $3 + 1 : t.i * $3]::vector, t.origin::jsonb
                       FROM unnest($4::text[], $5::text[]) WITH ORDINALITY AS t(role, origin, i)
                       ORDER BY t.i RETURNING id";
            let dim = store.model.dim as i64;
            let mut ids: Vec<TemplateId> = Vec::with_capacity(templates.len());
            for page in templates.chunks(PAGE) {
                let vectors: Vec<f32> = page.iter().flat_map(|t| t.vector.iter().copied()).collect();
                let roles: Vec<&str> = page.iter().map(|t| role_name(t.role)).collect();
                let origins = page.iter().map(|t| json(&t.origin)).collect::<Result<Vec<_>>>()?;
                let values = [
                    (&id as _, Type::INT8),
                    (&vectors as _, Type::FLOAT4_ARRAY),
                    (&dim as _, Type::INT8),
                    (&roles as _, Type::TEXT_ARRAY),
                    (&origins as _, Type::TEXT_ARRAY),
                ];
                for row in store.connection.rows(sql, &values)? {
                    ids.push(read(&row, 0)?);
                }
            }
            if ids.len() != templates.len() || !ids.is_sorted() {
                return Err(store.damaged("templates were not numbered in order"));
            }
            if !ids.is_empty() {
                store.count(ids.len() as i64)?;
            }
            Ok(ids)
        })
    }

    fn hand_over(&mut self, from: PersonId, into: PersonId) -> Result<()> {
        self.write(|store| {
            store.must_exist(from)?;
            store.must_exist(into)?;
            if from == into {
                return Ok(());
            }
            let sql = "UPDATE template SET person = $1 WHERE person = $2";
            store.connection.rows(sql, &[(&into, Type::INT8), (&from, Type::INT8)]).map(drop)
        })
    }

    fn templates(&self, id: PersonId) -> Result<Vec<StoredTemplate>> {
        let sql =
            "SELECT id, person, role, embedding::real[], origin::text FROM template WHERE person = $1 ORDER BY id";
        self.connection.rows(sql, &[(&id, Type::INT8)])?.iter().map(|row| self.template_of(row)).collect()
    }

    fn vectors(&self, ids: &[PersonId]) -> Result<Vec<Vec<TemplateVector>>> {
        let sql = "SELECT id, person, role, embedding::real[] FROM template WHERE person = ANY ($1) ORDER BY id";
        let mut of: HashMap<PersonId, Vec<TemplateVector>> = HashMap::new();
        for row in self.connection.rows(sql, &[(&ids, Type::INT8_ARRAY)])? {
            let (_, person, role, vector) = self.vector_of(&row)?;
            of.entry(person).or_default().push((role, vector));
        }
        Ok(ids.iter().map(|id| of.get(id).cloned().unwrap_or_default()).collect())
    }

    fn visit(&self, each: &mut dyn FnMut(StoredTemplate) -> Result<()>) -> Result<()> {
        self.at_one_moment(|| self.pages(&mut |template| each(template?)))
    }

    fn nearest(&self, probes: &[&[f32]], k: usize) -> Result<Vec<Vec<Hit>>> {
        search::check(probes, self.model.dim)?;
        let mut hits = vec![Vec::new(); probes.len()];
        if k == 0 || probes.is_empty() {
            return Ok(hits);
        }
        // <#> is the inner product with its sign turned, in f32. Ordered by it, PostgreSQL can use the index. OFFSET 0
        // has each probe cut out once, and not once for every template.
        let sql = "SELECT p.n, h.id, h.person, h.distance
                   FROM (
                       SELECT n, ($1::real[])[(n - 1) * $3 + 1 : n * $3]::vector AS probe
                       FROM generate_series(1, $2::bigint) AS n OFFSET 0
                   ) AS p CROSS JOIN LATERAL (
                       SELECT id, person, embedding <#> p.probe AS distance
                       FROM template WHERE role = 'enrolled' ORDER BY distance, id LIMIT $4
                   ) AS h";
        let (count, dim) = (probes.len() as i64, self.model.dim as i64);
        let most = i64::try_from(k).unwrap_or(i64::MAX);
        let numbers = probes.concat();
        let values = [
            (&numbers as _, Type::FLOAT4_ARRAY),
            (&count as _, Type::INT8),
            (&dim as _, Type::INT8),
            (&most as _, Type::INT8),
        ];
        for row in self.connection.rows(sql, &values)? {
            let (probe, distance): (i64, f64) = (read(&row, 0)?, read(&row, 3)?);
            let hit = Hit { template: read(&row, 1)?, person: read(&row, 2)?, similarity: -distance as f32 };
            let of_probe = usize::try_from(probe - 1).ok().and_then(|at| hits.get_mut(at));
            of_probe.ok_or_else(|| self.damaged("an answer to no question"))?.push(hit);
        }
        for hits in &mut hits {
            hits.sort_by(|a, b| b.similarity.total_cmp(&a.similarity).then(a.template.cmp(&b.template)));
        }
        Ok(hits)
    }

    fn note(&self, key: &str) -> Result<Option<Vec<u8>>> {
        let sql = "SELECT value FROM note WHERE key_sha256 = $1";
        let row = self.connection.row(sql, &[(&hash::sha256(key), Type::TEXT)])?;
        row.map(|row| read(&row, 0)).transpose()
    }

    fn set_note(&mut self, key: &str, value: Option<&[u8]>) -> Result<()> {
        check_text([key])?;
        let sha256 = hash::sha256(key);
        self.write(|store| {
            let result = match value {
                Some(value) => store.connection.rows(
                    "INSERT INTO note (key_sha256, key, value) VALUES ($1, $2, $3)
                     ON CONFLICT (key_sha256) DO UPDATE SET value = EXCLUDED.value",
                    &[(&sha256, Type::TEXT), (&key, Type::TEXT), (&value, Type::BYTEA)],
                ),
                None => store.connection.rows("DELETE FROM note WHERE key_sha256 = $1", &[(&sha256, Type::TEXT)]),
            };
            result.map(drop)
        })
    }

    fn size(&self) -> Result<Size> {
        let sql = "SELECT (SELECT count(*) FROM person), (SELECT templates FROM gallery),
                   (SELECT sum(pg_total_relation_size(name::regclass))::bigint
                    FROM unnest(ARRAY['gallery', 'person', 'template', 'note']) AS t(name))";
        let row = self.connection.row(sql, &[])?.ok_or_else(|| self.damaged("it has no size"))?;
        let number = |column| Ok(u64::try_from(read::<i64>(&row, column)?).unwrap_or(0));
        let count = |column| Ok::<_, Error>(usize::try_from(number(column)?).unwrap_or(usize::MAX));
        Ok(Size { people: count(0)?, templates: count(1)?, bytes: number(2)? })
    }

    fn check(&self) -> Result<Vec<String>> {
        self.at_one_moment(|| {
            let mut wrong = Vec::new();
            let mut seen = 0i64;
            self.pages(&mut |template| {
                seen += 1;
                match template {
                    Ok(template) => {
                        if let Err(e) = search::check(&[&template.template.vector], self.model.dim) {
                            wrong.push(format!("template {} holds {e}", template.id));
                        }
                    }
                    Err(e) => wrong.push(e.reason()),
                }
                Ok(())
            })?;
            let counted = self.connection.row("SELECT templates FROM gallery", &[])?;
            let counted: Option<i64> = counted.map(|row| read(&row, 0)).transpose()?;
            if counted != Some(seen) {
                wrong.push(format!("{seen} templates are there, and {} are counted", counted.unwrap_or_default()));
            }
            for row in
                self.connection.rows("SELECT id, name, name_sha256, labels::text FROM person ORDER BY id", &[])?
            {
                let (id, name, sha256): (PersonId, &str, &str) = (read(&row, 0)?, read(&row, 1)?, read(&row, 2)?);
                if hash::sha256(name) != sha256 {
                    wrong.push(format!("person {id} cannot be found by the name {name:?}"));
                }
                if let Err(e) = serde_json::from_str::<BTreeMap<String, String>>(read(&row, 3)?) {
                    wrong.push(format!("the labels of person {id}: {e}"));
                }
            }
            Ok(wrong)
        })
    }
}
