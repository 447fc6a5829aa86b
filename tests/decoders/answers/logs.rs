//! Logs: their ends, their epochs, their disks.

use kafka_protocol::messages as theirs;
use kafka_protocol::messages::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use kafka_protocol::messages::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use kafka_protocol::messages::offset_for_leader_epoch_response::{EpochEndOffset, OffsetForLeaderTopicResult};

use super::topic;
use crate::dice::Dice;
use crate::text;
use crate::wire::api::ByTopic;
use crate::wire::api::describe_log_dirs::{Dir, DirReplica, LogDirs};
use crate::wire::api::list_offsets::ListedOffset;
use crate::wire::api::offset_for_leader_epoch::EpochAnswer;

pub(crate) fn list_offsets(dice: &mut Dice) -> (theirs::ListOffsetsResponse, ByTopic<ListedOffset>) {
    let (their_topics, topics) = dice.lists(|dice| {
        let name = dice.text();
        let (their_partitions, offsets) = dice.lists(|dice| {
            let listed = ListedOffset { partition: dice.i32(), error_code: dice.i16(), offset: dice.i64() };
            let theirs = ListOffsetsPartitionResponse::default()
                .with_partition_index(listed.partition)
                .with_error_code(listed.error_code)
                .with_timestamp(dice.i64())
                .with_offset(listed.offset)
                .with_leader_epoch(dice.since_or(4, -1, Dice::i32))
                .with_unknown_tagged_fields(dice.tags());
            (theirs, listed)
        });
        let theirs = ListOffsetsTopicResponse::default().with_name(topic(&name)).with_partitions(their_partitions);
        (theirs.with_unknown_tagged_fields(dice.tags()), (name, offsets))
    });
    let answer = theirs::ListOffsetsResponse::default().with_throttle_time_ms(dice.since(2, Dice::i32));
    (answer.with_topics(their_topics).with_unknown_tagged_fields(dice.tags()), topics)
}

pub(crate) fn offset_for_leader_epoch(dice: &mut Dice) -> (theirs::OffsetForLeaderEpochResponse, ByTopic<EpochAnswer>) {
    let (their_topics, topics) = dice.lists(|dice| {
        let name = dice.text();
        let (their_partitions, answers) = dice.lists(|dice| {
            let answer = EpochAnswer {
                error_code: dice.i16(),
                partition: dice.i32(),
                leader_epoch: dice.i32(),
                end_offset: dice.i64(),
            };
            let theirs = EpochEndOffset::default()
                .with_error_code(answer.error_code)
                .with_partition(answer.partition)
                .with_leader_epoch(answer.leader_epoch)
                .with_end_offset(answer.end_offset)
                .with_unknown_tagged_fields(dice.tags());
            (theirs, answer)
        });
        let theirs = OffsetForLeaderTopicResult::default().with_topic(topic(&name)).with_partitions(their_partitions);
        (theirs.with_unknown_tagged_fields(dice.tags()), (name, answers))
    });
    let answer = theirs::OffsetForLeaderEpochResponse::default().with_throttle_time_ms(dice.i32());
    (answer.with_topics(their_topics).with_unknown_tagged_fields(dice.tags()), topics)
}

pub(crate) fn describe_log_dirs(dice: &mut Dice) -> (theirs::DescribeLogDirsResponse, LogDirs) {
    let (results, dirs) = dice.lists(|dice| {
        let (their_topics, topics) = dice.lists(|dice| {
            let name = dice.text();
            let (their_partitions, replicas) = dice.lists(|dice| {
                let replica =
                    DirReplica { partition: dice.i32(), size: dice.i64(), offset_lag: dice.i64(), future: dice.bool() };
                let theirs = DescribeLogDirsPartition::default()
                    .with_partition_index(replica.partition)
                    .with_partition_size(replica.size)
                    .with_offset_lag(replica.offset_lag)
                    .with_is_future_key(replica.future)
                    .with_unknown_tagged_fields(dice.tags());
                (theirs, replica)
            });
            let theirs = DescribeLogDirsTopic::default().with_name(topic(&name)).with_partitions(their_partitions);
            (theirs.with_unknown_tagged_fields(dice.tags()), (name, replicas))
        });
        let dir = Dir {
            error_code: dice.i16(),
            path: dice.text(),
            topics,
            total_bytes: dice.since_or(4, -1, Dice::i64),
            usable_bytes: dice.since_or(4, -1, Dice::i64),
            cordoned: false,
        };
        let theirs = DescribeLogDirsResult::default()
            .with_error_code(dir.error_code)
            .with_log_dir(text(&dir.path))
            .with_topics(their_topics)
            .with_total_bytes(dir.total_bytes)
            .with_usable_bytes(dir.usable_bytes)
            .with_unknown_tagged_fields(dice.tags());
        (theirs, dir)
    });
    let error_code = dice.since(3, Dice::i16);
    let answer = theirs::DescribeLogDirsResponse::default()
        .with_throttle_time_ms(dice.i32())
        .with_error_code(error_code)
        .with_results(results)
        .with_unknown_tagged_fields(dice.tags());
    (answer, LogDirs { error_code, dirs })
}
