//! What the truth says of the ledger's verdicts.

use super::cluster::BROKERS;
use super::world::{Ending, Op, World, place};
use crate::audit::{CanaryClass, Counts, LedgerOptions, RecordKey, State};

impl World {
    /// What must hold after every step.
    pub(super) fn check(&self) {
        let counts = self.ledger.counts(self.class, self.now);
        counts.check(self.class).expect("the sums hold");
        self.ledger.check_rates().expect("the sums by send time are those of the class");
        let is_in_flight = |record: &crate::audit::tracked::Tracked| record.state == State::Sent;
        let are_few = self.ledger.records.len() <= self.options.records_max;
        assert!(are_few || self.ledger.records.values().all(is_in_flight), "more is tracked than may be");
        for (key, record) in &self.ledger.records {
            let truth = self.cluster.acked.get(key).map(|(_, _, truth)| *truth).unwrap_or_default();
            match record.state {
                // Where its offset is not known, it does not make the log start a reason.
                // Seen and not proven: what is on its way may arrive still.
                State::Lost if record.is_observed => assert_eq!(key.class, CanaryClass::Acks0, "{key:?}"),
                State::Lost => {
                    let was_gone = truth.was_gone || (record.offset.is_none() && truth.was_cut);
                    assert!(was_gone, "a false loss: {key:?} {record:?}");
                }
                State::TruncatedAfterDelivery => {
                    let reads = self.cluster.read.get(key);
                    let was_gone = reads.is_some_and(|reads| reads.values().any(|truth| truth.was_gone));
                    assert!(was_gone || truth.was_gone, "a false truncation: {key:?} {record:?}");
                }
                State::AbortedVisible => panic!("these brokers hide what was aborted: {key:?} {record:?}"),
                State::Aborted => assert_eq!(self.decision(*key), Some(false), "{key:?} {record:?}"),
                State::Delivered | State::Late | State::IndeterminateDelivered => {
                    assert_ne!(self.decision(*key), Some(false), "{key:?} {record:?}");
                }
                State::Sent
                | State::Pending
                | State::Expired
                | State::Untracked
                | State::Rejected
                | State::Phantom
                | State::IndeterminatePending
                | State::IndeterminateAbsent
                | State::IndeterminateExpired => {}
            }
        }
        let extra: usize = self.cluster.appended.values().map(|places| places.len().saturating_sub(1)).sum();
        assert!(counts.duplicated <= u64::try_from(extra).expect("few"), "{} duplicates of {extra}", counts.duplicated);
        if self.options == LedgerOptions::default() {
            self.check_replay(counts);
        }
    }

    /// How its transaction ended, where it is of one.
    fn decision(&self, key: RecordKey) -> Option<bool> {
        self.transactions.values().find(|one| one.records.contains(&key))?.decided
    }

    /// Nothing is asked any more, and nothing waits for an answer.
    fn is_quiet(&mut self) -> bool {
        let is_pending = self.ledger.records.values().any(|record| record.state == State::Pending);
        !is_pending && self.ledger.inquiries.is_empty() && self.ledger.questions(self.now).is_empty()
    }

    /// Only such wait that nothing more can be learned of: without an offset, and without limits to search in.
    fn is_stuck(&self) -> bool {
        let mut pending = self.ledger.records.values().filter(|record| record.state == State::Pending);
        pending.all(|record| record.offset.is_none() && record.search.is_none())
    }

    /// Something waits that was acknowledged at or behind the last record of the log: only a later one can prove it.
    fn has_not_overtaken(&self) -> bool {
        let mut pending = self.ledger.records.values().filter(|record| record.state == State::Pending);
        let last = |leader: usize| self.cluster.brokers[leader].log.iter().rposition(|entry| entry.record.is_some());
        let last = self.cluster.acting().and_then(last);
        pending.any(|record| record.offset.is_some_and(|offset| Some(place(offset)) >= last))
    }

    /// The sums are those of the records, as long as none was forgotten.
    fn check_replay(&self, counts: Counts) {
        let mut replayed = Counts::default();
        for (key, record) in &self.ledger.records {
            record.state.enter(key.class, &mut replayed);
        }
        let Counts { overdue, acked_without_offset, duplicated, reread, reordered, .. } = counts;
        let Counts { corrupt, foreign, resurfaced, unknown_incarnation, .. } = counts;
        let beside = Counts {
            overdue,
            acked_without_offset,
            duplicated,
            reread,
            reordered,
            corrupt,
            foreign,
            resurfaced,
            unknown_incarnation,
            ..replayed
        };
        assert_eq!(counts, beside, "the sums are not those of the records");
    }

