//! Where the ledger tells of a record: its entry, its moves, its extra copies, and the passing of time.

use std::time::Duration;

use super::buckets::{Bucket, Span, minute_of};
use super::tally::Tally;
use super::{Book, BucketRow, Correction};
use crate::audit::ledger::Ledger;
use crate::audit::record::RecordKey;
use crate::audit::state::State;
use crate::model::{Moment, Timestamp};

/// A longer time without a look means that our own process stood still: what is open then may be late by our fault.
const STOOD_STILL: Duration = Duration::from_secs(2);

/// A clock that moves by less against the other is adjusted, not set.
const CLOCK_SET_MILLIS: u64 = 1_000;

impl Ledger {
    /// Counts a record that begins to be tracked.
    pub(in crate::audit) fn rate_entry(&mut self, key: RecordKey, at: Moment) {
        self.see(at);
        let Some(record) = self.records.get(&key) else { return };
        let mut entered = Tally::of_state(record.state, key.class);
        // Whatever enters without being sent was reserved by a process that ended before it could tell.
        entered.ack_unmeasured = u64::from(record.state != State::Sent);
        let span = Span::of(record.sent.wall);
        self.rates.change(key.class, span, |bucket| bucket.tally.add(&entered));
    }

    /// Counts a record that moved from one state to another.
    pub(in crate::audit) fn rate_move(&mut self, key: RecordKey, from: State, to: State, at: Moment) {
        let Some(record) = self.records.get(&key) else { return };
        let (before, mut after) = (Tally::of_state(from, key.class), Tally::of_state(to, key.class));
        let is_ours = self.rates.interrupted.contains(&key);
        if from == State::Sent {
            let is_in_time = record.sent.until(at) <= self.options.acknowledge_within;
            after.acked_in_time = after.acked.min(u64::from(is_in_time));
            after.ack_unmeasured = u64::from(is_ours && after.acked_in_time == 0 && after.aborted == 0);
        }
        if before.judged() == 0 {
            after.receipt_unmeasured = (after.judged() - after.delivered).min(u64::from(is_ours));
        }
        if !is_open(to) {
            self.rates.interrupted.remove(&key);
        }
        let sent = record.sent.wall;
        self.recount(key, sent, (from.as_str(), to.as_str()), at, |tally| {
            tally.take(&before);
            tally.add(&after);
        });
    }

    /// Counts what happens to a record besides its moves, by the word it is counted under.
    pub(in crate::audit) fn rate_extra(&mut self, key: RecordKey, what: &'static str, at: Moment) {
        let Some(record) = self.records.get(&key) else { return };
        let (sent, state) = (record.sent.wall, record.state.as_str());
        self.recount(key, sent, (state, what), at, |tally| match what {
            "duplicated" => tally.duplicated += 1,
            "reordered" => tally.reordered += 1,
            "resurfaced" => tally.resurfaced += 1,
            other => debug_assert!(false, "{other} is not counted by send time"),
        });
    }

    fn recount(
        &mut self,
        key: RecordKey,
        sent: Timestamp,
        (from, to): (&'static str, &'static str),
        at: Moment,
        change: impl FnOnce(&mut Tally),
    ) {
        let book = &mut self.rates;
        let span = book.classes.entry(key.class).or_default().span_of(sent);
        let known = book.classes.get(&key.class).and_then(|kept| kept.get(span));
        let is_over = minute_of(sent) < minute_of(at.wall);
        let is_final = is_over && known.is_some_and(|bucket| bucket.tally.is_settled());
        book.change(key.class, span, |bucket| change(&mut bucket.tally));
        if is_final {
            book.correct(key.class, super::begin_of(minute_of(sent)), at.wall, from, to);
        }
    }

    /// To be called several times a second, whether or not anything happens: a gap between two looks is a time in which
    /// our own process stood still, and what was open in it is measured no more.
    pub fn look(&mut self, at: Moment) {
        self.see(at);
        self.rates.looked = Some(at.mono);
    }

    /// Notices that time passed: clocks that were set, a process that stood still, buckets that grew old.
    pub(in crate::audit) fn see(&mut self, at: Moment) {
        let book = &mut self.rates;
        if book.looked.is_some_and(|looked| at.mono > looked + STOOD_STILL) {
            book.looked = Some(at.mono);
            self.interrupt();
        }
        let book = &mut self.rates;
        let offset = at.wall.as_millis().saturating_sub(i64::try_from(at.mono.as_millis()).unwrap_or(i64::MAX));
        let moved = book.clock_offset.map_or(0, |before| offset.saturating_sub(before));
        // Small adjustments add up over days, and none of them is a jump: only the step from look to look counts.
        book.clock_offset = Some(offset);
        if moved.unsigned_abs() > CLOCK_SET_MILLIS {
            let classes: Vec<_> = book.classes.keys().copied().collect();
            for class in classes {
                book.change(class, Span::of(at.wall), |bucket| bucket.clock_moved_millis = Some(moved));
            }
        }
        book.roll(at.wall);
    }

