//! DescribeTransactions: a transaction's state, age and partitions.

use std::ops::RangeInclusive;

use super::{ByTopic, Request};
use crate::wire::codec::{Malformed, Reader, Writer};

/// Asks the coordinator of transactional ids about them.
#[derive(Clone, Debug)]
pub(crate) struct DescribeTransactions {
    pub(crate) ids: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct DescribedTransaction {
    pub(crate) error_code: i16,
    pub(crate) id: String,
    pub(crate) state: String,
    pub(crate) timeout_ms: i32,
    /// Unix milliseconds; -1 when none is open.
    pub(crate) started: i64,
    pub(crate) producer_id: i64,
    pub(crate) producer_epoch: i16,
    pub(crate) topics: ByTopic<i32>,
}

impl Request for DescribeTransactions {
    const KEY: i16 = 65;
    const NAME: &'static str = "DescribeTransactions";
    const VERSIONS: RangeInclusive<i16> = 0..=0;
    const FLEXIBLE_FROM: i16 = 0;
    type Response = Vec<DescribedTransaction>;

    fn write(&self, _version: i16, to: &mut Writer) {
        to.array(&self.ids, |to, id| to.string(id));
        to.tags();
    }

    fn read(_version: i16, from: &mut Reader<'_>) -> Result<Self::Response, Malformed> {
        from.i32()?; // throttle_time_ms
        let transactions = from.array(28, |from| {
            let transaction = DescribedTransaction {
                error_code: from.i16()?,
                id: from.string()?,
                state: from.string()?,
                timeout_ms: from.i32()?,
                started: from.i64()?,
                producer_id: from.i64()?,
                producer_epoch: from.i16()?,
                topics: from.array(3, |from| {
                    let topic = (from.string()?, from.i32s()?);
                    from.tags()?;
                    Ok(topic)
                })?,
            };
            from.tags()?;
            Ok(transaction)
        })?;
        from.tags()?;
        Ok(transactions)
    }
}
