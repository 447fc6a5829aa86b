//! One cluster's tasks: the poller reads, the turns judge, the auditor keeps the canary's ledger.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::auditor::{Auditor, Parts};
use super::board::Board;
use super::group_probe::{self, GroupView};
use super::lifecycle::guarded;
use super::poller::Poller;
use super::proof::Prover;
use super::tick::Turns;
use super::view::AuditView;
use crate::alert::{self, AlertBook};
use crate::audit::{CanaryClass, Incarnation, Ledger, LedgerOptions, Lineage, Objectives, SloOptions};
use crate::canary::{BearerToken, Connection, TokenSource};
use crate::clock::Clock;
use crate::config::{ClusterConfig, Config, SloConfig};
use crate::finding::{self, CanaryNeeds, FindingBook, JudgeOptions};
use crate::model::{ClusterName, GroupType, Secret, Timestamp, TopicName};
use crate::observe::{self, CommitPoint, HighWatermarkPoint, History, Restored};
use crate::publish::Totals;
use crate::store::Store;
use crate::wire;

/// How long the canary waits for a token.
const TOKEN_WITHIN: Duration = Duration::from_secs(10);
/// Closed findings and resolved alerts that a start takes over.
const CLOSED_KEPT: u32 = 1_000;
/// Turns that may wait to be judged.
const SNAPSHOTS_WAITING: usize = 1;

#[derive(Debug)]
pub(super) struct ClusterTasks {
    tasks: Vec<JoinHandle<()>>,
}

impl ClusterTasks {
    /// Waits for the tasks, which were told to stop.
    pub(super) async fn ended(self) {
        for task in self.tasks {
            if tokio::time::timeout(Duration::from_secs(6), task).await.is_err() {
                tracing::warn!("a task of a cluster did not end in time");
            }
        }
    }
}

pub(super) async fn start(
    config: &ClusterConfig,
    whole: &Config,
    board: &Board,
    store: &Store,
    clock: Clock,
    (stop, failed): (CancellationToken, CancellationToken),
) -> anyhow::Result<ClusterTasks> {
    let cluster = ClusterName::from(config.name.as_str());
    let canary_topic = config.canary.enabled.then(|| TopicName::from(config.canary.topic.as_str()));
    let mut tasks = Vec::new();

    let restored = restored(store, &cluster, clock.wall(), config.window).await;
    let mut wire = wire::Cluster::new(cluster.clone(), wire_options(config), clock);
    // Their absence is to be noticed, not overlooked.
    wire.remember(restored.commits.iter().map(|commit| (commit.group.clone(), GroupType::Unknown)));
    let (snapshots, judged) = mpsc::channel(SNAPSHOTS_WAITING);
    let (sightings, sighted) = mpsc::channel(16);
    let (view, audit) = watch::channel(AuditView::default());
    let questions = watch::Sender::new(Vec::new());

    let connection = connection(config, &wire, clock);
    if let Some(topic) = &canary_topic {
        let prover = Prover { witness: wire.witness(), topic: topic.clone(), clock };
        let connection = (connection.clone(), wire.credentials());
        let parts = auditor(config, connection, &cluster, topic, store, clock, prover, sighted, view, stop.clone());
        let auditor = Auditor::new(parts.await.context("the canary's ledger")?).run();
        tasks.push(guarded("auditor", auditor, stop.clone(), failed.clone()));
    }
    let (group, measured) = watch::channel(GroupView::default());
    if let Some(topic) = canary_topic.clone().filter(|_| config.canary.group_probe) {
        let probe = group_probe::run((connection, wire.credentials()), topic, clock, group, stop.clone());
        tasks.push(guarded("group probe", probe, stop.clone(), failed.clone()));
    }
    let turns =
        turns(config, whole, &cluster, store, clock, board, audit, &questions, canary_topic.clone(), restored).await?;
    let turns = Turns { group_probe: measured, ..turns };
    tasks.push(guarded("turns", turns.run(judged, stop.clone()), stop.clone(), failed.clone()));
    let poller = Poller {
        cluster: wire,
        every: config.poll.every,
        clock,
        topics: Arc::new(config.topics.clone()),
        groups: Arc::new(config.groups.clone()),
        canary_topic,
        canary_window: LedgerOptions::default().window,
        questions: questions.subscribe(),
        snapshots,
        sightings,
    };
    tasks.push(guarded("poller", poller.run(stop.clone()), stop, failed));
    Ok(ClusterTasks { tasks })
}

