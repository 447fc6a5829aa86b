//! Where one partition is being read.

use crate::model::Offset;

/// The position on one partition, and what was said of it already.
#[derive(Debug)]
pub(super) struct Cursor {
    next: Option<Offset>,
    stopped: bool,
    /// The position was set to the log start, and nobody knows yet where that is.
    moving: bool,
    caught_up: bool,
    failing: Option<String>,
}

impl Cursor {
    /// A cursor at this offset; at the log start without one.
    pub(super) fn at(next: Option<Offset>) -> Self {
        Self { next, stopped: false, moving: false, caught_up: false, failing: None }
    }

    /// A cursor told to go to the log start, wherever that is.
    pub(super) fn moving_to_log_start() -> Self {
        Self { moving: true, ..Self::at(None) }
    }

    /// The next offset to read; none at a log start never reached.
    pub(super) fn next(&self) -> Option<Offset> {
        self.next
    }

    /// True while it waits to be told where to go on.
    pub(super) fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// A record was read at `offset`. True when that tells where a move to the log start has led.
    pub(super) fn read(&mut self, offset: Offset) -> bool {
        self.next = Some(offset.next());
        self.failing = None;
        std::mem::take(&mut self.moving)
    }

    /// The end was reached. True for the first time.
    pub(super) fn caught_up(&mut self) -> bool {
        self.failing = None;
        !std::mem::replace(&mut self.caught_up, true)
    }

    /// The next offset does not exist; which it was.
    pub(super) fn stop(&mut self) -> Option<Offset> {
        self.stopped = true;
        self.next
    }

    /// It cannot be read now. True when that is news.
    pub(super) fn failing(&mut self, text: &str) -> bool {
        self.failing.replace(text.to_owned()).is_none_or(|before| before != text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offset(number: i64) -> Offset {
        Offset::new(number).expect("not negative")
    }

    #[test]
    fn follows_what_is_read_and_remembers_it_when_stopped() {
        let mut cursor = Cursor::at(None);
        assert_eq!(cursor.next(), None);
        assert!(!cursor.read(offset(4)), "nobody moved it");
        assert!(!cursor.read(offset(9)), "offsets have gaps");
        assert_eq!(cursor.stop(), Some(offset(10)));
        assert!(cursor.is_stopped());
    }

    #[test]
    fn a_move_to_the_log_start_is_told_by_the_first_record_alone() {
        let mut cursor = Cursor::moving_to_log_start();
        assert!(!cursor.is_stopped());
        assert!(cursor.read(offset(9)));
        assert!(!cursor.read(offset(10)));
    }

    #[test]
    fn the_same_trouble_is_news_once() {
        let mut cursor = Cursor::at(Some(offset(3)));
        assert!(cursor.failing("no leader"));
        assert!(!cursor.failing("no leader"));
        assert!(cursor.failing("not authorized"));
        assert!(!cursor.read(offset(3)));
        assert!(cursor.failing("not authorized"), "it could be read in between");
        assert!(cursor.caught_up());
        assert!(!cursor.caught_up());
    }
}
