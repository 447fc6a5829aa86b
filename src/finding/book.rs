//! The life of findings.
//!
//! ```text
//!  state:  seen ──► open ── two complete readings without it ──► closed       unknown: no step
//!  event:  seen ──► open ── event_hold after it was last seen ──► closed
//! ```

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::draft::{Draft, Judged, fingerprint};
use super::{Finding, FindingState, Kind, Nature};
use crate::model::{ClusterName, Timestamp};

/// How long findings live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// An event stays open so long after it was last seen (`alert.event_hold`).
    pub event_hold: Duration,
    /// Closed findings that are kept to be shown.
    pub closed_kept: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { event_hold: Duration::from_secs(3600), closed_kept: 500 }
    }
}

impl Options {
    /// What is wrong with them, each with its key and remedy.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        if self.event_hold.is_zero() {
            vec!["event_hold: must be longer than 0 s, or no event is ever seen open".to_owned()]
        } else {
            Vec::new()
        }
    }
}

/// Complete readings without it that close a state.
const CLOSES_AFTER: u8 = 2;

#[derive(Clone, Debug)]
struct Held {
    finding: Finding,
    /// Complete readings in a row without it.
    without: u8,
}

/// What is open and what was, in one cluster.
#[derive(Clone, Debug)]
pub struct FindingBook {
    cluster: ClusterName,
    options: Options,
    open: BTreeMap<String, Held>,
    /// Drafts that want more readings before they open.
    awaited: BTreeMap<String, (Kind, u8)>,
    closed: VecDeque<Finding>,
    /// Events that the canary's ledger tells again and again, with the count they were closed at. They are not forgotten
    /// with the closed findings that are shown: an old loss would be told as a new one.
    told: BTreeMap<String, Option<u64>>,
}

impl FindingBook {
    /// An empty book.
    #[must_use]
    pub fn new(cluster: ClusterName, options: Options) -> Self {
        Self {
            cluster,
            options,
            open: BTreeMap::new(),
            awaited: BTreeMap::new(),
            closed: VecDeque::new(),
            told: BTreeMap::new(),
        }
    }

    /// Takes over what an earlier run of the daemon kept: the open findings, and the closed ones to be shown.
    pub fn restore(&mut self, mut findings: Vec<Finding>) {
        findings.sort_by_key(|finding| finding.closed_at);
        for finding in findings {
            match finding.state {
                FindingState::Open => {
                    self.open.insert(finding.key.clone(), Held { finding, without: 0 });
                }
                FindingState::Closed => self.keep_closed(finding),
            }
        }
    }

    /// What is open, by key.
    pub fn open(&self) -> impl Iterator<Item = &Finding> {
        self.open.values().map(|held| &held.finding)
    }

    /// What was closed, latest first; bounded.
    pub fn recent(&self) -> impl Iterator<Item = &Finding> {
        self.closed.iter().rev()
    }

    /// Takes one reading and returns the findings that opened, closed, or whose count or severity changed, as they are
    /// now. What only was seen again is newer in [`Self::open`].
    pub fn step(&mut self, now: Timestamp, reading: &Judged) -> Vec<Finding> {
        let mut changed = Vec::new();
        let mut seen = BTreeSet::new();
        for draft in &reading.holds {
            let key = draft.key(&self.cluster);
            changed.extend(self.take(now, draft, &key));
            seen.insert(key);
        }
        self.awaited.retain(|key, (kind, _)| seen.contains(key) || !reading.kinds.contains(kind));
        let hold = self.options.event_hold;
        let over = self.open.iter_mut().filter_map(|(key, held)| {
            let over = match held.finding.nature {
                Nature::Event => now.since(held.finding.last_seen_at) >= hold,
                Nature::State => {
                    let silent = seen.contains(key)
                        || !reading.kinds.contains(&held.finding.kind)
                        || reading.unknown.hides(held.finding.kind, &held.finding.subject);
                    held.without += u8::from(!silent);
                    held.without >= CLOSES_AFTER
                }
            };
            over.then(|| key.clone())
        });
        for key in over.collect::<Vec<_>>() {
            if let Some(Held { mut finding, .. }) = self.open.remove(&key) {
                finding.state = FindingState::Closed;
                finding.closed_at = Some(now);
                self.keep_closed(finding.clone());
                changed.push(finding);
            }
        }
        changed
    }

    /// The finding, if the draft opened it or changed it materially.
    fn take(&mut self, now: Timestamp, draft: &Draft, key: &str) -> Option<Finding> {
        if let Some(held) = self.open.get_mut(key) {
            held.without = 0;
            let finding = &mut held.finding;
            let material = finding.count != draft.count
                || finding.count_is != draft.count_is
                || finding.severity != draft.severity;
            // An event that is told again is the same event: only more of it is news.
            if material || finding.nature == Nature::State {
                finding.last_seen_at = now;
                finding.severity = draft.severity;
                finding.count = draft.count;
                finding.count_is = draft.count_is;
                finding.summary.clone_from(&draft.summary);
                finding.advice.clone_from(&draft.advice);
                finding.evidence.clone_from(&draft.evidence);
                finding.verify.clone_from(&draft.verify);
            }
            return material.then(|| finding.clone());
        }
        let told =
            |closed: &&Finding| closed.key == key && closed.nature == Nature::Event && closed.count == draft.count;
        if self.told.get(key) == Some(&draft.count) || self.closed.iter().any(|closed| told(&closed)) {
            return None;
        }
        if draft.readings > 1 {
            let (_, readings) = self.awaited.entry(key.to_owned()).or_insert((draft.kind, 0));
            *readings = readings.saturating_add(1);
            if *readings < draft.readings {
                return None;
            }
            self.awaited.remove(key);
        }
        let finding = Finding {
            id: self.new_id(now, key),
            key: key.to_owned(),
            kind: draft.kind,
            grade: draft.grade,
            severity: draft.severity,
            nature: draft.kind.nature(),
            state: FindingState::Open,
            cluster: self.cluster.clone(),
            subject: draft.subject.clone(),
            count: draft.count,
            count_is: draft.count_is,
            opened_at: now,
            last_seen_at: now,
            closed_at: None,
            summary: draft.summary.clone(),
            advice: draft.advice.clone(),
            evidence: draft.evidence.clone(),
            verify: draft.verify.clone(),
        };
        self.open.insert(key.to_owned(), Held { finding: finding.clone(), without: 0 });
        Some(finding)
    }

    /// Time and key. Only a wall clock that was set back could give one twice; then the next free millisecond is taken.
    fn new_id(&self, now: Timestamp, key: &str) -> String {
        let hash = fingerprint(key.as_bytes());
        let mut millis = now.as_millis();
        loop {
            let id = format!("{millis:011x}-{hash:032x}");
            if !self.closed.iter().any(|closed| closed.id == id) {
                return id;
            }
            millis = millis.saturating_add(1);
        }
    }

    fn keep_closed(&mut self, finding: Finding) {
        if finding.nature == Nature::Event && finding.kind.is_of_canary() {
            self.told.insert(finding.key.clone(), finding.count);
        }
        self.closed.push_back(finding);
        while self.closed.len() > self.options.closed_kept {
            self.closed.pop_front();
        }
    }
}
