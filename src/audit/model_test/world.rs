//! The auditor in that cluster: a producer, a reader, a poll plane, a store that may be behind, and crashes.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::cluster::{BROKERS, Cluster, Part, Truth};
use crate::audit::*;
use crate::model::{
    BrokerId, EpochEnd, EpochSighting, LeaderEpoch, LedPartition, Missing, Moment, Offset, PartitionId, Reading,
    Timestamp, TopicId,
};

pub(super) const P: PartitionId = PartitionId(0);
const LINEAGE: Lineage = Lineage([7; 16]);

/// What the client of a record is told in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Acknowledged once all in-sync replicas have it; indeterminate where they do not.
    AckedByAll,
    /// Acknowledged by the leader alone.
    AckedByOne,
    /// The acknowledgement was lost on the way, the client retried: two copies.
    Retried,
    /// Acknowledged without an offset.
    AckedSomewhere,
    /// Appended, and reported as timed out.
    TimedOut,
    /// Not appended, and reported as timed out.
    NeverArrived,
    Rejected,
    /// Refused, and appended all the same.
    RejectedFalsely,
    /// Of acks=0: written to the connection, and on its way until it is delivered.
    Delayed,
    /// Of acks=0: written to the connection, and dropped by something on the way that keeps the connection.
    Swallowed,
}

/// How a transaction ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// Where all of it was acknowledged; aborted where not.
    Commit,
    Abort,
    /// Left open, until the coordinator fences it.
    Abandon,
    /// The answer is lost.
    Unknown {
        commits: bool,
    },
}

/// One step of a history.
#[derive(Clone, Copy, Debug)]
pub(super) enum Op {
    Send {
        fate: Fate,
        leader: usize,
    },
    /// Somebody else writes, perhaps only a control record.
    Noise {
        leader: usize,
        is_control: bool,
    },
    EndTransaction(Ending),
    /// What was left open is aborted.
    Fence,
    /// The coordinator writes what it has decided.
    Mark,
    /// What is on its way arrives.
    Deliver,
    /// The producer's connection breaks; what is on its way may arrive all the same.
    Disconnect,
    LookAtLink,
    /// So many reports reach the ledger.
    Report {
        n: usize,
    },
    Replicate {
        broker: usize,
    },
    Learn {
        broker: usize,
    },
    Kill {
        broker: usize,
        tail_lost: usize,
    },
    Start {
        broker: usize,
    },
    Isolate {
        broker: usize,
    },
    Heal {
        broker: usize,
    },
    Elect {
        broker: usize,
        is_unclean: bool,
    },
    Leaderless,
    AdjustInSync,
    Trim {
        to: usize,
    },
    Recreate,
    Read {
        leader: usize,
        n: usize,
        validates: bool,
    },
    /// The reader loses a record.
    Skip,
    Rewind {
        n: usize,
    },
    /// A round of metadata of all brokers that the poll plane reaches. It may reach the ledger only later.
    Sight {
        is_late: bool,
    },
    /// The poll plane no longer reaches the broker; clients do.
    Deaf {
        broker: usize,
    },
    /// It does again, and begins a round at once.
    Hear {
        broker: usize,
    },
    SightTopic {
        broker: usize,
        is_late: bool,
    },
    Answer {
        leader: usize,
        fails: bool,
        is_late: bool,
    },
    Wait {
        millis: u64,
    },
    Flush,
    Crash,
    /// Stopped in order: all reports in, what is not sent given back.
    Stop,
}

