//! A replicated log of one partition, small and deterministic, that knows the truth: three brokers with their own logs,
//! epochs and metadata, a controller that elects, and everything that can go wrong between them.

use std::collections::{BTreeMap, BTreeSet};

use crate::audit::{CanaryRecord, RecordKey};

/// Number of brokers; their ids are 0, 1, 2.
pub(super) const BROKERS: usize = 3;

/// What the controller decided, and what each broker has learned of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Metadata {
    /// Which life of the topic.
    pub(super) life: u8,
    pub(super) epoch: i32,
    pub(super) leader: Option<usize>,
    pub(super) in_sync: BTreeSet<usize>,
}

/// What an entry is to a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Data,
    Commit,
    Abort,
}

/// One record of a log.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) epoch: i32,
    /// None for what is no canary.
    pub(super) record: Option<CanaryRecord>,
    /// The transaction it belongs to.
    pub(super) transaction: Option<(u32, Part)>,
}

impl Entry {
    /// Control records are shown to no reader.
    pub(super) fn is_control(&self) -> bool {
        self.transaction.is_some_and(|(_, part)| part != Part::Data)
    }
}

#[derive(Clone, Debug)]
pub(super) struct Broker {
    pub(super) is_up: bool,
    /// Cut off from the controller and the other brokers, not from clients.
    pub(super) is_isolated: bool,
    pub(super) known: Metadata,
    pub(super) log: Vec<Entry>,
    pub(super) log_start: usize,
    pub(super) high_watermark: usize,
    /// The leader epoch cache: (epoch, first offset).
    epochs: Vec<(i32, usize)>,
}

impl Broker {
    pub(super) fn believes_to_lead(&self, own: usize) -> bool {
        self.is_up && self.known.leader == Some(own)
    }

    /// As `UnifiedLog.truncateTo` of Kafka: the log start never lies beyond the log end.
    fn truncate(&mut self, to: usize) {
        self.log.truncate(to);
        self.log_start = self.log_start.min(to);
        self.epochs.retain(|(_, start)| *start < to);
        self.high_watermark = self.high_watermark.min(to);
    }

    fn append(&mut self, entry: Entry) -> usize {
        if self.epochs.last().is_none_or(|(epoch, _)| *epoch < entry.epoch) {
            self.epochs.push((entry.epoch, self.log.len()));
        }
        self.log.push(entry);
        self.log.len() - 1
    }

    fn trim(&mut self, to: usize) {
        self.log_start = self.log_start.max(to.min(self.high_watermark));
        let passed = self.epochs.iter().filter(|(_, start)| *start <= self.log_start).count();
        if passed > 0 {
            self.epochs.drain(..passed - 1);
            self.epochs[0].1 = self.log_start;
        }
    }

    /// How the transaction of an entry ended, by the first marker behind it.
    pub(super) fn end_of_transaction(&self, number: u32, at: usize) -> Option<Part> {
        let behind = self.log.iter().skip(at + 1).take(self.high_watermark.saturating_sub(at + 1));
        behind
            .filter_map(|entry| entry.transaction)
            .find(|(other, part)| *other == number && *part != Part::Data)
            .map(|(_, part)| part)
    }

    /// The first offset of a transaction that has not ended, or the high watermark.
    pub(super) fn last_stable(&self) -> usize {
        let mut open: BTreeMap<u32, usize> = BTreeMap::new();
        for (at, entry) in self.log.iter().enumerate().take(self.high_watermark).skip(self.log_start) {
            match entry.transaction {
                Some((number, Part::Data)) => {
                    open.entry(number).or_insert(at);
                }
                Some((number, Part::Commit | Part::Abort)) => {
                    open.remove(&number);
                }
                None => {}
            }
        }
        open.into_values().min().unwrap_or(self.high_watermark)
    }

    /// True when a reader of committed records sees it.
    pub(super) fn is_visible_committed(&self, at: usize) -> bool {
        match self.log.get(at).and_then(|entry| entry.transaction) {
            Some((number, Part::Data)) => self.end_of_transaction(number, at) == Some(Part::Commit),
            Some((_, Part::Commit | Part::Abort)) => false,
            None => true,
        }
    }

    /// OffsetForLeaderEpoch as Kafka answers it; None for -1.
    pub(super) fn end_of(&self, asked: i32) -> Option<(i32, usize)> {
        if self.epochs.last().is_some_and(|(epoch, _)| *epoch == asked) {
            return Some((asked, self.log.len()));
        }
        let higher = self.epochs.iter().find(|(epoch, _)| *epoch > asked)?;
        let floor = self.epochs.iter().rev().find(|(epoch, _)| *epoch <= asked);
        Some((floor.map_or(asked, |(epoch, _)| *epoch), higher.1))
    }
}

/// What became of an acknowledged record, by the log of the leader that really leads.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Truth {
    /// The epoch it was appended in.
    pub(super) epoch: i32,
    /// It was once not where its ack says, in the log of the acting leader of the highest epoch.
    pub(super) was_gone: bool,
    /// The same, though the log start may have been beyond the offset: cut off, and not trimmed.
    pub(super) was_cut: bool,
    /// The log start once was beyond it.
    pub(super) was_trimmed: bool,
    /// The life of the topic that the auditor knew when it sent the record.
    pub(super) known_life: u8,
}

