//! Which database, and its tables.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection, SqlSafeStr};
use tokio::time::{Instant, sleep, timeout};
use tracing::warn;

use super::{OPERATION_TIME, Pool, Store, StoreError, postgres, sqlite};
use crate::config::mask_url;

/// How long to wait for a connection: less than for the statement itself.
const CONNECT_TIME: Duration = Duration::from_secs(3);
/// How long PostgreSQL may take for one statement, in milliseconds: a little less than we wait. One that waits
/// for a lock would not end with its connection.
const STATEMENT_TIMEOUT_MS: &str = "4500";
/// How long a connection may take to show that it is healthy before it is used again.
const RELEASE_TIME: Duration = Duration::from_secs(1);
/// How long the connections may take to close.
const CLOSE_TIME: Duration = Duration::from_secs(2);
/// How long a database may take to start.
const START_TIME: Duration = Duration::from_secs(30);
/// Connections to PostgreSQL at most.
const CONNECTIONS: u32 = 10;

/// A database, as the setting names it.
#[derive(Clone)]
pub struct Database {
    options: Options,
    /// The URL without its password.
    shown: String,
}

#[derive(Clone)]
enum Options {
    Postgres(Box<PgConnectOptions>),
    Sqlite(Box<SqliteConnectOptions>),
}

impl FromStr for Database {
    type Err = ();

    /// Reads `sqlite:FILE`, `sqlite://FILE` or `postgresql://…`. In memory a task would not outlive the process.
    fn from_str(url: &str) -> Result<Self, ()> {
        let options = if url.starts_with("sqlite:") {
            sqlite_options(url).map(|options| Options::Sqlite(Box::new(options)))
        } else {
            postgres_options(url).map(|options| Options::Postgres(Box::new(options)))
        };
        Ok(Self { options: options.ok_or(())?, shown: mask_url(url) })
    }
}

fn sqlite_options(url: &str) -> Option<SqliteConnectOptions> {
    if url.contains(":memory:") || url.contains("mode=memory") {
        return None;
    }
    let options = SqliteConnectOptions::from_str(url).ok()?;
    let options = options
        .create_if_missing(true)
        .foreign_keys(true)
        .journal_mode(SqliteJournalMode::Wal)
        // A task that was accepted is not lost when the power fails either.
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(OPERATION_TIME);
    Some(options).filter(|options| options.get_filename() != Path::new(""))
}

fn postgres_options(url: &str) -> Option<PgConnectOptions> {
    let is_postgres = url.starts_with("postgres://") || url.starts_with("postgresql://");
    let options = is_postgres.then(|| PgConnectOptions::from_str(url).ok())??;
    Some(options.application_name("orchestrator"))
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Database").field(&self.shown).finish()
    }
}

impl std::fmt::Display for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.shown)
    }
}

impl Store {
    /// Connects to `database` and brings its tables up to date; waits a while for one that is starting.
    ///
    /// # Errors
    /// Why that cannot be done, in a sentence.
    pub async fn connect(database: &Database) -> Result<Self, String> {
        let give_up = Instant::now() + START_TIME;
        let mut races = 0;
        loop {
            let why = match Self::try_connect(&database.options).await {
                Ok(store) => return Ok(store),
                Err(error) if may_be_starting(&error) => format!("it does not answer: {}", cause(&error)),
                // Another orchestrator may have made the same change at the same time: SQLite has no lock for that.
                Err(MigrateError::ExecuteMigration(..)) if races < MIGRATION_NAMES.len() => {
                    races += 1;
                    continue;
                }
                Err(error) => return Err(unusable(database, &error.to_string())),
            };
            if Instant::now() > give_up {
                return Err(unusable(database, &why));
            }
            warn!(%database, reason = why, "waiting for the database");
            sleep(Duration::from_secs(1)).await;
        }
    }

