//! Kafka's error codes, and what is done about each.

use crate::model::Missing;

pub(crate) const NONE: i16 = 0;
pub(crate) const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
pub(crate) const UNSUPPORTED_SASL_MECHANISM: i16 = 33;
pub(crate) const ILLEGAL_SASL_STATE: i16 = 34;
pub(crate) const UNSUPPORTED_VERSION: i16 = 35;
pub(crate) const NOT_CONTROLLER: i16 = 41;
pub(crate) const SASL_AUTHENTICATION_FAILED: i16 = 58;
pub(crate) const GROUP_ID_NOT_FOUND: i16 = 69;

/// What is done about an error. Whatever is asked again is so at most twice, and only within the turn's deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Remedy {
    /// Leadership moves, or an id is not known yet: fresh metadata is read, and whoever leads by it is asked.
    RefreshMetadata,
    /// The coordinator moves: who it is now is read anew, and that one is asked.
    FindCoordinator,
    /// It passes by itself: the same broker is asked again.
    AskAgain,
    /// Our quota is used up: the same broker is asked again once the time it told is over.
    Wait,
    /// An operator must grant something, and is told what.
    Grant,
    /// ApiVersions is asked again in its lowest version. Any other API was asked in a version the broker offers, so it
    /// switched off what was asked for: "not supported by this broker".
    LowerVersion,
    /// We are not who we say: nothing more is asked on this connection, and the broker rests.
    Stop,
    /// The group is not there, or not loaded yet: by the rule of the group list it is missing, not gone.
    AwaitGroup,
    /// Nothing that we do changes it: it is shown by its name.
    Show,
}

/// What is done when Kafka answered `code`; nothing when the code is 0.
pub(crate) const fn remedy(code: i16) -> Option<Remedy> {
    Some(match code {
        NONE => return None,
        // LEADER_NOT_AVAILABLE, NOT_LEADER_OR_FOLLOWER, REPLICA_NOT_AVAILABLE, FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH,
        // OFFSET_NOT_AVAILABLE, UNKNOWN_TOPIC_ID; the first may be of a leader that lost the topic.
        UNKNOWN_TOPIC_OR_PARTITION | 5 | 6 | 9 | 74 | 75 | 78 | 100 => Remedy::RefreshMetadata,
        // COORDINATOR_NOT_AVAILABLE, NOT_COORDINATOR.
        15 | 16 => Remedy::FindCoordinator,
        // REQUEST_TIMED_OUT, NETWORK_EXCEPTION (of the broker's own requests), COORDINATOR_LOAD_IN_PROGRESS,
        // UNSTABLE_OFFSET_COMMIT.
        7 | 13 | 14 | 88 => Remedy::AskAgain,
        // THROTTLING_QUOTA_EXCEEDED.
        89 => Remedy::Wait,
        // Of a topic, a group, the cluster, a transactional id.
        29 | 30 | 31 | 53 => Remedy::Grant,
        UNSUPPORTED_VERSION => Remedy::LowerVersion,
        SASL_AUTHENTICATION_FAILED => Remedy::Stop,
        GROUP_ID_NOT_FOUND => Remedy::AwaitGroup,
        _ => Remedy::Show,
    })
}

/// Why a reading is missing when Kafka answered `code`; nothing when the code is 0.
pub(crate) const fn missing(code: i16) -> Option<Missing> {
    match code {
        NONE => None,
        5 | 6 | 9 | 74 | 75 => Some(Missing::LeaderMoving),
        // Never a smaller number instead (KIP-207).
        78 => Some(Missing::OffsetNotAvailable),
        14..=16 => Some(Missing::CoordinatorMoving),
        29 => Some(Missing::TopicNotAuthorized),
        30 => Some(Missing::GroupNotAuthorized),
        31 => Some(Missing::ClusterNotAuthorized),
        53 => Some(Missing::TransactionNotAuthorized),
        UNSUPPORTED_VERSION => Some(Missing::Unsupported),
        _ => Some(Missing::KafkaError(code)),
    }
}

/// What another ask within the same turn begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retry {
    /// Fresh metadata, which tells leaders and coordinators.
    AfterMetadata,
    /// Nothing but a pause: the broker was the right one.
    SameBroker,
}

