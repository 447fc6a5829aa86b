//! What one reading says: what holds or happened, and what it cannot say.

use std::collections::BTreeSet;
use std::fmt::Write;

use serde_json::Value;

use super::{CountIs, Grade, Kind, Severity, Subject};
use crate::audit::ClassSlo;
use crate::model::{BrokerId, ClusterName, GroupId, TopicName, TopicPartition};

/// A finding before the book: what is so in one reading.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    /// What was found.
    pub kind: Kind,
    /// How sure: of its kind, where nothing else is said.
    pub grade: Grade,
    /// How urgent.
    pub severity: Severity,
    /// Whom it is about.
    pub subject: Subject,
    /// What tells two findings of one kind and subject apart, an event above all: a leader epoch, an offset. Else empty.
    pub occurrence: String,
    /// Readings in a row that must say so before it opens; 1 for what is beyond doubt at once.
    pub readings: u8,
    /// How many, where there is something to count.
    pub count: Option<u64>,
    /// How to read the count.
    pub count_is: CountIs,
    /// One sentence, with the numbers.
    pub summary: String,
    /// What to do.
    pub advice: String,
    /// Offsets, epochs, in-sync replicas, times: an object.
    pub evidence: Value,
    /// Commands of Kafka's own tools that show it.
    pub verify: Vec<String>,
}

impl Draft {
    /// A draft that opens at its first reading and counts nothing yet.
    #[must_use]
    pub fn new(kind: Kind, severity: Severity, subject: Subject, summary: String) -> Self {
        Self {
            kind,
            grade: kind.grade(),
            severity,
            subject,
            occurrence: String::new(),
            readings: 1,
            count: None,
            count_is: CountIs::Exact,
            summary,
            advice: String::new(),
            evidence: Value::Object(serde_json::Map::new()),
            verify: Vec::new(),
        }
    }

    /// The key of the contract: cluster, kind, subject, and for events the occurrence. Readable, without spaces, and
    /// bounded also for hostile names.
    #[must_use]
    pub fn key(&self, cluster: &ClusterName) -> String {
        let mut key = String::new();
        push_name(&mut key, cluster.as_str());
        key.push('/');
        key.push_str(self.kind.as_str());
        let subject = &self.subject;
        let mut part = |name: &str, value: Option<&str>| {
            if let Some(value) = value {
                write!(key, "/{name}=").expect("a String takes all");
                push_name(&mut key, value);
            }
        };
        part("group", subject.group.as_ref().map(GroupId::as_str));
        part("topic", subject.topic.as_ref().map(TopicName::as_str));
        part("topic_id", subject.topic_id.map(|id| id.to_string()).as_deref());
        part("partition", subject.partition.map(|id| id.to_string()).as_deref());
        part("broker", subject.broker.map(|id| id.to_string()).as_deref());
        part("member_id", subject.member_id.as_ref().map(crate::model::MemberId::as_str));
        part("transactional_id", subject.transactional_id.as_deref());
        part("canary_class", subject.canary_class.as_deref());
        part("occurrence", Some(self.occurrence.as_str()).filter(|text| !text.is_empty()));
        key
    }
}

/// Longer names are cut, and a hash of the whole keeps them apart.
const NAME_BYTES: usize = 200;

fn push_name(key: &mut String, name: &str) {
    for (at, byte) in name.bytes().enumerate() {
        if at == NAME_BYTES {
            write!(key, "~{:032x}", fingerprint(name.as_bytes())).expect("a String takes all");
            return;
        }
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.') {
            key.push(char::from(byte));
        } else {
            write!(key, "%{byte:02X}").expect("a String takes all");
        }
    }
}

/// FNV-1a over 128 bits: the same in every version of this program, unlike std's hasher.
pub(crate) fn fingerprint(bytes: &[u8]) -> u128 {
    bytes.iter().fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d, |hash, byte| {
        (hash ^ u128::from(*byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b)
    })
}

/// What a reading could not say. It neither opens nor closes anything about these.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unknown {
    /// No topic was read.
    pub topology: bool,
    /// Topics whose partitions were not read.
    pub topics: BTreeSet<TopicName>,
    /// Partitions of which only an answer older than what we know was read.
    pub partitions: BTreeSet<TopicPartition>,
    /// Topics whose `min.insync.replicas` is not known.
    pub min_isr: BTreeSet<TopicName>,
    /// Topics whose settings are not known.
    pub settings: BTreeSet<TopicName>,
    /// Groups of which something was not read.
    pub groups: BTreeSet<GroupId>,
    /// Partitions of groups whose lag is not known; ascending.
    pub commits: Vec<(GroupId, TopicPartition)>,
    /// Groups that are in this reading, where a group that is not in it may exist all the same.
    pub listed: Option<BTreeSet<GroupId>>,
    /// Brokers of which nothing was learned.
    pub brokers: BTreeSet<BrokerId>,
    /// Canary topics of which it is not known yet whether our own readers have what is there.
    pub readers: BTreeSet<TopicName>,
    /// Canary classes of which nothing was observed lately, by their words.
    pub canary_classes: BTreeSet<String>,
}

