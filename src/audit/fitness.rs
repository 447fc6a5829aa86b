//! Whether the canary topic lets a canary be judged: its settings against the window of the ledger.
//!
//! Only what makes verdicts wrong is a refusal. A topic that refuses canaries (`max.message.bytes`) is one whose refusals
//! are told as `rejected`: that is what the canary is for.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{Reading, TopicConfig};

/// What a misfit means to the canary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weight {
    /// Nothing may be sent: verdicts would be wrong.
    Refusal,
    /// It is judged all the same, and proves less than it could.
    Advice,
    /// It was not read, so nothing is known against it.
    Unknown,
    /// Worth knowing; the canary does not depend on it.
    Note,
}

/// One setting of the topic that does not fit, or is not known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Misfit {
    /// What it means.
    pub weight: Weight,
    /// Kafka's name of the setting; `replication.factor` and `settings` are ours.
    pub key: String,
    /// Its value; absent where it is not known.
    pub value: Option<String>,
    /// What follows from it.
    pub why: String,
    /// What to do; absent where there is nothing to do.
    pub remedy: Option<String>,
    /// The value that would fit, where setting it is all there is to do.
    pub wanted: Option<String>,
}

impl Misfit {
    /// All of it in one sentence without a full stop.
    #[must_use]
    pub fn sentence(&self) -> String {
        let value = self.value.as_deref().map_or_else(|| " is not known".to_owned(), |value| format!("={value}"));
        let remedy = self.remedy.as_ref().map_or_else(String::new, |remedy| format!("; {remedy}"));
        format!("{}{value}: {}{remedy}", self.key, self.why)
    }

    fn new(weight: Weight, key: &str, value: impl ToString, why: &str) -> Self {
        let (value, why) = (Some(value.to_string()), why.to_owned());
        Self { weight, key: key.to_owned(), value, why, remedy: None, wanted: None }
    }

    fn wanting(self, wanted: impl ToString) -> Self {
        let wanted = wanted.to_string();
        Self { remedy: Some(format!("set {}={wanted}", self.key)), wanted: Some(wanted), ..self }
    }

    fn unknown(key: &str, why: &str) -> Self {
        Self { value: None, ..Self::new(Weight::Unknown, key, "", why) }
    }
}

/// The canary topic as far as it was read.
#[derive(Clone, Copy, Debug)]
pub struct CanaryTopic<'a> {
    /// Its settings.
    pub config: Reading<&'a TopicConfig>,
    /// The fewest replicas that one of its partitions has; none without a partition.
    pub replicas: Option<usize>,
    /// Brokers in the metadata.
    pub brokers: usize,
}

/// Bytes of a batch of one canary record, uncompressed: the header of 61, the record's own fields, and 96 at most for
/// the canary itself.
const BATCH_BYTES: i64 = 176;
/// Windows that a record must be kept: one to be read in, and three in which an auditor that was down catches up.
const WINDOWS_KEPT: u32 = 4;

/// How long the topic must keep its records, where a record is judged for `window`.
#[must_use]
pub fn needed_retention(window: Duration) -> Duration {
    window * WINDOWS_KEPT
}

/// What does not fit, the gravest first; empty when all is known and fits. `window` is how long a record is judged.
#[must_use]
pub fn misfits(topic: &CanaryTopic<'_>, window: Duration) -> Vec<Misfit> {
    let mut found = Vec::new();
    match topic.config {
        Reading::Read(config) => of_config(config, topic.replicas, window, &mut found),
        Reading::Missing(why) => {
            let remedy = why.is_authorization().then(|| "grant DESCRIBE_CONFIGS on the topic".to_owned());
            found.push(Misfit { remedy, ..Misfit::unknown("settings", &why.to_string()) });
        }
    }
    let copies = topic.brokers.min(3);
    if let Some(replicas) = topic.replicas.filter(|replicas| *replicas < copies) {
        let why = "fewer copies than there could be: a broker that goes takes more of the canary with it";
        let remedy = Some(format!("reassign its partitions to {copies} brokers each"));
        found.push(Misfit { remedy, ..Misfit::new(Weight::Advice, "replication.factor", replicas, why) });
    }
    found.sort_by_key(|misfit| misfit.weight);
    found
}

/// Why nothing may be sent, if so.
#[must_use]
pub fn refusal(misfits: &[Misfit]) -> Option<String> {
    let refusals = misfits.iter().filter(|misfit| misfit.weight == Weight::Refusal);
    let sentences: Vec<String> = refusals.map(Misfit::sentence).collect();
    (!sentences.is_empty()).then(|| sentences.join("; "))
}

