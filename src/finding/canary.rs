//! Findings on the canary: from what its ledger proved to a draft.

use serde_json::{Map, Value, json};

use super::draft::Draft;
use super::judge::counted;
use super::{CountIs, Grade, Kind, Severity, Subject};
use crate::audit::{CanaryClass, SecondInstance};
use crate::model::{LeaderEpoch, Offset, PartitionId, TopicId, TopicName};

/// What became of the records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CanaryLossKind {
    /// Acknowledged, and in no log.
    Lost,
    /// Written without acknowledgement, and not there, as far as can be seen without proof.
    LostObserved,
    /// Delivered once, and truncated after.
    TruncatedAfterDelivery,
    /// There at more than one offset.
    Duplicated,
    /// Behind a later record of the same sender.
    Reordered,
    /// Refused for sure, and in the log.
    Phantom,
    /// Of an aborted transaction, and shown to a reader of committed records.
    AbortedVisible,
    /// In the log, and skipped by our own reader.
    ConsumerSkipped,
    /// Acknowledged at or below the offset of an earlier acknowledgement of the same leader and term.
    AckRegression,
    /// Not delivered in time, and not judged yet.
    Overdue,
}

/// What the ledger holds of one class, partition and leader epoch, so far: each time all of it, not only the news.
#[derive(Clone, Debug, PartialEq)]
pub struct CanaryLoss {
    /// The class.
    pub class: CanaryClass,
    /// The canary topic.
    pub topic: TopicName,
    /// Its id.
    pub topic_id: Option<TopicId>,
    /// The partition.
    pub partition: PartitionId,
    /// The epoch the records were written in; absent where none is known, as for what is overdue.
    pub leader_epoch: Option<LeaderEpoch>,
    /// What became of them.
    pub kind: CanaryLossKind,
    /// How many records, or extra copies: also those whose offset was never told (acks=0).
    pub records: u64,
    /// Their offsets, as far as known; in any order.
    pub offsets: Vec<Offset>,
    /// The end of the log when it was proven.
    pub log_end: Option<Offset>,
    /// What else proves it: an object; the contract's names are put beside its own.
    pub evidence: Value,
}

