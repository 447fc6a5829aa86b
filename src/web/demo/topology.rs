//! Its brokers and topics.

use std::collections::BTreeMap;

use super::{HUNG, before, number, offset};
use crate::model::{
    BrokerId, LeaderEpoch, Missing, PartitionId, Reading, Timestamp, TopicConfig, TopicId, TopicName, Watermarks,
};
use crate::observe::{BrokerState, BrokerView, PartitionFlags, PartitionView, TopicView};

pub(super) fn brokers(at: Timestamp) -> BTreeMap<BrokerId, BrokerView> {
    let states = [BrokerState::Answering, BrokerState::NotAnswering(HUNG), BrokerState::Answering];
    let views = states.into_iter().zip(1..).map(|(state, id)| BrokerView {
        id: BrokerId(id),
        address: format!("kafka-{id}.prod.example:9092"),
        rack: Some(format!("rack-{}", ["a", "b", "c"][usize::try_from(id - 1).expect("positive")])),
        state,
        since: if state == BrokerState::Answering { before(at, 90_000) } else { before(at, 47) },
        leads: if id == 2 { 2 } else { 23 },
        replicas: 48,
    });
    views.map(|view| (view.id, view)).collect()
}

pub(super) const TOPICS: [&str; 12] = [
    "orders",
    "payments",
    "shipments",
    "clicks",
    "audit-log",
    "invoices",
    "emails",
    "inventory",
    "prices",
    "sessions",
    "__consumer_offsets",
    "__kustody.canary",
];

pub(super) fn ends(index: usize) -> Watermarks {
    let high = 120_000 + number(index) * 1_357;
    Watermarks {
        log_start: Reading::Read(offset(number(index) * 100)),
        last_stable: Reading::Read(offset(high)),
        high_watermark: Reading::Read(offset(high)),
    }
}

pub(super) fn topics(at: Timestamp) -> Vec<TopicView> {
    let partition = |topic: usize, index: i32| {
        let leader = (i32::try_from(topic).expect("few") + index) % 3 + 1;
        let hung = leader == 2 && topic < 4;
        let offline = topic == 4 && index == 1;
        let missing = if offline { Missing::NoLeader } else { HUNG };
        let unread = Watermarks {
            log_start: Reading::Missing(missing),
            last_stable: Reading::Missing(missing),
            high_watermark: Reading::Missing(missing),
        };
        PartitionView {
            partition: PartitionId(index),
            leader: (!offline).then_some(BrokerId(leader)),
            leader_epoch: LeaderEpoch::new(7 + index),
            replicas: if topic == 8 {
                vec![BrokerId(1)]
            } else {
                vec![BrokerId(leader), BrokerId(leader % 3 + 1), BrokerId((leader + 1) % 3 + 1)]
            },
            in_sync: if leader == 3 { vec![BrokerId(3), BrokerId(1)] } else { vec![BrokerId(leader)] },
            offline_replicas: if offline { vec![BrokerId(2)] } else { vec![] },
            flags: PartitionFlags {
                offline,
                under_replicated: topic != 8 && !hung,
                at_min_isr: leader == 3 && topic != 8,
                under_min_isr: leader == 1 && topic != 8,
                unknown: hung,
                ..PartitionFlags::default()
            },
            watermarks: if hung || offline { unread } else { ends(topic) },
            last_high_watermark: Some((offset(119_800 + number(topic)), before(at, if hung { 49 } else { 0 }))),
        }
    };
    let view = |(index, name): (usize, &&str)| TopicView {
        name: TopicName::from(*name),
        id: Some(TopicId([u8::try_from(index).expect("few"); 16])),
        internal: name.starts_with("__consumer"),
        config: match index {
            6 => Reading::Missing(Missing::TopicNotAuthorized),
            _ => Reading::Read(TopicConfig {
                min_insync_replicas: Some(if index == 5 { 1 } else { 2 }),
                unclean_leader_election: Some(index == 5),
                cleanup_policy: Some(if index == 10 { "compact" } else { "delete" }.to_owned()),
                retention_ms: Some(if index == 4 { -1 } else { 604_800_000 }),
                retention_bytes: Some(-1),
                max_message_bytes: Some(1_048_588),
                message_timestamp_type: Some("CreateTime".to_owned()),
            }),
        },
        partitions: (0..4).map(|at| (PartitionId(at), partition(index, at))).collect(),
        unknown: (index == 9).then_some(Missing::TopicNotAuthorized),
        as_of: at,
    };
    TOPICS.iter().enumerate().map(view).collect()
}
