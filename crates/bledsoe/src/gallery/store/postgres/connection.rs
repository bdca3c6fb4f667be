//! A connection that knows whether it is in a transaction, and whose errors name the database and never a password.

use std::{
    cell::{Cell, RefCell},
    str::FromStr,
};

use postgres::{
    Client, Config, NoTls, Row,
    config::Host,
    types::{ToSql, Type},
};

use crate::{Error, Result};

/// A statement's parameters with their types. With the types given, a statement takes one round trip and leaves nothing
/// prepared behind.
pub(super) type Values<'a> = &'a [(&'a (dyn ToSql + Sync), Type)];

pub(super) struct Connection {
    client: RefCell<Client>,
    /// The database, for people.
    place: String,
    transaction: Cell<Transaction>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Transaction {
    None,
    Open,
    /// A statement of it failed: PostgreSQL would answer COMMIT by rolling back, without an error.
    Failed,
}

impl Connection {
    pub fn open(url: &str, schema: &str) -> Result<Self> {
        // The reason could hold a piece of the password, where it stands in the wrong place.
        let bad = || {
            Error::Invalid(
                "this is no address of a PostgreSQL database: it should be like postgresql://user:password@host:5432/name; \
                 special characters in the password are written as %40 for @, %2F for /, %3A for :"
                    .into(),
            )
        };
        let mut config = Config::from_str(url).map_err(|_| bad())?;
        if config.get_hosts().iter().any(|host| matches!(host, Host::Tcp(name) if name.contains(['@', ':', '/']))) {
            return Err(bad());
        }
        if config.get_application_name().is_none() {
            config.application_name("bledsoe");
        }
        let place = format!("{}, schema {schema}", address(&config));
        let client = config.connect(NoTls).map_err(|e| explain(&place, &e))?;
        Ok(Self { client: RefCell::new(client), place, transaction: Cell::new(Transaction::None) })
    }

    pub fn place(&self) -> &str {
        &self.place
    }

    /// The rows that a statement gives.
    pub fn rows(&self, sql: &str, values: Values<'_>) -> Result<Vec<Row>> {
        let result = self.client.borrow_mut().query_typed(sql, values);
        result.map_err(|e| self.failed(&e))
    }

    /// The first row that a statement gives, if it gives any.
    pub fn row(&self, sql: &str, values: Values<'_>) -> Result<Option<Row>> {
        Ok(self.rows(sql, values)?.into_iter().next())
    }

    /// Runs a statement without parameters.
    pub fn run(&self, sql: &str) -> Result<()> {
        let result = self.client.borrow_mut().batch_execute(sql);
        result.map_err(|e| self.failed(&e))
    }

    pub fn in_transaction(&self) -> bool {
        self.transaction.get() != Transaction::None
    }

    /// Begins a transaction, by the words `begin`.
    pub fn begin(&self, begin: &str) -> Result<()> {
        self.run(begin)?;
        self.transaction.set(Transaction::Open);
        Ok(())
    }

    /// Ends it and keeps its changes.
    pub fn commit(&self) -> Result<()> {
        if self.transaction.get() == Transaction::Failed {
            self.roll_back();
            let reason = std::io::Error::other("a statement failed, so nothing of the work was kept");
            return Err(Error::io(&self.place, reason));
        }
        self.run("COMMIT")?;
        self.transaction.set(Transaction::None);
        Ok(())
    }

    /// Ends it and drops its changes. If the connection is lost, the server does so.
    pub fn roll_back(&self) {
        let _ = self.client.borrow_mut().batch_execute("ROLLBACK");
        self.transaction.set(Transaction::None);
    }

    fn failed(&self, error: &postgres::Error) -> Error {
        if self.in_transaction() {
            self.transaction.set(Transaction::Failed);
        }
        explain(&self.place, error)
    }
}

/// Host, port and database, without user and password.
fn address(config: &Config) -> String {
    let hosts: Vec<String> = config
        .get_hosts()
        .iter()
        .enumerate()
        .map(|(i, host)| {
            let port = config.get_ports().get(i).or(config.get_ports().first()).copied().unwrap_or(5432);
            match host {
                Host::Tcp(name) => format!("{name}:{port}"),
                #[cfg(unix)]
                Host::Unix(path) => format!("{}:{port}", path.display()),
            }
        })
        .collect();
    format!("postgresql://{}/{}", hosts.join(","), config.get_dbname().unwrap_or_default())
}

fn explain(place: &str, error: &postgres::Error) -> Error {
    let reason = match error.as_db_error() {
        Some(answer) => match answer.hint() {
            Some(hint) => format!("{} ({hint})", answer.message()),
            None => answer.message().to_owned(),
        },
        None => match std::error::Error::source(error) {
            Some(cause) => format!("{error}: {cause}"),
            None => error.to_string(),
        },
    };
    Error::io(place, std::io::Error::other(reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_is_told() {
        for url in [
            "postgresql://ada:s3cret@127.0.0.1:1/faces",
            "postgresql://ada:s3cret@localhost:1,127.0.0.1:1/faces?connect_timeout=1",
            "host=127.0.0.1 port=1 user=ada password=s3cret dbname=faces",
            "postgresql://ada:x@s3cret@127.0.0.1:1/faces",
            "postgresql://ada:x/s3cret@127.0.0.1:1/faces",
            "postgresql://ada:x:s3cret@127.0.0.1:port/faces",
            "postgresql://ada:s3cret@127.0.0.1:1/faces?no_such_option=s3cret",
            "s3cret",
        ] {
            let error = Connection::open(url, "gallery").map(|_| ()).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("s3cret"), "{url}: {error}");
        }
        let config = Config::from_str("postgresql://ada:s3cret@db.example:6543/faces").unwrap();
        assert_eq!(address(&config), "postgresql://db.example:6543/faces");
    }
}
