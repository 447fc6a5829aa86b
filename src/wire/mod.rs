//! The poll plane: our own small Kafka client, read-only, and never blind.