#[derive(Clone, Debug)]
pub(super) struct Cluster {
    pub(super) controller: Metadata,
    pub(super) brokers: Vec<Broker>,
    /// Acknowledged records: the life of the topic, the offset (the highest number: on its way still), and the truth.
    pub(super) acked: BTreeMap<RecordKey, (u8, usize, Truth)>,
    /// Offsets that each record was ever appended at.
    pub(super) appended: BTreeMap<RecordKey, BTreeSet<(u8, usize)>>,
    /// Records read by a client, and then gone as `Truth::was_gone` says, by (life, offset).
    pub(super) read: BTreeMap<RecordKey, BTreeMap<(u8, usize), Truth>>,
    /// Some log start was ever moved.
    pub(super) was_trimmed: bool,
    /// Of the last leader that acted: life, epoch, log start, log.
    last_led: (u8, i32, usize, Vec<Entry>),
}

impl Cluster {
    pub(super) fn new() -> Self {
        let known = Metadata { life: 1, epoch: 0, leader: Some(0), in_sync: (0..BROKERS).collect() };
        let broker = Broker {
            is_up: true,
            is_isolated: false,
            known: known.clone(),
            log: Vec::new(),
            log_start: 0,
            high_watermark: 0,
            epochs: Vec::new(),
        };
        let mut brokers = vec![broker; BROKERS];
        brokers[0].epochs.push((0, 0));
        Self {
            controller: known,
            brokers,
            acked: BTreeMap::new(),
            appended: BTreeMap::new(),
            read: BTreeMap::new(),
            was_trimmed: false,
            last_led: (1, 0, 0, Vec::new()),
        }
    }

    /// The leader of the highest epoch, where it acts in it.
    pub(super) fn acting(&self) -> Option<usize> {
        let leader = self.controller.leader?;
        let broker = &self.brokers[leader];
        (broker.is_up && broker.known.life == self.controller.life && broker.known.epoch == self.controller.epoch)
            .then_some(leader)
    }

    /// Those that a client may take for the leader: the acting one first, then replaced ones.
    pub(super) fn leaders(&self) -> Vec<usize> {
        let mut all: Vec<usize> = (0..BROKERS).filter(|id| self.brokers[*id].believes_to_lead(*id)).collect();
        all.sort_by_key(|id| std::cmp::Reverse((self.brokers[*id].known.life, self.brokers[*id].known.epoch)));
        all
    }

    pub(super) fn learn(&mut self, id: usize) {
        let controller = self.controller.clone();
        let broker = &mut self.brokers[id];
        if !broker.is_up || broker.is_isolated || broker.known == controller {
            return;
        }
        let is_elected = controller.leader == Some(id) && broker.known.epoch < controller.epoch;
        if broker.known.life != controller.life {
            broker.truncate(0);
            broker.log_start = 0;
        }
        if is_elected || (controller.leader == Some(id) && broker.known.life != controller.life) {
            // A leader notes where its term begins before it appends.
            broker.epochs.push((controller.epoch, broker.log.len()));
        }
        broker.known = controller;
    }

    /// A follower cuts what its leader does not have, and copies the rest.
    pub(super) fn replicate(&mut self, id: usize) {
        self.learn(id);
        let Some(leader) = self.acting().filter(|leader| *leader != id && !self.brokers[*leader].is_isolated) else {
            return;
        };
        let source = self.brokers[leader].clone();
        let follower = &mut self.brokers[id];
        if !follower.is_up || follower.is_isolated {
            return;
        }
        let common = follower.log.iter().zip(&source.log).take_while(|(own, theirs)| own == theirs).count();
        follower.truncate(common);
        for entry in source.log.iter().skip(common) {
            follower.append(*entry);
        }
        follower.high_watermark = source.high_watermark.min(follower.log.len());
        follower.trim(source.log_start);
        self.advance(leader);
    }

    /// The leader's high watermark is what all it takes for in sync have.
    fn advance(&mut self, leader: usize) {
        let own = &self.brokers[leader];
        let reached = own.known.in_sync.iter().map(|id| {
            let member = &self.brokers[*id];
            let is_following =
                *id == leader || member.known.epoch == own.known.epoch && member.known.life == own.known.life;
            if is_following {
                member.log.iter().zip(&own.log).take_while(|(theirs, ours)| theirs == ours).count()
            } else {
                0
            }
        });
        let reached = reached.min().unwrap_or(0);
        let own = &mut self.brokers[leader];
        own.high_watermark = own.high_watermark.max(reached);
    }

    /// A leader, real or replaced, appends.
    pub(super) fn append(&mut self, leader: usize, record: Option<CanaryRecord>) -> usize {
        self.append_in(leader, record, None)
    }