/// How the poll plane reaches a cluster.
pub(crate) fn wire_options(config: &ClusterConfig) -> wire::Options {
    let property = |name: &str| config.kafka.get(name).cloned();
    wire::Options {
        bootstrap: property("bootstrap.servers")
            .unwrap_or_default()
            .split(',')
            .map(|one| one.trim().to_owned())
            .collect(),
        security: wire::Security::of(&config.kafka),
        client_id: property("client.id").unwrap_or_else(|| "kustody".to_owned()),
        request_timeout: config.poll.request_timeout,
        connect_timeout: config.poll.request_timeout,
        poll_deadline: config.poll.deadline,
        max_requests_per_second: config.poll.max_requests_per_second,
        hedge_after: config.poll.request_timeout.min(Duration::from_secs(1)) / 2,
        ..wire::Options::default()
    }
}

/// How the canary's clients reach a cluster: by the same section, with the tokens of the poll plane.
fn connection(config: &ClusterConfig, wire: &wire::Cluster, clock: Clock) -> Connection {
    let tokens = wire.tokens().map(|tokens| {
        let runtime = tokio::runtime::Handle::current();
        TokenSource::new(move || {
            // Called on the canary's own threads.
            let wanted = runtime.block_on(async { tokio::time::timeout(TOKEN_WITHIN, tokens.token()).await });
            let token = wanted.map_err(|_| "no token came in time".to_owned())??;
            Ok(BearerToken {
                text: Secret::new(token.reveal().to_owned()),
                // librdkafka wants a name, and sends none.
                principal: if token.principal.is_empty() { "kustody".to_owned() } else { token.principal.clone() },
                expires_ms: token.expires_ms(clock.wall()),
            })
        })
    });
    Connection { properties: config.kafka.clone(), tokens: tokens.unwrap_or_default() }
}

/// What the canary's classes are to keep, and how often they send.
pub(crate) fn slo_options(config: &ClusterConfig) -> SloOptions {
    let SloConfig { availability, freshness, durability, exactness, order } = config.canary.slo;
    SloOptions {
        objectives: Objectives { availability, freshness, durability, exactness, order },
        rate: config.canary.rate,
    }
}

#[expect(clippy::too_many_arguments, reason = "it is the wiring of one task, read once")]
async fn auditor(
    config: &ClusterConfig,
    (kafka, credentials): (Connection, watch::Receiver<u64>),
    cluster: &ClusterName,
    topic: &TopicName,
    store: &Store,
    clock: Clock,
    prover: Prover,
    sightings: mpsc::Receiver<super::poller::TopicSighting>,
    view: watch::Sender<AuditView>,
    stop: CancellationToken,
) -> anyhow::Result<Parts> {
    let mut bytes = [0; 24];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("the system has no randomness: {error}"))?;
    let (fresh, drawn) = bytes.split_at(16);
    let lineage = store.lineage(cluster, Lineage(fresh.try_into()?)).await?;
    let incarnation = Incarnation(u64::from_be_bytes(drawn.try_into()?));
    let options = LedgerOptions {
        acknowledge_within: config.canary.acknowledge_within,
        deliver_within: config.canary.deliver_within,
        ..LedgerOptions::default()
    };
    let saved = store.saved_ledger(cluster).await?;
    let fresh = saved.incarnations.is_empty();
    let now = clock.now();
    let ledger = if fresh {
        Ledger::new(options, lineage, incarnation, now)
    } else {
        Ledger::restore(saved, options, lineage, incarnation, now)
    };
    Ok(Parts {
        cluster: cluster.clone(),
        topic: topic.clone(),
        classes: config.canary.classes.iter().filter_map(|word| CanaryClass::from_word(word)).collect(),
        rate: config.canary.rate,
        slo: slo_options(config),
        create_topic: config.canary.create_topic,
        kafka,
        credentials,
        clock,
        store: store.clone(),
        ledger,
        journal: config.canary.journal.clone(),
        fresh,
        lineage,
        incarnation,
        prover,
        sightings,
        view,
        stop,
    })
}

