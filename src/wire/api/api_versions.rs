//! ApiVersions: what a broker speaks.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use super::{Request, error};
use crate::wire::codec::{Malformed, Reader, Writer};

/// Asks which APIs the broker offers.
#[derive(Debug)]
pub(crate) struct ApiVersions;

/// The versions of each API the broker offers, by API key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Offered {
    pub(crate) error_code: i16,
    pub(crate) ranges: BTreeMap<i16, RangeInclusive<i16>>,
}

impl Offered {
    /// The newest version of `R` that both sides speak.
    pub(crate) fn version<R: Request>(&self) -> Option<i16> {
        let theirs = self.ranges.get(&R::KEY)?;
        let newest = *theirs.end().min(R::VERSIONS.end());
        (newest >= *theirs.start() && newest >= *R::VERSIONS.start()).then_some(newest)
    }
}

impl Request for ApiVersions {
    const KEY: i16 = 18;
    const NAME: &'static str = "ApiVersions";
    const VERSIONS: RangeInclusive<i16> = 0..=3;
    const FLEXIBLE_FROM: i16 = 3;
    // It comes last here, and the next answer tells it again: nothing else is asked on a connection before.
    const THROTTLE_FROM: Option<i16> = None;
    type Response = Offered;

    fn write(&self, version: i16, to: &mut Writer) {
        if version >= 3 {
            // Brokers refuse names outside [a-zA-Z0-9.-].
            to.string("kustody");
            to.string(env!("CARGO_PKG_VERSION"));
        }
        to.tags();
    }

    fn read(version: i16, from: &mut Reader<'_>) -> Result<Offered, Malformed> {
        let error_code = from.i16()?;
        // A broker that does not know our version answers in version 0 (KIP-511).
        let version = if error_code == error::UNSUPPORTED_VERSION { 0 } else { version };
        if version == 0 {
            from.plain();
        }
        let ranges = from.array(6, |from| {
            let range = (from.i16()?, from.i16()?..=from.i16()?);
            from.tags()?;
            Ok(range)
        })?;
        if version >= 1 {
            from.i32()?;
        }
        from.tags()?;
        Ok(Offered { error_code, ranges: ranges.into_iter().collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::super::metadata::Metadata;
    use super::*;

    #[test]
    fn the_newest_version_both_sides_speak_is_taken() {
        let cases = [
            ("the broker is older", Some(0..=9), Some(9)),
            ("the broker is newer", Some(0..=99), Some(13)),
            ("the broker no longer speaks ours", Some(14..=20), None),
            ("the broker does not speak ours yet", Some(0..=0), None),
            ("the broker does not offer it", None, None),
        ];
        for (name, theirs, want) in cases {
            let ranges = theirs.map(|range| (Metadata::KEY, range)).into_iter().collect();
            assert_eq!(Offered { error_code: 0, ranges }.version::<Metadata>(), want, "{name}");
        }
    }
}
