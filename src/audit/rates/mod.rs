//! What became of records, by when they were sent.
//!
//! ```text
//!   entry, move, extra copy ──► bucket of the minute of the send ── 3 d 6 h ──► its day ── 30 d ──► one sum
//!                                     │ none pending or in flight: final
//!                                     └ changes all the same ──► a correction beside it
//! ```
//!
//! A minute without a bucket is no data. What our own process cannot have seen in time, because it was down or stood
//! still, is in no denominator.

mod buckets;
mod hooks;
mod share;
mod tally;
mod window;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use buckets::{Bucket, DAYS_KEPT, MINUTES_KEPT, Span, begin_of, minute_of};
pub use share::{Rates, Share};
pub use tally::Tally;
pub use window::Sum;

use super::record::{CanaryClass, RecordKey};
use crate::model::Timestamp;

/// So many corrections are kept in memory, the latest.
const CORRECTIONS_KEPT: usize = 64;

/// A bucket as it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BucketRow {
    /// The class.
    pub class: CanaryClass,
    /// The stretch of send time.
    pub span: Span,
    /// Its counts.
    pub bucket: Bucket,
}

/// Records of a final bucket that moved on all the same. Such rows are only ever added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Correction {
    /// Their order; no number is used twice.
    pub number: u64,
    /// The class.
    pub class: CanaryClass,
    /// The minute in which they were sent.
    pub bucket: Timestamp,
    /// When they moved; of several, the first.
    pub at: Timestamp,
    /// Where they had stood.
    pub from: String,
    /// Where they stand, or what was counted besides (`duplicated`, `reordered`, `resurfaced`).
    pub to: String,
    /// How many.
    pub records: u64,
}

/// The records of all classes by send time, and what is to be written of it.
#[derive(Debug, Default)]
pub(super) struct Book {
    classes: BTreeMap<CanaryClass, buckets::Buckets>,
    /// Open records whose delay may be ours.
    interrupted: BTreeSet<RecordKey>,
    changed: BTreeSet<(CanaryClass, Span)>,
    gone: BTreeSet<(CanaryClass, Span)>,
    /// Corrections that are not written yet.
    unwritten: Vec<Correction>,
    corrections: VecDeque<Correction>,
    next_correction: u64,
    /// The wall clock less the monotonic one, in milliseconds, when both were last read.
    clock_offset: Option<i64>,
    /// When somebody looked last.
    looked: Option<Duration>,
    /// The minute in which old buckets were last summed up.
    rolled: Option<i64>,
}

impl Book {
    fn change(&mut self, class: CanaryClass, span: Span, change: impl FnOnce(&mut Bucket)) {
        change(self.classes.entry(class).or_default().entry(span));
        self.changed.insert((class, span));
        self.gone.remove(&(class, span));
    }

    fn correct(&mut self, class: CanaryClass, bucket: Timestamp, at: Timestamp, from: &str, to: &str) {
        let same =
            |one: &&mut Correction| one.class == class && one.bucket == bucket && one.from == from && one.to == to;
        if let Some(known) = self.unwritten.iter_mut().find(same) {
            known.records += 1;
            let number = known.number;
            if let Some(kept) = self.corrections.iter_mut().find(|one| one.number == number) {
                kept.records += 1;
            }
            return;
        }
        let (from, to) = (from.to_owned(), to.to_owned());
        let correction = Correction { number: self.next_correction, class, bucket, at, from, to, records: 1 };
        self.next_correction += 1;
        self.unwritten.push(correction.clone());
        self.keep(correction);
    }

    fn keep(&mut self, correction: Correction) {
        self.corrections.push_back(correction);
        if self.corrections.len() > CORRECTIONS_KEPT {
            self.corrections.pop_front();
        }
    }

    fn roll(&mut self, now: Timestamp) {
        let minute = buckets::minute_of(now);
        if self.rolled == Some(minute) {
            return;
        }
        self.rolled = Some(minute);
        for (class, kept) in &mut self.classes {
            let (changed, gone) = kept.roll(now);
            for span in changed {
                self.changed.insert((*class, span));
            }
            for span in gone {
                self.changed.remove(&(*class, span));
                self.gone.insert((*class, span));
            }
        }
        // What was changed by a minute and is gone by its day since is not to be written.
        self.changed.retain(|id| !self.gone.contains(id));
    }

    /// Buckets to be written, buckets that are gone, and corrections to be added.
    pub(super) fn take_changes(&mut self) -> (Vec<BucketRow>, Vec<(CanaryClass, Span)>, Vec<Correction>) {
        let changed = std::mem::take(&mut self.changed);
        let rows = changed.into_iter().filter_map(|(class, span)| {
            let bucket = *self.classes.get(&class)?.get(span)?;
            Some(BucketRow { class, span, bucket })
        });
        let rows = rows.collect();
        (rows, std::mem::take(&mut self.gone).into_iter().collect(), std::mem::take(&mut self.unwritten))
    }

    /// The latest corrections of a class, newest first; bounded.
    pub(super) fn corrections(&self, class: CanaryClass) -> impl Iterator<Item = &Correction> {
        self.corrections.iter().rev().filter(move |one| one.class == class)
    }
}
