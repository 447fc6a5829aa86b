//! Pages and JSON: the home of axum and askama. Read-only views of one published turn.
