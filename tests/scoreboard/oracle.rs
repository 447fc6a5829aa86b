//! The oracle: what became of each record by the acknowledgements and by the brokers' logs, read back record by record.
//!
//! It shares with the daemon the list of acknowledgements, which is on the daemon's disk, and the framing of a record. All
//! else is its own: it knows no epochs, no frontier and no time.

use std::collections::{BTreeMap, BTreeSet};

use kustody::audit::{CanaryRecord, Lineage, RecordKey, RecordRow, payload};

use crate::kafka::Log;

/// The logs of the canary topic as they were read back, by partition.
#[derive(Clone, Debug, Default)]
pub(crate) struct Logs {
    pub(crate) log_start: BTreeMap<i32, i64>,
    /// Records of our lineage: partition, offset and what they say.
    pub(crate) records: Vec<(i32, i64, CanaryRecord)>,
    /// Records that are none of ours.
    pub(crate) foreign: u64,
    /// What was sent before this wall-clock time, in milliseconds, was meant for a topic of this name that is deleted.
    pub(crate) former_before: Option<i64>,
    /// The same logs as a reader of committed transactions sees them, where that was read too.
    pub(crate) committed: Option<Box<Self>>,
}

impl Logs {
    /// Adds one partition.
    pub(crate) fn add(&mut self, partition: i32, log: &Log, lineage: Lineage) {
        self.log_start.insert(partition, log.log_start_offset);
        for record in &log.records {
            match payload::decode(record.value.as_deref().unwrap_or_default(), lineage) {
                Ok(canary) => self.records.push((partition, record.offset, canary)),
                Err(_) => self.foreign += 1,
            }
        }
    }

    /// How often each record is there.
    pub(crate) fn copies(&self) -> BTreeMap<RecordKey, u64> {
        let mut copies = BTreeMap::new();
        for (_, _, record) in &self.records {
            *copies.entry(record.key).or_default() += 1;
        }
        copies
    }

    /// Records that were meant for a deleted topic of this name, and tried again until the next one took them.
    fn strays(&self) -> BTreeSet<RecordKey> {
        let records = self.records.iter().map(|(_, _, record)| record);
        let newest = records.clone().max_by_key(|record| record.sent_at).map(|record| record.topic_id);
        records.filter(|record| Some(record.topic_id) != newest).map(|record| record.key).collect()
    }

    /// Inversions: a first copy behind one of a higher sequence of its incarnation, class and partition.
    fn reordered(&self, class: &str) -> u64 {
        let (mut seen, mut highest, mut inversions) = (BTreeSet::new(), BTreeMap::new(), 0);
        let mut ordered: Vec<_> = self.records.iter().collect();
        ordered.sort_by_key(|(partition, offset, _)| (*partition, *offset));
        for (partition, _, record) in ordered {
            let key = record.key;
            if key.class.as_str() != class || key.partition.0 != *partition || !seen.insert(key) {
                continue;
            }
            let highest = highest.entry((key.incarnation, *partition)).or_insert(key.sequence);
            inversions += u64::from(key.sequence < *highest);
            *highest = key.sequence.max(*highest);
        }
        inversions
    }
}

/// The state's word, whatever states there are.
pub(crate) fn word(row: &RecordRow) -> String {
    match serde_json::to_value(row.state) {
        Ok(serde_json::Value::String(word)) => word,
        other => panic!("a state is a word: {other:?}"),
    }
}

/// What is true of one class.
#[derive(Clone, Debug, Default)]
pub(crate) struct Truth {
    /// Acknowledged (class acks0: sent), not aborted on purpose, not trimmed, and in no log.
    pub(crate) lost: BTreeSet<RecordKey>,
    /// The partitions and offsets at which these were acknowledged.
    pub(crate) lost_offsets: BTreeSet<(i32, i64)>,
    /// The counts the daemon has to have, by the contract's words.
    pub(crate) counts: BTreeMap<String, u64>,
    /// Records called lost or truncated that are in the log.
    pub(crate) called_lost: Vec<RecordKey>,
    /// Records that are lost and not called so.
    pub(crate) not_called_lost: Vec<RecordKey>,
    pub(crate) acked: u64,
}

/// What is true of a class, by these rows of its ledger, read first, and these logs, read after them.
pub(crate) fn truth(class: &str, rows: &[RecordRow], logs: &Logs) -> Truth {
    let mut truth = Truth::default();
    // A record of a transaction is there when its commit is.
    let logs = logs.committed.as_deref().filter(|_| class == "transactional").unwrap_or(logs);
    let (copies, strays) = (logs.copies(), logs.strays());
    let mut count = |name: &str, more: u64| *truth.counts.entry(name.to_owned()).or_default() += more;
    for name in ["lost", "duplicated", "reordered", "indeterminate_delivered", "phantom", "expired", "aborted_visible"]
    {
        count(name, 0);
    }
    for row in rows.iter().filter(|row| row.key.class.as_str() == class) {
        let state = word(row);
        let is_there = copies.contains_key(&row.key);
        if state.starts_with("indeterminate") {
            // One that was read may have been truncated since, or be of a former topic: nobody can look there any more.
            count("indeterminate_delivered", u64::from(is_there || !row.copies.is_empty()));
            continue;
        }
        match state.as_str() {
            "sent" => continue,
            "aborted" | "aborted_visible" => {
                count("aborted_visible", u64::from(is_there));
                continue;
            }
            "rejected" | "phantom" => {
                count("phantom", u64::from(is_there));
                continue;
            }
            _ => truth.acked += 1,
        }
        let start = logs.log_start.get(&row.key.partition.0).copied().unwrap_or_default();
        let is_former = logs.former_before.is_some_and(|before| row.sent_at.as_millis() < before);
        // Of one whose offset nobody told: by where it was read, else by what had been read before it was sent.
        let read = row.copies.iter().map(|copy| copy.offset).min();
        let is_gone_by_trimming = match row.offset.or(read) {
            Some(offset) => offset.get() < start,
            None => start > row.floor.map_or(0, |(offset, _)| offset.get() + 1),
        };
        let is_trimmed = is_former || is_gone_by_trimming;
        let is_called = matches!(state.as_str(), "lost" | "truncated_after_delivery");
        if is_there || is_trimmed {
            // What was read before it was trimmed stays delivered. What the next topic took is delivered and never was
            // in its own: both words are true.
            let is_stray = strays.contains(&row.key) && state == "expired";
            let is_expired = if is_there { is_stray } else { row.copies.is_empty() };
            count("expired", u64::from(is_expired));
            if is_called && !row.resurfaced {
                truth.called_lost.push(row.key);
            }
            continue;
        }
        truth.lost.insert(row.key);
        truth.lost_offsets.extend(row.offset.map(|offset| (row.key.partition.0, offset.get())));
        count("lost", 1);
        if !is_called {
            truth.not_called_lost.push(row.key);
        }
    }
    let extra = copies.iter().filter(|(key, _)| key.class.as_str() == class).map(|(_, copies)| copies - 1).sum();
    count("duplicated", extra);
    count("reordered", logs.reordered(class));
    truth
}
