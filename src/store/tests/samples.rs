use std::collections::BTreeMap;

use super::*;
use crate::model::{
    CommittedOffset, GroupId, GroupState, GroupType, LeaderEpoch, Missing, Offset, PartitionId, Reading, TopicConfig,
    TopicId, TopicName, TopicPartition, Watermarks,
};
use crate::observe::{
    GroupPartitionView, GroupVerdict, GroupView, Lag, PartitionFlags, PartitionView, TimeLag, TopicView,
};

fn offset(number: i64) -> Offset {
    Offset::new(number).expect("not negative")
}

fn watermarks(high: Reading<Offset>) -> Watermarks {
    Watermarks { log_start: Reading::Read(Offset::ZERO), last_stable: high, high_watermark: high }
}

const LIFE: TopicId = TopicId([7; 16]);

/// A turn `seconds` in: partition 0 of orders stands at `high`, group g has committed 40 there; partition 1 is unknown.
pub(super) fn observation(seconds: u64, high: i64) -> Observation {
    let started = T0 + Duration::from_secs(seconds);
    let unknown = Reading::Missing(Missing::NoLeader);
    let view = |partition, watermarks: Watermarks| PartitionView {
        partition: PartitionId(partition),
        leader: None,
        leader_epoch: LeaderEpoch::new(5),
        replicas: Vec::new(),
        in_sync: Vec::new(),
        offline_replicas: Vec::new(),
        flags: PartitionFlags::default(),
        watermarks,
        last_high_watermark: None,
    };
    let read = watermarks(Reading::Read(offset(high)));
    let partitions = [(PartitionId(0), view(0, read)), (PartitionId(1), view(1, watermarks(unknown)))];
    let topic = TopicView {
        name: "orders".into(),
        id: Some(LIFE),
        internal: false,
        config: Reading::Read(TopicConfig::default()),
        partitions: partitions.into_iter().collect(),
        unknown: None,
        as_of: started,
    };
    let committed = CommittedOffset { offset: offset(40), leader_epoch: LeaderEpoch::new(3) };
    let behind = u64::try_from(high - 40).expect("the commit is not ahead");
    let of_group = |partition, committed, watermarks, lag, time_lag| GroupPartitionView {
        at: TopicPartition::new("orders", partition),
        topic_id: Some(LIFE),
        committed,
        watermarks,
        lag,
        time_lag,
        owner: None,
    };
    let time_lag = TimeLag::Between { low: 1.5, high: 15.0 };
    let group = GroupView {
        group: "a\0 <group>".into(),
        group_type: GroupType::Classic,
        state: Reading::Read(GroupState::Stable),
        members: Reading::Read(Vec::new()),
        verdict: GroupVerdict::Unknown,
        lag_records: Some(behind),
        lag_records_exact: false,
        time_lag,
        partitions_unknown: 1,
        partitions_without_commit: 0,
        last_commit_seen: None,
        as_of: started,
        partitions: vec![
            of_group(0, Reading::Read(Some(committed)), read, Lag::Behind(behind), time_lag),
            of_group(
                1,
                unknown.map(|_: Offset| None),
                watermarks(unknown),
                Lag::Unknown(Missing::NoLeader),
                TimeLag::Unknown,
            ),
        ],
    };
    Observation {
        cluster: "main".into(),
        cluster_id: Reading::Read("id".to_owned()),
        started,
        finished: started + Duration::from_millis(20),
        reachable: true,
        complete: false,
        brokers: BTreeMap::new(),
        topics: BTreeMap::from([(topic.name.clone(), topic)]),
        groups: BTreeMap::from([(group.group.clone(), group)]),
        changes: Vec::new(),
        took: Duration::from_millis(20),
        requests: BTreeMap::new(),
        missing: Vec::new(),
        unknown_readings: BTreeMap::new(),
    }
}

pub(super) async fn keep(store: &Store, observation: Observation) {
    let before = store.status().history.written;
    store.offer(Turn { observation: Some(Arc::new(observation)), ..Turn::default() });
    eventually("the turn is written", async || store.status().history.written > before).await;
}

pub(super) fn lag_of(group: &str, topic: Option<&str>, partition: Option<i32>) -> HistoryQuery {
    HistoryQuery {
        cluster: "main".into(),
        series: SeriesQuery::GroupLagRecords {
            group: GroupId::from(group),
            topic: topic.map(TopicName::from),
            partition: partition.map(PartitionId),
        },
        from: T0,
        to: T0 + Duration::from_secs(86_400),
        points: 500,
    }
}

