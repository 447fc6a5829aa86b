//! Frames recorded from a real broker: the oracle for what `kafka-protocol` does not know.
//!
//! `tests/it/apis.rs` reads the same from the brokers it starts, and writes these files when it is told a directory by
//! `RECORD_FRAMES`.

use std::path::Path;

use bytes::Bytes;

use super::corpus::bytes;
use super::decoders::decoders;
use super::samples::Sample;

/// One request of ours and what a broker answered.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) api: String,
    pub(crate) version: i16,
    /// What follows the length prefix.
    pub(crate) request: Vec<u8>,
    /// What follows the correlation id.
    pub(crate) response: Vec<u8>,
}

impl Frame {
    pub(crate) fn sample(&self) -> Sample {
        let decoder = decoders().into_iter().find(|decoder| decoder.name == self.api).expect("it is one of ours");
        Sample { key: decoder.key, version: self.version, bytes: Bytes::from(self.response.clone()) }
    }
}

/// All that were recorded, by API and version.
pub(crate) fn recorded() -> Vec<Frame> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/frames");
    let mut frames = Vec::new();
    for entry in std::fs::read_dir(&root).expect("the frames are there") {
        let path = entry.expect("a file").path();
        let name = path.file_name().expect("it has one").to_string_lossy().into_owned();
        let (api, version) = name.rsplit_once('.').expect("API.VERSION");
        let text = std::fs::read_to_string(&path).expect("it is text");
        let field = |wanted: &str| {
            let lines = text.lines().filter_map(|line| line.split_once(": "));
            bytes(lines.filter(|(field, _)| *field == wanted).map(|(_, digits)| digits).next().expect("the field"))
        };
        frames.push(Frame {
            api: api.to_owned(),
            version: version.parse().expect("a number"),
            request: field("request"),
            response: field("response"),
        });
    }
    frames.sort_by(|a, b| (&a.api, a.version).cmp(&(&b.api, b.version)));
    frames
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use super::*;
    use crate::wire::api::describe_groups::DescribedMember;
    use crate::wire::api::describe_log_dirs::DescribeLogDirs;
    use crate::wire::api::describe_share_group_offsets::{
        DescribeShareGroupOffsets, ShareGroupOffsets, SharePartition,
    };
    use crate::wire::api::list_offsets::{ListOffsets, ListedOffset, LogEnd};
    use crate::wire::api::offset_fetch::{Commit, OffsetFetch, Topic};
    use crate::wire::api::streams_group_describe::{
        StreamsDescribed, StreamsGroupDescribe, StreamsMember, Subtopology,
    };
    use crate::wire::api::{Request, frame, response};

    /// What we read of the answer that was recorded. What we would have sent is what was sent, byte for byte.
    fn read<R: Request<Response: Debug>>(request: &R, version: i16) -> R::Response {
        let recorded = recorded();
        let recorded = recorded.iter().find(|frame| frame.api == R::NAME && frame.version == version);
        let recorded = recorded.expect("it was recorded");
        let ours = frame(request, version, 1, "kustody").expect("it is short");
        assert_eq!(ours.get(4..), Some(recorded.request.as_slice()), "{} {version}", R::NAME);
        response::<R>(version, &recorded.response).expect("a real answer")
    }

    fn ids(id: &str) -> Vec<String> {
        vec![id.to_owned()]
    }

    #[test]
    fn a_share_group_is_as_far_as_the_broker_counted() {
        let groups = read(&DescribeShareGroupOffsets { ids: ids("shared") }, 1);
        // Ten records taken, 0 to 2 and 5 done with; nothing was taken of the other partition.
        let partition = |partition, start_offset, lag| SharePartition { partition, start_offset, lag, error_code: 0 };
        let [ShareGroupOffsets { id, error_code: 0, topics }] = groups.as_slice() else { panic!("{groups:?}") };
        let [(topic, partitions)] = topics.as_slice() else { panic!("{topics:?}") };
        assert_eq!((id.as_str(), topic.as_str()), ("shared", "orders"));
        let mut partitions = partitions.clone();
        partitions.sort_unstable_by_key(|partition| partition.partition);
        assert_eq!(partitions, [partition(0, 3, 6), partition(1, -1, -1)]);
    }

    #[test]
    fn a_streams_group_has_tasks_of_its_subtopology() {
        let groups = read(&StreamsGroupDescribe { ids: ids("topology") }, 0);
        let [group] = groups.as_slice() else { panic!("{groups:?}") };
        let StreamsDescribed { error_code: 0, id, subtopologies, members, .. } = group else { panic!("{group:?}") };
        assert_eq!(id, "topology");
        let source_topics = vec!["orders".to_owned()];
        assert_eq!(*subtopologies, [Subtopology { id: "0".to_owned(), source_topics, repartition_topics: Vec::new() }]);
        let [StreamsMember { member, tasks }] = members.as_slice() else { panic!("{members:?}") };
        let DescribedMember { id, assignment, .. } = member;
        assert_eq!((id.as_str(), assignment.len()), ("streams-member-1", 0));
        assert_eq!(*tasks, [("0".to_owned(), vec![0, 1])]);
    }

    #[test]
    fn a_commit_is_of_a_topic_by_its_id() {
        let groups = read(&OffsetFetch { ids: ids("by-hand") }, 10);
        let [group] = groups.as_slice() else { panic!("{groups:?}") };
        let [(Topic::Id(id), commits)] = group.topics.as_slice() else { panic!("{group:?}") };
        assert_ne!(*id, [0; 16]);
        assert_eq!(*commits, [Commit { partition: 0, offset: 4, leader_epoch: -1, error_code: 0 }]);
        assert_eq!((group.id.as_str(), group.error_code), ("by-hand", 0));
    }

    #[test]
    fn the_newest_list_offsets_tells_the_high_watermark() {
        let topics = vec![("orders".to_owned(), vec![(0, -1)])];
        let answer = read(&ListOffsets { end: LogEnd::HighWatermark, timeout_ms: 900, topics }, 11);
        let want = ListedOffset { partition: 0, error_code: 0, offset: 10 };
        assert_eq!(answer, [("orders".to_owned(), vec![want])]);
    }

    #[test]
    fn the_newest_log_directories_say_whether_they_are_cordoned() {
        let answer = read(&DescribeLogDirs, 5);
        let [dir] = answer.dirs.as_slice() else { panic!("{answer:?}") };
        assert_eq!((answer.error_code, dir.error_code, dir.cordoned), (0, 0, false));
        assert!(dir.total_bytes > dir.usable_bytes && dir.usable_bytes > 0, "{dir:?}");
        let (_, orders) = dir.topics.iter().find(|(topic, _)| topic == "orders").expect("it is there");
        let mut told: Vec<_> =
            orders.iter().map(|one| (one.partition, one.size > 0, one.offset_lag, one.future)).collect();
        told.sort_unstable();
        assert_eq!(told, [(0, true, 0, false), (1, false, 0, false)]);
    }
}