#[derive(Debug)]
pub(super) struct World {
    pub(super) cluster: Cluster,
    pub(super) ledger: Ledger,
    pub(super) class: CanaryClass,
    pub(super) options: LedgerOptions,
    saved: SavedLedger,
    pub(super) now: Moment,
    pub(super) incarnation: Incarnation,
    unsent: VecDeque<u64>,
    pub(super) reports: VecDeque<Event>,
    /// Read or asked, not yet told.
    late: Vec<Event>,
    pub(super) position: usize,
    reader_epoch: Option<i32>,
    pub(super) topic: TopicId,
    pub(super) tells_broker: bool,
    pub(super) tells_epoch: bool,
    is_deaf: [bool; BROKERS],
    pub(super) transactions: BTreeMap<u32, Transaction>,
    pub(super) link: Link,
    /// What was on its way when its connection broke.
    pub(super) orphans: Vec<Link>,
    /// What was swallowed, on which connection, by whom, and in which epoch.
    pub(super) swallowed: Vec<(RecordKey, u64, super::cluster::Metadata)>,
    /// Whether the reader ever passed over something.
    pub(super) has_skipped: bool,
    /// The connection that was looked at last.
    pub(super) looked_at: Option<u64>,
    /// The latest term that the ledger was told of, and since when it knows.
    pub(super) told_of: (Option<LeaderEpoch>, Duration),
}

/// One transaction, as its coordinator knows it.
#[derive(Clone, Debug, Default)]
pub(super) struct Transaction {
    pub(super) records: Vec<RecordKey>,
    /// One of its records was not acknowledged.
    pub(super) has_failed: bool,
    pub(super) is_abandoned: bool,
    /// The decision: true for a commit.
    pub(super) decided: Option<bool>,
    pub(super) is_marked: bool,
}

/// A connection of the acks=0 producer.
#[derive(Clone, Debug, Default)]
pub(super) struct Link {
    pub(super) number: u64,
    pub(super) broker: Option<usize>,
    /// Written, and what the broker knew then: it works off its requests before it learns anything new.
    pub(super) queue: VecDeque<(CanaryRecord, super::cluster::Metadata)>,
}

fn offset(at: usize) -> Offset {
    Offset::new(i64::try_from(at).expect("a short log")).expect("not negative")
}

pub(super) fn place(offset: Offset) -> usize {
    usize::try_from(offset.get()).expect("a short log")
}

fn epoch(number: i32) -> LeaderEpoch {
    LeaderEpoch::new(number).expect("not negative")
}

pub(super) fn broker_id(id: usize) -> BrokerId {
    BrokerId(i32::try_from(id).expect("three brokers"))
}

impl World {
    pub(super) fn new(class: CanaryClass, tells_broker: bool, tells_epoch: bool, options: LedgerOptions) -> Self {
        let now = Moment { wall: Timestamp::from_millis(1_000_000), mono: Duration::from_secs(1) };
        let incarnation = Incarnation(1);
        let mut world = Self {
            cluster: Cluster::new(),
            ledger: Ledger::new(options, LINEAGE, incarnation, now),
            class,
            options,
            saved: SavedLedger::default(),
            now,
            incarnation,
            unsent: VecDeque::new(),
            reports: VecDeque::new(),
            late: Vec::new(),
            position: 0,
            reader_epoch: None,
            topic: TopicId([1; 16]),
            tells_broker,
            tells_epoch,
            is_deaf: [false; BROKERS],
            transactions: BTreeMap::new(),
            link: Link::default(),
            orphans: Vec::new(),
            swallowed: Vec::new(),
            has_skipped: false,
            looked_at: None,
            told_of: (None, Duration::ZERO),
        };
        world.sight_topic(0, false);
        world.sight(false);
        world
    }

    fn tell(&mut self, event: Event) {
        let is_move = matches!(event, Event::ReaderMoved { .. });
        let read = self.ledger.next_to_read(self.isolation(), P);
        self.ledger.apply(event, self.now);
        let is_same = self.ledger.topic_id() == Some(self.topic) && !is_move;
        assert!(!is_same || self.ledger.next_to_read(self.isolation(), P) >= read, "the reader went back by itself");
        if let Some(topic_id) = self.ledger.topic_id().filter(|id| *id != self.topic) {
            self.topic = topic_id;
            self.position = 0;
            self.reader_epoch = None;
            self.ledger
                .apply(Event::ReaderMoved { isolation: self.isolation(), partition: P, to: Offset::ZERO }, self.now);
        }
    }