    /// Everything heals, and every question is answered.
    pub(super) fn heal(&mut self) {
        self.report(usize::MAX);
        for id in 0..BROKERS {
            self.step(Op::Hear { broker: id });
            self.step(Op::Start { broker: id });
            self.step(Op::Heal { broker: id });
        }
        if self.cluster.acting().is_none() {
            (0..BROKERS).for_each(|id| {
                if self.cluster.acting().is_none() {
                    self.cluster.elect(id, false);
                }
            });
            if self.cluster.acting().is_none() {
                self.cluster.elect(0, true);
            }
        }
        self.step(Op::EndTransaction(Ending::Commit));
        self.fence();
        self.report(usize::MAX);
        for round in 0..40 {
            self.step(Op::Deliver);
            self.step(Op::LookAtLink);
            self.mark_again();
            if round > 12 && self.is_stuck() {
                break;
            }
            if round > 3 && self.is_quiet() {
                return;
            }
            if round < 3 || self.has_not_overtaken() {
                // Every record proves those before it: something is always written.
                self.step(Op::Noise { leader: 0, is_control: false });
                self.send_visibly();
            }
            (0..BROKERS).for_each(|id| self.cluster.replicate(id));
            self.cluster.adjust_in_sync();
            (0..BROKERS).for_each(|id| self.cluster.learn(id));
            (0..BROKERS).for_each(|id| self.cluster.replicate(id));
            self.step(Op::Wait { millis: 2_500 });
            self.step(Op::Read { leader: 0, n: usize::MAX, validates: true });
            self.step(Op::SightTopic { broker: 0, is_late: false });
            self.step(Op::Sight { is_late: false });
            self.step(Op::Answer { leader: 0, fails: false, is_late: false });
            self.step(Op::Wait { millis: 100 });
            self.step(Op::Answer { leader: 0, fails: false, is_late: false });
            self.check();
        }
    }

    /// What was swallowed on a connection that held, in a term that held, is found out.
    pub(super) fn check_swallowed(&self) {
        let leader = self.cluster.acting().expect("all is healed");
        let broker = &self.cluster.brokers[leader];
        // Written right after a re-creation, a record names the former topic: as evidence it does not count.
        let mut records = broker.log.iter().filter_map(|entry| entry.record);
        if records.any(|record| record.topic_id != self.topic) {
            return;
        }
        for (key, number, known) in &self.swallowed {
            let holds = *number == self.link.number && known.leader == Some(leader);
            let is_same_term = (known.life, known.epoch) == (broker.known.life, broker.known.epoch);
            let Some(record) = self.ledger.records.get(key).filter(|record| record.acked.is_some()) else { continue };
            let is_of_this_life =
                self.cluster.acked.get(key).is_some_and(|(_, _, truth)| truth.known_life == known.life);
            if holds && is_same_term && broker.log_start == 0 && is_of_this_life {
                assert_eq!(record.state, State::Lost, "{key:?} was swallowed and is {record:?}");
            }
        }
    }

    /// What went to a connection that was closed has a verdict once a record of a later one was read, and the verdict is
    /// right by then.
    pub(super) fn check_closed(&self) {
        let leader = self.cluster.acting().expect("all is healed");
        let broker = &self.cluster.brokers[leader];
        let mut there = broker.log.iter().skip(broker.log_start).filter_map(|entry| entry.record);
        // Written right after a re-creation, a record names the former topic: as evidence it does not count.
        if self.class != CanaryClass::Acks0 || there.any(|record| record.topic_id != self.topic) {
            return;
        }
        let Some(lane) = self.ledger.lanes.get(&super::world::P) else { return };
        for (key, record) in &self.ledger.records {
            let is_there = || {
                let records = broker.log.iter().skip(broker.log_start).filter_map(|entry| entry.record);
                records.into_iter().any(|there| there.key == *key)
            };
            // An unclean election may bring back what was seen to be lost in the term before.
            let is_of_this_term = record.settled.is_some_and(|settled| settled.mono >= Some(self.told_of.1));
            if record.state == State::Lost && record.is_observed && is_of_this_term && !self.has_skipped {
                assert!(record.resurfaced || !is_there(), "{key:?} is there, and {record:?}");
            }
            let links = lane.links.get(&key.class);
            let closed = match record.sent.mono {
                Some(sent) => links.and_then(|links| links.other_after(sent)),
                None => links.map(|_| self.ledger.started.mono),
            };
            let was_overtaken = closed.is_some_and(|closed| {
                let mut later =
                    self.ledger.records.range(key..).filter(|(later, _)| later.incarnation == self.incarnation);
                later.any(|(_, later)| later.received.is_some() && later.sent.mono >= Some(closed))
            });
            // What was read around a re-creation may be of either life.
            let is_of_one_life = broker.known.life == 1;
            if record.state == State::Expired && is_of_one_life {
                assert!(self.cluster.was_trimmed, "{key:?} is {record:?}, and nothing was ever trimmed");
            }
            if was_overtaken && is_of_one_life && record.acked.is_some() && !record.of_former_topic {
                assert_ne!(record.state, State::Pending, "{key:?} was overtaken and is {record:?}");
            }
        }
    }

