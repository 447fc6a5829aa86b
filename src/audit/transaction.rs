//! How transactions end: the class transactional is accounted for by whole transactions.

use super::event::TransactionEnd;
use super::ledger::Ledger;
use super::record::{CanaryClass, RecordKey};
use super::state::State;
use crate::model::Moment;

impl Ledger {
    pub(super) fn transaction_ended(&mut self, records: &[RecordKey], end: TransactionEnd, at: Moment) {
        for key in records.iter().filter(|key| key.class == CanaryClass::Transactional) {
            let Some(record) = self.records.get(key) else { continue };
            let is_in_flight = record.state == State::Sent;
            match end {
                TransactionEnd::Committed if is_in_flight && record.acked.is_some() => self.account_for(*key, at),
                // A commit without all of its acknowledgements is none of Kafka's; what it holds nobody knows.
                TransactionEnd::Committed | TransactionEnd::Unknown if is_in_flight => self.indeterminate(*key, at),
                TransactionEnd::Committed | TransactionEnd::Unknown => {}
                TransactionEnd::Aborted => self.aborted(*key, at),
            }
        }
    }

    /// Of an aborted transaction: whatever became of the record's own request, nobody may see it.
    fn aborted(&mut self, key: RecordKey, at: Moment) {
        let Some(record) = self.records.get(&key) else { return };
        let was_received = record.received.is_some();
        match record.state {
            State::Sent
            | State::IndeterminatePending
            | State::IndeterminateDelivered
            | State::IndeterminateAbsent
            | State::IndeterminateExpired => {
                self.settle(key, State::Aborted, at);
                if was_received {
                    self.appear(key, State::AbortedVisible, at);
                }
            }
            State::Pending
            | State::Delivered
            | State::Late
            | State::Lost
            | State::TruncatedAfterDelivery
            | State::Expired
            | State::Untracked
            | State::Aborted
            | State::AbortedVisible
            | State::Rejected
            | State::Phantom => {}
        }
    }
}