    pub(super) fn isolation(&self) -> Isolation {
        Isolation::of(self.class)
    }

    fn tell_or_keep(&mut self, event: Event, is_late: bool) {
        if is_late { self.late.push(event) } else { self.tell(event) }
    }

    pub(super) fn step(&mut self, op: Op) {
        match op {
            Op::Send { fate, leader } => self.send(fate, leader),
            Op::Noise { leader, is_control } => {
                if let Some(leader) = self.leader(leader) {
                    self.cluster.append_in(leader, None, is_control.then_some((u32::MAX, Part::Commit)));
                }
            }
            Op::EndTransaction(ending) => self.end_transaction(ending),
            Op::Fence => self.fence(),
            Op::Mark => self.mark(),
            Op::Deliver => self.deliver(),
            Op::Disconnect => self.disconnect(),
            Op::LookAtLink => {
                let link = self.link.broker.map(|_| self.link.number);
                self.looked_at = link;
                self.tell(Event::LinkSighted { class: self.class, partition: P, link });
            }
            Op::Report { n } => self.report(n),
            Op::Replicate { broker } => self.cluster.replicate(broker),
            Op::Learn { broker } => self.cluster.learn(broker),
            Op::Kill { broker, tail_lost } => {
                self.cluster.kill(broker, tail_lost);
                self.drop_links_to(broker);
            }
            Op::Start { broker } => {
                self.cluster.start(broker);
                // It is met before it leads.
                self.is_deaf[broker] = false;
                self.sight(false);
            }
            Op::Isolate { broker } => self.cluster.brokers[broker].is_isolated = true,
            Op::Heal { broker } => {
                self.cluster.brokers[broker].is_isolated = false;
                self.cluster.learn(broker);
            }
            Op::Elect { broker, is_unclean } => self.cluster.elect(broker, is_unclean),
            Op::Leaderless => self.cluster.leaderless(),
            Op::AdjustInSync => self.cluster.adjust_in_sync(),
            Op::Trim { to } => self.cluster.trim(to),
            Op::Recreate => self.cluster.recreate(),
            Op::Read { leader, n, validates } => self.read(leader, n, validates),
            Op::Skip => (self.position, self.has_skipped) = (self.position + 1, true),
            Op::Rewind { n } => self.position = self.position.saturating_sub(n),
            Op::Sight { is_late } => self.sight(is_late),
            Op::Deaf { broker } => self.is_deaf[broker] = true,
            Op::Hear { broker } => {
                self.is_deaf[broker] = false;
                self.sight(false);
            }
            Op::SightTopic { broker, is_late } => self.sight_topic(broker, is_late),
            Op::Answer { leader, fails, is_late } => self.answer(leader, fails, is_late),
            Op::Wait { millis } => {
                if Duration::from_millis(millis) > self.options.grace {
                    // Metadata reach whom they can reach, and the poll plane finds its way, within the grace.
                    self.is_deaf = [false; BROKERS];
                    (0..BROKERS).for_each(|id| self.cluster.learn(id));
                    self.sight(false);
                }
                self.wait(millis);
            }
            Op::Flush => self.flush(),
            Op::Crash => self.crash(),
            Op::Stop => {
                self.end_transaction(Ending::Abort);
                self.fence();
                self.report(usize::MAX);
                self.unsent.clear();
                self.ledger.release(self.class, P);
                self.flush();
                self.crash();
            }
        }
        self.cluster.witness();
        let current = self.ledger.lanes.get(&P).and_then(|lane| lane.current());
        if self.told_of.0 != current {
            self.told_of = (current, self.now.mono);
        }
        self.now.mono += Duration::from_millis(1);
    }

