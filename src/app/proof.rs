//! Asks the cluster what the ledger wants to know, beside everything else that goes on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::audit::{Event, Isolation, Question, Reread};
use crate::canary::topic::{self, TopicPlan};
use crate::canary::{Canary, Connection, RereadQuestion};
use crate::clock::Clock;
use crate::model::{LeaderEpoch, Moment, Offset, PartitionId, Reading, TopicName};
use crate::wire::{TermEnds, Witness};

/// How long a re-read on a fresh connection may take.
const REREAD_WITHIN: Duration = Duration::from_secs(8);
/// Answers to re-reads that are handed over in one go.
const REREADS_AT_ONCE: usize = 256;
/// How long the creation of the topic may take.
const CREATE_WITHIN: Duration = Duration::from_secs(20);
/// How long the producers may take to know partitions that joined.
const INTRODUCE_WITHIN: Duration = Duration::from_secs(20);
/// When to ask again where the reader is to go on, after nobody could tell.
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(300);

/// Who answers: the poll plane for epochs and log ends, a fresh consumer for what lies at an offset.
#[derive(Clone, Debug)]
pub(super) struct Prover {
    pub(super) witness: Witness,
    pub(super) topic: TopicName,
    pub(super) clock: Clock,
}

/// A reader whose position does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stopped {
    pub(super) isolation: Isolation,
    pub(super) partition: PartitionId,
    pub(super) at: Option<Offset>,
}

/// Where a stopped reader goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moved {
    pub(super) isolation: Isolation,
    pub(super) partition: PartitionId,
    pub(super) to: Offset,
}

/// What came back.
#[derive(Debug)]
pub(super) enum Answer {
    Events(Vec<(Event, Moment)>),
    GoOn(Moved),
    AskAgain(Stopped),
    Created(Result<(), String>),
    /// The producers know these partitions, as far as they could be told.
    Introduced(Vec<PartitionId>),
}

/// What is being asked.
#[derive(Debug)]
pub(super) struct Answers {
    tasks: JoinSet<Answer>,
    looking: Option<tokio::task::AbortHandle>,
    /// Where to ask for offsets: what concerns one partition is read together.
    rereads: BTreeMap<(Isolation, PartitionId), mpsc::UnboundedSender<RereadQuestion>>,
    tell: mpsc::UnboundedSender<(Event, Moment)>,
    told: mpsc::UnboundedReceiver<(Event, Moment)>,
}

impl Answers {
    pub(super) fn new() -> Self {
        // At most one answer a question, and the ledger asks for so many at once.
        let (tell, told) = mpsc::unbounded_channel();
        Self { tasks: JoinSet::new(), looking: None, rereads: BTreeMap::new(), tell, told }
    }

    /// The next answer; never, while nothing is asked.
    pub(super) async fn next(&mut self) -> Answer {
        let mut told = Vec::new();
        loop {
            tokio::select! {
                Some(ended) = self.tasks.join_next() => match ended {
                    Ok(answer) => return answer,
                    Err(error) => tracing::error!(%error, "a question to the cluster ended without an answer"),
                },
                _ = self.told.recv_many(&mut told, REREADS_AT_ONCE) => return Answer::Events(told),
            }
        }
    }

    pub(super) fn ask(&mut self, prover: &Prover, canary: Option<&Arc<Canary>>, questions: Vec<Question>) {
        for question in questions {
            match question {
                Question::EpochEnds { partition, epochs, current } => {
                    let prover = prover.clone();
                    self.tasks
                        .spawn(async move { Answer::Events(prover.epoch_ends(partition, epochs, current).await) });
                }
                Question::Reread { isolation, partition, offset } => {
                    let question = RereadQuestion { offset, within: REREAD_WITHIN };
                    let why = match canary {
                        // Closed where its task died.
                        Some(canary) => match self.reread(canary, (isolation, partition)).send(question) {
                            Ok(()) => continue,
                            Err(closed) => closed.to_string(),
                        },
                        None => "the canary has not started".to_owned(),
                    };
                    let (now, outcome) = (prover.clock.now(), Reread::Failed { why });
                    let event = Event::RereadTold { isolation, partition, offset, begun: now, outcome };
                    // Its receiver is our own.
                    self.tell.send((event, now)).ok();
                }
            }
        }
    }

