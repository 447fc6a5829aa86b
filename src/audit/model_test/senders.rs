//! What the producers of transactions and of acks=0 go through.

use super::cluster::{Part, Truth};
use super::world::{Ending, Fate, Link, Op, World};
use crate::audit::*;

impl World {
    /// The number of the open transaction, with one record more.
    pub(super) fn open_transaction(&mut self, key: RecordKey) -> u32 {
        let open = self.transactions.iter().find(|(_, one)| one.decided.is_none() && !one.is_abandoned);
        let next = || self.transactions.keys().next_back().map_or(0, |last| last + 1);
        let number = open.map_or_else(next, |(number, _)| *number);
        self.transactions.entry(number).or_default().records.push(key);
        number
    }

    /// One record of it was not acknowledged: it cannot be committed.
    pub(super) fn fail(&mut self, transaction: Option<u32>) {
        if let Some(one) = transaction.and_then(|number| self.transactions.get_mut(&number)) {
            one.has_failed = true;
        }
    }

    pub(super) fn end_transaction(&mut self, ending: Ending) {
        let open = self.transactions.values_mut().find(|one| one.decided.is_none() && !one.is_abandoned);
        let Some(one) = open else { return };
        let end = match ending {
            Ending::Abandon => {
                one.is_abandoned = true;
                return;
            }
            Ending::Commit if !one.has_failed => TransactionEnd::Committed,
            Ending::Commit | Ending::Abort => TransactionEnd::Aborted,
            Ending::Unknown { .. } => TransactionEnd::Unknown,
        };
        one.decided = Some(match ending {
            Ending::Unknown { commits } => commits && !one.has_failed,
            Ending::Commit | Ending::Abort | Ending::Abandon => end == TransactionEnd::Committed,
        });
        let records = one.records.clone();
        self.reports.push_back(Event::TransactionEnded { records, end });
    }

    /// The coordinator aborts what was left open, and the producer learns of it.
    pub(super) fn fence(&mut self) {
        for one in self.transactions.values_mut().filter(|one| one.is_abandoned && one.decided.is_none()) {
            one.decided = Some(false);
            let ended = Event::TransactionEnded { records: one.records.clone(), end: TransactionEnd::Aborted };
            self.reports.push_back(ended);
        }
    }

    /// The coordinator writes its markers, as long as it takes.
    pub(super) fn mark(&mut self) {
        let Some(leader) = self.cluster.acting() else { return };
        for (number, one) in &mut self.transactions {
            let Some(commits) = one.decided.filter(|_| !one.is_marked) else { continue };
            let part = if commits { Part::Commit } else { Part::Abort };
            self.cluster.append_in(leader, None, Some((*number, part)));
            one.is_marked = self.cluster.replicate_to_in_sync(leader);
        }
    }

    /// Markers that an unclean election took away are written again: else no record behind them could ever be read.
    pub(super) fn mark_again(&mut self) {
        let Some(leader) = self.cluster.acting() else { return };
        let broker = &self.cluster.brokers[leader];
        for (number, one) in &mut self.transactions {
            let is_of_it = |part: fn(Part) -> bool| {
                broker.log.iter().rposition(|entry| entry.transaction.is_some_and(|(n, p)| n == *number && part(p)))
            };
            let (data, marker) = (is_of_it(|part| part == Part::Data), is_of_it(|part| part != Part::Data));
            one.is_marked = data.is_none() || marker > data;
        }
        self.mark();
    }

    /// An acks=0 record is written to the connection to whom the client takes for the leader.
    pub(super) fn write(&mut self, record: CanaryRecord, leader: usize, fate: Fate) {
        let key = record.key;
        if matches!(fate, Fate::Rejected | Fate::TimedOut | Fate::NeverArrived) {
            self.reports.push_back(Event::Indeterminate { key, error: "timed out in the queue".to_owned() });
            return;
        }
        if self.link.broker != Some(leader) {
            self.disconnect();
            self.link.broker = Some(leader);
        }
        let known = self.cluster.brokers[leader].known.clone();
        let known_life = self.topic.0[0];
        let truth = Truth { known_life, was_gone: fate == Fate::Swallowed, ..Truth::default() };
        self.cluster.acked.insert(key, (known.life, usize::MAX, truth));
        let broker = self.tells_broker.then(|| super::world::broker_id(leader));
        self.reports.push_back(Event::Acked { key, offset: None, broker });
        if fate == Fate::Swallowed {
            if self.looked_at == Some(self.link.number) {
                self.swallowed.push((key, self.link.number, known));
            }
            return;
        }
        self.link.queue.push_back((record, known));
        if fate != Fate::Delayed {
            self.deliver();
        }
    }

    /// What is on its way arrives, on each connection in its order.
    pub(super) fn deliver(&mut self) {
        let mut orphans = std::mem::take(&mut self.orphans);
        for link in &mut orphans {
            self.arrive(link);
        }
        let mut link = std::mem::take(&mut self.link);
        if !self.arrive(&mut link) {
            // acks=0 has no other way to refuse: the broker closes the connection.
            link.number += 1;
            link.broker = None;
        }
        self.link = link;
    }

    /// False when the broker refused some of it.
    fn arrive(&mut self, link: &mut Link) -> bool {
        let Some(leader) = link.broker else { return true };
        while let Some((record, known)) = link.queue.pop_front() {
            let broker = &self.cluster.brokers[leader];
            let is_leading = broker.believes_to_lead(leader) && broker.known == known;
            if !is_leading {
                self.lose(record.key);
                for (record, _) in std::mem::take(&mut link.queue) {
                    self.lose(record.key);
                }
                return false;
            }
            let at = self.cluster.append(leader, Some(record));
            self.cluster.replicate_to_in_sync(leader);
            if let Some((life, place, truth)) = self.cluster.acked.get_mut(&record.key) {
                (*life, *place, truth.epoch) = (known.life, at, known.epoch);
                truth.was_gone |= known.life < truth.known_life;
            }
        }
        true
    }

    fn lose(&mut self, key: RecordKey) {
        if let Some((_, _, truth)) = self.cluster.acked.get_mut(&key) {
            truth.was_gone = true;
        }
    }

    pub(super) fn disconnect(&mut self) {
        let next = Link { number: self.link.number + 1, ..Link::default() };
        let former = std::mem::replace(&mut self.link, next);
        self.orphans.push(former);
        self.orphans.retain(|link| !link.queue.is_empty());
    }

    /// The broker died, and what it had not worked off with it.
    pub(super) fn drop_links_to(&mut self, broker: usize) {
        if self.link.broker == Some(broker) {
            self.disconnect();
        }
        let (dead, living) =
            std::mem::take(&mut self.orphans).into_iter().partition(|link| link.broker == Some(broker));
        self.orphans = living;
        let dead: Vec<Link> = dead;
        for (record, _) in dead.into_iter().flat_map(|link| link.queue) {
            self.lose(record.key);
        }
    }

    /// One record that everybody sees, and that proves those before it.
    pub(super) fn send_visibly(&mut self) {
        self.step(Op::LookAtLink);
        self.step(Op::Send { fate: Fate::AckedByAll, leader: 0 });
        self.step(Op::EndTransaction(Ending::Commit));
        self.mark_again();
        self.report(usize::MAX);
    }
}