    pub(super) fn wait(&mut self, millis: u64) {
        let by = Duration::from_millis(millis);
        self.now = Moment { wall: self.now.wall + by, mono: self.now.mono + by };
        for event in std::mem::take(&mut self.late) {
            self.tell(event);
        }
    }

    /// The poll plane looks at everything and asks all that is to be asked, in no time.
    pub(super) fn poll(&mut self) {
        (0..BROKERS).for_each(|id| self.sight_topic(id, false));
        self.sight(false);
        self.answer(0, false, false);
    }

    fn flush(&mut self) {
        let changes = self.ledger.take_changes();
        self.saved.write(changes);
    }

    fn crash(&mut self) {
        self.incarnation = Incarnation(self.incarnation.0 + 1);
        self.now = Moment { wall: self.now.wall + Duration::from_secs(2), mono: Duration::ZERO };
        let saved = self.saved.clone();
        self.ledger = Ledger::restore(saved, self.options, LINEAGE, self.incarnation, self.now);
        // Whoever starts anew with the same transactional.id fences what was open.
        for transaction in self.transactions.values_mut() {
            transaction.decided.get_or_insert(false);
        }
        self.disconnect();
        self.swallowed.clear();
        self.looked_at = None;
        self.told_of = (None, Duration::ZERO);
        self.unsent.clear();
        self.reports.clear();
        self.late.clear();
        self.position = self.ledger.next_to_read(self.isolation(), P).map_or(0, place);
        self.reader_epoch = None;
        self.topic = self.ledger.topic_id().unwrap_or(TopicId([0; 16]));
        // Who starts begins with a round.
        self.is_deaf = [false; BROKERS];
        self.sight(false);
    }

    /// One of those that can be taken for the leader.
    fn leader(&self, pick: usize) -> Option<usize> {
        let leaders = self.cluster.leaders();
        leaders.get(pick.min(leaders.len().saturating_sub(1))).copied()
    }

    fn send(&mut self, fate: Fate, leader: usize) {
        // A record names its topic: without a sighting nothing is sent.
        (0..BROKERS).for_each(|id| {
            if self.ledger.topic_id().is_none() {
                self.sight_topic(id, false);
            }
        });
        if self.ledger.topic_id().is_none() {
            return;
        }
        if self.unsent.is_empty() {
            self.unsent = self.ledger.reserve(self.class, P, 3).collect();
            self.flush();
        }
        let Some(sequence) = self.unsent.pop_front() else { return };
        let key = RecordKey { incarnation: self.incarnation, class: self.class, partition: P, sequence };
        self.tell(Event::Sent(key));
        let record = CanaryRecord { topic_id: self.topic, lineage: LINEAGE, key, sent_at: self.now.wall };
        let error = || "as the model wants it".to_owned();
        let transaction = (self.class == CanaryClass::Transactional).then(|| self.open_transaction(key));
        let Some(leader) = self.leader(leader) else {
            self.fail(transaction);
            self.reports.push_back(Event::Indeterminate { key, error: error() });
            return;
        };
        if self.class == CanaryClass::Acks0 {
            self.write(record, leader, fate);
            return;
        }
        let part = transaction.map(|number| (number, Part::Data));
        if !matches!(fate, Fate::AckedByAll | Fate::AckedByOne | Fate::AckedSomewhere | Fate::Retried) {
            self.fail(transaction);
        }
        let mut append = || self.cluster.append_in(leader, Some(record), part);
        let at = match fate {
            Fate::NeverArrived | Fate::Delayed | Fate::Swallowed => {
                self.reports.push_back(Event::Indeterminate { key, error: error() });
                return;
            }
            Fate::Rejected => {
                self.reports.push_back(Event::Rejected { key, error: error() });
                return;
            }
            Fate::RejectedFalsely => {
                append();
                self.reports.push_back(Event::Rejected { key, error: error() });
                return;
            }
            Fate::TimedOut => {
                append();
                self.reports.push_back(Event::Indeterminate { key, error: error() });
                return;
            }
            Fate::Retried => {
                append();
                append()
            }
            Fate::AckedByAll | Fate::AckedByOne | Fate::AckedSomewhere => append(),
        };
        if fate != Fate::AckedByOne && !self.cluster.replicate_to_in_sync(leader) {
            self.fail(transaction);
            self.reports.push_back(Event::Indeterminate { key, error: error() });
            return;
        }
        let told = (fate != Fate::AckedSomewhere).then(|| offset(at));
        let life = self.cluster.brokers[leader].known.life;
        // Acknowledged by who still serves a topic that was deleted: in no log of its successor, whether we know of that one
        // or not.
        let known_life = self.topic.0[0];
        let was_gone = life < self.cluster.controller.life;
        let epoch = self.cluster.brokers[leader].known.epoch;
        self.cluster.acked.insert(key, (life, at, Truth { epoch, known_life, was_gone, ..Truth::default() }));
        let broker = self.tells_broker.then(|| broker_id(leader));
        self.reports.push_back(Event::Acked { key, offset: told, broker });
    }

