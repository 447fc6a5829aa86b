//! How transactions go: most are committed, some aborted on purpose, some left open on purpose.

use std::time::Duration;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// How the transactions of class `transactional` go. Which one goes how is a matter of its number alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransactionMix {
    /// How long records are gathered in one transaction.
    pub span: Duration,
    /// Every so many-th transaction is aborted on purpose; 0 for none.
    pub abort_every: u64,
    /// Every so many-th transaction is left open on purpose until a new client fences it; 0 for none.
    pub abandon_every: u64,
    /// How long such a transaction is left open; the class sends nothing meanwhile.
    pub abandoned_for: Duration,
}

impl Default for TransactionMix {
    fn default() -> Self {
        Self {
            span: Duration::from_millis(500),
            abort_every: 10,
            abandon_every: 50,
            // A newer instance that starts meanwhile would be fenced by us: as short as it can be.
            abandoned_for: Duration::ZERO,
        }
    }
}

/// What a transaction is begun for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Commit,
    Abort,
    Abandon,
}

impl TransactionMix {
    /// What is wrong with it, and what to do about it.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.span.is_zero() || self.span > Duration::from_secs(5) {
            problems.push("span: must be above 0 and at most 5 s".to_owned());
        }
        if self.abandoned_for > Duration::from_secs(60) {
            problems.push("abandoned_for: must be at most 60 s".to_owned());
        }
        problems
    }

    /// What the transaction of this number, from 1, is begun for.
    pub(super) fn purpose(&self, number: u64) -> Purpose {
        let is_one_of = |every: u64| every > 0 && number.is_multiple_of(every);
        if is_one_of(self.abandon_every) {
            Purpose::Abandon
        } else if is_one_of(self.abort_every) {
            Purpose::Abort
        } else {
            Purpose::Commit
        }
    }
}

/// What a call of librdkafka's transaction API came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Done,
    /// It goes on in the background; the same call resumes it.
    Again(String),
    /// The transaction can only be aborted.
    Abort {
        why: String,
        /// The producer id was lost, and aborting may mean no more than taking a new one: it does not show how the
        /// transaction ended.
        is_bump: bool,
    },
    /// Another producer took the transactional.id, or the coordinator gave the transaction up.
    Fenced(String),
    /// The client is done for.
    Broken(String),
}

/// What the result of a call means.
pub(super) fn step(result: Result<(), KafkaError>) -> Step {
    use RDKafkaErrorCode as Code;
    let error = match result {
        Ok(()) => return Step::Done,
        Err(error) => error,
    };
    let why = error.to_string();
    if let KafkaError::Flush(Code::OperationTimedOut) = error {
        return Step::Again(why);
    }
    let KafkaError::Transaction(error) = error else { return Step::Broken(why) };
    if error.is_fatal() {
        fatal(error.code(), why)
    } else if error.txn_requires_abort() {
        let is_bump = [Code::UnknownProducerId, Code::InvalidProducerIdMapping].contains(&error.code());
        Step::Abort { why, is_bump }
    } else if error.is_retriable() || error.code() == Code::OperationTimedOut {
        Step::Again(why)
    } else {
        Step::Broken(why)
    }
}

/// What a fatal error of the client means.
pub(super) fn fatal(code: RDKafkaErrorCode, why: String) -> Step {
    use RDKafkaErrorCode as Code;
    if [Code::Fenced, Code::ProducerFenced, Code::InvalidProducerEpoch].contains(&code) {
        Step::Fenced(why)
    } else {
        Step::Broken(why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_alone_says_what_a_transaction_is_for() {
        use Purpose::{Abandon, Abort, Commit};
        let mix = TransactionMix { abort_every: 3, abandon_every: 6, ..TransactionMix::default() };
        let purposes: Vec<Purpose> = (1..=7).map(|number| mix.purpose(number)).collect();
        assert_eq!(purposes, [Commit, Commit, Abort, Commit, Commit, Abandon, Commit]);
        let none = TransactionMix { abort_every: 0, abandon_every: 0, ..TransactionMix::default() };
        assert!((1..100).all(|number| none.purpose(number) == Commit));
    }

    #[test]
    fn what_cannot_be_is_said() {
        assert_eq!(TransactionMix::default().problems(), Vec::<String>::new());
        let none = TransactionMix { span: Duration::ZERO, ..TransactionMix::default() };
        let long = TransactionMix {
            span: Duration::from_secs(6),
            abandoned_for: Duration::from_secs(61),
            ..TransactionMix::default()
        };
        assert_eq!((none.problems().len(), long.problems().len()), (1, 2));
    }

    #[test]
    fn only_a_fence_is_a_fence() {
        use RDKafkaErrorCode as Code;
        let why = || "why".to_owned();
        for code in [Code::Fenced, Code::ProducerFenced, Code::InvalidProducerEpoch] {
            assert_eq!(fatal(code, why()), Step::Fenced(why()), "{code}");
        }
        for code in
            [Code::TransactionalIdAuthorizationFailed, Code::OutOfOrderSequenceNumber, Code::InvalidTransactionalState]
        {
            assert_eq!(fatal(code, why()), Step::Broken(why()), "{code}");
        }
        assert_eq!(step(Ok(())), Step::Done);
        assert!(matches!(step(Err(KafkaError::Flush(Code::OperationTimedOut))), Step::Again(_)));
        assert!(matches!(step(Err(KafkaError::Canceled)), Step::Broken(_)));
    }
}
