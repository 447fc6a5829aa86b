//! A turn: observe, judge, keep, tell. Reading happens beside it, so that a slow cluster never delays a verdict.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::board::Board;
use super::group_probe::GroupView;
use super::sentence::{canary_drafts, own_drafts};
use super::view::AuditView;
use crate::alert::AlertBook;
use crate::clock::Clock;
use crate::finding::{BlindReaders, Finding, FindingBook, JudgeOptions, Judged, Placement, judge, placement};
use crate::model::{ClusterName, ClusterSnapshot, LeaderEpoch, Timestamp, TopicName, TopicPartition};
use crate::observe::{History, Observation, observe};
use crate::publish::Totals;
use crate::store::{Store, Turn};

/// The judgement on one cluster, from turn to turn.
pub(super) struct Turns {
    pub(super) cluster: ClusterName,
    pub(super) clock: Clock,
    pub(super) history: History,
    pub(super) findings: FindingBook,
    pub(super) alerts: AlertBook,
    pub(super) judge: JudgeOptions,
    pub(super) readers: BlindReaders,
    pub(super) canary_topic: Option<TopicName>,
    pub(super) totals: Totals,
    pub(super) last: Option<Arc<Observation>>,
    pub(super) placement: Option<Arc<Placement>>,
    pub(super) last_success: Option<Timestamp>,
    pub(super) audit: watch::Receiver<AuditView>,
    pub(super) group_probe: watch::Receiver<GroupView>,
    pub(super) revision: u64,
    pub(super) board: Board,
    pub(super) store: Store,
    /// What the next reading is to ask besides.
    pub(super) questions: watch::Sender<Vec<(TopicPartition, LeaderEpoch)>>,
}

