//! Groups of every type that a version has: state, members, commits and lag.

use std::collections::BTreeMap;

use kustody::model::{BrokerId, ClusterSnapshot, ConsumerGroup, GroupState, GroupType, Missing, Reading};
use kustody::wire::{self, Scope};
use serde_json::Value;

use super::{member, turn_of};
use crate::apis::{share_group, streams_group};
use crate::kafka::{Client, Error, Version, until};
use crate::stage::{SOON, Stage};

/// Groups of no members, whose commits are made by hand: more than one to each coordinator.
const BY_HAND: [(&str, i64); 6] =
    [("by-hand-0", 0), ("by-hand-1", 1), ("by-hand-2", 4), ("by-hand-3", 7), ("by-hand-4", 9), ("by-hand-5", 10)];

/// Makes groups of each type there is, and holds what is read of them against what was done.
pub(super) async fn each_type_is_read(
    reader: &mut wire::Cluster,
    stage: &Stage,
    version: Version,
) -> Result<(), Error> {
    let client = &stage.client;
    for (group, offset) in BY_HAND {
        client.commit_with(group, "orders", 0, offset, Some(0), "").await?;
    }
    client.commit(BY_HAND[5].0, "orders", 1, 15).await?;
    let gone = client.consume("gone", "orders", &[])?;
    gone.until_consumed(30).await?;
    gone.stop().await;
    let live = client.consume("live", "orders", &[])?;
    live.until_consumed(30).await?;
    let mut wanted: BTreeMap<String, (GroupType, GroupState)> = BTreeMap::new();
    for group in BY_HAND.iter().map(|(group, _)| *group).chain(["gone"]) {
        wanted.insert(group.to_owned(), (GroupType::Classic, GroupState::Empty));
    }
    wanted.insert("live".to_owned(), (GroupType::Classic, GroupState::Stable));
    let mut modern = None;
    if version >= Version::V3_9 {
        modern = Some(member::join(&stage.cluster, "modern", [8, 20]).await?);
        wanted.insert("modern".to_owned(), (GroupType::Consumer, GroupState::Stable));
    }
    if version >= Version::V4_3 {
        share_group(&stage.cluster, "shared").await?;
        streams_group(&stage.cluster, "topology").await?;
        wanted.insert("shared".to_owned(), (GroupType::Share, GroupState::Stable));
        wanted.insert("topology".to_owned(), (GroupType::Streams, GroupState::Stable));
    }

    let snapshot = until("all groups are read", SOON, async || {
        let snapshot = turn_of(reader, &Scope::default()).await?;
        let read = snapshot.groups.values().filter_map(|group| {
            // A member of a streams group is reconciling until it says what it has; this one never does.
            let state = match (group.group_type, group.state.value()?) {
                (GroupType::Streams, GroupState::Reconciling) => GroupState::Stable,
                (_, state) => state,
            };
            Some((group.id.as_str().to_owned(), (group.group_type, state)))
        });
        let read: BTreeMap<_, _> = read.collect();
        if read == wanted && caught_up(client, &["gone", "live"]).await? {
            Ok(snapshot)
        } else {
            Err(Error::NotYet(format!("{read:?}")))
        }
    })
    .await?;
    members_and_coordinators(&snapshot, stage).await?;
    requests(&snapshot, version);
    let snapshot = turn_of(reader, &Scope::default()).await?;
    for group in snapshot.groups.values() {
        commits_are_the_brokers(group, client).await?;
    }
    let mut ends = [0; 2];
    for (partition, end) in (0..).zip(&mut ends) {
        *end = client.read_all("orders", partition).await?.high_watermark;
    }
    for group in wanted.keys().filter(|id| *id != "shared" && *id != "topology") {
        lag_is_the_oracles(group, ends, stage).await?;
    }
    drop(modern);
    live.stop().await;
    Ok(())
}

/// Whether these groups have committed all there is: it is done some time after the records were read.
async fn caught_up(client: &Client, groups: &[&str]) -> Result<bool, Error> {
    for group in groups {
        for (partition, end) in [(0, 10), (1, 20)] {
            if client.committed(group, "orders", partition).await?.map(|(offset, _)| offset) != Some(end) {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// Who has the partitions, and who coordinates.
async fn members_and_coordinators(snapshot: &ClusterSnapshot, stage: &Stage) -> Result<(), Error> {
    for group in snapshot.groups.values() {
        let id = group.id.as_str();
        let coordinator = stage.client.coordinator(id).await?;
        assert_eq!(group.coordinator, Some(BrokerId(coordinator)), "{id}");
        let members = group.members.as_ref().value().expect("it was described");
        let mut owned: Vec<_> = members.iter().flat_map(|member| &member.assignment).map(|at| at.partition.0).collect();
        owned.sort_unstable();
        let want: &[i32] = if group.state == Reading::Read(GroupState::Empty) { &[] } else { &[0, 1] };
        assert_eq!(owned, want, "{id}: {members:?}");
        if group.group_type != GroupType::Share {
            assert_eq!(group.share_offsets, Reading::Missing(Missing::NotAsked), "{id}");
        }
    }
    Ok(())
}

/// Before Kafka 3.0 a coordinator is asked for the commits of one group at a time, from then on for all of them at once.
fn requests(snapshot: &ClusterSnapshot, version: Version) {
    let count = snapshot.requests.get(&("OffsetFetch", "answered")).copied().unwrap_or_default();
    let groups = u64::try_from(snapshot.groups.len()).expect("few groups");
    match version {
        Version::V2_8 => assert_eq!(count, groups),
        Version::V3_9 | Version::V4_3 => assert!((1..=3).contains(&count), "{count} requests for {groups} groups"),
    }
    assert!(snapshot.requests.keys().all(|(_, outcome)| *outcome == "answered"), "{:?}", snapshot.requests);
}

/// Offsets and epochs, where the group has committed and nowhere else.
async fn commits_are_the_brokers(group: &ConsumerGroup, client: &Client) -> Result<(), Error> {
    let id = group.id.as_str();
    if group.group_type == GroupType::Share {
        assert!(group.share_offsets.as_ref().value().is_some(), "{id}");
        return Ok(());
    }
    let commits = group.commits.as_ref().value().expect("it was read");
    let mut read = BTreeMap::new();
    for (at, commit) in commits {
        let commit = commit.value().expect("it was read");
        read.insert(at.partition.0, (commit.offset.get(), commit.leader_epoch.map(|epoch| epoch.get())));
    }
    let mut said = BTreeMap::new();
    for partition in [0, 1] {
        said.extend(client.committed(id, "orders", partition).await?.map(|commit| (partition, commit)));
    }
    assert_eq!(read, said, "{id}");
    Ok(())
}

/// The daemon's lag of a group: the distance from its commits to the ends of the logs, both read past the daemon.
async fn lag_is_the_oracles(group: &str, ends: [i64; 2], stage: &Stage) -> Result<(), Error> {
    let mut want = 0;
    for (partition, end) in (0..).zip(ends) {
        let committed = stage.client.committed(group, "orders", partition).await?;
        want += committed.map_or(0, |(offset, _)| end - offset);
    }
    until(&format!("the lag of {group} is {want}"), SOON, async || {
        let view = stage.daemon.json(&format!("/clusters/main/groups/{group}")).await;
        let lag = (view["lag_records"].clone(), view["lag_records_is"].clone());
        if lag == (Value::from(want), Value::from("exact")) {
            Ok(())
        } else {
            Err(Error::NotYet(format!("{lag:?}: {view:#}")))
        }
    })
    .await
}
