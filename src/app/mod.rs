//! The composition root: from a configuration to running tasks, and their end in the reverse order. The only place
//! that names every module.

mod auditor;
mod board;
mod cluster;
mod flush;
mod group_probe;
mod journal;
pub mod lifecycle;
mod pacer;
mod past;
mod poller;
mod proof;
mod sentence;
mod tick;
pub mod version;
mod view;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::config::Config;
use crate::metrics::BuildInfo;
use crate::model::ClusterName;
use crate::notify::{self, Notifier};
use crate::publish::{Own, Published};
use crate::schedule::{Chore, Schedule, When};
use crate::store::{self, Store};
use crate::web::{self, Readiness};
use board::Board;
use cluster::ClusterTasks;
pub(crate) use cluster::{slo_options, wire_options};
use lifecycle::guarded;

/// How often the daemon's own state is renewed.
const OWN_EVERY: Duration = Duration::from_millis(500);
/// How often old samples and findings are deleted.
const RETAIN_EVERY: Duration = Duration::from_secs(3600);

/// The running daemon.
#[derive(Debug)]
pub struct App {
    address: SocketAddr,
    clusters: Vec<ClusterTasks>,
    notifier: Arc<Notifier>,
    schedule: Schedule,
    store: Store,
    web: JoinHandle<()>,
    own: JoinHandle<()>,
    stop: CancellationToken,
    failed: CancellationToken,
}

impl App {
    /// Opens the databases, binds the port and starts everything; returns when pages are served.
    ///
    /// # Errors
    /// Where a database cannot be opened or the port cannot be bound: restarting alone will not help.
    pub async fn start(config: Config) -> anyhow::Result<Self> {
        let clock = Clock::start();
        let (stop, failed) = (CancellationToken::new(), CancellationToken::new());
        let options = store::Options {
            data: config.storage.data.clone(),
            samples: config.storage.samples_kept,
            ..store::Options::default()
        };
        let store = Store::open(options).await?;
        let listener = TcpListener::bind(config.server.listen)
            .await
            .with_context(|| format!("server.listen: cannot listen on {}", config.server.listen))?;
        let address = listener.local_addr()?;

        let board = Board::new(Published {
            clusters: config
                .clusters
                .iter()
                .map(|cluster| (ClusterName::from(cluster.name.as_str()), crate::publish::PublishedCluster::default()))
                .collect(),
            ..Published::default()
        });
        let receivers = config.receivers.iter().map(|receiver| notify::ReceiverOptions {
            name: receiver.name.clone(),
            webhook: notify::WebhookOptions {
                url: notify::Secret::new(receiver.url.clone()),
                secret: receiver.secret.as_ref().map(|secret| notify::Secret::new(secret.reveal().to_owned())),
            },
        });
        let external_url = config.server.external_url.clone().unwrap_or_else(|| format!("http://{address}"));
        let options = notify::Options { receivers: receivers.collect(), external_url: Some(external_url) };
        let notifier = Arc::new(Notifier::start(&options, store.outbox(), clock).await?);

        let mut clusters = Vec::new();
        for cluster in &config.clusters {
            let tasks = cluster::start(cluster, &config, &board, &store, clock, (stop.clone(), failed.clone()));
            clusters.push(tasks.await.with_context(|| format!("cluster {:?}", cluster.name))?);
        }

        let readiness = watch::Sender::new(Readiness::Waiting("the first turn".to_owned()));
        let longest = config.clusters.iter().map(|cluster| cluster.poll.every).max().unwrap_or_default();
        let router = web::router(web::State {
            published: board.watch(),
            readiness: readiness.subscribe(),
            past: Arc::new(past::StoredPast(store.clone())),
            clock,
            build: BuildInfo {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                commit: version::commit().to_owned(),
                librdkafka: version::librdkafka(),
            },
            stuck_after: longest * 3 + Duration::from_secs(30),
        });
        let web = guarded("web", web::serve(listener, router, stop.clone()), stop.clone(), failed.clone());
        let own = tokio::spawn(own(board.clone(), store.clone(), Arc::clone(&notifier), readiness, stop.clone()));
        let schedule = Schedule::start(vec![retention(&store, clock)]).await?;
        tracing::info!(%address, clusters = clusters.len(), "kustody serves");
        Ok(Self { address, clusters, notifier, schedule, store, web, own, stop, failed })
    }

    /// Where pages are served: the port that was bound, also when port 0 was asked for.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns when a part of the daemon ended that must not: it cannot go on.
    pub async fn failed(&self) {
        self.failed.cancelled().await;
    }

    /// Stops in the reverse order: no new work, then the canary's outcomes, then notices, then the databases.
    pub async fn stop(self) {
        self.stop.cancel();
        for cluster in self.clusters {
            cluster.ended().await;
        }
        if let Err(error) = self.schedule.stop().await {
            tracing::warn!(%error, "the schedule did not stop");
        }
        for task in [self.web, self.own] {
            if tokio::time::timeout(Duration::from_secs(2), task).await.is_err() {
                tracing::warn!("a task did not end in time");
            }
        }
        if let Some(notifier) = Arc::into_inner(self.notifier) {
            notifier.stop(Duration::from_secs(2)).await;
        }
        if tokio::time::timeout(Duration::from_secs(5), self.store.close()).await.is_err() {
            tracing::warn!("the databases did not close in time; what was committed is there");
        }
        tracing::info!("stopped");
    }
}

/// Renews what the daemon says of itself.
async fn own(
    board: Board,
    store: Store,
    notifier: Arc<Notifier>,
    readiness: watch::Sender<Readiness>,
    stop: CancellationToken,
) {
    let mut ticks = tokio::time::interval(OWN_EVERY);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let status = store.status();
        let own = Own {
            notifications: notifier.counts(),
            outbox_pending: u64::try_from(status.ledger.pending).unwrap_or(u64::MAX),
            storage_bytes: [("history.db", status.history.bytes), ("ledger.db", status.ledger.bytes)].into(),
            storage_writes: [
                ("written", status.history.written + status.ledger.written),
                ("dropped", status.history.dropped + status.ledger.dropped),
                ("failed", status.history.failed + status.ledger.failed),
            ]
            .into(),
            storage_trouble: status.trouble(),
        };
        board.change(|published| published.own = own);
        if *readiness.borrow() != Readiness::Ready {
            let published = Arc::clone(&board.watch().borrow());
            let waiting = published.clusters.iter().find(|(_, cluster)| cluster.last_success.is_none());
            readiness.send_replace(match waiting {
                Some((name, _)) => Readiness::Waiting(format!("the first turn of cluster {name}")),
                None => Readiness::Ready,
            });
        }
    }
}

fn retention(store: &Store, clock: Clock) -> Chore {
    let store = store.clone();
    Chore::new("retention", When::Every(RETAIN_EVERY), move || {
        let store = store.clone();
        async move {
            if let Err(error) = store.retain(clock.wall()).await {
                tracing::warn!(%error, "old samples were not deleted, the next hour tries again");
            }
        }
    })
}