    /// All that is open may be late by our own fault.
    fn interrupt(&mut self) {
        let open = self.open.values().filter(|key| self.records.get(key).is_some_and(|record| is_open(record.state)));
        self.rates.interrupted.extend(open.copied());
    }

    /// Takes up what an earlier process kept. It is called once all records are there, and before any of them moves.
    pub(in crate::audit) fn restore_rates(&mut self, rows: Vec<BucketRow>, corrections: Vec<Correction>) {
        let book = &mut self.rates;
        for row in rows {
            book.classes.entry(row.class).or_default().put(row.span, row.bucket);
        }
        for correction in corrections {
            book.next_correction = book.next_correction.max(correction.number + 1);
            book.keep(correction);
        }
        self.rebuild();
        self.interrupt();
    }

    /// A ledger of a version without buckets: what is tracked is counted by its send time, the rest is older.
    fn rebuild(&mut self) {
        let without: Vec<_> = self
            .classes
            .iter()
            .filter(|(class, kept)| {
                kept.counts.sent > 0 && self.rates.classes.get(class).is_none_or(super::buckets::Buckets::is_empty)
            })
            .map(|(class, kept)| (*class, Tally::of_counts(&kept.counts)))
            .collect();
        for (class, mut older) in without {
            for (key, record) in self.records.iter().filter(|(key, _)| key.class == class) {
                let mut tally = Tally::of_state(record.state, class);
                older.take(&tally);
                let took = record.acked.map(|acked| acked.wall.since(record.sent.wall));
                let is_in_time = took.is_some_and(|took| took <= self.options.acknowledge_within);
                tally.acked_in_time = tally.acked.min(u64::from(is_in_time));
                self.rates.change(key.class, Span::of(record.sent.wall), |bucket| bucket.tally.add(&tally));
            }
            // How long those took to be acknowledged is not known any more.
            older.ack_unmeasured = older.sent;
            self.rates.change(class, Span::Older, |bucket| *bucket = Bucket { tally: older, ..Bucket::default() });
        }
    }
}

/// Its acknowledgement or its receipt is still to come.
fn is_open(state: State) -> bool {
    matches!(state, State::Sent | State::Pending)
}

impl Book {
    /// True while this open record is not measured.
    pub(super) fn is_unmeasured(&self, key: &RecordKey) -> bool {
        self.interrupted.contains(key)
    }
}

#[cfg(test)]
impl Ledger {
    /// Holds the sums over all buckets against the sums of the classes.
    pub(in crate::audit) fn check_rates(&self) -> Result<(), String> {
        for (class, kept) in &self.classes {
            let want = Tally::of_counts(&kept.counts);
            let total = self.rates.classes.get(class).map(super::buckets::Buckets::total).unwrap_or_default();
            let known_elsewhere = Tally {
                acked_in_time: total.acked_in_time,
                ack_unmeasured: total.ack_unmeasured,
                receipt_unmeasured: total.receipt_unmeasured,
                minutes: total.minutes,
                ..Tally::default()
            };
            let mut found = total;
            found.take(&known_elsewhere);
            if found != want {
                return Err(format!("{class}: the buckets hold {found:?}, the sums are {want:?}"));
            }
            if total.acked_in_time + total.ack_unmeasured > total.sent || total.receipt_unmeasured > total.judged() {
                return Err(format!("{class}: more is in or out of time than there is: {total:?}"));
            }
        }
        Ok(())
    }

    /// A bucket of a class.
    pub(in crate::audit) fn bucket(&self, class: crate::audit::CanaryClass, sent: Timestamp) -> Bucket {
        let kept = self.rates.classes.get(&class);
        kept.and_then(|kept| kept.get(kept.span_of(sent))).copied().unwrap_or_default()
    }

    /// The latest corrections, as `from → to × records`, oldest first.
    pub(in crate::audit) fn corrections_in_words(&self) -> Vec<String> {
        let words = |one: &Correction| format!("{} → {} × {}", one.from, one.to, one.records);
        self.rates.corrections.iter().map(words).collect()
    }
}
