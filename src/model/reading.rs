//! What was read, or why it was not: the third answer as a value.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::ids::BrokerId;
use super::kafka_error::kafka_error_name;

/// Like `Option`, but the absence carries its reason. Absence is never turned into 0 and never into "gone".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reading<T> {
    /// The value, as the cluster answered it.
    Read(T),
    /// No value in this turn, and why.
    Missing(Missing),
}

/// Why a reading is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// The broker refused the connection, or the connection broke.
    Unreachable(BrokerId),
    /// The broker did not answer within the deadline: hung, or cut off.
    TimedOut(BrokerId),
    /// The partition has no leader.
    NoLeader,
    /// The broker asked is not the leader (any more), or a leader epoch is fenced or not known yet.
    LeaderMoving,
    /// The leader was just elected and does not know its high watermark yet (`OFFSET_NOT_AVAILABLE`, KIP-207).
    OffsetNotAvailable,
    /// The group's coordinator is loading, moving or not elected.
    CoordinatorMoving,
    /// Our principal may not: DESCRIBE on the topic is to be granted.
    TopicNotAuthorized,
    /// Our principal may not: DESCRIBE on the group is to be granted.
    GroupNotAuthorized,
    /// Our principal may not: DESCRIBE (or `DESCRIBE_CONFIGS`) on the cluster is to be granted.
    ClusterNotAuthorized,
    /// Our principal may not: DESCRIBE on the transactional id is to be granted.
    TransactionNotAuthorized,
    /// This broker does not offer the API.
    Unsupported,
    /// No broker answered at all.
    ClusterUnreachable,
    /// Kafka answered another error code, by its number in the protocol.
    KafkaError(i16),
    /// The answer could not be decoded.
    Garbled(BrokerId),
    /// It was not asked for in this turn, and never before.
    NotAsked,
    /// The topic was not in the metadata of this turn.
    TopicNotInMetadata,
    /// It was not asked for in this turn: the broker wanted to be left alone, or our own limit of requests was reached.
    Throttled,
    /// Two sources disagree, and the second read that decides is still to come.
    Unconfirmed,
}

impl Missing {
    /// The reason in one word, for labels and JSON: bounded, without ids.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Unreachable(_) => "unreachable",
            Self::TimedOut(_) => "timed_out",
            Self::NoLeader => "no_leader",
            Self::LeaderMoving => "leader_moving",
            Self::OffsetNotAvailable => "offset_not_available",
            Self::CoordinatorMoving => "coordinator_moving",
            Self::TopicNotAuthorized => "topic_not_authorized",
            Self::GroupNotAuthorized => "group_not_authorized",
            Self::ClusterNotAuthorized => "cluster_not_authorized",
            Self::TransactionNotAuthorized => "transaction_not_authorized",
            Self::Unsupported => "unsupported",
            Self::ClusterUnreachable => "cluster_unreachable",
            Self::KafkaError(_) => "kafka_error",
            Self::Garbled(_) => "garbled",
            Self::NotAsked => "not_asked",
            Self::TopicNotInMetadata => "topic_not_in_metadata",
            Self::Throttled => "throttled",
            Self::Unconfirmed => "unconfirmed",
        }
    }

    /// True when our own permissions are the reason: an operator must grant something.
    #[must_use]
    pub fn is_authorization(self) -> bool {
        matches!(
            self,
            Self::TopicNotAuthorized
                | Self::GroupNotAuthorized
                | Self::ClusterNotAuthorized
                | Self::TransactionNotAuthorized
        )
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(broker) => write!(f, "broker {broker} cannot be reached"),
            Self::TimedOut(broker) => write!(f, "broker {broker} did not answer within the deadline"),
            Self::NoLeader => f.write_str("the partition has no leader"),
            Self::LeaderMoving => f.write_str("leadership is moving"),
            Self::OffsetNotAvailable => f.write_str("the new leader does not know its high watermark yet"),
            Self::CoordinatorMoving => f.write_str("the group's coordinator is loading or moving"),
            Self::TopicNotAuthorized => f.write_str("not authorized: grant DESCRIBE on the topic"),
            Self::GroupNotAuthorized => f.write_str("not authorized: grant DESCRIBE on the group"),
            Self::ClusterNotAuthorized => f.write_str("not authorized: grant DESCRIBE on the cluster"),
            Self::TransactionNotAuthorized => f.write_str("not authorized: grant DESCRIBE on the transactional id"),
            Self::Unsupported => f.write_str("not supported by this broker"),
            Self::ClusterUnreachable => f.write_str("no broker of the cluster answers"),
            Self::KafkaError(code) => match kafka_error_name(*code) {
                Some(name) => write!(f, "Kafka answered {name} ({code})"),
                None => write!(f, "Kafka answered error {code}"),
            },
            Self::Garbled(broker) => write!(f, "broker {broker} answered what cannot be decoded"),
            Self::NotAsked => f.write_str("not read yet"),
            Self::TopicNotInMetadata => f.write_str("the topic is not in the metadata"),
            Self::Throttled => f.write_str("not asked: the broker or poll.max_requests_per_second left no time for it"),
            Self::Unconfirmed => f.write_str("two reads disagree, a further one decides"),
        }
    }
}

impl<T> Reading<T> {
    /// The value, where it was read.
    pub fn value(self) -> Option<T> {
        match self {
            Self::Read(value) => Some(value),
            Self::Missing(_) => None,
        }
    }

    /// The reason, where nothing was read.
    pub fn missing(&self) -> Option<Missing> {
        match self {
            Self::Read(_) => None,
            Self::Missing(why) => Some(*why),
        }
    }

    /// A view of the value.
    pub fn as_ref(&self) -> Reading<&T> {
        match self {
            Self::Read(value) => Reading::Read(value),
            Self::Missing(why) => Reading::Missing(*why),
        }
    }

    /// The same reading of something derived from the value.
    pub fn map<U>(self, derive: impl FnOnce(T) -> U) -> Reading<U> {
        match self {
            Self::Read(value) => Reading::Read(derive(value)),
            Self::Missing(why) => Reading::Missing(why),
        }
    }
}
