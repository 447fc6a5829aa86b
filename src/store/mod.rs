//! History and ledger in SQLite: sqlx's home.
