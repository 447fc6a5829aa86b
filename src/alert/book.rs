//! Which finding is told, when, and that it is told once.
//!
//! ```text
//!   open, to be held ──► Pending ── the hold is over, or it is urgent now ──► Firing ── closed ──► Resolved
//!                          │                                                   ▲  (notice)        (notice)
//!                          └── closed, or below the severity ──► Resolved      │
//!                              without `fired_at`, no notice                   └── open, urgent
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::{Alert, AlertState, Notice, NoticeStatus, Step};
use crate::finding::{Finding, FindingState, Grade, Nature, Severity};
use crate::model::Moment;

/// How many resolved alerts are kept for display; older ones are in the store.
const RESOLVED_KEPT: usize = 200;

/// What is told, after which hold, to whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Findings at or above it are told.
    pub severity: Severity,
    /// How long a state below critical that is not proven has to hold before it is told. What is proven, critical or
    /// an event is told at once.
    pub hold: Duration,
    /// The names of the receivers.
    pub receivers: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self { severity: Severity::Warning, hold: Duration::from_secs(30), receivers: Vec::new() }
    }
}

impl Options {
    /// What is wrong with the options: key and remedy.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.hold > Duration::from_secs(3600) {
            problems.push("alert.hold: must be at most 1h, or a finding is told when it is over".to_owned());
        }
        problems
    }
}

#[derive(Clone, Debug)]
struct Entry {
    alert: Alert,
    /// When the hold is over, by the monotonic clock: the wall clock may jump.
    due: Duration,
}

/// All alerts that are pending or firing, and the latest that are resolved.
#[derive(Clone, Debug)]
pub struct AlertBook {
    options: Options,
    open: BTreeMap<String, Entry>,
    resolved: VecDeque<Alert>,
}

impl AlertBook {
    /// An empty book.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self { options, open: BTreeMap::new(), resolved: VecDeque::new() }
    }

    /// Takes over what an earlier process left, and tells nothing. Call [`AlertBook::step`] next with every finding
    /// that is open, so that a lowered severity takes effect on those too.
    pub fn restore(&mut self, now: Moment, alerts: Vec<Alert>) {
        for alert in alerts {
            match alert.state {
                AlertState::Pending | AlertState::Firing => {
                    // The part of the hold that the earlier process saw counts; the time nobody looked does not.
                    let seen = alert.finding.last_seen_at.since(alert.pending_since);
                    let due = now.mono + self.options.hold.saturating_sub(seen);
                    self.open.insert(alert.id.clone(), Entry { alert, due });
                }
                AlertState::Resolved => self.keep_resolved(alert),
            }
        }
        self.resolved.make_contiguous().sort_by_key(|alert| std::cmp::Reverse(alert.resolved_at));
    }

    /// One turn: `changed` are the findings that are new or different; holds end by `now` also without a change.
    ///
    /// A firing alert whose finding changes is in [`Step::changed`] and gives no notice: it was told. An alert that
    /// never fired and whose finding closed is there too, as resolved without `fired_at`, and is then forgotten.
    pub fn step(&mut self, now: Moment, changed: &[Finding]) -> Step {
        let mut touched: BTreeMap<String, Alert> = BTreeMap::new();
        let mut notices = Vec::new();
        for finding in changed {
            let after = match finding.state {
                FindingState::Open => self.opened(now, finding, &mut notices),
                FindingState::Closed => self.closed(now, finding, &mut notices),
            };
            if let Some(alert) = after {
                touched.insert(alert.id.clone(), alert);
            }
        }
        for entry in self.open.values_mut() {
            if entry.alert.state == AlertState::Pending && entry.due <= now.mono {
                fire(&mut entry.alert, now);
                notices.extend(told(&entry.alert, NoticeStatus::Firing, now, &self.options.receivers));
                touched.insert(entry.alert.id.clone(), entry.alert.clone());
            }
        }
        Step { changed: touched.into_values().collect(), notices }
    }

    /// All that are pending or firing, and the latest resolved; the newest first.
    #[must_use]
    pub fn alerts(&self) -> Vec<Alert> {
        let mut all: Vec<Alert> = self.open.values().map(|entry| entry.alert.clone()).collect();
        all.extend(self.resolved.iter().cloned());
        all.sort_by(|a, b| (b.pending_since, &b.id).cmp(&(a.pending_since, &a.id)));
        all
    }

    fn opened(&mut self, now: Moment, finding: &Finding, notices: &mut Vec<Notice>) -> Option<Alert> {
        // Severities are ordered critical first.
        let wanted = finding.severity <= self.options.severity;
        if let Some(entry) = self.open.get_mut(&finding.id) {
            if entry.alert.state == AlertState::Pending && !wanted {
                return self.closed(now, finding, notices);
            }
            if entry.alert.finding == *finding {
                return None;
            }
            entry.alert.severity = finding.severity;
            entry.alert.finding = finding.clone();
        } else {
            // A resolved alert stays so: its notices have ids, and a receiver would drop the second one.
            if !wanted || self.resolved.iter().any(|alert| alert.id == finding.id) {
                return None;
            }
            let alert = Alert {
                id: finding.id.clone(),
                state: AlertState::Pending,
                severity: finding.severity,
                pending_since: now.wall,
                fired_at: None,
                resolved_at: None,
                finding: finding.clone(),
            };
            self.open.insert(finding.id.clone(), Entry { alert, due: now.mono + self.options.hold });
        }
        let entry = self.open.get_mut(&finding.id)?;
        if entry.alert.state == AlertState::Pending && (is_urgent(finding) || entry.due <= now.mono) {
            fire(&mut entry.alert, now);
            notices.extend(told(&entry.alert, NoticeStatus::Firing, now, &self.options.receivers));
        }
        Some(entry.alert.clone())
    }

    fn closed(&mut self, now: Moment, finding: &Finding, notices: &mut Vec<Notice>) -> Option<Alert> {
        let mut alert = self.open.remove(&finding.id)?.alert;
        alert.state = AlertState::Resolved;
        alert.resolved_at = Some(now.wall);
        alert.finding = finding.clone();
        if alert.fired_at.is_some() {
            notices.extend(told(&alert, NoticeStatus::Resolved, now, &self.options.receivers));
            self.keep_resolved(alert.clone());
        }
        Some(alert)
    }

    fn keep_resolved(&mut self, alert: Alert) {
        self.resolved.push_front(alert);
        self.resolved.truncate(RESOLVED_KEPT);
    }
}

/// True when waiting would only delay what is certain or cannot wait.
fn is_urgent(finding: &Finding) -> bool {
    finding.severity == Severity::Critical || finding.grade == Grade::Proven || finding.nature == Nature::Event
}

fn fire(alert: &mut Alert, now: Moment) {
    alert.state = AlertState::Firing;
    alert.fired_at = Some(now.wall);
}

fn told(alert: &Alert, status: NoticeStatus, now: Moment, receivers: &[String]) -> Vec<Notice> {
    let word = match status {
        NoticeStatus::Firing => "firing",
        NoticeStatus::Resolved => "resolved",
    };
    receivers
        .iter()
        .map(|receiver| Notice {
            id: format!("{}/{word}/{receiver}", alert.id),
            receiver: receiver.clone(),
            status,
            at: now.wall,
            alert: alert.clone(),
        })
        .collect()
}

#[cfg(test)]
mod tests;
