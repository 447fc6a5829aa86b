//! OffsetFetch: what groups committed.

use std::ops::RangeInclusive;

use super::Request;
use crate::wire::codec::{Malformed, Reader, Writer};

/// Asks for all commits of groups, without waiting for transactions in flight (`require_stable` false: a commit that
/// a transaction may still change is not the committed offset yet).
#[derive(Clone, Debug)]
pub(crate) struct OffsetFetch {
    /// One id before version 8; the first is asked for then.
    pub(crate) ids: Vec<String>,
}

/// The first version that asks for many groups in one request (KIP-709).
pub(crate) const MANY_GROUPS_FROM: i16 = 8;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct GroupCommits {
    /// Empty before version 8.
    pub(crate) id: String,
    pub(crate) error_code: i16,
    pub(crate) topics: Vec<(Topic, Vec<Commit>)>,
}

/// A topic as the answer names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Topic {
    Name(String),
    /// From version 10 on: the topic that was committed for, not a later one of its name.
    Id([u8; 16]),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Commit {
    pub(crate) partition: i32,
    /// -1 for none.
    pub(crate) offset: i64,
    /// -1 when the client sent none, and before version 5.
    pub(crate) leader_epoch: i32,
    pub(crate) error_code: i16,
}

impl Request for OffsetFetch {
    const KEY: i16 = 9;
    const NAME: &'static str = "OffsetFetch";
    const VERSIONS: RangeInclusive<i16> = 2..=10;
    const FLEXIBLE_FROM: i16 = 6;
    const THROTTLE_FROM: Option<i16> = Some(3);
    type Response = Vec<GroupCommits>;

    fn write(&self, version: i16, to: &mut Writer) {
        if version >= MANY_GROUPS_FROM {
            to.array(&self.ids, |to, id| {
                to.string(id);
                if version >= 9 {
                    // No member: what an admin client sends.
                    to.nullable_string(None);
                    to.i32(-1);
                }
                to.null_array(); // all topics
                to.tags();
            });
        } else {
            to.string(self.ids.first().map_or("", String::as_str));
            to.null_array(); // all topics
        }
        if version >= 7 {
            to.bool(false); // require_stable
        }
        to.tags();
    }

    fn read(version: i16, from: &mut Reader<'_>) -> Result<Vec<GroupCommits>, Malformed> {
        if version >= 3 {
            from.i32()?; // throttle_time_ms
        }
        let groups = if version >= MANY_GROUPS_FROM {
            from.array(5, |from| {
                let id = from.string()?;
                let topics = topics(version, from)?;
                let error_code = from.i16()?;
                from.tags()?;
                Ok(GroupCommits { id, error_code, topics })
            })?
        } else {
            let topics = topics(version, from)?;
            let error_code = from.i16()?;
            from.alone(GroupCommits { id: String::new(), error_code, topics })?
        };
        from.tags()?;
        Ok(groups)
    }
}

fn topics(version: i16, from: &mut Reader<'_>) -> Result<Vec<(Topic, Vec<Commit>)>, Malformed> {
    from.array(2, |from| {
        let topic = if version >= 10 { Topic::Id(from.uuid()?) } else { Topic::Name(from.string()?) };
        let commits = from.array(15, |from| {
            let partition = from.i32()?;
            let offset = from.i64()?;
            let leader_epoch = if version >= 5 { from.i32()? } else { -1 };
            from.skip_string()?; // metadata: the client's own
            let error_code = from.i16()?;
            from.tags()?;
            Ok(Commit { partition, offset, leader_epoch, error_code })
        })?;
        from.tags()?;
        Ok((topic, commits))
    })
}
