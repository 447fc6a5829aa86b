//! From a snapshot to facts. Pure.
pub mod view;
pub use view::*;
