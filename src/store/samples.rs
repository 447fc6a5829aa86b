//! Samples as bytes: what one turn says of a group's or a topic's partitions, in a few bytes each.

use std::time::Duration;

use super::StoreError;
use crate::model::{
    CommittedOffset, GroupId, LeaderEpoch, Offset, PartitionId, Reading, Timestamp, TopicId, TopicPartition,
};
use crate::observe::{GroupPartitionView, TimeLag, TopicView};

/// A high watermark as an earlier process read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecentWatermark {
    /// The partition.
    pub at: TopicPartition,
    /// The topic's id then.
    pub topic_id: Option<TopicId>,
    /// Its high watermark.
    pub high_watermark: Offset,
    /// The leader epoch by the metadata of that turn.
    pub leader_epoch: Option<LeaderEpoch>,
}

/// A commit as an earlier process read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecentCommit {
    /// The group.
    pub group: GroupId,
    /// The partition.
    pub at: TopicPartition,
    /// The topic's id then.
    pub topic_id: Option<TopicId>,
    /// What was committed.
    pub committed: CommittedOffset,
}

/// One turn of an earlier process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecentTurn {
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    pub finished: Timestamp,
    /// The high watermarks that were read in it.
    pub high_watermarks: Vec<RecentWatermark>,
    /// The commits that were read in it.
    pub commits: Vec<RecentCommit>,
}

/// One partition of a group in one turn. What was not known is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LagPoint {
    pub(crate) committed: Option<CommittedOffset>,
    pub(crate) records: Option<u64>,
    pub(crate) low_ms: Option<u64>,
    pub(crate) high_ms: Option<u64>,
}

impl LagPoint {
    pub(crate) fn of(view: &GroupPartitionView) -> Self {
        let (low_ms, high_ms) = millis(view.time_lag);
        let committed = match view.committed {
            Reading::Read(committed) => committed,
            Reading::Missing(_) => None,
        };
        Self { committed, records: view.lag.records(), low_ms, high_ms }
    }
}

/// Low and high of a time lag in milliseconds.
pub(crate) fn millis(lag: TimeLag) -> (Option<u64>, Option<u64>) {
    let whole =
        |seconds: f64| Duration::try_from_secs_f64(seconds).ok().and_then(|lag| u64::try_from(lag.as_millis()).ok());
    match lag {
        TimeLag::CaughtUp => (Some(0), Some(0)),
        TimeLag::Between { low, high } => (whole(low), whole(high)),
        TimeLag::AtLeast(low) => (whole(low), None),
        TimeLag::Unknown => (None, None),
    }
}

/// The partitions of a group, in the order of its blob: the topic's series and the index.
pub(crate) fn encode_shape(partitions: impl Iterator<Item = (i64, PartitionId)>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (topic, partition) in partitions {
        put(&mut bytes, u64::try_from(topic).unwrap_or(0));
        put(&mut bytes, u64::try_from(partition.0).unwrap_or(0));
    }
    bytes
}

pub(crate) fn decode_shape(mut bytes: &[u8]) -> Result<Vec<(i64, PartitionId)>, StoreError> {
    let mut partitions = Vec::new();
    while !bytes.is_empty() {
        partitions.push((number(&mut bytes)?, PartitionId(number(&mut bytes)?)));
    }
    Ok(partitions)
}

const COMMITTED: u8 = 1;
const EPOCH: u8 = 2;
const RECORDS: u8 = 4;
const LOW: u8 = 8;
const HIGH: u8 = 16;

pub(crate) fn encode_lag(points: impl Iterator<Item = LagPoint>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for point in points {
        let epoch = point.committed.and_then(|committed| committed.leader_epoch);
        let present = [
            (COMMITTED, point.committed.map(|committed| u64::try_from(committed.offset.get()).unwrap_or(0))),
            (EPOCH, epoch.map(|epoch| u64::try_from(epoch.get()).unwrap_or(0))),
            (RECORDS, point.records),
            (LOW, point.low_ms),
            (HIGH, point.high_ms),
        ];
        bytes.push(present.iter().filter(|(_, value)| value.is_some()).fold(0, |flags, (flag, _)| flags | flag));
        for value in present.into_iter().filter_map(|(_, value)| value) {
            put(&mut bytes, value);
        }
    }
    bytes
}

