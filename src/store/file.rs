//! One database file: how it is opened, by whom it is written, how large it is.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, SqlitePool};
use tokio::sync::watch;

use super::StoreError;

static HISTORY: Migrator = sqlx::migrate!("migrations/history");
static LEDGER: Migrator = sqlx::migrate!("migrations/ledger");

/// How long a statement waits for a lock: a backup, or somebody's shell.
const BUSY: Duration = Duration::from_secs(5);

/// Which of the two files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// Samples: may be lost with the power, and dropped when the disk is slow.
    History,
    /// Findings, alerts, notices and the canary: kept through a power loss.
    Ledger,
}

/// A migrated file.
#[derive(Clone, Debug)]
pub(crate) struct File {
    which: Which,
    path: PathBuf,
    /// The most pages it may have; none is no limit. Moved at run time.
    pub(crate) max_pages: watch::Receiver<Option<u32>>,
}

impl File {
    /// Creates the file where there is none, and brings it to this version.
    pub(crate) async fn open(
        which: Which,
        data: &Path,
        max_pages: watch::Receiver<Option<u32>>,
    ) -> Result<Self, StoreError> {
        let (name, migrations) = match which {
            Which::History => ("history.db", &HISTORY),
            Which::Ledger => ("ledger.db", &LEDGER),
        };
        let file = Self { which, path: data.join(name), max_pages };
        let unusable = |source| match StoreError::of(source) {
            StoreError::Corrupt(source) => StoreError::Corrupt(source),
            StoreError::Open { source, .. }
            | StoreError::Full(source)
            | StoreError::Busy(source)
            | StoreError::Refused(source) => StoreError::Open { path: file.path.clone(), source },
            StoreError::Unreadable(why) => StoreError::Unreadable(why),
            StoreError::Closed => StoreError::Closed,
        };
        let mut connection = file.options().connect().await.map_err(unusable)?;
        if let Err(error) = migrations.run(&mut connection).await {
            if let MigrateError::Execute(source) | MigrateError::ExecuteMigration(source, _) = error {
                return Err(unusable(source));
            }
            return Err(StoreError::Open { path: file.path.clone(), source: sqlx::Error::Migrate(Box::new(error)) });
        }
        connection.close().await.map_err(unusable)?;
        Ok(file)
    }

    fn options(&self) -> SqliteConnectOptions {
        let synchronous = match self.which {
            Which::History => SqliteSynchronous::Normal,
            Which::Ledger => SqliteSynchronous::Full,
        };
        SqliteConnectOptions::new()
            .filename(&self.path)
            .create_if_missing(true)
            .page_size(8192)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(synchronous)
            .busy_timeout(BUSY)
            // Without it the log stays as large as the longest reader once made it.
            .pragma("journal_size_limit", "67108864")
            .disable_statement_logging()
    }

    /// The connection of the only writer.
    pub(crate) async fn writer(&mut self) -> Result<SqliteConnection, StoreError> {
        let mut connection = self.options().create_if_missing(false).connect().await?;
        self.max_pages.mark_changed();
        self.limit(&mut connection).await?;
        Ok(connection)
    }

    /// Applies a moved limit.
    pub(crate) async fn limit(&mut self, connection: &mut SqliteConnection) -> Result<(), StoreError> {
        if self.max_pages.has_changed().unwrap_or(false) {
            let pages = self.max_pages.borrow_and_update().unwrap_or(u32::MAX - 1);
            let statement = sqlx::AssertSqlSafe(format!("pragma max_page_count = {pages}"));
            sqlx::raw_sql(statement).execute(connection).await?;
        }
        Ok(())
    }

    /// Connections that can only read.
    pub(crate) fn readers(&self) -> SqlitePool {
        let options = self.options().create_if_missing(false).read_only(true);
        SqlitePoolOptions::new().max_connections(3).acquire_timeout(BUSY).connect_lazy_with(options)
    }

    /// Bytes on disk, the write-ahead log included.
    pub(crate) async fn bytes(&self) -> u64 {
        let mut log = self.path.clone().into_os_string();
        log.push("-wal");
        let mut bytes = 0;
        for path in [self.path.as_os_str(), log.as_os_str()] {
            // A log that is not there has no bytes.
            bytes += tokio::fs::metadata(path).await.map_or(0, |meta| meta.len());
        }
        bytes
    }
}