    /// Where to ask for an offset, together with what else is asked of its partition.
    fn reread(
        &mut self,
        canary: &Arc<Canary>,
        of @ (isolation, partition): (Isolation, PartitionId),
    ) -> &mpsc::UnboundedSender<RereadQuestion> {
        self.rereads.retain(|_, ask| !ask.is_closed());
        self.rereads.entry(of).or_insert_with(|| {
            let (ask, asked) = mpsc::unbounded_channel();
            let (canary, tell) = (Arc::clone(canary), self.tell.clone());
            self.tasks.spawn(async move {
                canary.answer_rereads(isolation, partition, asked, &tell).await;
                Answer::Events(Vec::new())
            });
            ask
        })
    }

    /// Gives up what is being asked.
    pub(super) async fn end(&mut self) {
        self.rereads.clear();
        self.tasks.shutdown().await;
    }

    /// One look at a time.
    pub(super) fn look_at_leaders(&mut self, prover: &Prover) {
        if self.looking.as_ref().is_some_and(|look| !look.is_finished()) {
            return;
        }
        let prover = prover.clone();
        self.looking = Some(self.tasks.spawn(async move { Answer::Events(prover.sightings().await) }));
    }

    pub(super) fn ask_where_to_go_on(
        &mut self,
        prover: &Prover,
        stopped: Stopped,
        epochs: BTreeMap<LeaderEpoch, Offset>,
    ) {
        let prover = prover.clone();
        self.tasks.spawn(async move {
            let Stopped { isolation, partition, at } = stopped;
            match prover.where_to_go_on(partition, at, &epochs).await {
                Some(to) => Answer::GoOn(Moved { isolation, partition, to }),
                None => {
                    tokio::time::sleep(ASK_AGAIN_AFTER).await;
                    Answer::AskAgain(stopped)
                }
            }
        });
    }

    /// Lets the producers know partitions that joined; `count` is of all.
    pub(super) fn introduce(&mut self, canary: &Arc<Canary>, partitions: Vec<PartitionId>, count: usize) {
        let canary = Arc::clone(canary);
        self.tasks.spawn(async move {
            canary.learn_partitions(count, INTRODUCE_WITHIN).await;
            Answer::Introduced(partitions)
        });
    }

    pub(super) fn create_topic(&mut self, kafka: Connection, plan: TopicPlan) {
        self.tasks.spawn(async move {
            let made = topic::create(&kafka, &plan, CREATE_WITHIN).await;
            Answer::Created(made.map(|_| ()).map_err(|error| error.to_string()))
        });
    }
}

impl Prover {
    async fn epoch_ends(
        &self,
        partition: PartitionId,
        epochs: Vec<LeaderEpoch>,
        current: LeaderEpoch,
    ) -> Vec<(Event, Moment)> {
        let begun = self.clock.now();
        // The log start is read after the epoch's end: what retention removed in between must not look cut off.
        let told = self.witness.term_ends(&self.topic, partition, &epochs, current).await;
        let Some(TermEnds { broker, ends, log_start }) = told else { return Vec::new() };
        let now = self.clock.now();
        let event = |(asked, end)| Event::EpochEndTold { broker, partition, asked, current, begun, end, log_start };
        ends.into_iter().map(|told| (event(told), now)).collect()
    }