fn of_config(config: &TopicConfig, replicas: Option<usize>, window: Duration, found: &mut Vec<Misfit>) {
    let mut not_told = |key: &str| found.push(Misfit::unknown(key, "the broker did not tell it"));
    let mut misfits = Vec::new();
    match config.cleanup_policy.as_deref() {
        Some(policy) if policy.split(',').any(|one| one.trim() == "compact") => {
            let why = "compaction removes canaries, which have no key, before they are judged";
            misfits.push(Misfit::new(Weight::Refusal, "cleanup.policy", policy, why).wanting("delete"));
        }
        Some(_) => {}
        None => not_told("cleanup.policy"),
    }
    let least = i64::try_from(needed_retention(window).as_millis()).unwrap_or(i64::MAX);
    match config.retention_ms {
        // -1 is no limit.
        Some(retention) if (0..least).contains(&retention) => {
            let why = format!(
                "below {WINDOWS_KEPT} times the {} s in which a record is judged: it expires without a verdict",
                window.as_secs()
            );
            misfits.push(Misfit::new(Weight::Refusal, "retention.ms", retention, &why).wanting(least));
        }
        Some(_) => {}
        None => not_told("retention.ms"),
    }
    match config.retention_bytes {
        Some(bytes) if bytes >= 0 => {
            let why = "records are removed by size, at a rate that others decide: they may expire without a verdict";
            misfits.push(Misfit::new(Weight::Advice, "retention.bytes", bytes, why).wanting(-1));
        }
        Some(_) => {}
        None => not_told("retention.bytes"),
    }
    match config.max_message_bytes {
        Some(bytes) if bytes < BATCH_BYTES => {
            let why = format!("smaller than a canary ({BATCH_BYTES} bytes with its batch): each is rejected");
            misfits.push(Misfit::new(Weight::Advice, "max.message.bytes", bytes, &why).wanting(1_048_588));
        }
        Some(_) => {}
        None => not_told("max.message.bytes"),
    }
    match (config.min_insync_replicas.map(usize::try_from), replicas) {
        (Some(Ok(min)), Some(replicas)) => misfits.extend(of_min_isr(min, replicas)),
        (None | Some(Err(_)), _) => not_told("min.insync.replicas"),
        (Some(Ok(_)), None) => {}
    }
    match config.message_timestamp_type.as_deref() {
        Some("CreateTime") => {}
        Some(other) => {
            let why = "timestamps are the broker's; latencies are measured by our own clock and do not depend on them";
            misfits.push(Misfit::new(Weight::Note, "message.timestamp.type", other, why));
        }
        None => not_told("message.timestamp.type"),
    }
    found.extend(misfits);
}

fn of_min_isr(min: usize, replicas: usize) -> Option<Misfit> {
    let wanted = replicas.saturating_sub(1).max(1);
    let why = if min < wanted {
        "acks=all is acknowledged by fewer copies than all but one: the canary proves less than producers may expect"
    } else {
        "no replica may be missing: a restart of one broker refuses the canary"
    };
    (min != wanted).then(|| Misfit::new(Weight::Advice, "min.insync.replicas", min, why).wanting(wanted))
}