    pub(super) fn report(&mut self, n: usize) {
        for _ in 0..n {
            let Some(event) = self.reports.pop_front() else { return };
            self.tell(event);
        }
    }

    fn read(&mut self, leader: usize, n: usize, validates: bool) {
        let Some(leader) = self.leader(leader) else { return };
        let broker = self.cluster.brokers[leader].clone();
        let isolation = self.isolation();
        let moved = |to: usize| Event::ReaderMoved { isolation, partition: P, to: offset(to) };
        let truncated = self.reader_epoch.filter(|_| validates).and_then(|epoch| broker.end_of(epoch));
        if let Some((_, end)) = truncated.filter(|(_, end)| *end < self.position) {
            self.position = end.max(broker.log_start);
            self.tell(moved(self.position));
        }
        if self.position < broker.log_start {
            self.position = broker.log_start;
            self.tell(moved(self.position));
        }
        if self.position > broker.log.len() {
            self.position = broker.log.len();
            self.tell(moved(self.position));
        }
        let end = match isolation {
            Isolation::ReadUncommitted => broker.high_watermark,
            Isolation::ReadCommitted => broker.last_stable(),
        };
        let mut told = 0;
        while told < n && self.position < end {
            let entry = broker.log[self.position];
            let is_told = match isolation {
                Isolation::ReadUncommitted => !entry.is_control(),
                // Of what is no canary the other reader tells.
                Isolation::ReadCommitted => entry.record.is_some() && broker.is_visible_committed(self.position),
            };
            if !is_told {
                self.position += 1;
                continue;
            }
            told += 1;
            let at = offset(self.position);
            let leader_epoch = self.tells_epoch.then(|| epoch(entry.epoch));
            self.reader_epoch = Some(entry.epoch);
            let event = match entry.record {
                Some(record) => {
                    let reads = self.cluster.read.entry(record.key).or_default();
                    let was_gone = broker.known.life < self.topic.0[0];
                    reads.entry((broker.known.life, self.position)).or_insert(Truth {
                        epoch: entry.epoch,
                        was_gone,
                        ..Truth::default()
                    });
                    Event::Received { isolation, record, partition: P, offset: at, leader_epoch }
                }
                None => Event::Unreadable { isolation, partition: P, offset: at, what: Unreadable::Foreign },
            };
            self.position += 1;
            self.tell(event);
        }
    }

    fn sight(&mut self, is_late: bool) {
        let sightings: Vec<EpochSighting> = (0..BROKERS)
            .filter(|id| !self.is_deaf[*id] && self.cluster.brokers[*id].is_up)
            .map(|id| {
                let known = &self.cluster.brokers[id].known;
                let led = LedPartition { leader: known.leader.map(broker_id), leader_epoch: epoch(known.epoch) };
                EpochSighting {
                    broker: broker_id(id),
                    begun: self.now,
                    topic_id: Some(TopicId([known.life; 16])),
                    partitions: BTreeMap::from([(P, led)]),
                }
            })
            .collect();
        self.tell_or_keep(Event::EpochsSighted(sightings), is_late);
    }

