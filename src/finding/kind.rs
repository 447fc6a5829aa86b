//! Every kind of finding that this version can make: its word, nature, severity, and what to do.

use serde::{Deserialize, Serialize};

/// How sure a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grade {
    /// Offset and epoch evidence.
    Proven,
    /// State seen.
    Observed,
    /// Configuration allows it.
    Risk,
    /// Cannot be seen from outside.
    Unknown,
}

/// How urgent it is; ordered, critical first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Data is lost or cannot be written or read now.
    Critical,
    /// One more failure, or a growing problem.
    Warning,
    /// Worth knowing.
    Info,
}

/// Whether it holds for a while or happened once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Nature {
    /// Closes after two complete readings without it.
    State,
    /// Stays open for `alert.event_hold` after it was last seen.
    Event,
}

macro_rules! words {
    ($type:ident { $($variant:ident => $word:literal),+ $(,)? }) => {
        impl $type {
            /// The contract's word.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
            /// The one the word names.
            #[must_use]
            pub fn from_word(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.as_str() == word)
            }
        }
        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words!(Grade { Proven => "proven", Observed => "observed", Risk => "risk", Unknown => "unknown" });
words!(Severity { Critical => "critical", Warning => "warning", Info => "info" });
words!(Nature { State => "state", Event => "event" });

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the words are explained in `docs/verdicts.md`, one section each")]
pub enum Kind {
    PartitionOffline,
    PartitionUnderMinIsr,
    PartitionAtMinIsr,
    PartitionUnderReplicated,
    BrokerUnreachable,
    LeaderMoved,
    TopicRecreated,
    CommitRewound,
    CommitAheadOfLog,
    GroupStranded,
    RetentionOvertookGroup,
    GroupStopped,
    CanaryLost,
    CanaryTruncatedAfterDelivery,
    CanaryDuplicated,
    CanaryReordered,
    CanaryPhantom,
    CanaryAbortedVisible,
    CanaryConsumerSkipped,
    CanaryAckRegression,
    CanaryOverdue,
    CanarySecondInstance,
    CanaryNotCovering,
    CanaryBudgetBurning,
    MonitorBlind,
    MonitorImpaired,
    StorageDegraded,
}

words!(Kind {
    PartitionOffline => "partition_offline",
    PartitionUnderMinIsr => "partition_under_min_isr",
    PartitionAtMinIsr => "partition_at_min_isr",
    PartitionUnderReplicated => "partition_under_replicated",
    BrokerUnreachable => "broker_unreachable",
    LeaderMoved => "leader_moved",
    TopicRecreated => "topic_recreated",
    CommitRewound => "commit_rewound",
    CommitAheadOfLog => "commit_ahead_of_log",
    GroupStranded => "group_stranded",
    RetentionOvertookGroup => "retention_overtook_group",
    GroupStopped => "group_stopped",
    CanaryLost => "canary_lost",
    CanaryTruncatedAfterDelivery => "canary_truncated_after_delivery",
    CanaryDuplicated => "canary_duplicated",
    CanaryReordered => "canary_reordered",
    CanaryPhantom => "canary_phantom",
    CanaryAbortedVisible => "canary_aborted_visible",
    CanaryConsumerSkipped => "canary_consumer_skipped",
    CanaryAckRegression => "canary_ack_regression",
    CanaryOverdue => "canary_overdue",
    CanarySecondInstance => "canary_second_instance",
    CanaryNotCovering => "canary_not_covering",
    CanaryBudgetBurning => "canary_budget_burning",
    MonitorBlind => "monitor_blind",
    MonitorImpaired => "monitor_impaired",
    StorageDegraded => "storage_degraded",
});

impl Kind {
    /// Whether it holds or happened.
    #[must_use]
    pub fn nature(self) -> Nature {
        match self {
            Self::LeaderMoved
            | Self::TopicRecreated
            | Self::CommitRewound
            | Self::CanaryLost
            | Self::CanaryTruncatedAfterDelivery
            | Self::CanaryDuplicated
            | Self::CanaryReordered
            | Self::CanaryPhantom
            | Self::CanaryAbortedVisible
            | Self::CanaryConsumerSkipped
            | Self::CanaryAckRegression => Nature::Event,
            Self::PartitionOffline
            | Self::PartitionUnderMinIsr
            | Self::PartitionAtMinIsr
            | Self::PartitionUnderReplicated
            | Self::BrokerUnreachable
            | Self::CommitAheadOfLog
            | Self::GroupStranded
            | Self::RetentionOvertookGroup
            | Self::GroupStopped
            | Self::CanaryOverdue
            | Self::CanarySecondInstance
            | Self::CanaryNotCovering
            | Self::CanaryBudgetBurning
            | Self::MonitorBlind
            | Self::MonitorImpaired
            | Self::StorageDegraded => Nature::State,
        }
    }

    /// True for what the canary's ledger tells, each time all of it.
    #[must_use]
    pub fn is_of_canary(self) -> bool {
        // What its topic covers is seen by the poll.
        self.as_str().starts_with("canary_") && self != Self::CanaryNotCovering
    }

    /// How sure it is whenever it is stated.
    #[must_use]
    pub fn grade(self) -> Grade {
        match self {
            Self::CommitRewound
            | Self::CommitAheadOfLog
            | Self::GroupStranded
            | Self::RetentionOvertookGroup
            | Self::CanaryLost
            | Self::CanaryTruncatedAfterDelivery
            | Self::CanaryDuplicated
            | Self::CanaryReordered
            | Self::CanaryPhantom
            | Self::CanaryAbortedVisible
            | Self::CanaryAckRegression
            | Self::CanarySecondInstance => Grade::Proven,
            Self::PartitionOffline
            | Self::PartitionUnderMinIsr
            | Self::PartitionAtMinIsr
            | Self::PartitionUnderReplicated
            | Self::BrokerUnreachable
            | Self::LeaderMoved
            | Self::TopicRecreated
            | Self::GroupStopped
            | Self::CanaryConsumerSkipped
            | Self::CanaryOverdue
            | Self::CanaryBudgetBurning => Grade::Observed,
            Self::CanaryNotCovering => Grade::Risk,
            Self::MonitorBlind | Self::MonitorImpaired | Self::StorageDegraded => Grade::Unknown,
        }
    }
}