pub(crate) fn decode_lag(mut bytes: &[u8]) -> Result<Vec<LagPoint>, StoreError> {
    let mut points = Vec::new();
    while let Some((flags, rest)) = bytes.split_first() {
        bytes = rest;
        let mut field = |flag: u8| -> Result<Option<u64>, StoreError> {
            if flags & flag == 0 { Ok(None) } else { take(&mut bytes).map(Some) }
        };
        let (committed, epoch) = (field(COMMITTED)?, field(EPOCH)?);
        let (records, low_ms, high_ms) = (field(RECORDS)?, field(LOW)?, field(HIGH)?);
        let leader_epoch = epoch.and_then(|epoch| i32::try_from(epoch).ok()).and_then(LeaderEpoch::new);
        let offset = committed.and_then(|offset| i64::try_from(offset).ok()).and_then(Offset::new);
        let committed = offset.map(|offset| CommittedOffset { offset, leader_epoch });
        points.push(LagPoint { committed, records, low_ms, high_ms });
    }
    Ok(points)
}

/// The high watermarks of a topic that were read in this turn; nothing when none was.
pub(crate) fn encode_watermarks(topic: &TopicView) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    for (partition, view) in &topic.partitions {
        if let Reading::Read(high_watermark) = view.watermarks.high_watermark {
            put(&mut bytes, u64::try_from(partition.0).unwrap_or(0));
            put(&mut bytes, u64::try_from(high_watermark.get()).unwrap_or(0));
            // One more than the epoch; 0 where it is not known.
            put(&mut bytes, view.leader_epoch.map_or(0, |epoch| u64::try_from(epoch.get()).unwrap_or(0) + 1));
        }
    }
    (!bytes.is_empty()).then_some(bytes)
}

pub(crate) fn decode_watermarks(
    mut bytes: &[u8],
) -> Result<Vec<(PartitionId, Offset, Option<LeaderEpoch>)>, StoreError> {
    let mut watermarks = Vec::new();
    while !bytes.is_empty() {
        let partition = PartitionId(number(&mut bytes)?);
        let offset = Offset::new(number(&mut bytes)?).ok_or_else(unreadable)?;
        let epoch = take(&mut bytes)?.checked_sub(1).and_then(|epoch| i32::try_from(epoch).ok());
        watermarks.push((partition, offset, epoch.and_then(LeaderEpoch::new)));
    }
    Ok(watermarks)
}

fn put(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(u8::try_from(value & 0x7f).unwrap_or(0) | 0x80);
        value >>= 7;
    }
    bytes.push(u8::try_from(value).unwrap_or(0));
}

fn take(bytes: &mut &[u8]) -> Result<u64, StoreError> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first().ok_or_else(unreadable)?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(unreadable())
}

fn number<T: TryFrom<u64>>(bytes: &mut &[u8]) -> Result<T, StoreError> {
    T::try_from(take(bytes)?).map_err(|_| unreadable())
}

fn unreadable() -> StoreError {
    StoreError::Unreadable("sample is cut off or damaged".to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn point() -> impl Strategy<Value = LagPoint> {
        let committed = proptest::option::of((0_i64..=i64::MAX, proptest::option::of(0_i32..=i32::MAX)));
        let millis = || proptest::option::of(any::<u64>());
        (committed, millis(), millis(), millis()).prop_map(|(committed, records, low_ms, high_ms)| LagPoint {
            committed: committed.and_then(|(offset, epoch)| {
                let leader_epoch = epoch.and_then(LeaderEpoch::new);
                Offset::new(offset).map(|offset| CommittedOffset { offset, leader_epoch })
            }),
            records,
            low_ms,
            high_ms,
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(points in proptest::collection::vec(point(), 0..50)) {
            let bytes = encode_lag(points.iter().copied());
            prop_assert_eq!(decode_lag(&bytes).expect("our own bytes"), points);
        }

        #[test]
        fn damaged_bytes_are_an_error_or_a_value_and_never_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            drop((decode_lag(&bytes), decode_shape(&bytes), decode_watermarks(&bytes)));
        }
    }

    #[test]
    fn an_idle_partition_takes_few_bytes() {
        let committed =
            Some(CommittedOffset { offset: Offset::new(1_000_000).expect("not negative"), leader_epoch: None });
        let idle = LagPoint { committed, records: Some(0), low_ms: Some(0), high_ms: Some(0) };
        assert_eq!(encode_lag([idle].into_iter()).len(), 7);
    }

    #[test]
    fn a_shape_is_read_as_written() {
        let shape = vec![(1, PartitionId(0)), (1, PartitionId(1)), (7_000, PartitionId(0))];
        assert_eq!(decode_shape(&encode_shape(shape.iter().copied())).expect("our own bytes"), shape);
    }
}
