//! What share groups still have to hand out, by DescribeShareGroupOffsets at a group's coordinator.
//!
//! A share group commits no offset. Its members take records one by one, so how far it is behind is not the distance
//! from a commit to the high watermark: the broker counts the records that are not done with, and that count is taken.

use std::collections::BTreeMap;

use futures_util::StreamExt;
use futures_util::stream;

use super::api::describe_share_group_offsets::{DescribeShareGroupOffsets, ShareGroupOffsets};
use super::api::error;
use super::matched::{matched, texts};
use super::turn::Turn;
use crate::clock::Clock;
use crate::model::{
    BrokerId, GroupId, Offset, PartitionId, Reading, ShareOffset, Timestamp, TopicName, TopicPartition,
};

/// What a share group has left, by partition.
pub(crate) type ShareOffsets = BTreeMap<TopicPartition, Reading<ShareOffset>>;

/// For each partition the coordinator asks another one, the share coordinator: smaller requests than for commits.
const PER_REQUEST: usize = 20;
const IN_FLIGHT: usize = 4;

/// Asks a coordinator for the offsets of share groups; each comes with the time it was asked for.
pub(crate) async fn share_offsets(
    turn: &Turn<'_>,
    clock: &Clock,
    broker: BrokerId,
    groups: &[GroupId],
) -> Vec<(GroupId, Timestamp, Reading<ShareOffsets>)> {
    let mut requests = Vec::new();
    for chunk in groups.chunks(PER_REQUEST) {
        requests.push(async move {
            let request = DescribeShareGroupOffsets { ids: texts(chunk) };
            let at = clock.wall();
            let answer = turn.ask(broker, &request).await;
            let readings = matched(broker, chunk, answer, offsets).into_iter();
            readings.map(|(id, reading)| (id, at, reading)).collect::<Vec<_>>()
        });
    }
    let answers: Vec<_> = stream::iter(requests).buffered(IN_FLIGHT).collect().await;
    answers.concat()
}

fn offsets(answer: ShareGroupOffsets) -> Reading<ShareOffsets> {
    if let Some(why) = error::missing(answer.error_code) {
        return Reading::Missing(why);
    }
    let mut offsets = ShareOffsets::new();
    for (topic, partitions) in answer.topics {
        let topic = TopicName::from(topic);
        for partition in partitions {
            let reading = error::missing(partition.error_code).map_or_else(
                || {
                    let (start, lag) = (Offset::new(partition.start_offset), u64::try_from(partition.lag).ok());
                    Reading::Read(ShareOffset { start, lag })
                },
                Reading::Missing,
            );
            let at = TopicPartition { topic: topic.clone(), partition: PartitionId(partition.partition) };
            offsets.insert(at, reading);
        }
    }
    Reading::Read(offsets)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Missing;
    use crate::wire::api::describe_share_group_offsets::SharePartition;

    #[test]
    fn what_a_broker_does_not_count_is_not_zero() {
        let partition =
            |partition, start_offset, lag, error_code| SharePartition { partition, start_offset, lag, error_code };
        let partitions =
            vec![partition(0, 7, 3, 0), partition(1, 7, -1, 0), partition(2, -1, -1, 0), partition(3, 0, 0, 16)];
        let answer =
            ShareGroupOffsets { id: "s".to_owned(), error_code: 0, topics: vec![("t".to_owned(), partitions)] };
        let share = |start: Option<i64>, lag| Reading::Read(ShareOffset { start: start.and_then(Offset::new), lag });
        let want = [
            (TopicPartition::new("t", 0), share(Some(7), Some(3))),
            (TopicPartition::new("t", 1), share(Some(7), None)),
            (TopicPartition::new("t", 2), share(None, None)),
            (TopicPartition::new("t", 3), Reading::Missing(Missing::CoordinatorMoving)),
        ];
        let groups = [GroupId::from("s"), GroupId::from("unnamed")];
        let readings: Vec<_> =
            matched(BrokerId(1), &groups, Ok(vec![answer]), offsets).into_iter().map(|(_, reading)| reading).collect();
        let garbled = Reading::Missing(Missing::Garbled(BrokerId(1)));
        assert_eq!(readings, [Reading::Read(want.into_iter().collect()), garbled]);
        let refused = ShareGroupOffsets { error_code: 30, ..ShareGroupOffsets::default() };
        assert_eq!(offsets(refused), Reading::Missing(Missing::GroupNotAuthorized));
    }
}
