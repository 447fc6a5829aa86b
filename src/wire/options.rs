//! What the poll plane is told: where the cluster is, how long to wait, and what to read.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use super::security::Security;
use super::transport::Address;
use crate::model::{GroupId, LeaderEpoch, TopicName, TopicPartition};

/// How a cluster is reached and how long it may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Where to learn the brokers from, each `HOST:PORT`; asked whenever no broker known from metadata answers.
    pub bootstrap: Vec<String>,
    /// How its connections are secured.
    pub security: Security,
    /// What the brokers' request logs and quotas know us by.
    pub client_id: String,
    /// How long a broker may take to accept a connection and say what it offers.
    pub connect_timeout: Duration,
    /// How long a broker may take to answer one request.
    pub request_timeout: Duration,
    /// How long one reading of the cluster may take; what is not read by then is missing.
    pub poll_deadline: Duration,
    /// After how long without an answer a second broker is asked for the metadata.
    pub hedge_after: Duration,
    /// How many groups one OffsetFetch asks for, where the broker takes more than one.
    pub offset_fetch_groups: usize,
    /// How many bytes of answer one OffsetFetch may bring, as far as the last turn tells; one group is always asked for.
    pub offset_fetch_bytes: usize,
    /// How many requests all brokers together get in any second; 0 for any number. Proofs on demand never wait.
    pub max_requests_per_second: u32,
    /// Up to how many groups of one coordinator are described in every turn, whatever [`Scope::described`] says.
    pub always_described: usize,
    /// Up to how many partitions of one leader have their log start offset read in every turn, whatever
    /// [`Scope::read_earliest`] says.
    pub always_earliest: usize,
    /// How many requests may wait for their answers on one connection.
    pub in_flight: usize,
    /// The longest answer that is read, in bytes.
    pub max_frame: usize,
    /// How long a coordinator must have been in place before an absence in its group list counts.
    pub group_list_settle: Duration,
    /// The least time over which complete lists must lack a group before it is forgotten.
    pub forget_after: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            bootstrap: Vec::new(),
            security: Security::default(),
            client_id: "kustody".to_owned(),
            connect_timeout: Duration::from_secs(2),
            request_timeout: Duration::from_secs(3),
            poll_deadline: Duration::from_secs(10),
            hedge_after: Duration::from_secs(1),
            offset_fetch_groups: 100,
            offset_fetch_bytes: 1 << 20,
            max_requests_per_second: 0,
            always_described: 100,
            always_earliest: 1_000,
            in_flight: 64,
            max_frame: 256 << 20,
            group_list_settle: Duration::from_mins(1),
            forget_after: Duration::from_secs(10),
        }
    }
}

impl Options {
    /// Everything wrong with these options, each with its remedy; empty when they can be used.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.bootstrap.is_empty() {
            problems.push("bootstrap.servers: name at least one broker as HOST:PORT".to_owned());
        }
        for address in &self.bootstrap {
            if let Err(problem) = address.parse::<Address>() {
                problems.push(format!("bootstrap.servers: {problem}"));
            }
        }
        let durations = [
            ("connect_timeout", self.connect_timeout),
            ("request_timeout", self.request_timeout),
            ("poll_deadline", self.poll_deadline),
            ("hedge_after", self.hedge_after),
        ];
        for (key, duration) in durations {
            if duration.is_zero() {
                problems.push(format!("{key}: must be longer than zero"));
            }
        }
        if self.request_timeout >= self.poll_deadline {
            problems.push("request_timeout: must be shorter than poll_deadline".to_owned());
        }
        if self.connect_timeout >= self.poll_deadline {
            problems.push("connect_timeout: must be shorter than poll_deadline".to_owned());
        }
        if self.hedge_after >= self.poll_deadline {
            problems.push("hedge_after: must be shorter than poll_deadline".to_owned());
        }
        for (key, count) in [("offset_fetch_groups", self.offset_fetch_groups), ("in_flight", self.in_flight)] {
            if count == 0 {
                problems.push(format!("{key}: must be at least 1"));
            }
        }
        if self.max_frame < 1 << 20 {
            problems.push("max_frame: must be at least 1 MiB (1048576)".to_owned());
        }
        problems
    }

    /// The bootstrap addresses that can be dialled.
    pub(crate) fn addresses(&self) -> Vec<Address> {
        let parsed: BTreeSet<_> = self.bootstrap.iter().filter_map(|address| address.parse().ok()).collect();
        parsed.into_iter().collect()
    }
}

/// Says by name whether something is to be read.
pub type Filter = Box<dyn Fn(&str) -> bool + Send + Sync>;

/// One of several shares of something, in turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Which of them; it may count on without end.
    pub turn: u64,
    /// How many there are.
    pub of: u64,
}

/// What one reading covers.
pub struct Scope {
    /// The canary's topic, whose leaders every broker is asked for.
    pub canary_topic: Option<TopicName>,
    /// Epochs whose ends are wanted besides those of commits.
    pub epoch_questions: Vec<(TopicPartition, LeaderEpoch)>,
    /// Read all log start offsets anew; else the last known stand where nothing speaks against them.
    pub read_earliest: bool,
    /// Read topic settings anew; else only those of topics never read before, and of the canary's.
    pub read_configs: bool,
    /// Describe anew this share of the groups whose last description nothing speaks against; all without.
    pub described: Option<Share>,
    /// Which topics; all without.
    pub topics: Option<Filter>,
    /// Which groups; all without.
    pub groups: Option<Filter>,
}

impl Default for Scope {
    fn default() -> Self {
        Self {
            canary_topic: None,
            epoch_questions: Vec::new(),
            read_earliest: true,
            read_configs: true,
            described: None,
            topics: None,
            groups: None,
        }
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope")
            .field("canary_topic", &self.canary_topic)
            .field("epoch_questions", &self.epoch_questions)
            .field("read_earliest", &self.read_earliest)
            .field("read_configs", &self.read_configs)
            .field("described", &self.described)
            .finish_non_exhaustive()
    }
}

impl Scope {
    pub(crate) fn covers_topic(&self, name: &str) -> bool {
        self.topics.as_ref().is_none_or(|covers| covers(name))
    }

    pub(crate) fn covers_group(&self, id: &GroupId) -> bool {
        self.groups.as_ref().is_none_or(|covers| covers(id.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_name_key_and_remedy() {
        let good = Options { bootstrap: vec!["kafka:9092".to_owned()], ..Options::default() };
        assert_eq!(good.problems(), Vec::<String>::new());
        let bad = Options {
            bootstrap: vec!["kafka:x".to_owned()],
            request_timeout: Duration::from_secs(20),
            in_flight: 0,
            max_frame: 9,
            ..Options::default()
        };
        insta::assert_snapshot!(bad.problems().join("\n"), @r#"
        bootstrap.servers: "kafka:x" is not HOST:PORT
        request_timeout: must be shorter than poll_deadline
        in_flight: must be at least 1
        max_frame: must be at least 1 MiB (1048576)
        "#);
        insta::assert_snapshot!(Options::default().problems().join("\n"), @"bootstrap.servers: name at least one broker as HOST:PORT");
    }
}
