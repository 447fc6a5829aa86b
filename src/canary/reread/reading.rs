//! One fresh connection that is asked for many offsets of one partition.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message as _;
use rdkafka::{Offset as KafkaOffset, TopicPartitionList};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Rereader;
use super::open::{Answers, Open};
use crate::audit::{CanaryRecord, Isolation, Reread, Unreadable, payload};
use crate::canary::client::Quiet;
use crate::canary::raw;
use crate::model::{LeaderEpoch, Offset, PartitionId};

/// How long until a client that met the last stable offset looks whether it has moved, and gives way if others wait.
const ANEW: Duration = Duration::from_millis(200);
/// Offsets up to the next that is asked for which are read through, about what one fetch brings of our records; it seeks across
/// more.
const READ_THROUGH: u64 = 1_000;

type Client = BaseConsumer<Quiet>;

/// What is asked, who waits for it, and who else.
pub(super) struct Batch {
    pub(super) partition: PartitionId,
    /// Until when, on the monotonic clock, each offset needs its answer.
    pub(super) due: BTreeMap<Offset, Duration>,
    pub(super) answers: mpsc::UnboundedSender<(Offset, Reread)>,
    /// Cancelled when further questions wait for what this batch holds.
    pub(super) give_way: CancellationToken,
}

/// What the client meets.
enum Met {
    Nothing,
    Record { at: Offset, leader_epoch: Option<LeaderEpoch>, what: Result<CanaryRecord, Unreadable> },
    End,
    OutOfRange,
    Trouble(String),
}

pub(super) struct Reading<'a> {
    // Dropped first: the answers are complete before the client has let go of its connections.
    answers: mpsc::UnboundedSender<(Offset, Reread)>,
    give_way: CancellationToken,
    rereader: &'a Rereader,
    consumer: Client,
    /// A client that sees every record: a broker names it the high watermark, and to others the last stable offset.
    uncommitted: Option<Client>,
    partition: PartitionId,
    open: Open,
    /// Where it was told to read from.
    start: Option<Offset>,
    /// The last stable offset before it began to read, where that bounds what it sees.
    stable: Option<Offset>,
    /// When to begin anew, with what is known of the end by then.
    anew: Option<Duration>,
    /// Since when there is nothing to read.
    idle: Option<Duration>,
    is_outside_asked: bool,
    is_end_met: bool,
    trouble: Option<String>,
}

impl<'a> Reading<'a> {
    /// Answers until nothing is open, nobody waits for it, or it gives way; what is open then has no answer.
    pub(super) fn run(rereader: &'a Rereader, batch: Batch) {
        let Batch { partition, due, answers, give_way } = batch;
        let consumer: Client = match rereader.client(&rereader.config) {
            Ok(consumer) => consumer,
            Err(error) => {
                for offset in due.into_keys() {
                    // Nobody waits any more.
                    answers.send((offset, Reread::Failed { why: error.to_string() })).ok();
                }
                return;
            }
        };
        let mut reading = Self {
            answers,
            give_way,
            rereader,
            consumer,
            uncommitted: None,
            partition,
            open: Open::new(due),
            start: None,
            stable: None,
            anew: Some(Duration::ZERO),
            idle: None,
            is_outside_asked: false,
            is_end_met: false,
            trouble: None,
        };
        while reading.goes_on() {
            if let Err(error) = reading.step() {
                reading.trouble = Some(error.to_string());
                reading.anew = Some(reading.now() + ANEW);
            }
        }
    }

    fn goes_on(&mut self) -> bool {
        let now = self.now();
        for offset in self.open.overdue(now) {
            let failed = self.open.fail(offset, self.why(offset));
            self.tell(failed);
        }
        let gives_way = self.give_way.is_cancelled() && self.idle.is_some_and(|since| since + ANEW <= now);
        !(self.open.is_empty() || self.answers.is_closed() || gives_way)
    }

    fn step(&mut self) -> Result<(), KafkaError> {
        let now = self.now();
        if self.anew.take_if(|anew| *anew <= now).is_some() {
            return self.begin();
        }
        let until = self.anew.map_or(ANEW, |anew| anew.saturating_sub(now).min(ANEW));
        match self.meet(until) {
            Met::Nothing => {}
            Met::Record { at, leader_epoch, what } => {
                (self.idle, self.trouble) = (None, None);
                let answers = self.open.record(at, leader_epoch, what);
                self.tell(answers);
                if self.open.first().is_some_and(|next| next.distance_from(at) > Some(READ_THROUGH)) {
                    self.assign()?;
                }
                self.await_stable()?;
            }
            Met::End => self.end()?,
            Met::OutOfRange => {
                // Nothing more will come: what the reset policy calls an error stops the partition.
                self.outside()?;
                if let Some(start) = self.start.filter(|start| self.open.first() == Some(*start)) {
                    let why = "out of range, and within the log a moment later".to_owned();
                    let failed = self.open.fail(start, why);
                    self.tell(failed);
                }
                self.begin()?;
            }
            // No leader, no broker: librdkafka goes on trying, and so do we until the deadline.
            Met::Trouble(why) => self.trouble = Some(why),
        }
        Ok(())
    }

