//! What the brokers said of a partition's leader over time, and which epoch an acknowledgement can have at most.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::when::When;
use crate::model::{BrokerId, EpochSighting, LeaderEpoch, Moment, PartitionId};

/// So many terms are remembered per broker. Forgetting the oldest only makes a bound higher, which proves less.
const TERMS_KEPT: usize = 32;

/// A stretch of sightings that named the same epoch.
#[derive(Clone, Copy, Debug)]
struct Term {
    epoch: LeaderEpoch,
    leader: Option<BrokerId>,
    /// Begin of the last request that was answered so.
    last_begun: Moment,
    /// When the epoch was first told.
    told: Moment,
}

/// Stretches in order of their requests.
#[derive(Clone, Debug, Default)]
struct Terms(VecDeque<Term>);

impl Terms {
    fn note(&mut self, epoch: LeaderEpoch, leader: Option<BrokerId>, begun: Moment, at: Moment) {
        match self.0.back_mut() {
            // An answer that overtook a later one is no news.
            Some(last) if last.last_begun.mono > begun.mono => {}
            Some(last) if last.epoch == epoch => {
                last.last_begun = begun;
                last.leader = leader.or(last.leader);
            }
            Some(_) | None => self.0.push_back(Term { epoch, leader, last_begun: begun, told: at }),
        }
        if self.0.len() > TERMS_KEPT {
            self.0.pop_front();
        }
    }

    /// The first epoch named by a request begun after `since`.
    fn first_after(&self, since: When) -> Option<LeaderEpoch> {
        self.0.iter().find(|term| since.is_before(term.last_begun)).map(|term| term.epoch)
    }
}

/// One partition's leaders, as each broker told them.
#[derive(Clone, Debug, Default)]
pub(super) struct LeaderHistory {
    views: BTreeMap<BrokerId, Terms>,
    /// The highest epoch of each round of sightings.
    rounds: Terms,
    known: BTreeSet<BrokerId>,
}

impl LeaderHistory {
    /// Takes note of one round of sightings. True when it changed the highest epoch.
    pub(super) fn note(&mut self, partition: PartitionId, round: &[&EpochSighting], at: Moment) -> bool {
        let before = self.current();
        let mut highest: Option<(LeaderEpoch, Option<BrokerId>)> = None;
        let mut begun: Option<Moment> = None;
        for sighting in round {
            let Some(led) = sighting.partitions.get(&partition) else { continue };
            self.known.insert(sighting.broker);
            self.known.extend(led.leader);
            self.views.entry(sighting.broker).or_default().note(led.leader_epoch, led.leader, sighting.begun, at);
            highest = highest.max(Some((led.leader_epoch, led.leader)));
            begun =
                Some(begun.map_or(sighting.begun, |b| if b.mono <= sighting.begun.mono { b } else { sighting.begun }));
        }
        if let (Some((epoch, leader)), Some(begun)) = (highest, begun) {
            self.rounds.note(epoch, leader, begun, at);
        }
        self.current() != before
    }

    /// There are these brokers too, whether they ever told of this partition or not: one that was met in another life of
    /// the topic may lead in this one before it is met again.
    pub(super) fn know(&mut self, brokers: &BTreeSet<BrokerId>) {
        self.known.extend(brokers);
    }

    /// The highest epoch by each broker's latest answer, and its leader. By the latest, not the highest ever: a broker
    /// that still shows the former topic's epochs right after a re-creation must not poison it for good.
    pub(super) fn current(&self) -> Option<(LeaderEpoch, Option<BrokerId>)> {
        self.views.values().filter_map(|terms| terms.0.back()).map(|term| (term.epoch, term.leader)).max()
    }

    /// Since when every broker ever seen has shown this epoch or a later one: no read begun after it can have been
    /// answered out of an older term.
    pub(super) fn settled_since(&self, epoch: LeaderEpoch) -> Option<Duration> {
        let mut since = Duration::ZERO;
        for broker in &self.known {
            let latest = self.views.get(broker)?.0.back()?;
            if latest.epoch < epoch {
                return None;
            }
            since = since.max(latest.told.mono);
        }
        (!self.known.is_empty()).then_some(since)
    }

    /// True when every broker ever seen answered a request begun after `since`.
    pub(super) fn all_answered_since(&self, since: Moment) -> bool {
        self.known.iter().all(|broker| {
            let latest = self.views.get(broker).and_then(|terms| terms.0.back());
            latest.is_some_and(|latest| latest.last_begun.mono >= since.mono)
        })
    }

