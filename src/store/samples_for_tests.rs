//! Values that the tests of the store and of its neighbours begin with.

use crate::alert::{Alert, AlertState, Notice, NoticeStatus};
use crate::finding::{CountIs, Finding, FindingState, Kind, Severity, Subject};
use crate::model::{PartitionId, Timestamp};

pub(crate) const T0: Timestamp = Timestamp::from_millis(1_790_000_000_000);

pub(crate) fn finding(id: &str) -> Finding {
    Finding {
        id: id.to_owned(),
        key: format!("main/canary_lost/{id}"),
        kind: Kind::CanaryLost,
        grade: Kind::CanaryLost.grade(),
        severity: Severity::Critical,
        nature: Kind::CanaryLost.nature(),
        state: FindingState::Open,
        cluster: "main".into(),
        subject: Subject {
            group: Some("<b>\"odd\"\n\0 group</b>".into()),
            topic: Some("orders".into()),
            partition: Some(PartitionId(3)),
            canary_class: Some("acks1".to_owned()),
            ..Subject::default()
        },
        count: Some(7),
        count_is: CountIs::Exact,
        opened_at: T0,
        last_seen_at: T0,
        closed_at: None,
        summary: "7 canary records of class acks1 were acknowledged and are not in the log of orders-3".to_owned(),
        advice: "use acks=all".to_owned(),
        evidence: serde_json::json!({"offset": 40, "leader_epoch": 2, "log_end": 33}),
        verify: vec!["kafka-get-offsets --topic orders".to_owned()],
    }
}

pub(crate) fn alert(id: &str, state: AlertState) -> Alert {
    Alert {
        id: id.to_owned(),
        state,
        severity: Severity::Critical,
        pending_since: T0,
        fired_at: Some(T0),
        resolved_at: (state == AlertState::Resolved).then_some(T0),
        finding: finding(id),
    }
}

pub(crate) fn notice(id: &str, status: NoticeStatus, receiver: &str) -> Notice {
    let (word, state) = match status {
        NoticeStatus::Firing => ("firing", AlertState::Firing),
        NoticeStatus::Resolved => ("resolved", AlertState::Resolved),
    };
    Notice {
        id: format!("{id}/{word}/{receiver}"),
        receiver: receiver.to_owned(),
        status,
        at: T0,
        alert: alert(id, state),
    }
}
