//! What can go wrong with a database, by what the caller can do about it.

use std::path::PathBuf;

/// Why the store did not do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file cannot be used: a permission, a path, or a database of a newer version. Restarting will not help.
    #[error("open database {}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the driver says.
        source: sqlx::Error,
    },
    /// The file is damaged. Put a backup in its place, or move it away.
    #[error("database is damaged")]
    Corrupt(#[source] sqlx::Error),
    /// The disk is full, or the file has reached its limit. Try again when there is room.
    #[error("no room for the database")]
    Full(#[source] sqlx::Error),
    /// Locked, or the disk did not answer in time. Try again.
    #[error("database is busy")]
    Busy(#[source] sqlx::Error),
    /// The statement or a row of it was refused: an error of this program. Trying again will not help.
    #[error("database refused the statement")]
    Refused(#[source] sqlx::Error),
    /// A row says what this version cannot read.
    #[error("row cannot be read: {0}")]
    Unreadable(String),
    /// The store has been closed.
    #[error("store is closed")]
    Closed,
}

impl StoreError {
    /// Sorts what the driver says.
    pub(crate) fn of(error: sqlx::Error) -> Self {
        if matches!(error, sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_)) {
            return Self::Unreadable(error.to_string());
        }
        let Some(refusal) = error.as_database_error() else {
            return Self::Busy(error);
        };
        // The low byte of SQLite's extended code is the primary one.
        match refusal.code().and_then(|code| code.parse::<i64>().ok()).map(|code| code & 0xff) {
            // CORRUPT, NOTADB
            Some(11 | 26) => Self::Corrupt(error),
            // FULL
            Some(13) => Self::Full(error),
            // BUSY, LOCKED, NOMEM, INTERRUPT, IOERR, CANTOPEN, PROTOCOL
            Some(5 | 6 | 7 | 9 | 10 | 14 | 15) => Self::Busy(error),
            _ => Self::Refused(error),
        }
    }

    /// True when the same write may succeed later.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Full(_) | Self::Busy(_))
    }

    /// The same answer for one more of those who waited for the same write.
    pub(crate) fn again(&self) -> Self {
        let source = |error: &sqlx::Error| sqlx::Error::Protocol(error.to_string());
        match self {
            Self::Open { path, source: error } => Self::Open { path: path.clone(), source: source(error) },
            Self::Corrupt(error) => Self::Corrupt(source(error)),
            Self::Full(error) => Self::Full(source(error)),
            Self::Busy(error) => Self::Busy(source(error)),
            Self::Refused(error) => Self::Refused(source(error)),
            Self::Unreadable(why) => Self::Unreadable(why.clone()),
            Self::Closed => Self::Closed,
        }
    }

    /// The error and what caused it, in one line.
    #[must_use]
    pub fn in_full(&self) -> String {
        match std::error::Error::source(self) {
            Some(source) => format!("{self}: {source}"),
            None => self.to_string(),
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        Self::of(error)
    }
}
