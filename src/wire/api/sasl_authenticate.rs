//! `SaslAuthenticate`: one message of a SASL dialogue, and its answer.

use std::ops::RangeInclusive;

use super::Request;
use crate::wire::codec::{Malformed, Reader, Writer};

/// Says something in a SASL dialogue; not to be shown, since it may be a password.
pub(crate) struct SaslAuthenticate {
    pub(crate) message: Vec<u8>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Authenticated {
    pub(crate) error_code: i16,
    pub(crate) error_message: Option<String>,
    pub(crate) message: Vec<u8>,
    /// How long the authentication holds, in milliseconds; 0 without an end (KIP-368). From version 1.
    pub(crate) session_lifetime_ms: i64,
}

impl Request for SaslAuthenticate {
    const KEY: i16 = 36;
    const NAME: &'static str = "SaslAuthenticate";
    const VERSIONS: RangeInclusive<i16> = 0..=2;
    const FLEXIBLE_FROM: i16 = 2;
    const THROTTLE_FROM: Option<i16> = None;
    type Response = Authenticated;

    fn write(&self, _version: i16, to: &mut Writer) {
        // Bytes are encoded as an array of them.
        to.array(&self.message, |to, byte| to.i8(byte.cast_signed()));
        to.tags();
    }

    fn read(version: i16, from: &mut Reader<'_>) -> Result<Authenticated, Malformed> {
        let authenticated = Authenticated {
            error_code: from.i16()?,
            error_message: from.nullable_string()?,
            message: from.bytes()?.to_vec(),
            session_lifetime_ms: if version >= 1 { from.i64()? } else { 0 },
        };
        from.tags()?;
        Ok(authenticated)
    }
}
