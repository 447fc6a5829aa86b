//! `SaslHandshake`: which mechanism we go by, and which the broker offers.

use std::ops::RangeInclusive;

use super::Request;
use crate::wire::codec::{Malformed, Reader, Writer};

/// Asks to go on with one mechanism.
#[derive(Debug)]
pub(crate) struct SaslHandshake {
    pub(crate) mechanism: &'static str,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mechanisms {
    pub(crate) error_code: i16,
    pub(crate) offered: Vec<String>,
}

impl Request for SaslHandshake {
    const KEY: i16 = 17;
    const NAME: &'static str = "SaslHandshake";
    // Behind version 0 SASL goes on in frames of its own, without error codes.
    const VERSIONS: RangeInclusive<i16> = 1..=1;
    const FLEXIBLE_FROM: i16 = i16::MAX;
    const THROTTLE_FROM: Option<i16> = None;
    type Response = Mechanisms;

    fn write(&self, _version: i16, to: &mut Writer) {
        to.string(self.mechanism);
    }

    fn read(_version: i16, from: &mut Reader<'_>) -> Result<Mechanisms, Malformed> {
        Ok(Mechanisms { error_code: from.i16()?, offered: from.array(2, Reader::string)? })
    }
}