    fn meet(&self, until: Duration) -> Met {
        match self.consumer.poll(until) {
            None => Met::Nothing,
            Some(Ok(message)) => match Offset::new(message.offset()) {
                Some(at) => {
                    let what = payload::decode(message.payload().unwrap_or_default(), self.rereader.lineage);
                    Met::Record { at, leader_epoch: raw::leader_epoch(&message), what }
                }
                None => Met::Nothing,
            },
            Some(Err(KafkaError::PartitionEOF(_))) => Met::End,
            Some(Err(error)) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AutoOffsetReset) => {
                Met::OutOfRange
            }
            Some(Err(error)) => Met::Trouble(error.to_string()),
        }
    }

    /// Reads from the lowest open offset on, whatever was read before.
    fn begin(&mut self) -> Result<(), KafkaError> {
        if self.open.is_empty() {
            return Ok(());
        }
        match self.rereader.isolation {
            Isolation::ReadUncommitted => self.idle = None,
            Isolation::ReadCommitted => self.stable = self.stable_end()?,
        }
        self.assign()?;
        self.await_stable()?;
        self.trouble = None;
        Ok(())
    }

    fn assign(&mut self) -> Result<(), KafkaError> {
        self.start = self.open.first();
        let Some(start) = self.start else { return Ok(()) };
        let mut list = TopicPartitionList::new();
        let topic = self.rereader.topic.as_str();
        list.add_partition_offset(topic, self.partition.0, KafkaOffset::Offset(start.get()))?;
        self.consumer.assign(&list)
    }

    /// Beyond the last stable offset neither a record comes nor an end: what lies there is asked for anew.
    fn await_stable(&mut self) -> Result<(), KafkaError> {
        let Some(stable) = self.stable else { return Ok(()) };
        if self.open.last() >= Some(stable) && !self.is_outside_asked {
            self.outside()?;
            self.is_outside_asked = true;
        }
        if self.open.first() < Some(stable) {
            self.idle = None;
        } else if self.anew.is_none() {
            let now = self.now();
            self.idle.get_or_insert(now);
            self.anew = Some(now + ANEW);
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), KafkaError> {
        // Perhaps of before the last stable offset was asked for.
        if self.anew.is_some() {
            return Ok(());
        }
        let now = self.now();
        self.idle.get_or_insert(now);
        self.trouble = Some("the log grew while it was read".to_owned());
        match self.rereader.isolation {
            Isolation::ReadUncommitted => self.outside()?,
            Isolation::ReadCommitted => {
                self.anew = Some(now + ANEW);
                let after = self.stable_end()?;
                let before = std::mem::replace(&mut self.stable, after);
                let answers = self.open.passed(before, after);
                self.tell(answers);
                // What lies below the high watermark once goes on to.
                if !self.is_end_met && !self.open.is_empty() {
                    self.outside()?;
                    self.is_end_met = true;
                }
            }
        }
        Ok(())
    }

    /// The last stable offset: what a broker names to a client that sees committed records alone.
    fn stable_end(&self) -> Result<Option<Offset>, KafkaError> {
        let (topic, partition) = (self.rereader.topic.as_str(), self.partition.0);
        Ok(Offset::new(self.consumer.fetch_watermarks(topic, partition, self.left())?.1))
    }

    /// Answers what lies outside of the log.
    fn outside(&mut self) -> Result<(), KafkaError> {
        let (topic, partition, left) = (self.rereader.topic.as_str(), self.partition.0, self.left());
        let (low, high) = match self.rereader.isolation {
            Isolation::ReadUncommitted => self.consumer.fetch_watermarks(topic, partition, left)?,
            Isolation::ReadCommitted => {
                let other = match self.uncommitted.take() {
                    Some(other) => other,
                    None => self.rereader.client(&self.rereader.uncommitted)?,
                };
                self.uncommitted.insert(other).fetch_watermarks(topic, partition, left)?
            }
        };
        let answers = self.open.outside(Offset::new(low), Offset::new(high));
        self.tell(answers);
        Ok(())
    }

    fn tell(&self, answers: Answers) {
        for answer in answers {
            // Nobody waits any more.
            self.answers.send(answer).ok();
        }
    }

    /// Why an offset has no answer yet.
    fn why(&self, offset: Offset) -> String {
        match self.stable.filter(|stable| *stable <= offset) {
            Some(stable) => format!("the last stable offset is {stable}, and the high watermark is beyond it"),
            None => self.trouble.clone().unwrap_or_else(|| "nothing came in time".to_owned()),
        }
    }

    fn now(&self) -> Duration {
        self.rereader.clock.now().mono
    }

    fn left(&self) -> Duration {
        self.open.last_due().saturating_sub(self.now())
    }
}
