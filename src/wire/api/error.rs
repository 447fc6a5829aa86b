//! Kafka's error codes, as far as something follows from them.

use crate::model::Missing;

pub(crate) const NONE: i16 = 0;
pub(crate) const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
pub(crate) const COORDINATOR_LOAD_IN_PROGRESS: i16 = 14;
pub(crate) const UNSUPPORTED_SASL_MECHANISM: i16 = 33;
pub(crate) const ILLEGAL_SASL_STATE: i16 = 34;
pub(crate) const UNSUPPORTED_VERSION: i16 = 35;
pub(crate) const NOT_CONTROLLER: i16 = 41;
pub(crate) const SASL_AUTHENTICATION_FAILED: i16 = 58;
pub(crate) const GROUP_ID_NOT_FOUND: i16 = 69;

/// Why a reading is missing when Kafka answered `code`; nothing when the code is 0.
pub(crate) const fn missing(code: i16) -> Option<Missing> {
    match code {
        NONE => None,
        // LEADER_NOT_AVAILABLE, NOT_LEADER_OR_FOLLOWER, REPLICA_NOT_AVAILABLE, FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH.
        5 | 6 | 9 | 74 | 75 => Some(Missing::LeaderMoving),
        // OFFSET_NOT_AVAILABLE: never a smaller number instead (KIP-207).
        78 => Some(Missing::OffsetNotAvailable),
        // COORDINATOR_NOT_AVAILABLE, NOT_COORDINATOR.
        COORDINATOR_LOAD_IN_PROGRESS | 15 | 16 => Some(Missing::CoordinatorMoving),
        29 => Some(Missing::TopicNotAuthorized),
        30 => Some(Missing::GroupNotAuthorized),
        31 => Some(Missing::ClusterNotAuthorized),
        UNSUPPORTED_VERSION => Some(Missing::Unsupported),
        _ => Some(Missing::KafkaError(code)),
    }
}

/// True when fresh metadata and another ask may bring the answer within the same turn.
pub(crate) const fn is_passing(why: Missing) -> bool {
    match why {
        Missing::LeaderMoving | Missing::OffsetNotAvailable | Missing::CoordinatorMoving => true,
        // UNKNOWN_TOPIC_OR_PARTITION of a leader that lost it, REQUEST_TIMED_OUT, NETWORK_EXCEPTION, UNKNOWN_TOPIC_ID.
        Missing::KafkaError(code) => matches!(code, UNKNOWN_TOPIC_OR_PARTITION | 7 | 13 | 100),
        Missing::Unreachable(_)
        | Missing::TimedOut(_)
        | Missing::NoLeader
        | Missing::TopicNotAuthorized
        | Missing::GroupNotAuthorized
        | Missing::ClusterNotAuthorized
        | Missing::Unsupported
        | Missing::ClusterUnreachable
        | Missing::Garbled(_)
        | Missing::NotAsked
        | Missing::TopicNotInMetadata
        | Missing::Unconfirmed => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_says_why_nothing_was_read() {
        let cases = [
            ("no error", 0, None, false),
            ("not leader", 6, Some(Missing::LeaderMoving), true),
            ("fenced epoch", 74, Some(Missing::LeaderMoving), true),
            ("unknown epoch", 75, Some(Missing::LeaderMoving), true),
            ("new leader without a high watermark", 78, Some(Missing::OffsetNotAvailable), true),
            ("coordinator loads", 14, Some(Missing::CoordinatorMoving), true),
            ("not coordinator", 16, Some(Missing::CoordinatorMoving), true),
            ("topic refused", 29, Some(Missing::TopicNotAuthorized), false),
            ("group refused", 30, Some(Missing::GroupNotAuthorized), false),
            ("cluster refused", 31, Some(Missing::ClusterNotAuthorized), false),
            ("unknown topic id", 100, Some(Missing::KafkaError(100)), true),
            ("unknown server error", -1, Some(Missing::KafkaError(-1)), false),
            ("an error newer than we are", 999, Some(Missing::KafkaError(999)), false),
        ];
        for (name, code, want, passing) in cases {
            assert_eq!(missing(code), want, "{name}");
            assert_eq!(want.is_some_and(is_passing), passing, "{name}");
        }
    }
}