impl Unknown {
    /// True when this reading says nothing on the kind and subject.
    #[must_use]
    pub fn hides(&self, kind: Kind, subject: &Subject) -> bool {
        let partition = || {
            subject.topic.clone().zip(subject.partition).map(|(topic, partition)| TopicPartition { topic, partition })
        };
        let of_topic =
            |topics: &BTreeSet<TopicName>| subject.topic.as_ref().is_some_and(|topic| topics.contains(topic));
        let not_listed = || match (&self.listed, &subject.group) {
            (Some(listed), Some(group)) => !listed.contains(group),
            (Some(_) | None, _) => false,
        };
        match kind {
            Kind::PartitionOffline
            | Kind::PartitionUnderReplicated
            | Kind::PartitionUnderMinIsr
            | Kind::PartitionAtMinIsr => {
                let by_min_isr = kind == Kind::PartitionUnderMinIsr || kind == Kind::PartitionAtMinIsr;
                self.topology
                    || of_topic(&self.topics)
                    || partition().is_some_and(|at| self.partitions.contains(&at))
                    || (by_min_isr && of_topic(&self.min_isr))
            }
            Kind::CommitAheadOfLog | Kind::GroupStranded | Kind::RetentionOvertookGroup => {
                let at = subject.group.clone().zip(partition());
                not_listed() || at.is_some_and(|at| self.commits.binary_search(&at).is_ok())
            }
            Kind::GroupStopped => {
                not_listed() || subject.group.as_ref().is_some_and(|group| self.groups.contains(group))
            }
            // Only what is said of settings has the id of the topic they are of.
            Kind::CanaryNotCovering => {
                self.topology || of_topic(&self.topics) || (subject.topic_id.is_some() && of_topic(&self.settings))
            }
            // That nothing could be read does not say that something else can be read again.
            Kind::MonitorBlind => self.topology || of_topic(&self.readers),
            Kind::BrokerUnreachable => subject.broker.is_some_and(|broker| self.brokers.contains(&broker)),
            Kind::CanaryBudgetBurning => {
                subject.canary_class.as_ref().is_some_and(|class| self.canary_classes.contains(class))
            }
            Kind::LeaderMoved
            | Kind::TopicRecreated
            | Kind::CommitRewound
            | Kind::CanaryLost
            | Kind::CanaryTruncatedAfterDelivery
            | Kind::CanaryDuplicated
            | Kind::CanaryReordered
            | Kind::CanaryPhantom
            | Kind::CanaryAbortedVisible
            | Kind::CanaryConsumerSkipped
            | Kind::CanaryAckRegression
            | Kind::CanaryOverdue
            | Kind::CanarySecondInstance
            | Kind::MonitorImpaired
            | Kind::StorageDegraded => false,
        }
    }
}

/// What one source said in one reading. A poll, the canary's ledger and the daemon itself are three sources, and none
/// of them closes what another found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Judged {
    /// The kinds this reading speaks of: only their state findings can close by it.
    pub kinds: Vec<Kind>,
    /// What holds or happened.
    pub holds: Vec<Draft>,
    /// What it cannot say.
    pub unknown: Unknown,
}

impl Judged {
    /// What the canary's ledger says: all that holds of its kinds, or happened since the last time.
    #[must_use]
    pub fn of_canary(holds: Vec<Draft>) -> Self {
        let kinds = Kind::ALL.iter().copied().filter(|kind| kind.is_of_canary()).collect();
        Self { kinds, holds, unknown: Unknown::default() }
    }

    /// Says of which classes nothing was observed: their budgets have not recovered.
    #[must_use]
    pub fn with_slos(mut self, slos: &[ClassSlo]) -> Self {
        let blind = slos.iter().filter(|slo| slo.is_blind()).map(|slo| slo.class.as_str().to_owned());
        self.unknown.canary_classes.extend(blind);
        self
    }

    /// What the daemon says of itself.
    #[must_use]
    pub fn of_own(holds: Vec<Draft>) -> Self {
        Self { kinds: vec![Kind::MonitorImpaired, Kind::StorageDegraded], holds, unknown: Unknown::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::PartitionId;

    fn of_group(group: &str) -> String {
        let subject = Subject { group: Some(group.into()), partition: Some(PartitionId(3)), ..Subject::default() };
        Draft::new(Kind::GroupStopped, Severity::Warning, subject, String::new()).key(&"main".into())
    }

    #[test]
    fn a_key_is_readable_and_bounded() {
        assert_eq!(of_group("billing"), "main/group_stopped/group=billing/partition=3");
        assert_eq!(of_group("a/b=c\n%"), "main/group_stopped/group=a%2Fb%3Dc%0A%25/partition=3");
        let (long, longer) = ("x".repeat(32_000), "x".repeat(32_001));
        assert!(of_group(&long).len() < 300);
        assert_ne!(of_group(&long), of_group(&longer));
    }
}
