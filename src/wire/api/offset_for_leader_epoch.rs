//! OffsetForLeaderEpoch: where a leader epoch ends in the leader's log.

use std::ops::RangeInclusive;

use super::{ByTopic, Request};
use crate::wire::codec::{Malformed, Reader, Writer};

/// Asks a leader for the ends of epochs. An answer does not repeat the epoch it was asked for, so a partition is asked
/// for one epoch in each request.
#[derive(Clone, Debug)]
pub(crate) struct OffsetForLeaderEpoch {
    pub(crate) topics: ByTopic<EpochQuestion>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EpochQuestion {
    pub(crate) partition: i32,
    /// The leader's own epoch, as we know it: a leader of another epoch refuses.
    pub(crate) current: i32,
    /// The epoch whose end is wanted.
    pub(crate) epoch: i32,
}

/// One partition's answer; -1 and -1 prove nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct EpochAnswer {
    pub(crate) error_code: i16,
    pub(crate) partition: i32,
    pub(crate) leader_epoch: i32,
    pub(crate) end_offset: i64,
}

impl Request for OffsetForLeaderEpoch {
    const KEY: i16 = 23;
    const NAME: &'static str = "OffsetForLeaderEpoch";
    const VERSIONS: RangeInclusive<i16> = 2..=4;
    const FLEXIBLE_FROM: i16 = 4;
    type Response = ByTopic<EpochAnswer>;

    fn write(&self, version: i16, to: &mut Writer) {
        if version >= 3 {
            // "-1 if this request is from a consumer" (KIP-320).
            to.i32(-1);
        }
        to.array(&self.topics, |to, (name, questions)| {
            to.string(name);
            to.array(questions, |to, question| {
                to.i32(question.partition);
                to.i32(question.current);
                to.i32(question.epoch);
                to.tags();
            });
            to.tags();
        });
        to.tags();
    }

    fn read(_version: i16, from: &mut Reader<'_>) -> Result<Self::Response, Malformed> {
        from.i32()?; // throttle_time_ms
        let topics = from.array(2, |from| {
            let name = from.string()?;
            let answers = from.array(18, |from| {
                let answer = EpochAnswer {
                    error_code: from.i16()?,
                    partition: from.i32()?,
                    leader_epoch: from.i32()?,
                    end_offset: from.i64()?,
                };
                from.tags()?;
                Ok(answer)
            })?;
            from.tags()?;
            Ok((name, answers))
        })?;
        from.tags()?;
        Ok(topics)
    }
}
