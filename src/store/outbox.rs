//! Which notices are to be delivered, and which of them now. The queue lives in memory and is the one that delivers;
//! the table `outbox` is its memory over a restart.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::alert::Notice;
use crate::model::{Moment, Timestamp};

/// A notice that may be delivered now.
#[derive(Clone, Debug, PartialEq)]
pub struct DueNotice {
    /// The notice.
    pub notice: Arc<Notice>,
    /// Attempts so far, those of earlier processes included.
    pub attempts: u32,
    /// For how long its delivery has been tried, by the monotonic clock; downtime does not count.
    pub age: Duration,
}

/// What may be delivered to one receiver.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Due {
    /// Those that may go now: the least tried first, then the oldest. Of one alert only the first in order.
    pub notices: Vec<DueNotice>,
    /// When the next one may go, by the monotonic clock, if any waits.
    pub next: Option<Duration>,
}

/// How an attempt to deliver ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// The receiver took it.
    Delivered,
    /// It did not; try again when the monotonic clock shows `not_before`.
    Retry {
        /// What it said.
        why: String,
        /// When to try again.
        not_before: Duration,
    },
    /// It never will.
    Refused {
        /// What it said.
        why: String,
    },
    /// It was tried for too long.
    Expired {
        /// What the receiver said last.
        why: String,
    },
}

impl Delivery {
    /// The state of the row after it.
    pub(crate) fn state(&self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Retry { .. } => "pending",
            Self::Refused { .. } => "refused",
            Self::Expired { .. } => "expired",
        }
    }

    /// What went wrong, if so.
    pub(crate) fn why(&self) -> Option<&str> {
        match self {
            Self::Delivered => None,
            Self::Retry { why, .. } | Self::Refused { why } | Self::Expired { why } => Some(why),
        }
    }
}

/// How far the delivery of a notice has come: what its row says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Progress {
    pub(crate) attempts: u32,
    pub(crate) age: Duration,
    pub(crate) state: &'static str,
    pub(crate) last_error: Option<String>,
    pub(crate) done_at: Option<Timestamp>,
}

#[derive(Clone, Debug)]
struct Entry {
    notice: Arc<Notice>,
    /// True once its row is durable.
    kept: bool,
    attempts: u32,
    age_before: Duration,
    /// When this process first looked at it, by the monotonic clock.
    since: Option<Duration>,
    not_before: Duration,
}

impl Entry {
    fn age(&self, now: Moment) -> Duration {
        self.age_before + now.mono.saturating_sub(self.since.unwrap_or(now.mono))
    }
}

/// Everything that is pending, by receiver and in order of telling.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    receivers: BTreeMap<String, BTreeMap<u64, Entry>>,
    places: BTreeMap<String, (String, u64)>,
    next_number: u64,
}

impl Queue {
    /// Adds a notice; one that is there already is not added twice.
    pub(crate) fn push(&mut self, notice: Arc<Notice>, kept: bool, attempts: u32, age_before: Duration) {
        if self.places.contains_key(&notice.id) {
            return;
        }
        let number = self.next_number;
        self.next_number += 1;
        self.places.insert(notice.id.clone(), (notice.receiver.clone(), number));
        let entry = Entry { notice, kept, attempts, age_before, since: None, not_before: Duration::ZERO };
        self.receivers.entry(entry.notice.receiver.clone()).or_default().insert(number, entry);
    }

    /// Its row is durable.
    pub(crate) fn kept(&mut self, id: &str) {
        if let Some((receiver, number)) = self.places.get(id)
            && let Some(entry) = self.receivers.get_mut(receiver).and_then(|entries| entries.get_mut(number))
        {
            entry.kept = true;
        }
    }

    /// What may go to a receiver. A notice that is not durable yet may go only `from_memory`: while the database is
    /// down, a repetition after a crash is better than silence.
    pub(crate) fn due(&mut self, receiver: &str, now: Moment, from_memory: bool) -> Due {
        let mut due = Due::default();
        let mut earlier = BTreeSet::new();
        for entry in self.receivers.get_mut(receiver).into_iter().flat_map(BTreeMap::values_mut) {
            entry.since.get_or_insert(now.mono);
            // Resolved never overtakes firing.
            if !earlier.insert(entry.notice.alert.id.as_str()) || !(entry.kept || from_memory) {
                continue;
            }
            if entry.not_before <= now.mono {
                let notice = Arc::clone(&entry.notice);
                due.notices.push(DueNotice { notice, attempts: entry.attempts, age: entry.age(now) });
            } else {
                due.next = Some(due.next.map_or(entry.not_before, |next| next.min(entry.not_before)));
            }
        }
        due.notices.sort_by_key(|notice| notice.attempts);
        due
    }

