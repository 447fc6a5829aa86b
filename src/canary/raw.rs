//! The three things librdkafka says of a message that rdkafka does not pass on.

use rdkafka::message::BorrowedMessage;
use rdkafka_sys::bindings::{
    rd_kafka_message_broker_id, rd_kafka_message_leader_epoch, rd_kafka_message_status, rd_kafka_msg_status_t,
};

use crate::model::{BrokerId, LeaderEpoch};

/// What librdkafka believes of a message it reports on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Persistence {
    /// Never written to a broker, or refused by it. Says nothing of the attempts before the last one.
    NotPersisted,
    /// Written to a broker, and not acknowledged.
    PossiblyPersisted,
    /// Acknowledged.
    Persisted,
}

/// What librdkafka believes of a message in a delivery report.
#[expect(unsafe_code, reason = "rdkafka does not wrap rd_kafka_message_status")]
pub(super) fn persistence(message: &BorrowedMessage<'_>) -> Persistence {
    // SAFETY: the pointer is the borrowed message's own, and the call only reads a field of it.
    let status = unsafe { rd_kafka_message_status(message.ptr()) };
    match status {
        rd_kafka_msg_status_t::RD_KAFKA_MSG_STATUS_NOT_PERSISTED => Persistence::NotPersisted,
        rd_kafka_msg_status_t::RD_KAFKA_MSG_STATUS_POSSIBLY_PERSISTED => Persistence::PossiblyPersisted,
        rd_kafka_msg_status_t::RD_KAFKA_MSG_STATUS_PERSISTED => Persistence::Persisted,
    }
}

/// The broker that answered, where the message got as far as one.
#[expect(unsafe_code, reason = "rdkafka does not wrap rd_kafka_message_broker_id")]
pub(super) fn broker(message: &BorrowedMessage<'_>) -> Option<BrokerId> {
    // SAFETY: the pointer is the borrowed message's own, and the call only reads a field of it.
    let node = unsafe { rd_kafka_message_broker_id(message.ptr()) };
    (node >= 0).then_some(BrokerId(node))
}

/// The leader epoch of a consumed message's batch, where the broker tells.
#[expect(unsafe_code, reason = "rdkafka does not wrap rd_kafka_message_leader_epoch")]
pub(super) fn leader_epoch(message: &BorrowedMessage<'_>) -> Option<LeaderEpoch> {
    // SAFETY: the pointer is the borrowed message's own, and the call only reads fields of it and of its live topic.
    let epoch = unsafe { rd_kafka_message_leader_epoch(message.ptr()) };
    LeaderEpoch::new(epoch)
}
