//! The APIs we speak, one per file: the request as we write it, the response as we read it, and in which versions.
//!
//! Only what is judged is kept of a response; the rest is read past. A response must end where its bytes end.

pub(crate) mod api_versions;
pub(crate) mod consumer_group_describe;
pub(crate) mod describe_cluster;
pub(crate) mod describe_configs;
pub(crate) mod describe_groups;
pub(crate) mod describe_log_dirs;
pub(crate) mod describe_producers;
pub(crate) mod describe_quorum;
pub(crate) mod describe_share_group_offsets;
pub(crate) mod describe_topic_partitions;
pub(crate) mod describe_transactions;
pub(crate) mod error;
pub(crate) mod find_coordinator;
pub(crate) mod list_groups;
pub(crate) mod list_offsets;
pub(crate) mod list_partition_reassignments;
pub(crate) mod list_transactions;
pub(crate) mod metadata;
pub(crate) mod offset_fetch;
pub(crate) mod offset_for_leader_epoch;
pub(crate) mod sasl_authenticate;
pub(crate) mod sasl_handshake;
pub(crate) mod share_group_describe;
pub(crate) mod streams_group_describe;

use std::ops::RangeInclusive;

use super::codec::{Malformed, Reader, TooLong, Writer};

/// Partitions by topic name, as messages nest them.
pub(crate) type ByTopic<T> = Vec<(String, Vec<T>)>;

/// One API: how its requests are written and its responses read.
pub(crate) trait Request: Send + Sync {
    /// The API's key in the protocol.
    const KEY: i16;
    /// The API's name in the protocol.
    const NAME: &'static str;
    /// The versions we speak.
    const VERSIONS: RangeInclusive<i16>;
    /// The first flexible version.
    const FLEXIBLE_FROM: i16;
    /// The first version whose answers begin with the time, in milliseconds, that the broker wants to be left alone for; none
    /// where they do not.
    const THROTTLE_FROM: Option<i16> = Some(0);
    /// What is kept of the answer.
    type Response: Send;

    /// Writes the body.
    fn write(&self, version: i16, to: &mut Writer);
    /// Reads the answer's body.
    fn read(version: i16, from: &mut Reader<'_>) -> Result<Self::Response, Malformed>;
}

/// The bytes of a request, length prefix included.
pub(crate) fn frame<R: Request>(
    request: &R,
    version: i16,
    correlation: i32,
    client_id: &str,
) -> Result<Vec<u8>, TooLong> {
    // The client id is a plain string in every version of the request header.
    let mut header = Writer::new(false);
    header.i16(R::KEY);
    header.i16(version);
    header.i32(correlation);
    header.nullable_string(Some(client_id));
    let header = header.finish()?;
    let mut body = Writer::new(version >= R::FLEXIBLE_FROM);
    body.tags();
    request.write(version, &mut body);
    let body = body.finish()?;
    let length = i32::try_from(header.len() + body.len()).map_err(|_| TooLong)?;
    Ok([&length.to_be_bytes()[..], &header, &body].concat())
}

/// Reads an answer from what follows its correlation id.
pub(crate) fn response<R: Request>(version: i16, bytes: &[u8]) -> Result<R::Response, Malformed> {
    let mut from = Reader::new(bytes, version >= R::FLEXIBLE_FROM);
    // ApiVersions answers with the oldest header always: the client does not know yet what the broker speaks (KIP-511).
    if R::KEY != api_versions::ApiVersions::KEY {
        from.tags()?;
    }
    let response = R::read(version, &mut from)?;
    from.end()?;
    Ok(response)
}

/// How long the broker wants to be left alone, in milliseconds, by what follows an answer's correlation id; 0 where it
/// tells no time.
pub(crate) fn throttle_ms<R: Request>(version: i16, bytes: &[u8]) -> i32 {
    if R::THROTTLE_FROM.is_none_or(|first| version < first) {
        return 0;
    }
    let mut from = Reader::new(bytes, version >= R::FLEXIBLE_FROM);
    from.tags().and_then(|()| from.i32()).unwrap_or(0)
}

#[cfg(test)]
mod tests;
