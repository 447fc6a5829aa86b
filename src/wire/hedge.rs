//! Metadata from whichever broker answers first, and who to believe when one is behind.
//!
//! One broker is asked; when it fails, or says nothing for a while, the next is asked as well. An answer that shows an
//! earlier term of some partition than an earlier turn saw is from a broker that was hung or cut off: another is
//! asked, and where none knows better, what was seen before stands.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, sleep_until};
use tracing::warn;

use super::api::error;
use super::api::metadata::{self, Metadata};
use super::topology::Topology;
use super::transport::Address;
use super::turn::Turn;
use crate::model::BrokerId;

/// Who may be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Broker(BrokerId),
    Bootstrap(Address),
}

/// The freshest topology that the sources give, and which of them gave it; nothing when none answers.
pub(crate) async fn topology(
    turn: &Turn<'_>,
    request: &Metadata,
    sources: Vec<Source>,
    hedge_after: Duration,
    known: &Topology,
) -> Option<(Source, Topology)> {
    let mut sources = sources.into_iter();
    let mut asked = FuturesUnordered::new();
    let mut behind: Option<(Source, Topology)> = None;
    let mut behind_by = BTreeSet::new();
    asked.push(ask(turn, request, sources.next()?));
    let mut hedge_at = Instant::now() + hedge_after;
    loop {
        let answer = tokio::select! {
            answer = asked.next() => answer,
            () = sleep_until(hedge_at), if sources.len() > 0 => Some(None),
        };
        match answer {
            Some(Some((source, topology))) => {
                if !topology.is_behind(known) {
                    return Some((source, topology));
                }
                if let Source::Broker(id) = &source {
                    behind_by.insert(*id);
                }
                match &mut behind {
                    Some((_, freshest)) => freshest.take_fresher(&topology),
                    None => behind = Some((source, topology)),
                }
            }
            Some(None) => {}
            None if sources.len() == 0 => break,
            None => {}
        }
        if let Some(source) = sources.next() {
            asked.push(ask(turn, request, source));
            hedge_at = Instant::now() + hedge_after;
        }
    }
    let (source, mut topology) = behind?;
    if topology.brokers.keys().all(|id| behind_by.contains(id)) {
        // Every broker agrees on the earlier terms: the cluster's own metadata was set back.
        warn!("all brokers show earlier leader epochs than before, these now count");
    } else {
        topology.take_fresher(known);
    }
    Some((source, topology))
}

async fn ask(turn: &Turn<'_>, request: &Metadata, source: Source) -> Option<(Source, Topology)> {
    let answer: metadata::Topology = match &source {
        Source::Broker(id) => turn.ask(*id, request).await.ok()?,
        Source::Bootstrap(address) => turn.ask_bootstrap(address, request).await?,
    };
    // A broker that is starting knows nobody yet.
    if answer.error_code != error::NONE || answer.brokers.is_empty() {
        return None;
    }
    Some((source, answer.into()))
}