/// How to ask again for what is missing for this reason; nothing where that would not bring it.
pub(crate) const fn retry(why: Missing) -> Option<Retry> {
    match why {
        // A coordinator that loads is asked again as well, if fresh metadata says that it is still the one.
        Missing::LeaderMoving | Missing::OffsetNotAvailable | Missing::CoordinatorMoving => Some(Retry::AfterMetadata),
        Missing::KafkaError(code) => match remedy(code) {
            Some(Remedy::RefreshMetadata | Remedy::FindCoordinator) => Some(Retry::AfterMetadata),
            Some(Remedy::AskAgain | Remedy::Wait) => Some(Retry::SameBroker),
            Some(Remedy::Grant | Remedy::LowerVersion | Remedy::Stop | Remedy::AwaitGroup | Remedy::Show) | None => {
                None
            }
        },
        Missing::Unreachable(_)
        | Missing::TimedOut(_)
        | Missing::NoLeader
        | Missing::TopicNotAuthorized
        | Missing::GroupNotAuthorized
        | Missing::ClusterNotAuthorized
        | Missing::TransactionNotAuthorized
        | Missing::Unsupported
        | Missing::ClusterUnreachable
        | Missing::Garbled(_)
        | Missing::NotAsked
        | Missing::TopicNotInMetadata
        | Missing::Throttled
        | Missing::Unconfirmed => None,
    }
}

/// True when another ask may bring the answer within the same turn.
pub(crate) const fn is_passing(why: Missing) -> bool {
    retry(why).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_has_its_remedy_and_says_why_nothing_was_read() {
        let (moving, coordinator) = (Missing::LeaderMoving, Missing::CoordinatorMoving);
        let metadata = Some(Retry::AfterMetadata);
        let same = Some(Retry::SameBroker);
        let cases = [
            (3, Remedy::RefreshMetadata, Missing::KafkaError(3), metadata),
            (5, Remedy::RefreshMetadata, moving, metadata),
            (6, Remedy::RefreshMetadata, moving, metadata),
            (9, Remedy::RefreshMetadata, moving, metadata),
            (74, Remedy::RefreshMetadata, moving, metadata),
            (75, Remedy::RefreshMetadata, moving, metadata),
            (78, Remedy::RefreshMetadata, Missing::OffsetNotAvailable, metadata),
            (100, Remedy::RefreshMetadata, Missing::KafkaError(100), metadata),
            (15, Remedy::FindCoordinator, coordinator, metadata),
            (16, Remedy::FindCoordinator, coordinator, metadata),
            (14, Remedy::AskAgain, coordinator, metadata),
            (7, Remedy::AskAgain, Missing::KafkaError(7), same),
            (13, Remedy::AskAgain, Missing::KafkaError(13), same),
            (88, Remedy::AskAgain, Missing::KafkaError(88), same),
            (89, Remedy::Wait, Missing::KafkaError(89), same),
            (29, Remedy::Grant, Missing::TopicNotAuthorized, None),
            (30, Remedy::Grant, Missing::GroupNotAuthorized, None),
            (31, Remedy::Grant, Missing::ClusterNotAuthorized, None),
            (53, Remedy::Grant, Missing::TransactionNotAuthorized, None),
            (35, Remedy::LowerVersion, Missing::Unsupported, None),
            (58, Remedy::Stop, Missing::KafkaError(58), None),
            (69, Remedy::AwaitGroup, Missing::KafkaError(69), None),
            // Counter-cases: beside each of the above, and newer than we are.
            (-1, Remedy::Show, Missing::KafkaError(-1), None),
            (4, Remedy::Show, Missing::KafkaError(4), None),
            (17, Remedy::Show, Missing::KafkaError(17), None),
            (32, Remedy::Show, Missing::KafkaError(32), None),
            (56, Remedy::Show, Missing::KafkaError(56), None),
            (70, Remedy::Show, Missing::KafkaError(70), None),
            (101, Remedy::Show, Missing::KafkaError(101), None),
            (999, Remedy::Show, Missing::KafkaError(999), None),
        ];
        for (code, done, why, again) in cases {
            assert_eq!((remedy(code), missing(code)), (Some(done), Some(why)), "{code}");
            assert_eq!(retry(why), again, "{code}");
            assert_eq!(why.is_authorization(), done == Remedy::Grant, "{code}");
        }
        assert_eq!((remedy(0), missing(0)), (None, None), "no error");
    }

    #[test]
    fn what_is_granted_and_what_is_shown_is_named() {
        let cases = [
            (29, "not authorized: grant DESCRIBE on the topic"),
            (30, "not authorized: grant DESCRIBE on the group"),
            (31, "not authorized: grant DESCRIBE on the cluster"),
            (53, "not authorized: grant DESCRIBE on the transactional id"),
            (56, "Kafka answered KAFKA_STORAGE_ERROR (56)"),
            (-1, "Kafka answered UNKNOWN_SERVER_ERROR (-1)"),
            (999, "Kafka answered error 999"),
        ];
        for (code, want) in cases {
            assert_eq!(missing(code).map(|why| why.to_string()).as_deref(), Some(want), "{code}");
        }
    }
}