    fn sight_topic(&mut self, id: usize, is_late: bool) {
        let broker = &self.cluster.brokers[id];
        if broker.is_up && !self.is_deaf[id] {
            let topic_id = TopicId([broker.known.life; 16]);
            self.tell_or_keep(Event::TopicSighted { topic_id, partitions: vec![P], begun: self.now }, is_late);
        }
    }

    fn answer(&mut self, leader: usize, fails: bool, is_late: bool) {
        let questions = self.ledger.questions(self.now);
        let begun = self.now;
        for question in questions {
            match question {
                Question::EpochEnds { partition, epochs, current } => {
                    // Only the leader of just this epoch answers.
                    let answering = (0..BROKERS).map(|id| (id, &self.cluster.brokers[id])).find(|(id, broker)| {
                        broker.believes_to_lead(*id)
                            && broker.known.epoch == current.get()
                            && !self.is_deaf[*id]
                            && !fails
                    });
                    let answers: Vec<Event> = epochs
                        .iter()
                        .map(|asked| {
                            let (end, log_start) = match answering {
                                None => {
                                    let why = Missing::LeaderMoving;
                                    (Reading::Missing(why), Reading::Missing(why))
                                }
                                Some((_, broker)) => {
                                    let end = broker.end_of(asked.get()).map(|(number, end)| EpochEnd {
                                        leader_epoch: epoch(number),
                                        end_offset: offset(end),
                                    });
                                    (Reading::Read(end), Reading::Read(offset(broker.log_start)))
                                }
                            };
                            Event::EpochEndTold {
                                broker: broker_id(answering.map_or(0, |(id, _)| id)),
                                partition,
                                asked: *asked,
                                current,
                                begun,
                                end,
                                log_start,
                            }
                        })
                        .collect();
                    for answer in answers {
                        self.tell_or_keep(answer, is_late);
                    }
                }
                Question::Reread { isolation, partition, offset: asked } => {
                    assert_eq!(isolation, self.isolation(), "each class has its reader");
                    let outcome = self.reread(leader, fails, asked);
                    let told = Event::RereadTold { isolation, partition, offset: asked, begun, outcome };
                    self.tell_or_keep(told, is_late);
                }
            }
        }
    }

    fn reread(&self, leader: usize, fails: bool, asked: Offset) -> Reread {
        let Some(leader) = self.leader(leader).filter(|_| !fails) else {
            return Reread::Failed { why: "as the model wants it".to_owned() };
        };
        let broker = &self.cluster.brokers[leader];
        let at = place(asked);
        if at < broker.log_start {
            return Reread::BelowLogStart { log_start: offset(broker.log_start) };
        }
        let (isolation, stable) = (self.isolation(), broker.last_stable());
        let end = if isolation == Isolation::ReadCommitted { stable } else { broker.high_watermark };
        if at >= end {
            return Reread::AtEnd { high_watermark: offset(end) };
        }
        let is_visible = |at: &usize| match isolation {
            Isolation::ReadUncommitted => !broker.log[*at].is_control(),
            Isolation::ReadCommitted => broker.is_visible_committed(*at),
        };
        let Some(next) = (at..end).find(is_visible) else {
            return Reread::Failed { why: "nothing came in time".to_owned() };
        };
        let leader_epoch = self.tells_epoch.then(|| epoch(broker.log[next].epoch));
        match broker.log[next].record {
            _ if next > at => Reread::Beyond { next: offset(next), leader_epoch },
            Some(record) => Reread::Found { record, leader_epoch },
            None => Reread::Other(Unreadable::Foreign),
        }
    }
}