    async fn try_connect(options: &Options) -> Result<Self, MigrateError> {
        match options {
            Options::Postgres(options) => {
                let pool_of = |connections| {
                    PgPoolOptions::new().max_connections(connections).acquire_timeout(CONNECT_TIME)
                };
                let first = pool_of(1).connect_with((**options).clone()).await?;
                migrations(POSTGRES_MIGRATIONS).run(&first).await?;
                first.close().await;
                let options = (**options).clone().options([("statement_timeout", STATEMENT_TIMEOUT_MS)]);
                let pool = pool_of(CONNECTIONS)
                    // The pool checks each connection that is returned, without a limit of time.
                    .after_release(|connection, _| {
                        Box::pin(async move {
                            let pinged = timeout(RELEASE_TIME, connection.ping()).await;
                            pinged.unwrap_or(Err(sqlx::Error::PoolTimedOut)).map(|()| true)
                        })
                    })
                    .connect_lazy_with(options);
                Ok(Self { pool: Pool::Postgres(pool), sql: &postgres::SQL, file: None })
            }
            Options::Sqlite(options) => {
                // One connection: SQLite writes one thing after the other anyway, and waiting for it here is
                // fairer than its own.
                let pool = SqlitePoolOptions::new()
                    .max_connections(1)
                    .acquire_timeout(CONNECT_TIME)
                    .idle_timeout(None)
                    .max_lifetime(None)
                    .connect_with((**options).clone())
                    .await?;
                migrations(SQLITE_MIGRATIONS).run(&pool).await?;
                // A deleted file is not created again, and remaining journal files are not used.
                pool.set_connect_options((**options).clone().create_if_missing(false));
                let file = DatabaseFile::at(options.get_filename()).map_err(sqlx::Error::Io)?;
                Ok(Self { pool: Pool::Sqlite(pool), sql: &sqlite::SQL, file: Some(file) })
            }
        }
    }

    /// Fails when the database is a file that was moved or deleted: SQLite would go on writing to what remains
    /// of it.
    pub(super) fn check_file(&self) -> Result<(), StoreError> {
        match &self.file {
            Some(file) if !file.is_available() => {
                Err(StoreError::Unavailable("its file was moved or deleted; put it back or restart".into()))
            }
            _ => Ok(()),
        }
    }

    /// Closes all connections, but does not wait long for one that hangs.
    pub async fn close(&self) {
        let closed = async {
            match &self.pool {
                Pool::Postgres(pool) => pool.close().await,
                Pool::Sqlite(pool) => pool.close().await,
            }
        };
        if timeout(CLOSE_TIME, closed).await.is_err() {
            warn!("some connections to the database hang and are not closed");
        }
    }
}

/// Whether the database may only be starting.
fn may_be_starting(error: &MigrateError) -> bool {
    let (MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)) = error else {
        return false;
    };
    match error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut => true,
        // PostgreSQL's cannot_connect_now; SQLITE_BUSY.
        sqlx::Error::Database(error) => matches!(error.code().as_deref(), Some("57P03" | "5")),
        _ => false,
    }
}

/// The root cause of `error`, such as a refused connection.
fn cause(error: &MigrateError) -> String {
    let chain = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
    chain.last().map(ToString::to_string).unwrap_or_default()
}

fn unusable(database: &Database, why: &str) -> String {
    format!(
        "cannot use the database {database} ({why}); check ORCHESTRATOR_DATABASE_URL, and that the server runs or the file can be written"
    )
}

/// The changes to the tables, in order. A released one is never edited: add the next.
const POSTGRES_MIGRATIONS: [&str; 3] = [
    include_str!("migrations/postgres_1_tasks.sql"),
    include_str!("migrations/postgres_2_submissions.sql"),
    include_str!("migrations/postgres_3_stated_time.sql"),
];
/// The same changes for SQLite.
const SQLITE_MIGRATIONS: [&str; 3] = [
    include_str!("migrations/sqlite_1_tasks.sql"),
    include_str!("migrations/sqlite_2_submissions.sql"),
    include_str!("migrations/sqlite_3_stated_time.sql"),
];
/// What each change is about.
const MIGRATION_NAMES: [&str; 3] = ["tasks", "submissions", "stated time"];

fn migrations(changes: [&'static str; MIGRATION_NAMES.len()]) -> Migrator {
    let migration = |(number, (name, sql)): (i64, (&'static str, &'static str))| {
        Migration::new(number, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
    };
    Migrator::with_migrations((1..).zip(MIGRATION_NAMES.into_iter().zip(changes)).map(migration).collect())
}

/// Which file a database was opened from.
#[derive(Debug)]
pub(super) struct DatabaseFile {
    path: PathBuf,
    /// Device and number of the file.
    identity: (u64, u64),
}

impl DatabaseFile {
    fn at(path: &Path) -> std::io::Result<Self> {
        let path = std::path::absolute(path)?;
        Ok(Self { identity: identity(&path)?, path })
    }

    fn is_available(&self) -> bool {
        identity(&self.path).is_ok_and(|now| now == self.identity)
    }
}

fn identity(path: &Path) -> std::io::Result<(u64, u64)> {
    std::fs::metadata(path).map(|file| (file.dev(), file.ino()))
}