    /// Notes how an attempt ended, and gives what its row is to say; nothing for a notice that is not pending.
    pub(crate) fn record(&mut self, id: &str, now: Moment, delivery: &Delivery) -> Option<Progress> {
        let (receiver, number) = self.places.get(id)?;
        let entries = self.receivers.get_mut(receiver)?;
        let entry = entries.get_mut(number)?;
        entry.attempts = entry.attempts.saturating_add(1);
        let progress = |done_at| Progress {
            attempts: entry.attempts,
            age: entry.age(now),
            state: delivery.state(),
            last_error: delivery.why().map(str::to_owned),
            done_at,
        };
        match delivery {
            Delivery::Retry { not_before, .. } => {
                let progress = progress(None);
                entry.not_before = *not_before;
                Some(progress)
            }
            Delivery::Delivered | Delivery::Refused { .. } | Delivery::Expired { .. } => {
                let progress = progress(Some(now.wall));
                entries.remove(number);
                self.places.remove(id);
                Some(progress)
            }
        }
    }

    /// The ids of what is pending for receivers that are not among `names`.
    pub(crate) fn strangers(&self, names: &[String]) -> Vec<String> {
        self.places.iter().filter(|(_, (receiver, _))| !names.contains(receiver)).map(|(id, _)| id.clone()).collect()
    }

    /// How many are pending.
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::NoticeStatus;
    use crate::store::samples_for_tests::notice;

    fn at(seconds: u64) -> Moment {
        Moment { wall: Timestamp::from_millis(0), mono: Duration::from_secs(seconds) }
    }

    fn queue(kept: bool) -> Queue {
        let mut queue = Queue::default();
        for (alert, status) in [("a", NoticeStatus::Firing), ("a", NoticeStatus::Resolved), ("b", NoticeStatus::Firing)]
        {
            queue.push(Arc::new(notice(alert, status, "ops")), kept, 0, Duration::ZERO);
        }
        queue
    }

    fn ids(due: &Due) -> Vec<&str> {
        due.notices.iter().map(|due| due.notice.id.as_str()).collect()
    }

    #[test]
    fn resolved_waits_until_firing_is_delivered() {
        let mut queue = queue(true);
        assert_eq!(ids(&queue.due("ops", at(0), false)), ["a/firing/ops", "b/firing/ops"]);
        let retry = Delivery::Retry { why: "500".to_owned(), not_before: Duration::from_secs(9) };
        assert!(queue.record("a/firing/ops", at(1), &retry).is_some());
        let due = queue.due("ops", at(2), false);
        assert_eq!((ids(&due), due.next), (vec!["b/firing/ops"], Some(Duration::from_secs(9))));
        let due = queue.due("ops", at(9), false);
        assert_eq!(ids(&due), ["b/firing/ops", "a/firing/ops"], "the least tried first");
        assert!(queue.record("a/firing/ops", at(9), &Delivery::Delivered).is_some());
        assert_eq!(ids(&queue.due("ops", at(9), false)), ["a/resolved/ops", "b/firing/ops"]);
    }

    #[test]
    fn what_is_not_durable_goes_only_while_the_database_is_down() {
        let mut queue = queue(false);
        assert!(queue.due("ops", at(0), false).notices.is_empty());
        assert_eq!(ids(&queue.due("ops", at(0), true)), ["a/firing/ops", "b/firing/ops"]);
        queue.kept("b/firing/ops");
        assert_eq!(ids(&queue.due("ops", at(0), false)), ["b/firing/ops"]);
    }

    #[test]
    fn age_counts_over_restarts_and_not_by_the_wall_clock() {
        let mut queue = Queue::default();
        queue.push(Arc::new(notice("a", NoticeStatus::Firing, "ops")), true, 3, Duration::from_secs(100));
        assert_eq!(queue.due("ops", at(5), false).notices.first().map(|due| due.age), Some(Duration::from_secs(100)));
        let jumped = Moment { wall: Timestamp::from_millis(i64::MAX), mono: Duration::from_secs(7) };
        let progress = queue.record("a/firing/ops", jumped, &Delivery::Delivered).expect("it is pending");
        assert_eq!((progress.attempts, progress.age), (4, Duration::from_secs(102)));
        assert_eq!(queue.len(), 0);
    }

    #[test]
    fn nothing_is_queued_twice() {
        let mut queue = queue(true);
        queue.push(Arc::new(notice("a", NoticeStatus::Firing, "ops")), false, 0, Duration::ZERO);
        assert_eq!(queue.len(), 3);
        assert_eq!(queue.strangers(&["dev".to_owned()]).len(), 3);
    }
}