#[tokio::test]
async fn samples_are_read_as_they_were_kept_and_go_on_after_a_restart() {
    let data = tempfile::tempdir().expect("a directory");
    let store = open(data.path()).await;
    keep(&store, observation(0, 50)).await;
    keep(&store, observation(15, 60)).await;
    store.close().await;
    let store = open(data.path()).await;
    keep(&store, observation(30, 40)).await;

    for (name, topic, partition, want) in [
        ("the group", None, None, [Some(10.0), Some(20.0), Some(0.0)]),
        ("its topic", Some("orders"), None, [Some(10.0), Some(20.0), Some(0.0)]),
        ("its partition", Some("orders"), Some(0), [Some(10.0), Some(20.0), Some(0.0)]),
        ("an unknown partition is not 0", Some("orders"), Some(1), [None; 3]),
        ("another topic", Some("x"), None, [None; 3]),
    ] {
        let history = store.history(&lag_of("a\0 <group>", topic, partition)).await.expect("a read");
        assert_eq!(history.columns.first().map(|column| column.values.clone()), Some(want.to_vec()), "{name}");
        assert_eq!(history.at.first(), Some(&(T0 + Duration::from_millis(20))), "{name}");
    }
    let series = SeriesQuery::PartitionHighWatermark { topic: "orders".into(), partition: PartitionId(0) };
    let history = store.history(&HistoryQuery { series, ..lag_of("", None, None) }).await.expect("a read");
    assert_eq!(
        history.columns.first().map(|column| column.values.clone()),
        Some(vec![Some(50.0), Some(60.0), Some(40.0)])
    );
    let series = SeriesQuery::GroupLagSeconds { group: "a\0 <group>".into(), topic: None, partition: None };
    let history = store.history(&HistoryQuery { series, ..lag_of("", None, None) }).await.expect("a read");
    let seconds: Vec<_> = history.columns.iter().map(|column| column.values.first().copied().flatten()).collect();
    assert_eq!(seconds, [Some(1.5), Some(15.0)]);

    let recent =
        store.recent(&"main".into(), T0 + Duration::from_secs(10), T0 + Duration::from_secs(20)).await.expect("a read");
    assert_eq!(recent.len(), 2, "the first turn is older");
    assert_eq!(recent.first().map(|turn| turn.commits.len()), Some(0), "its commits were not asked for");
    let last = recent.last().expect("two");
    assert_eq!(last.high_watermarks.len(), 1, "the unknown partition is not there");
    let point = last.high_watermarks.first().expect("the known partition");
    assert_eq!((point.high_watermark, point.leader_epoch), (offset(40), LeaderEpoch::new(5)));
    let commit = last.commits.first().expect("the known partition");
    assert_eq!((commit.committed.offset, commit.committed.leader_epoch), (offset(40), LeaderEpoch::new(3)));
    assert_eq!((commit.topic_id, last.commits.len()), (Some(LIFE), 1));
    store.close().await;
}

#[tokio::test]
async fn a_topic_that_was_created_again_has_its_last_id() {
    let data = tempfile::tempdir().expect("a directory");
    let store = open(data.path()).await;
    keep(&store, observation(0, 50)).await;
    assert_eq!(store.last_topic_ids(&"main".into()).await.expect("a read"), vec![("orders".into(), LIFE)]);
    let again = TopicId([1; 16]);
    let mut recreated = observation(15, 60);
    for topic in recreated.topics.values_mut() {
        topic.id = Some(again);
    }
    keep(&store, recreated).await;
    assert_eq!(store.last_topic_ids(&"main".into()).await.expect("a read"), vec![("orders".into(), again)]);
    store.close().await;
}

#[tokio::test]
async fn commits_of_an_earlier_turn_are_no_sample_of_this_one() {
    let data = tempfile::tempdir().expect("a directory");
    let store = open(data.path()).await;
    keep(&store, observation(0, 50)).await;
    let mut stale = observation(15, 60);
    for group in stale.groups.values_mut() {
        group.as_of = T0;
    }
    keep(&store, stale).await;
    let history = store.history(&lag_of("a\0 <group>", None, None)).await.expect("a read");
    assert_eq!(history.columns.first().map(|column| column.values.clone()), Some(vec![Some(10.0), None]));
    store.close().await;
}

#[tokio::test]
async fn retention_deletes_what_is_old_and_nothing_else() {
    let data = tempfile::tempdir().expect("a directory");
    let store = open(data.path()).await;
    let day = 86_400;
    let mut gone = observation(0, 50);
    let (_, mut group) = gone.groups.pop_first().expect("one");
    group.group = "console-consumer-1".into();
    gone.groups.insert(group.group.clone(), group);
    keep(&store, gone).await;
    keep(&store, observation(day, 60)).await;
    let closed = crate::finding::Finding { state: FindingState::Closed, closed_at: Some(T0), ..finding("old") };
    store.offer(Turn { findings: vec![closed, finding("open")], ..Turn::default() });
    store.retain(T0 + Duration::from_secs(day + 60)).await.expect("there is room");
    assert_eq!(store.recent(&"main".into(), T0, T0).await.expect("a read").len(), 1);
    let count =
        "select (select count(*) from series where kind = 'group') as groups, (select count(*) from shape) as shapes";
    let row = sqlx::query(count).fetch_one(&store.history).await.expect("a read");
    let counts: (i64, i64) = (row.try_get("groups").expect("a count"), row.try_get("shapes").expect("a count"));
    assert_eq!(counts, (1, 1), "the group that is gone is forgotten");
    store.retain(T0 + Duration::from_secs(91 * day)).await.expect("there is room");
    assert_eq!(store.recent(&"main".into(), T0, T0).await.expect("a read").len(), 0);
    let left = store.findings_to_restore(10).await.expect("a read");
    assert_eq!(left, vec![finding("open")]);
    keep(&store, observation(91 * day, 60)).await;
    assert_eq!(store.recent(&"main".into(), T0, T0).await.expect("a read").len(), 1, "writing goes on");
    store.close().await;
}
