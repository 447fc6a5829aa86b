//! The sources under test, where they expect each other.

#[path = "../../src/wire/api/mod.rs"]
#[expect(dead_code, reason = "what follows from an answer is not tested here")]
pub(crate) mod api;
#[path = "../../src/wire/codec.rs"]
pub(crate) mod codec;