#[expect(clippy::too_many_arguments, reason = "it is the wiring of one task, read once")]
async fn turns(
    config: &ClusterConfig,
    whole: &Config,
    cluster: &ClusterName,
    store: &Store,
    clock: Clock,
    board: &Board,
    audit: watch::Receiver<AuditView>,
    questions: &watch::Sender<Vec<(crate::model::TopicPartition, crate::model::LeaderEpoch)>>,
    canary_topic: Option<TopicName>,
    restored: Restored,
) -> anyhow::Result<Turns> {
    let now = clock.now();
    let mut history = History::new(observe::Options { window: config.window, ..observe::Options::default() });
    history.restore(restored);
    let mut findings = FindingBook::new(
        cluster.clone(),
        finding::BookOptions { event_hold: whole.alert.event_hold, ..finding::BookOptions::default() },
    );
    let saved = store.findings_to_restore(CLOSED_KEPT).await?;
    findings.restore(saved.into_iter().filter(|one| one.cluster == *cluster).collect());
    let mut alerts = AlertBook::new(alert::Options {
        severity: whole.alert.severity,
        hold: whole.alert.hold,
        receivers: whole.receivers.iter().map(|receiver| receiver.name.clone()).collect(),
    });
    let saved = store.alerts_to_restore(CLOSED_KEPT).await?;
    alerts.restore(now, saved.into_iter().filter(|one| one.finding.cluster == *cluster).collect());
    Ok(Turns {
        cluster: cluster.clone(),
        clock,
        history,
        findings,
        alerts,
        judge: JudgeOptions {
            bootstrap: config.kafka.get("bootstrap.servers").cloned().unwrap_or_default(),
            canary: canary_topic.clone().map(|topic| CanaryNeeds { topic, window: LedgerOptions::default().window }),
        },
        readers: finding::BlindReaders::default(),
        canary_topic,
        totals: Totals::default(),
        last: None,
        placement: None,
        group_probe: watch::channel(GroupView::default()).1,
        last_success: None,
        audit,
        revision: 0,
        board: board.clone(),
        store: store.clone(),
        questions: questions.clone(),
    })
}

/// What an earlier process saw: high watermarks of two windows, by which the age of what is unread is told (a backlog
/// that is older has a lower bound), and commits of one. Where it cannot be read the windows start empty, which only
/// delays verdicts.
async fn restored(store: &Store, cluster: &ClusterName, now: Timestamp, window: Duration) -> Restored {
    let mut restored = Restored::default();
    match store.last_topic_ids(cluster).await {
        Ok(topics) => restored.topics = topics,
        Err(error) => tracing::warn!(%error, "a topic that was created anew meanwhile is not noticed"),
    }
    let turns = match store.recent(cluster, now - window * 2, now - window).await {
        Ok(turns) => turns,
        Err(error) => {
            tracing::warn!(%error, "the history was not read, verdicts over a window begin anew");
            return restored;
        }
    };
    for turn in turns {
        for mark in turn.high_watermarks {
            let Some(topic_id) = mark.topic_id else { continue };
            restored.high_watermarks.push(HighWatermarkPoint {
                topic_id,
                partition: mark.at.partition,
                at: turn.finished,
                high_watermark: mark.high_watermark,
                leader_epoch: mark.leader_epoch,
            });
        }
        for commit in turn.commits {
            let Some(topic_id) = commit.topic_id else { continue };
            restored.commits.push(CommitPoint {
                group: commit.group,
                topic_id,
                partition: commit.at.partition,
                at: turn.started,
                offset: commit.committed.offset,
                leader_epoch: commit.committed.leader_epoch,
            });
        }
    }
    restored
}