    /// The highest epoch in which a record acknowledged at `acked` can have been appended; nothing while that is open.
    ///
    /// A leader shows its epoch in its own Metadata before it acts in it, so a broker's first answer begun after the
    /// ack bounds what it can have acknowledged. Brokers that do not answer are bounded only by a leader elected later:
    /// a first round after the ack shows m1, a later one m2 > m1, and the leader of m2 says so itself. The silent ones
    /// did not lead m2, so they acknowledged in m2 - 1 at most. `grace` keeps apart an answer out of a metadata image
    /// that was stale already when the record was acknowledged.
    pub(super) fn highest_epoch_of(
        &self,
        acked: When,
        acker: Option<BrokerId>,
        grace: Duration,
    ) -> Option<LeaderEpoch> {
        let answered: BTreeMap<BrokerId, LeaderEpoch> = self
            .views
            .iter()
            .filter_map(|(broker, terms)| terms.first_after(acked).map(|epoch| (*broker, epoch)))
            .collect();
        let highest = answered.values().copied().max()?;
        let is_complete = match acker {
            Some(acker) => answered.contains_key(&acker),
            // Of an earlier process we do not know which brokers there were.
            None => acked.mono.is_some() && self.known.iter().all(|broker| answered.contains_key(broker)),
        };
        if is_complete {
            return Some(highest);
        }
        let first = self.rounds.first_after(acked)?;
        let later = self
            .views
            .iter()
            .flat_map(|(broker, terms)| terms.0.iter().map(move |term| (*broker, *term)))
            .filter(|(broker, term)| {
                term.leader == Some(*broker)
                    && Some(*broker) != acker
                    && term.epoch > first
                    && acked.is_before(term.last_begun)
                    && acked.until(term.last_begun) >= grace
            })
            .map(|(_, term)| term.epoch)
            .min()?
            .previous()?;
        // An acker that is not known may be one of those that answered.
        Some(if acker.is_some() { later } else { later.max(highest) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{LedPartition, Timestamp};

    const P: PartitionId = PartitionId(0);
    const GRACE: Duration = Duration::from_secs(5);

    fn at(seconds: u64) -> Moment {
        Moment { wall: Timestamp::from_millis(0) + Duration::from_secs(seconds), mono: Duration::from_secs(seconds) }
    }

    fn epoch(number: i32) -> LeaderEpoch {
        LeaderEpoch::new(number).expect("an epoch")
    }

    /// A round at a second: (broker, leader, epoch).
    type Round = (u64, &'static [(i32, Option<i32>, i32)]);

    fn history(rounds: &[Round]) -> LeaderHistory {
        let mut history = LeaderHistory::default();
        for (second, answers) in rounds {
            let round: Vec<EpochSighting> = answers
                .iter()
                .map(|(broker, leader, number)| EpochSighting {
                    topic_id: None,
                    broker: BrokerId(*broker),
                    begun: at(*second),
                    partitions: BTreeMap::from([(
                        P,
                        LedPartition { leader: leader.map(BrokerId), leader_epoch: epoch(*number) },
                    )]),
                })
                .collect();
            history.note(P, &round.iter().collect::<Vec<_>>(), at(*second));
        }
        history
    }

    #[test]
    fn an_ack_is_bounded_by_its_broker_or_by_a_leader_elected_later() {
        const QUIET: Round = (0, &[(1, Some(1), 4), (2, Some(1), 4), (3, Some(1), 4)]);
        type Case = (&'static str, Option<i32>, &'static [Round], Option<i32>);
        let cases: &[Case] = &[
            ("no sighting after the ack", Some(1), &[QUIET], None),
            ("quiet", Some(1), &[QUIET, (20, QUIET.1)], Some(4)),
            ("quiet, acker not told, all answer", None, &[QUIET, (20, QUIET.1)], Some(4)),
            (
                "another broker already knows a later epoch",
                Some(1),
                &[QUIET, (20, &[(1, Some(1), 4), (2, Some(2), 5)])],
                Some(5),
            ),
            ("the acker is silent", Some(1), &[QUIET, (20, &[(2, Some(1), 4), (3, Some(1), 4)])], None),
            (
                "silent, then a leader elected later says so",
                Some(1),
                &[QUIET, (20, &[(2, Some(1), 4), (3, Some(1), 4)]), (30, &[(2, Some(2), 6), (3, Some(2), 6)])],
                Some(5),
            ),
            (
                "the same, acker not told",
                None,
                &[QUIET, (20, &[(2, Some(1), 4), (3, Some(1), 4)]), (30, &[(2, Some(2), 5), (3, Some(2), 5)])],
                Some(4),
            ),
            (
                "only others say it",
                Some(1),
                &[QUIET, (20, &[(2, Some(1), 4), (3, Some(1), 4)]), (30, &[(3, Some(2), 6)])],
                None,
            ),
            (
                "the acker itself is elected again",
                Some(1),
                &[QUIET, (20, &[(2, Some(1), 4)]), (30, &[(2, Some(1), 6)])],
                None,
            ),
            ("the new leader was there before the first round", Some(1), &[QUIET, (20, &[(2, Some(2), 5)])], None),
            (
                "a stale image answers right after the ack",
                Some(1),
                &[QUIET, (11, &[(2, Some(1), 4)]), (12, &[(2, Some(2), 5)])],
                None,
            ),
            (
                "a follower that was down is elected, acker not told",
                None,
                &[QUIET, (20, &[(3, Some(1), 4)]), (30, &[(2, Some(2), 6), (3, Some(2), 6)])],
                Some(6),
            ),
            (
                "the acker answers again at last",
                Some(1),
                &[QUIET, (20, &[(2, Some(2), 5)]), (60, &[(1, Some(2), 5), (2, Some(2), 5)])],
                Some(5),
            ),
        ];
        for (name, acker, rounds, want) in cases {
            let bound = history(rounds).highest_epoch_of(When::from(at(10)), acker.map(BrokerId), GRACE);
            assert_eq!(bound.map(LeaderEpoch::get), *want, "{name}");
        }
    }

    #[test]
    fn settled_means_that_no_broker_can_act_in_an_older_term() {
        let all = history(&[(0, &[(1, Some(1), 4), (2, Some(1), 4)]), (9, &[(1, Some(2), 5), (2, Some(2), 5)])]);
        assert_eq!(all.settled_since(epoch(5)), Some(Duration::from_secs(9)));
        assert_eq!(all.settled_since(epoch(6)), None, "nobody showed it");
        let silent = history(&[(0, &[(1, Some(1), 4), (2, Some(1), 4)]), (9, &[(2, Some(2), 5)])]);
        assert_eq!(silent.settled_since(epoch(5)), None, "the former leader may still act");
        assert_eq!(silent.current(), Some((epoch(5), Some(BrokerId(2)))));
    }
}