/// Settings that nothing is to be said of, where a record is judged for 30 minutes.
#[cfg(test)]
pub(crate) fn fit() -> TopicConfig {
    TopicConfig {
        min_insync_replicas: Some(2),
        unclean_leader_election: Some(false),
        cleanup_policy: Some("delete".to_owned()),
        retention_ms: Some(7_200_000),
        retention_bytes: Some(-1),
        max_message_bytes: Some(1_048_588),
        message_timestamp_type: Some("CreateTime".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Missing;

    const WINDOW: Duration = Duration::from_secs(1_800);

    fn found(config: Reading<&TopicConfig>, replicas: usize, brokers: usize) -> Vec<(Weight, String)> {
        let misfits = misfits(&CanaryTopic { config, replicas: Some(replicas), brokers }, WINDOW);
        misfits.into_iter().map(|misfit| (misfit.weight, misfit.key)).collect()
    }

    #[test]
    fn each_setting_is_weighed_by_what_it_does_to_verdicts() {
        use Weight::{Advice, Note, Refusal, Unknown};
        type Change = fn(&mut TopicConfig);
        type Found<'a> = &'a [(Weight, &'a str)];
        let cases: [(&str, Change, Found<'_>); 19] = [
            ("fit", |_| {}, &[]),
            ("compacted", |c| c.cleanup_policy = Some("compact".into()), &[(Refusal, "cleanup.policy")]),
            (
                "compacted as well",
                |c| c.cleanup_policy = Some("delete, compact".into()),
                &[(Refusal, "cleanup.policy")],
            ),
            ("never cleaned", |c| c.cleanup_policy = Some(String::new()), &[]),
            ("kept just long enough", |c| c.retention_ms = Some(7_200_000), &[]),
            ("kept too short by a millisecond", |c| c.retention_ms = Some(7_199_999), &[(Refusal, "retention.ms")]),
            ("kept for no time", |c| c.retention_ms = Some(0), &[(Refusal, "retention.ms")]),
            ("kept for ever", |c| c.retention_ms = Some(-1), &[]),
            ("removed by size", |c| c.retention_bytes = Some(1 << 30), &[(Advice, "retention.bytes")]),
            (
                "too small for a canary: it is told as rejected",
                |c| c.max_message_bytes = Some(175),
                &[(Advice, "max.message.bytes")],
            ),
            ("just large enough", |c| c.max_message_bytes = Some(176), &[]),
            ("one copy suffices", |c| c.min_insync_replicas = Some(1), &[(Advice, "min.insync.replicas")]),
            ("all copies needed", |c| c.min_insync_replicas = Some(3), &[(Advice, "min.insync.replicas")]),
            (
                "the broker's time",
                |c| c.message_timestamp_type = Some("LogAppendTime".into()),
                &[(Note, "message.timestamp.type")],
            ),
            ("policy not told", |c| c.cleanup_policy = None, &[(Unknown, "cleanup.policy")]),
            ("retention not told", |c| c.retention_ms = None, &[(Unknown, "retention.ms")]),
            ("min ISR not told", |c| c.min_insync_replicas = None, &[(Unknown, "min.insync.replicas")]),
            (
                "nothing told",
                |c| *c = TopicConfig::default(),
                &[
                    (Unknown, "cleanup.policy"),
                    (Unknown, "retention.ms"),
                    (Unknown, "retention.bytes"),
                    (Unknown, "max.message.bytes"),
                    (Unknown, "min.insync.replicas"),
                    (Unknown, "message.timestamp.type"),
                ],
            ),
            (
                "the gravest first",
                |c| {
                    c.message_timestamp_type = Some("LogAppendTime".into());
                    c.max_message_bytes = None;
                    c.min_insync_replicas = Some(1);
                    c.retention_ms = Some(1);
                },
                &[
                    (Refusal, "retention.ms"),
                    (Advice, "min.insync.replicas"),
                    (Unknown, "max.message.bytes"),
                    (Note, "message.timestamp.type"),
                ],
            ),
        ];
        for (name, change, want) in cases {
            let mut config = fit();
            change(&mut config);
            let want: Vec<(Weight, String)> = want.iter().map(|(weight, key)| (*weight, (*key).to_owned())).collect();
            assert_eq!(found(Reading::Read(&config), 3, 3), want, "{name}");
        }
    }

    #[test]
    fn copies_are_counted_against_the_brokers_there_are() {
        let cases = [
            ("three of three", 3, 3, Some(2), &[][..]),
            ("three of nine", 3, 9, Some(2), &[]),
            ("two of three", 2, 3, Some(1), &["replication.factor"]),
            ("one broker", 1, 1, Some(1), &[]),
            ("one of two", 1, 2, Some(1), &["replication.factor"]),
            ("two copies, both needed", 2, 2, Some(2), &["min.insync.replicas"]),
            ("more needed than there are", 2, 2, Some(3), &["min.insync.replicas"]),
        ];
        for (name, replicas, brokers, min_insync_replicas, want) in cases {
            let config = TopicConfig { min_insync_replicas, ..fit() };
            let keys: Vec<String> =
                found(Reading::Read(&config), replicas, brokers).into_iter().map(|(_, key)| key).collect();
            assert_eq!(keys, want, "{name}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_unknown_and_refuses_nothing() {
        for why in [Missing::TopicNotAuthorized, Missing::NotAsked, Missing::TimedOut(crate::model::BrokerId(1))] {
            let topic = CanaryTopic { config: Reading::Missing(why), replicas: Some(3), brokers: 3 };
            let misfits = misfits(&topic, WINDOW);
            assert_eq!(misfits.iter().map(|one| one.weight).collect::<Vec<_>>(), [Weight::Unknown], "{why}");
            assert_eq!(refusal(&misfits), None, "{why}");
            assert_eq!(misfits[0].remedy.is_some(), why.is_authorization(), "{why}");
        }
    }

    #[test]
    fn a_sentence_names_key_value_and_remedy() {
        let config = TopicConfig {
            cleanup_policy: Some("compact,delete".to_owned()),
            retention_ms: Some(60_000),
            min_insync_replicas: Some(1),
            ..fit()
        };
        let topic = CanaryTopic { config: Reading::Read(&config), replicas: Some(2), brokers: 3 };
        let misfits = misfits(&topic, WINDOW);
        insta::assert_snapshot!(misfits.iter().map(Misfit::sentence).collect::<Vec<_>>().join("\n"), @"
        cleanup.policy=compact,delete: compaction removes canaries, which have no key, before they are judged; set cleanup.policy=delete
        retention.ms=60000: below 4 times the 1800 s in which a record is judged: it expires without a verdict; set retention.ms=7200000
        replication.factor=2: fewer copies than there could be: a broker that goes takes more of the canary with it; reassign its partitions to 3 brokers each
        ");
        let refusal = refusal(&misfits).expect("it refuses");
        assert!(refusal.contains("cleanup.policy=") && refusal.contains("retention.ms="), "{refusal}");
        assert!(!refusal.contains("replication.factor"), "{refusal}");
    }
}
