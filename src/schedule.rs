//! Recurring chores: tokio-cron-scheduler's home.
