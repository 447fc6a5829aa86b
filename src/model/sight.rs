//! How a reader of ours fares on one partition.

use super::offset::Offset;
use super::time::Moment;

/// One reader on one partition, at the moment it was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReaderSight {
    /// When it last had something of the partition, a record or the end of what it may see; before the first, when it was
    /// told to read it.
    pub heard: Moment,
    /// True once it had something.
    pub has_heard: bool,
    /// The next offset it will read; none at a log start never reached.
    pub next: Option<Offset>,
    /// Why it gets nothing, if it was told since.
    pub refusal: Option<ReaderRefusal>,
}

/// Why a reader gets nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReaderRefusal {
    /// When it was first told, without anything heard since.
    pub since: Moment,
    /// When it was last told.
    pub last: Moment,
    /// True when the cluster forbids it; that is told once, and holds until something is heard.
    pub is_denied: bool,
    /// The client's words.
    pub text: String,
}

impl ReaderSight {
    /// A reader that was told to read from here.
    #[must_use]
    pub fn begun(next: Option<Offset>, at: Moment) -> Self {
        Self { heard: at, has_heard: false, next, refusal: None }
    }

    /// It was told to go on elsewhere.
    pub fn move_to(&mut self, next: Option<Offset>) {
        (self.next, self.refusal) = (next, None);
    }

    /// It had a record, the one before `next`, or the end.
    pub fn hear(&mut self, next: Option<Offset>, at: Moment) {
        *self = Self { heard: at, has_heard: true, next, refusal: None };
    }

    /// It was told why it gets nothing.
    pub fn refuse(&mut self, is_denied: bool, text: String, at: Moment) {
        let since = self.refusal.as_ref().map_or(at, |refusal| refusal.since);
        self.refusal = Some(ReaderRefusal { since, last: at, is_denied, text });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::Timestamp;

    fn at(seconds: u64) -> Moment {
        Moment { wall: Timestamp::from_millis(0) + Duration::from_secs(seconds), mono: Duration::from_secs(seconds) }
    }

    #[test]
    fn a_refusal_lasts_from_its_first_telling_until_something_is_heard() {
        let mut sight = ReaderSight::begun(None, at(1));
        assert!(!sight.has_heard);
        sight.refuse(false, "first".to_owned(), at(2));
        sight.refuse(true, "second".to_owned(), at(5));
        let told = ReaderRefusal { since: at(2), last: at(5), is_denied: true, text: "second".to_owned() };
        assert_eq!(sight.refusal, Some(told));
        assert_eq!(sight.heard, at(1), "to be refused is to hear nothing");
        let mut moved = sight.clone();
        moved.move_to(Offset::new(3));
        assert_eq!((moved.heard, moved.next, moved.refusal), (at(1), Offset::new(3), None));
        sight.hear(Offset::new(7), at(6));
        assert_eq!((sight.heard, sight.has_heard, sight.next, sight.refusal), (at(6), true, Offset::new(7), None));
    }
}