    /// After that, every acknowledged record with an offset has the verdict of the truth.
    pub(super) fn check_recall(&self) {
        let leader = self.cluster.acting().expect("all is healed");
        let broker = &self.cluster.brokers[leader];
        for (key, (life, at, truth)) in &self.cluster.acked {
            let Some(record) = self.ledger.records.get(key) else { continue };
            if record.acked.is_none() || record.offset.is_none() {
                continue;
            }
            let is_present = *life == broker.known.life
                && broker.log.get(*at).and_then(|entry| entry.record).is_some_and(|there| there.key == *key);
            let stands_elsewhere = *life == broker.known.life
                && record.copies.iter().any(|copy| {
                    let there = broker.log.get(place(copy.offset)).and_then(|entry| entry.record);
                    there.is_some_and(|there| there.key == *key)
                });
            let there = broker.log.get(*at).and_then(|entry| entry.record);
            let fits = match record.state {
                // Written right after a re-creation, it names the former topic: as evidence it does not count.
                // Whoever acknowledged it to an earlier process was not told: its term has no bound but the next election.
                State::Pending if record.bracket.high.is_none() && record.sent.mono.is_none() => true,
                State::Pending => there.is_some_and(|there| there.topic_id != self.topic),
                State::Delivered | State::Late => {
                    is_present
                        || stands_elsewhere
                        // A reader that does not tell epochs leaves the bracket of the ack, which may be too wide.
                        || !self.tells_epoch
                        || there.is_some_and(|there| there.topic_id != self.topic)
                        || *life != broker.known.life
                        || record.of_former_topic
                        // An earlier process read it while a broker was in another life: nobody knows in which one.
                        || (record.read_of.is_none() && record.received.is_some_and(|read| read.mono.is_none()))
                        || truth.was_trimmed
                        || record.copies.iter().any(|copy| place(copy.offset) < broker.log_start)
                        // The same of a copy's place: what is there now names the former topic.
                        || record.copies.iter().any(|copy| {
                            let there = broker.log.get(place(copy.offset)).and_then(|entry| entry.record);
                            there.is_some_and(|there| there.topic_id != self.topic)
                        })
                }
                State::Lost | State::TruncatedAfterDelivery => true,
                State::Expired => {
                    // A restart forgets which ids are former ones: a broker that lags may name one again.
                    let is_confused = self.incarnation.0 > 1 && broker.known.life > 1;
                    let is_of_other_life = *life != broker.known.life || truth.known_life != broker.known.life;
                    is_of_other_life || truth.was_trimmed || is_confused
                }
                State::Untracked => true,
                State::Aborted => self.decision(*key) == Some(false),
                // Nobody told how its transaction ended.
                State::IndeterminatePending
                | State::IndeterminateDelivered
                | State::IndeterminateAbsent
                | State::IndeterminateExpired => self.class == CanaryClass::Transactional,
                State::Sent | State::AbortedVisible | State::Rejected | State::Phantom => false,
            };
            assert!(
                fits,
                "{key:?} acknowledged at {at} (life {life}, {truth:?}) is {record:?}\nlog from {} {:?}\nof {:?}",
                broker.log_start,
                broker.log.iter().map(|e| (e.epoch, e.record.map(|r| r.key.sequence))).collect::<Vec<_>>(),
                broker.known
            );
        }
    }
}