    /// The same, within a transaction.
    pub(super) fn append_in(
        &mut self,
        leader: usize,
        record: Option<CanaryRecord>,
        transaction: Option<(u32, Part)>,
    ) -> usize {
        let broker = &mut self.brokers[leader];
        let at = broker.append(Entry { epoch: broker.known.epoch, record, transaction });
        if let Some(record) = record {
            self.appended.entry(record.key).or_default().insert((self.brokers[leader].known.life, at));
        }
        self.advance(leader);
        at
    }

    /// True when all that this leader takes for in sync have followed.
    pub(super) fn replicate_to_in_sync(&mut self, leader: usize) -> bool {
        if self.acting() == Some(leader) && !self.brokers[leader].is_isolated {
            for id in self.brokers[leader].known.in_sync.clone() {
                if id != leader && self.brokers[id].known == self.brokers[leader].known {
                    self.replicate(id);
                }
            }
        }
        self.advance(leader);
        self.brokers[leader].high_watermark == self.brokers[leader].log.len()
    }

    pub(super) fn elect(&mut self, id: usize, is_unclean: bool) {
        let broker = &self.brokers[id];
        let is_candidate = broker.is_up && !broker.is_isolated;
        if !is_candidate || (!is_unclean && !self.controller.in_sync.contains(&id)) {
            return;
        }
        let reachable = |id: &usize| self.brokers[*id].is_up && !self.brokers[*id].is_isolated;
        let mut in_sync: BTreeSet<usize> = if is_unclean && !self.controller.in_sync.contains(&id) {
            BTreeSet::new()
        } else {
            self.controller.in_sync.iter().copied().filter(reachable).collect()
        };
        in_sync.insert(id);
        self.controller.epoch += 1;
        self.controller.leader = Some(id);
        self.controller.in_sync = in_sync;
        self.learn(id);
    }

    /// The leader is gone, nobody is elected.
    pub(super) fn leaderless(&mut self) {
        if self.controller.leader.take().is_some() {
            self.controller.epoch += 1;
        }
    }

    /// The leader drops members that do not follow, or takes back those that do.
    pub(super) fn adjust_in_sync(&mut self) {
        let Some(leader) = self.acting().filter(|leader| !self.brokers[*leader].is_isolated) else { return };
        let len = self.brokers[leader].log.len();
        self.controller.in_sync = (0..BROKERS)
            .filter(|id| {
                let member = &self.brokers[*id];
                let is_caught_up = member.known.life == self.controller.life
                    && member.known.epoch == self.controller.epoch
                    && member.log == self.brokers[leader].log
                    && member.log.len() == len;
                *id == leader || (member.is_up && !member.is_isolated && is_caught_up)
            })
            .collect();
        self.learn(leader);
        self.advance(leader);
    }

    pub(super) fn kill(&mut self, id: usize, tail_lost: usize) {
        let broker = &mut self.brokers[id];
        broker.is_up = false;
        let len = broker.log.len();
        broker.truncate(len.saturating_sub(tail_lost).max(broker.log_start));
    }

    /// A broker that starts has caught up with the metadata before it serves, and its term, if it led, is over.
    pub(super) fn start(&mut self, id: usize) {
        if self.brokers[id].is_up {
            return;
        }
        if self.controller.leader == Some(id) {
            self.leaderless();
        }
        self.brokers[id].is_up = true;
        self.brokers[id].is_isolated = false;
        self.learn(id);
    }

    pub(super) fn trim(&mut self, to: usize) {
        if let Some(leader) = self.acting() {
            self.brokers[leader].trim(to);
            self.was_trimmed |= self.brokers[leader].log_start > 0;
        }
    }

    pub(super) fn recreate(&mut self) {
        let life = self.controller.life + 1;
        let Some(leader) = (0..BROKERS).find(|id| self.brokers[*id].is_up && !self.brokers[*id].is_isolated) else {
            return;
        };
        self.controller = Metadata { life, epoch: 0, leader: Some(leader), in_sync: BTreeSet::from([leader]) };
        self.learn(leader);
    }

    /// Brings the truth up to date; to be called after every step.
    pub(super) fn witness(&mut self) {
        let acting = self.acting();
        if let Some(leader) = acting {
            let Broker { known, log, log_start, .. } = self.brokers[leader].clone();
            self.last_led = (known.life, known.epoch, log_start, log);
        }
        let (led_life, led_epoch, log_start, log) = &self.last_led;
        let judge = |key: &RecordKey, life: u8, at: usize, truth: &mut Truth| {
            // While nobody leads, what a replaced leader adds is missing from the log that replaced it.
            // On its way still.
            if at == usize::MAX {
                return;
            }
            if life != *led_life || (acting.is_none() && truth.epoch >= *led_epoch) {
                return;
            }
            truth.was_trimmed |= at < *log_start;
            let is_there = log.get(at).and_then(|entry| entry.record).is_some_and(|record| record.key == *key);
            truth.was_gone |= at >= *log_start && !is_there;
            truth.was_cut |= !is_there;
        };
        for (key, (life, at, truth)) in &mut self.acked {
            judge(key, *life, *at, truth);
        }
        for (key, places) in &mut self.read {
            for ((life, at), truth) in places {
                judge(key, *life, *at, truth);
            }
        }
    }
}
