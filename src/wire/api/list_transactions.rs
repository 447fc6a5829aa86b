//! ListTransactions: the transactional ids that one broker coordinates.

use std::ops::RangeInclusive;

use super::Request;
use crate::wire::codec::{Malformed, Reader, Writer};

/// Asks for transactions in any of these states; all of them when none is named.
#[derive(Clone, Debug)]
pub(crate) struct ListTransactions {
    pub(crate) states: &'static [&'static str],
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Transactions {
    pub(crate) error_code: i16,
    pub(crate) transactions: Vec<ListedTransaction>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ListedTransaction {
    pub(crate) id: String,
    pub(crate) producer_id: i64,
    pub(crate) state: String,
}

impl Request for ListTransactions {
    const KEY: i16 = 66;
    const NAME: &'static str = "ListTransactions";
    const VERSIONS: RangeInclusive<i16> = 0..=2;
    const FLEXIBLE_FROM: i16 = 0;
    type Response = Transactions;

    fn write(&self, version: i16, to: &mut Writer) {
        to.array(self.states, |to, state| to.string(state));
        to.array(&[], |to, producer_id| to.i64(*producer_id));
        if version >= 1 {
            to.i64(-1); // duration_filter
        }
        if version >= 2 {
            to.nullable_string(None); // transactional_id_pattern
        }
        to.tags();
    }

    fn read(_version: i16, from: &mut Reader<'_>) -> Result<Transactions, Malformed> {
        from.i32()?; // throttle_time_ms
        let error_code = from.i16()?;
        from.array(1, Reader::skip_string)?; // unknown_state_filters
        let transactions = from.array(11, |from| {
            let transaction = ListedTransaction { id: from.string()?, producer_id: from.i64()?, state: from.string()? };
            from.tags()?;
            Ok(transaction)
        })?;
        from.tags()?;
        Ok(Transactions { error_code, transactions })
    }
}