    async fn sightings(&self) -> Vec<(Event, Moment)> {
        let begun = self.clock.now();
        let sightings = self.witness.sightings(&self.topic).await;
        let now = self.clock.now();
        let mut events = Vec::new();
        if let Some((topic_id, seen)) = sightings.iter().find_map(|seen| seen.topic_id.map(|id| (id, seen))) {
            let partitions = seen.partitions.keys().copied().collect();
            events.push((Event::TopicSighted { topic_id, partitions, begun }, now));
        }
        events.push((Event::EpochsSighted(sightings), now));
        events
    }

    /// The log end of a partition, where its leader tells it.
    pub(super) async fn log_end(&self, partition: PartitionId) -> Option<Offset> {
        let current = self.current(partition).await?;
        self.witness.log_end(&self.topic, partition, current).await.value()
    }

    async fn where_to_go_on(
        &self,
        partition: PartitionId,
        at: Option<Offset>,
        epochs: &BTreeMap<LeaderEpoch, Offset>,
    ) -> Option<Offset> {
        let current = self.current(partition).await?;
        let last = epochs.keys().next_back().copied();
        let end = match last {
            Some(last) => match self.witness.epoch_ends(&self.topic, partition, &[last], current).await.first() {
                Some((_, Reading::Read(end))) => *end,
                Some((_, Reading::Missing(_))) | None => return None,
            },
            None => None,
        };
        let log_start = self.witness.log_start(&self.topic, partition, current).await.value()?;
        Some(position_after(at, log_start, end.map(|end| (end.leader_epoch, end.end_offset)), epochs))
    }

    /// The highest term that any broker names now.
    async fn current(&self, partition: PartitionId) -> Option<LeaderEpoch> {
        let sightings = self.witness.sightings(&self.topic).await;
        sightings.iter().filter_map(|seen| seen.partitions.get(&partition).map(|led| led.leader_epoch)).max()
    }
}

/// Where a reader goes on whose position does not exist: at the first offset at which its history and the log's may
/// differ. What is read twice by that is a re-read; what would be left out would be a false loss.
fn position_after(
    at: Option<Offset>,
    log_start: Offset,
    end_of_last_epoch: Option<(LeaderEpoch, Offset)>,
    read_epochs: &BTreeMap<LeaderEpoch, Offset>,
) -> Offset {
    let Some(at) = at else { return log_start };
    if at < log_start {
        return log_start;
    }
    let Some((epoch, end)) = end_of_last_epoch else { return log_start };
    // Epochs above the one answered are gone from the log; our reading of them began here.
    let diverged = read_epochs.iter().find(|(read, _)| **read > epoch).map(|(_, first)| *first);
    let to = diverged.map_or(end, |first| first.min(end)).min(at);
    to.max(log_start)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offset(number: i64) -> Offset {
        Offset::new(number).expect("not negative")
    }

    fn epoch(number: i32) -> LeaderEpoch {
        LeaderEpoch::new(number).expect("not negative")
    }

    #[test]
    fn the_reader_goes_on_where_the_histories_may_differ() {
        let read = BTreeMap::from([(epoch(0), offset(0)), (epoch(2), offset(90))]);
        let cases = [
            ("retention passed it", Some(10), 60, Some((2, 200)), 60),
            ("never began", None, 5, Some((2, 200)), 5),
            ("truncated within its epoch", Some(140), 0, Some((2, 100)), 100),
            ("its epoch vanished, the log reuses its offsets", Some(140), 0, Some((0, 120)), 90),
            ("its epoch vanished, the log is shorter", Some(140), 0, Some((0, 80)), 80),
            ("nothing was cut", Some(95), 0, Some((2, 120)), 95),
            ("nothing is known of its epochs", Some(140), 7, None, 7),
            ("cut below the log start", Some(140), 110, Some((2, 100)), 110),
        ];
        for (name, at, log_start, end, want) in cases {
            let end = end.map(|(number, at)| (epoch(number), offset(at)));
            assert_eq!(position_after(at.map(offset), offset(log_start), end, &read), offset(want), "{name}");
        }
    }
}
