//! The nouns: immutable values that every other module speaks in. No verbs, no I/O, no clock.

pub mod group;
pub mod ids;
mod kafka_error;
pub mod offset;
pub mod properties;
pub mod reading;
pub mod sight;
pub mod snapshot;
pub mod survey;
pub mod time;
pub mod topology;

pub use group::{ConsumerGroup, GroupState, GroupType, Member, ShareOffset};
pub use ids::{BrokerId, ClusterName, GroupId, MemberId, PartitionId, TopicId, TopicName, TopicPartition};
pub use kafka_error::kafka_error_name;
pub use offset::{CommittedOffset, EpochEnd, LeaderEpoch, Offset, Watermarks};
pub use properties::{Properties, Secret};
pub use reading::{Missing, Reading};
pub use sight::{ReaderRefusal, ReaderSight};
pub use snapshot::{ClusterSnapshot, EpochSighting, LedPartition, MissingPart, Part, ReadSpan};
pub use survey::{
    ActiveProducer, EligibleLeaders, LogDirectory, OpenTransaction, Quorum, QuorumReplica, Reassignment,
    RegisteredBroker, StoredReplica, Transaction,
};
pub use time::{Moment, Timestamp};
pub use topology::{Broker, Partition, Topic, TopicConfig};
