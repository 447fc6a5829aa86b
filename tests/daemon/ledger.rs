//! What the daemon has on disk: its lineage, its records and its sums.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use kustody::audit::{ClassRow, Lineage, PartitionRow, RecordKey, RecordRow, State};
use serde::de::DeserializeOwned;
use sqlx::{Connection, SqliteConnection};

use super::Daemon;

/// A ledger's file: of a daemon that runs or not, or a copy of one.
#[derive(Clone, Debug)]
pub(crate) struct Ledger(PathBuf);

impl Ledger {
    /// The ledger in this directory.
    pub(crate) fn of(directory: &Path) -> Self {
        Self(directory.join("ledger.db"))
    }

    async fn open(&self) -> SqliteConnection {
        open(&self.0).await.expect("the ledger is there")
    }

    async fn rows<T: DeserializeOwned>(&self, query: &'static str) -> Vec<T> {
        let bodies: Vec<String> =
            sqlx::query_scalar(query).fetch_all(&mut self.open().await).await.expect("it has such rows");
        bodies.iter().map(|body| serde_json::from_str(body).expect("a row of the audit")).collect()
    }

    /// The canary records.
    pub(crate) async fn records(&self) -> Vec<RecordRow> {
        self.rows("select body from canary_record").await
    }

    /// The sums of each class.
    pub(crate) async fn sums(&self) -> Vec<ClassRow> {
        self.rows("select body from canary_class").await
    }
}

impl Daemon {
    /// Its ledger.
    pub(crate) fn ledger(&self) -> Ledger {
        Ledger::of(&self.data())
    }

    /// The lineage of the canary, as it is on disk.
    pub(crate) async fn lineage(&self) -> Lineage {
        let mut ledger = self.ledger().open().await;
        let bytes: Vec<u8> =
            sqlx::query_scalar("select lineage from lineage").fetch_one(&mut ledger).await.expect("it has a lineage");
        Lineage(bytes.try_into().expect("a lineage has 16 bytes"))
    }

    /// The canary records that are on disk.
    pub(crate) async fn records(&self) -> Vec<RecordRow> {
        self.ledger().records().await
    }

    /// Those of them that the cluster acknowledged.
    pub(crate) async fn acked(&self) -> BTreeSet<RecordKey> {
        self.records().await.iter().filter(|row| row.acked_at.is_some()).map(|row| row.key).collect()
    }

    /// How many of them were read in time or late.
    pub(crate) async fn delivered_on_disk(&self) -> usize {
        let delivered = |row: &&RecordRow| matches!(row.state, State::Delivered | State::Late);
        self.records().await.iter().filter(delivered).count()
    }

    /// How far each reader has read each partition, as it is on disk.
    pub(crate) async fn positions_on_disk(&self) -> Vec<PartitionRow> {
        self.ledger().rows("select body from canary_position").await
    }

    /// Changes the ledger of a daemon that does not run.
    pub(crate) async fn rewrite_ledger(&self, sql: &str) -> u64 {
        assert!(!self.is_running(), "a running daemon does not expect its ledger to change");
        let mut ledger = self.ledger().open().await;
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
            .execute(&mut ledger)
            .await
            .expect("the ledger is writable")
            .rows_affected()
    }
}

/// True when a file is a good SQLite database.
pub(crate) async fn is_intact(file: &Path) -> bool {
    let answer: Result<String, _> = async {
        let mut connection = open(file).await?;
        sqlx::query_scalar("pragma integrity_check").fetch_one(&mut connection).await
    }
    .await;
    answer.is_ok_and(|answer: String| answer == "ok")
}

async fn open(file: &Path) -> Result<SqliteConnection, sqlx::Error> {
    SqliteConnection::connect(&format!("sqlite://{}", file.display())).await
}