impl Turns {
    /// Runs until told to stop. Two things cause a turn: a reading of the cluster, and a verdict of the canary.
    pub(super) async fn run(mut self, mut snapshots: mpsc::Receiver<ClusterSnapshot>, stop: CancellationToken) {
        self.go_on();
        let mut refresh = tokio::time::interval(Duration::from_millis(250));
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                Some(snapshot) = snapshots.recv() => self.of_reading(&snapshot),
                Ok(()) = self.audit.changed() => self.of_canary(),
                // Holds of alerts and events end by time, also while nothing can be read.
                _ = refresh.tick() => self.tell(&[Judged::default()], None),
            }
        }
    }

    /// Takes up what an earlier process left open: its alerts may be due, or wanted at another severity by now.
    fn go_on(&mut self) {
        let now = self.clock.now();
        let open: Vec<Finding> = self.findings.open().cloned().collect();
        let step = self.alerts.step(now, &open);
        self.publish(now.wall);
        self.store.offer(Turn { observation: None, canary: Vec::new(), findings: Vec::new(), step });
    }

    fn of_reading(&mut self, snapshot: &ClusterSnapshot) {
        let observation = Arc::new(observe(&mut self.history, snapshot));
        self.questions.send_replace(self.history.questions());
        self.totals.poll_duration.record(observation.took.as_secs_f64());
        for (request, count) in &observation.requests {
            *self.totals.poll_requests.entry(*request).or_default() += count;
        }
        if observation.reachable {
            self.last_success = Some(observation.finished);
        }
        self.last = Some(Arc::clone(&observation));
        self.placement = self.judge.canary.as_ref().and_then(|needs| placement(&observation, needs)).map(Arc::new);
        let own = Judged::of_own(own_drafts(&self.store.status()));
        let mut read = judge(&observation, &self.judge);
        if let Some(topic) = &self.canary_topic {
            let (sights, now) = (Arc::clone(&self.audit.borrow().sights), self.clock.now());
            self.readers.judge(&observation, (topic, &sights), now, &self.judge.bootstrap, &mut read);
        }
        let judged = [read, self.canary(), own];
        self.tell(&judged, Some(observation));
    }

    /// A canary event judges and publishes at once. Nothing else was read: nothing else opens or closes.
    fn of_canary(&mut self) {
        let revision = self.audit.borrow_and_update().revision;
        if revision != self.revision {
            let judged = [self.canary()];
            self.tell(&judged, None);
        }
    }

    fn canary(&mut self) -> Judged {
        let view = self.audit.borrow().clone();
        self.revision = view.revision;
        match (&self.canary_topic, &view.canary) {
            (Some(topic), Some(canary)) => {
                Judged::of_canary(canary_drafts(topic, &view, self.clock.wall(), &self.judge.bootstrap))
                    .with_slos(&canary.slos)
            }
            // The auditor has not looked yet: that is no reading.
            (Some(_), None) => Judged::default(),
            // No canary any more: what an earlier process left overdue is over.
            (None, _) => Judged::of_canary(Vec::new()),
        }
    }

    fn tell(&mut self, judged: &[Judged], observation: Option<Arc<Observation>>) {
        let now = self.clock.now();
        let changed: Vec<Finding> = judged.iter().flat_map(|judged| self.findings.step(now.wall, judged)).collect();
        for finding in changed.iter().filter(|finding| finding.opened_at == now.wall) {
            *self.totals.findings.entry((finding.kind, finding.grade)).or_default() += 1;
        }
        let step = self.alerts.step(now, &changed);
        if observation.is_none() && changed.is_empty() && step.changed.is_empty() {
            self.publish_canary(now.wall);
            return;
        }
        self.publish(now.wall);
        let canary = self.audit.borrow().canary.as_ref().map(|canary| canary.classes.clone()).unwrap_or_default();
        self.store.offer(Turn { observation, canary, findings: changed, step });
    }

    fn take_canary_totals(&mut self) -> Option<Arc<crate::publish::PublishedCanary>> {
        let view = self.audit.borrow();
        self.totals.canary_outcomes =
            view.outcomes.iter().map(|((class, outcome), count)| ((class.as_str(), *outcome), *count)).collect();
        self.totals.canary_latency = (*view.latencies).clone();
        self.totals.canary_latency.extend(self.group_probe.borrow().latencies.clone());
        view.canary.clone()
    }

    /// The canary's sums are exact at every read: they are renewed also between turns.
    fn publish_canary(&mut self, now: Timestamp) {
        let Some(canary) = self.take_canary_totals() else { return };
        let totals = Arc::new(self.totals.clone());
        let group_probe = self.group_probe.borrow().published.clone();
        self.board.change(|published| {
            published.as_of = Some(now);
            if let Some(cluster) = published.clusters.get_mut(self.cluster.as_str()) {
                cluster.canary = Some(canary);
                cluster.group_probe = group_probe;
                cluster.totals = totals;
            }
        });
    }

    fn publish(&mut self, now: Timestamp) {
        let canary = self.take_canary_totals();
        let mut findings: Vec<Finding> = self.findings.open().chain(self.findings.recent()).cloned().collect();
        findings.sort_by(|a, b| (a.severity, b.opened_at, &a.id).cmp(&(b.severity, a.opened_at, &b.id)));
        let findings = Arc::new(findings);
        let alerts = self.alerts.alerts();
        let totals = Arc::new(self.totals.clone());
        let group_probe = self.group_probe.borrow().published.clone();
        let (last, last_success, placement) = (self.last.clone(), self.last_success, self.placement.clone());
        self.board.change(|published| {
            published.as_of = Some(now);
            if let Some(cluster) = published.clusters.get_mut(self.cluster.as_str()) {
                cluster.observation = last;
                cluster.last_success = last_success;
                cluster.canary = canary;
                cluster.canary_placement = placement;
                cluster.group_probe = group_probe;
                cluster.findings = findings;
                cluster.totals = totals;
            }
            // Alerts of other clusters stay as they are.
            let mut all: Vec<_> =
                published.alerts.iter().filter(|alert| alert.finding.cluster != self.cluster).cloned().collect();
            all.extend(alerts);
            all.sort_by(|a, b| (b.pending_since, &b.id).cmp(&(a.pending_since, &a.id)));
            published.alerts = Arc::new(all);
        });
    }
}