/// The finding the contract asks for.
#[must_use]
pub fn draft(loss: &CanaryLoss) -> Draft {
    let mut offsets = loss.offsets.clone();
    offsets.sort_unstable();
    offsets.dedup();
    let (class, partition) = (loss.class, loss.partition);
    let at = format!("{}-{partition}", loss.topic);
    let epoch = loss.leader_epoch.map_or_else(|| "not known".to_owned(), |epoch| epoch.to_string());
    let first = offsets.first().map_or_else(String::new, |first| format!(", the first at offset {first}"));
    let end = loss.log_end.map_or_else(String::new, |end| format!("; the log ends at {end}"));
    let records = counted(loss.records, "record");
    let (kind, severity, summary, advice) = match loss.kind {
        CanaryLossKind::Lost => (
            Kind::CanaryLost,
            of_loss(class),
            format!("{records} of class {class} acknowledged on {at} in leader epoch {epoch} are lost{first}{end}."),
            advice_on_loss(class),
        ),
        CanaryLossKind::LostObserved => (
            Kind::CanaryLost,
            of_loss(class),
            format!(
                "{records} of class {class} on {at}, written to connections that were closed since, are not there though later ones are: lost, as far as can be seen."
            ),
            advice_on_loss(class),
        ),
        CanaryLossKind::TruncatedAfterDelivery => (
            Kind::CanaryTruncatedAfterDelivery,
            of_loss(class),
            format!(
                "{records} of class {class} on {at} in leader epoch {epoch} were truncated after they had been read{first}{end}."
            ),
            advice_on_loss(class),
        ),
        CanaryLossKind::Duplicated => (
            Kind::CanaryDuplicated,
            of_promise(class),
            format!("{} of records of class {class} are in {at} twice{first}.", copies(loss.records)),
            "Without idempotence a retry after a lost answer writes the record again: set enable.idempotence. With it, none may be.",
        ),
        CanaryLossKind::Reordered => (
            Kind::CanaryReordered,
            of_promise(class),
            format!("{records} of class {class} on {at} lie behind a later record of the same sender{first}."),
            "Several requests in flight without idempotence may change places when one is tried again: set enable.idempotence. With it, none may.",
        ),
        CanaryLossKind::Phantom => (
            Kind::CanaryPhantom,
            Severity::Warning,
            format!("{records} of class {class} on {at} were refused for sure, and are in the log{first}."),
            "An application that sends again after such a refusal writes twice. See which broker refused, and what its log says of that moment.",
        ),
        CanaryLossKind::AbortedVisible => (
            Kind::CanaryAbortedVisible,
            Severity::Critical,
            format!("{records} of aborted transactions on {at} are shown to readers of committed records{first}."),
            "What was rolled back is read as if it had happened. See the versions of brokers and clients for known defects of transactions.",
        ),
        CanaryLossKind::ConsumerSkipped => (
            Kind::CanaryConsumerSkipped,
            Severity::Warning,
            format!(
                "Our own reader skipped {records} of class {class} on {at}, and a fresh connection found them{first}."
            ),
            "They are in the log, and not lost. A consumer with the same client may have skipped records too: see its version, and whether the partition's leader moved then.",
        ),
        CanaryLossKind::AckRegression => (
            Kind::CanaryAckRegression,
            Severity::Critical,
            format!(
                "{records} of class {class} on {at} were acknowledged in leader epoch {epoch} at or below an offset acknowledged before{first}."
            ),
            "One leader never writes two records to one offset: an acknowledgement was wrong, or a log was written over. Compare the evidence with the broker's log.",
        ),
        CanaryLossKind::Overdue => (
            Kind::CanaryOverdue,
            Severity::Warning,
            format!("{records} of class {class} on {at} are acknowledged, not delivered in time, and not judged yet."),
            "See whether the partition has a leader that answers. They are neither lost nor delivered until the log is read.",
        ),
    };
    let mut evidence = match &loss.evidence {
        Value::Object(object) => object.clone(),
        Value::Null => Map::new(),
        other @ (Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => {
            Map::from_iter([("detail".to_owned(), other.clone())])
        }
    };
    let list = match loss.kind {
        CanaryLossKind::Lost | CanaryLossKind::LostObserved | CanaryLossKind::TruncatedAfterDelivery => "lost_offsets",
        CanaryLossKind::Duplicated => "duplicate_offsets",
        CanaryLossKind::Reordered
        | CanaryLossKind::Phantom
        | CanaryLossKind::AbortedVisible
        | CanaryLossKind::ConsumerSkipped
        | CanaryLossKind::AckRegression => "offsets",
        CanaryLossKind::Overdue => "overdue_offsets",
    };
    // Of records without an offset, the ledger tells the first that they could have been at.
    if !offsets.is_empty() || !evidence.contains_key("offset") {
        evidence.insert("offset".to_owned(), json!(offsets.first()));
    }
    evidence.insert("leader_epoch".to_owned(), json!(loss.leader_epoch));
    evidence.insert("log_end".to_owned(), json!(loss.log_end));
    evidence.insert(list.to_owned(), json!(offsets));
    // What is overdue moves from epoch to epoch with the leader; what is lost stays where it was.
    let term = loss.leader_epoch.filter(|_| loss.kind != CanaryLossKind::Overdue).map(|epoch| format!("epoch-{epoch}"));
    // What is seen and not proven stands beside what is proven of the same term.
    let is_observed = loss.kind == CanaryLossKind::LostObserved;
    let parts = [term, is_observed.then(|| "observed".to_owned())];
    let occurrence = parts.into_iter().flatten().collect::<Vec<_>>().join("-");
    let grade = if is_observed { Grade::Observed } else { kind.grade() };
    let subject = Subject {
        topic: Some(loss.topic.clone()),
        topic_id: loss.topic_id,
        partition: Some(partition),
        canary_class: Some(class.as_str().to_owned()),
        ..Subject::default()
    };
    Draft {
        grade,
        occurrence,
        count: Some(loss.records),
        count_is: CountIs::Exact,
        advice: advice.to_owned(),
        evidence: Value::Object(evidence),
        ..Draft::new(kind, severity, subject, summary)
    }
}

/// Only idempotence promises one copy of each record, in order.
fn of_promise(class: CanaryClass) -> Severity {
    match class {
        CanaryClass::Idempotent | CanaryClass::Transactional => Severity::Warning,
        CanaryClass::Acks0 | CanaryClass::Acks1 | CanaryClass::All => Severity::Info,
    }
}

/// acks=0 and acks=1 promise no more: their loss is told, and alarms nobody by default.
fn of_loss(class: CanaryClass) -> Severity {
    match class {
        CanaryClass::All | CanaryClass::Idempotent | CanaryClass::Transactional => Severity::Critical,
        CanaryClass::Acks0 | CanaryClass::Acks1 => Severity::Info,
    }
}

fn advice_on_loss(class: CanaryClass) -> &'static str {
    match class {
        CanaryClass::All | CanaryClass::Idempotent | CanaryClass::Transactional => {
            "Applications that write with acks=all lost records here too. See unclean.leader.election.enable, min.insync.replicas, and whether all replicas lost power at once."
        }
        CanaryClass::Acks0 | CanaryClass::Acks1 => {
            "This acknowledgement does not outlive its leader. What must not be lost needs acks=all and min.insync.replicas 2."
        }
    }
}

fn copies(number: u64) -> String {
    if number == 1 { "1 extra copy".to_owned() } else { format!("{number} extra copies") }
}

/// Somebody else sends as this installation, and started later: the records of both would be told as one's own.
#[must_use]
pub fn second_instance(topic: &TopicName, second: &SecondInstance) -> Draft {
    let incarnation = format!("{:016x}", second.incarnation.0);
    Draft {
        advice: "One data directory, or a copy of one, is in use twice. Stop one of the two; give the other an empty storage.data.".to_owned(),
        evidence: json!({ "incarnation": incarnation, "first_read_at": second.seen.wall }),
        ..Draft::new(
            Kind::CanarySecondInstance,
            Severity::Warning,
            Subject { topic: Some(topic.clone()), ..Subject::default() },
            format!("Another instance of this installation started later and writes to {topic} too (incarnation {incarnation}): this one has stopped sending."),
        )
    }
}
