//! What the rest of the daemon sees of the audit.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::audit::{
    Anomaly, AnomalyKey, CanaryClass, ClassSlo, ClassSummary, Isolation, Ledger, SecondInstance, SloOptions,
};
use crate::finding::ReaderSights;
use crate::model::{Moment, PartitionId, ReaderSight, Timestamp, TopicName};
use crate::publish::{Histogram, PublishedCanary, RefusedReader};

/// Objectives look over hours and days: so often is enough.
const SLOS_EVERY: Duration = Duration::from_secs(5);

/// Histograms of latencies since the start, by class and stage.
pub(super) type LatencyTotals = BTreeMap<(&'static str, &'static str), Histogram>;

/// The state of the audit at one moment.
#[derive(Clone, Debug, Default)]
pub(super) struct AuditView {
    pub(super) canary: Option<Arc<PublishedCanary>>,
    pub(super) anomalies: Arc<Vec<Anomaly>>,
    /// Who else sends as this installation, and started later.
    pub(super) second_instance: Option<SecondInstance>,
    /// One higher whenever an anomaly is new or different: a verdict that is worth a turn of its own.
    pub(super) revision: u64,
    pub(super) outcomes: BTreeMap<(CanaryClass, &'static str), u64>,
    pub(super) latencies: Arc<LatencyTotals>,
    /// How our own readers fare.
    pub(super) sights: Arc<ReaderSights>,
}

/// What is not the ledger's own of a look at the canary.
#[derive(Debug)]
pub(super) struct Beside {
    /// Brokers that lead a canary partition, of those there are.
    pub(super) coverage: Option<f64>,
    /// Why it does not send, if so.
    pub(super) paused: Option<String>,
    pub(super) sights: ReaderSights,
}

fn refused(sights: &ReaderSights) -> Vec<RefusedReader> {
    let refused = |((reader, partition), sight): (&(Isolation, PartitionId), &ReaderSight)| {
        let refusal = sight.refusal.as_ref()?;
        let (reader, partition) = (*reader, *partition);
        Some(RefusedReader { reader, partition, since: refusal.since.wall, error: refusal.text.clone() })
    };
    sights.iter().filter_map(refused).collect()
}

/// Renews the view, and notices when an anomaly is new or different.
pub(super) struct Viewer {
    topic: TopicName,
    classes: Vec<CanaryClass>,
    view: watch::Sender<AuditView>,
    latencies: LatencyTotals,
    marks: BTreeMap<AnomalyKey, (u64, u64, Timestamp)>,
    slo: SloOptions,
    slos: Arc<Vec<ClassSlo>>,
    slos_at: Option<Duration>,
}

impl Viewer {
    pub(super) fn new(
        topic: TopicName,
        classes: Vec<CanaryClass>,
        view: watch::Sender<AuditView>,
        slo: SloOptions,
    ) -> Self {
        Self {
            topic,
            classes,
            view,
            latencies: BTreeMap::new(),
            marks: BTreeMap::new(),
            slo,
            slos: Arc::default(),
            slos_at: None,
        }
    }

    /// True when an anomaly is new or different.
    pub(super) fn renew(&mut self, ledger: &mut Ledger, now: Moment, beside: Beside) -> bool {
        let Beside { coverage, paused, sights } = beside;
        for (class, stage, seconds) in ledger.take_latencies() {
            self.latencies.entry((class.as_str(), stage.as_str())).or_default().record(seconds);
        }
        ledger.look(now);
        self.renew_slos(ledger, now);
        let marks = ledger.anomalies().map(|one| (one.key, (one.count, one.resurfaced, one.last_at))).collect();
        let revised = marks != self.marks;
        self.marks = marks;
        let second_instance = ledger.second_instance();
        let summary = |class: &CanaryClass| ClassSummary { coverage, ..ledger.summary(*class, now) };
        let canary = PublishedCanary {
            topic: self.topic.to_string(),
            as_of: now.wall,
            classes: self.classes.iter().map(summary).collect(),
            partitions: ledger.partitions(now),
            paused,
            refused: refused(&sights),
            slos: Arc::clone(&self.slos),
        };
        let anomalies = revised.then(|| Arc::new(ledger.anomalies().cloned().collect::<Vec<_>>()));
        let latencies = Arc::new(self.latencies.clone());
        self.view.send_modify(|view| {
            if view.second_instance != second_instance {
                view.second_instance = second_instance;
                view.revision += 1;
            }
            view.canary = Some(Arc::new(canary));
            view.outcomes = ledger.outcomes().clone();
            view.latencies = latencies;
            view.sights = Arc::new(sights);
            if let Some(anomalies) = anomalies {
                view.anomalies = anomalies;
                view.revision += 1;
            }
        });
        revised
    }

    fn renew_slos(&mut self, ledger: &Ledger, now: Moment) {
        if self.slos_at.is_some_and(|at| now.mono < at + SLOS_EVERY) {
            return;
        }
        self.slos_at = Some(now.mono);
        let partitions = ledger.partitions(now).len();
        let slos = self.classes.iter().map(|class| ledger.slo(*class, &self.slo, partitions, now));
        self.slos = Arc::new(slos.collect());
    }
}
