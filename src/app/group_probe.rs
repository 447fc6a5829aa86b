//! Keeps what the group probe measured, for readers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::auditor::changed;
use crate::audit::{Latency, Recent};
use crate::canary::{Connection, GroupProbe, GroupSample, Pace};
use crate::clock::Clock;
use crate::model::TopicName;
use crate::publish::{Histogram, PublishedGroupProbe};

/// Samples that may wait.
const SAMPLES_WAITING: usize = 64;
/// How long leaving the group may hold up the end of the daemon.
const LEAVE_WITHIN: Duration = Duration::from_secs(2);

/// The word in the place of the canary's class: a group is none of them.
const CLASS: &str = "group";
const JOIN: &str = "group_join";
const COMMIT: &str = "group_commit";

/// The probe's latencies at one moment.
#[derive(Clone, Debug, Default)]
pub(super) struct GroupView {
    /// None where there is no probe.
    pub(super) published: Option<Arc<PublishedGroupProbe>>,
    /// Histograms since the start, by class and stage.
    pub(super) latencies: BTreeMap<(&'static str, &'static str), Histogram>,
}

#[derive(Debug, Default)]
struct Kept {
    join: Recent,
    commit: Recent,
    trouble: Option<String>,
    latencies: BTreeMap<(&'static str, &'static str), Histogram>,
}

impl Kept {
    fn take(&mut self, sample: GroupSample) {
        let (recent, stage, took) = match sample {
            GroupSample::Joined(took) => (&mut self.join, JOIN, took),
            GroupSample::Committed(took) => (&mut self.commit, COMMIT, took),
            GroupSample::Failing(why) => {
                if self.trouble.as_ref() != Some(&why) {
                    tracing::warn!(reason = why, "the group probe measures nothing now");
                }
                self.trouble = Some(why);
                return;
            }
        };
        self.trouble = None;
        recent.record(took.as_secs_f64());
        self.latencies.entry((CLASS, stage)).or_default().record(took.as_secs_f64());
    }

    fn view(&self) -> GroupView {
        // What was measured before the trouble is not so now.
        let known = |recent: &Recent| if self.trouble.is_none() { recent.latency() } else { Latency::default() };
        let published = PublishedGroupProbe {
            join_latency_seconds: known(&self.join),
            commit_latency_seconds: known(&self.commit),
            trouble: self.trouble.clone(),
        };
        GroupView { published: Some(Arc::new(published)), latencies: self.latencies.clone() }
    }
}

/// Runs the probe until told to stop. A probe that cannot run says so, and harms nothing else.
pub(super) async fn run(
    (kafka, mut credentials): (Connection, watch::Receiver<u64>),
    topic: TopicName,
    clock: Clock,
    view: watch::Sender<GroupView>,
    stop: CancellationToken,
) {
    let (told, mut samples) = mpsc::channel(SAMPLES_WAITING);
    let mut kept = Kept::default();
    let mut probe = GroupProbe::start(&kafka, topic.clone(), Pace::default(), clock, told.clone());
    loop {
        if let Err(error) = &probe {
            kept.take(GroupSample::Failing(error.to_string()));
        }
        view.send_replace(kept.view());
        tokio::select! {
            () = stop.cancelled() => break,
            () = changed(&mut credentials) => {
                if let Ok(former) = probe {
                    end(former).await;
                }
                probe = GroupProbe::start(&kafka, topic.clone(), Pace::default(), clock, told.clone());
            }
            Some(sample) = samples.recv() => {
                kept.take(sample);
            }
        }
    }
    if let Ok(probe) = probe {
        end(probe).await;
    }
}

async fn end(probe: GroupProbe) {
    if tokio::time::timeout(LEAVE_WITHIN, probe.stop()).await.is_err() {
        tracing::debug!("the group probe did not leave in time; its session will time out");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_is_told_until_something_is_measured_again() {
        let mut kept = Kept::default();
        let nothing = kept.view().published.expect("it runs");
        assert_eq!((nothing.join_latency_seconds, nothing.trouble.clone()), (Latency::default(), None));
        kept.take(GroupSample::Joined(Duration::from_millis(3_100)));
        kept.take(GroupSample::Failing("no coordinator".to_owned()));
        let failing = kept.view().published.expect("it runs");
        assert_eq!(failing.trouble.as_deref(), Some("no coordinator"));
        assert_eq!(failing.join_latency_seconds, Latency::default(), "null while it fails");
        kept.take(GroupSample::Committed(Duration::from_millis(20)));
        let view = kept.view();
        let probe = view.published.expect("it runs");
        assert_eq!((probe.join_latency_seconds.max, probe.commit_latency_seconds.max), (Some(3.1), Some(0.02)));
        assert_eq!(probe.trouble, None);
        assert_eq!(view.latencies.keys().copied().collect::<Vec<_>>(), [(CLASS, COMMIT), (CLASS, JOIN)]);
    }
}
