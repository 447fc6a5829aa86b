//! What a delivery report proves of a record.

use rdkafka::error::RDKafkaErrorCode;

use super::raw::Persistence;
use crate::model::Offset;

/// What became of a record, as far as the producer knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The cluster acknowledged it; without an offset where the broker had it already (`DUPLICATE_SEQUENCE_NUMBER`).
    Acked(Option<Offset>),
    /// Refused for sure, with Kafka's name of the refusal.
    Rejected(String),
    /// It may or may not be in the log.
    Indeterminate(String),
}

/// The errors after which a record is in no log: the broker looked at it and refused it before appending.
const REFUSALS: [RDKafkaErrorCode; 7] = [
    RDKafkaErrorCode::MessageSizeTooLarge,
    RDKafkaErrorCode::InvalidTopic,
    RDKafkaErrorCode::MessageBatchTooLarge,
    RDKafkaErrorCode::InvalidRequiredAcks,
    RDKafkaErrorCode::TopicAuthorizationFailed,
    RDKafkaErrorCode::InvalidTimestamp,
    RDKafkaErrorCode::InvalidRecord,
];

/// The outcome of a delivery report, for every class but acks0.
///
/// librdkafka shows only the last attempt, and calls `NOT_LEADER_OR_FOLLOWER` and `KAFKA_STORAGE_ERROR` not persisted
/// although the broker may have appended. So its "not persisted" counts only beside a refusal that comes before the
/// append, and a time-out proves nothing whatever its status.
pub(super) fn outcome(status: Persistence, error: Option<RDKafkaErrorCode>, offset: i64) -> Outcome {
    let text = || error.map_or_else(|| "delivered without an acknowledgement".to_owned(), |code| code.to_string());
    if error == Some(RDKafkaErrorCode::MessageTimedOut) {
        return Outcome::Indeterminate(text());
    }
    match status {
        Persistence::Persisted => Outcome::Acked(Offset::new(offset)),
        Persistence::NotPersisted if error.is_some_and(|code| REFUSALS.contains(&code)) => Outcome::Rejected(text()),
        Persistence::NotPersisted | Persistence::PossiblyPersisted => Outcome::Indeterminate(text()),
    }
}

/// The outcome of a delivery report of acks0: written to a connection, or as for the other classes where it was not. The
/// offset it tells means nothing, and librdkafka calls such a record possibly persisted.
pub(super) fn unacknowledged(status: Persistence, error: Option<RDKafkaErrorCode>) -> Outcome {
    if error.is_none() { Outcome::Acked(None) } else { outcome(status, error, -1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_definite_refusal_is_a_rejection() {
        use Persistence::{NotPersisted, Persisted, PossiblyPersisted};
        use RDKafkaErrorCode as Code;
        let acked = |offset| Outcome::Acked(Offset::new(offset));
        let rejected = |code: Code| Outcome::Rejected(code.to_string());
        let indeterminate = |code: Code| Outcome::Indeterminate(code.to_string());
        let cases = [
            ("acknowledged", Persisted, None, 7, acked(7)),
            ("acknowledged at the first offset", Persisted, None, 0, acked(0)),
            ("acknowledged as a duplicate, no offset", Persisted, None, -1001, Outcome::Acked(None)),
            (
                "timed out in flight",
                PossiblyPersisted,
                Some(Code::MessageTimedOut),
                -1001,
                indeterminate(Code::MessageTimedOut),
            ),
            (
                "timed out in the queue",
                NotPersisted,
                Some(Code::MessageTimedOut),
                -1001,
                indeterminate(Code::MessageTimedOut),
            ),
            (
                "timed out, believed persisted",
                Persisted,
                Some(Code::MessageTimedOut),
                7,
                indeterminate(Code::MessageTimedOut),
            ),
            (
                "not the leader: may have appended",
                NotPersisted,
                Some(Code::NotLeaderForPartition),
                -1,
                indeterminate(Code::NotLeaderForPartition),
            ),
            (
                "storage error: may have appended",
                NotPersisted,
                Some(Code::KafkaStorageError),
                -1,
                indeterminate(Code::KafkaStorageError),
            ),
            (
                "too few replicas, but an earlier attempt may have landed",
                NotPersisted,
                Some(Code::NotEnoughReplicas),
                -1,
                indeterminate(Code::NotEnoughReplicas),
            ),
            (
                "appended, too few replicas",
                PossiblyPersisted,
                Some(Code::NotEnoughReplicasAfterAppend),
                -1,
                indeterminate(Code::NotEnoughReplicasAfterAppend),
            ),
            (
                "request timed out at the broker",
                PossiblyPersisted,
                Some(Code::RequestTimedOut),
                -1,
                indeterminate(Code::RequestTimedOut),
            ),
            ("purged in flight", PossiblyPersisted, Some(Code::PurgeInflight), -1, indeterminate(Code::PurgeInflight)),
            ("purged in the queue", NotPersisted, Some(Code::PurgeQueue), -1, indeterminate(Code::PurgeQueue)),
            ("fatal", NotPersisted, Some(Code::Fatal), -1, indeterminate(Code::Fatal)),
            (
                "out of order sequence",
                PossiblyPersisted,
                Some(Code::OutOfOrderSequenceNumber),
                -1,
                indeterminate(Code::OutOfOrderSequenceNumber),
            ),
            (
                "refused, but an earlier attempt was written",
                PossiblyPersisted,
                Some(Code::InvalidRecord),
                -1,
                indeterminate(Code::InvalidRecord),
            ),
            ("too large", NotPersisted, Some(Code::MessageSizeTooLarge), -1, rejected(Code::MessageSizeTooLarge)),
            (
                "not authorized",
                NotPersisted,
                Some(Code::TopicAuthorizationFailed),
                -1,
                rejected(Code::TopicAuthorizationFailed),
            ),
            (
                "refused by a compacted topic",
                NotPersisted,
                Some(Code::InvalidRecord),
                -1,
                rejected(Code::InvalidRecord),
            ),
            (
                "no error and no acknowledgement",
                PossiblyPersisted,
                None,
                7,
                Outcome::Indeterminate("delivered without an acknowledgement".into()),
            ),
        ];
        for (name, status, error, offset, want) in cases {
            assert_eq!(outcome(status, error, offset), want, "{name}");
        }
    }

    #[test]
    fn a_record_nobody_acknowledges_has_no_offset() {
        use Persistence::{NotPersisted, Persisted, PossiblyPersisted};
        use RDKafkaErrorCode as Code;
        let cases = [
            ("written to a connection", PossiblyPersisted, None, Outcome::Acked(None)),
            ("believed persisted", Persisted, None, Outcome::Acked(None)),
            (
                "timed out in the queue",
                NotPersisted,
                Some(Code::MessageTimedOut),
                Outcome::Indeterminate(Code::MessageTimedOut.to_string()),
            ),
            (
                "disconnected half-way",
                PossiblyPersisted,
                Some(Code::BrokerTransportFailure),
                Outcome::Indeterminate(Code::BrokerTransportFailure.to_string()),
            ),
            (
                "refused before it was written",
                NotPersisted,
                Some(Code::MessageSizeTooLarge),
                Outcome::Rejected(Code::MessageSizeTooLarge.to_string()),
            ),
        ];
        for (name, status, error, want) in cases {
            assert_eq!(unacknowledged(status, error), want, "{name}");
        }
    }

    #[test]
    fn the_refusals_are_those_of_the_protocol() {
        let numbers = REFUSALS.map(|code| code as i32);
        assert_eq!(numbers, [10, 17, 18, 21, 29, 32, 87]);
    }
}
