//! Notices in the shape of Alertmanager's webhook, version 4: what understands that understands these.

use std::collections::BTreeMap;
use std::sync::Arc;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde_json::Value;

use crate::alert::{Notice, NoticeStatus};
use crate::finding::Finding;

/// Elements of an array of evidence that travel; the finding's page has all of them.
const ELEMENTS: usize = 20;
/// Alertmanager's "not over".
const NOT_OVER: &str = "0001-01-01T00:00:00Z";

type Words = BTreeMap<&'static str, String>;

/// One message.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Payload {
    version: &'static str,
    group_key: String,
    truncated_alerts: u32,
    status: NoticeStatus,
    receiver: String,
    group_labels: Words,
    common_labels: Words,
    common_annotations: Words,
    #[serde(rename = "externalURL")]
    external_url: String,
    alerts: Vec<PayloadAlert>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct PayloadAlert {
    status: NoticeStatus,
    labels: Words,
    annotations: Words,
    starts_at: String,
    ends_at: String,
    #[serde(rename = "generatorURL")]
    generator_url: String,
    fingerprint: String,
    /// Not Alertmanager's: the same whenever this notice is repeated.
    notice_id: String,
}

impl Payload {
    /// One message on notices of one receiver, status, cluster and kind; nothing for no notices.
    pub(super) fn of(notices: &[Arc<Notice>], external_url: Option<&str>) -> Option<Self> {
        let first = notices.first()?;
        let external_url = external_url.unwrap_or_default().trim_end_matches('/');
        let alerts: Vec<PayloadAlert> = notices.iter().map(|notice| PayloadAlert::of(notice, external_url)).collect();
        let finding = &first.alert.finding;
        let group_labels =
            Words::from([("alertname", finding.kind.to_string()), ("cluster", finding.cluster.to_string())]);
        let pairs: Vec<String> = group_labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
        Some(Self {
            version: "4",
            group_key: format!("{{}}:{{{}}}", pairs.join(", ")),
            truncated_alerts: 0,
            status: first.status,
            receiver: first.receiver.clone(),
            group_labels,
            common_labels: common(alerts.iter().map(|alert| &alert.labels)),
            common_annotations: common(alerts.iter().map(|alert| &alert.annotations)),
            external_url: external_url.to_owned(),
            alerts,
        })
    }
}

impl PayloadAlert {
    fn of(notice: &Notice, external_url: &str) -> Self {
        let finding = &notice.alert.finding;
        let ends_at = match notice.status {
            NoticeStatus::Firing => NOT_OVER.to_owned(),
            NoticeStatus::Resolved => finding.closed_at.or(notice.alert.resolved_at).unwrap_or(notice.at).to_string(),
        };
        let generator_url = if external_url.is_empty() {
            String::new()
        } else {
            let part = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
            format!("{external_url}/clusters/{}/findings/{}", part(finding.cluster.as_str()), part(&finding.id))
        };
        Self {
            status: notice.status,
            labels: labels(finding),
            annotations: annotations(finding),
            starts_at: finding.opened_at.to_string(),
            ends_at,
            generator_url,
            fingerprint: fingerprint(&notice.alert.id),
            notice_id: notice.id.clone(),
        }
    }
}

fn labels(finding: &Finding) -> Words {
    let subject = &finding.subject;
    let mut labels = Words::from([
        ("alertname", finding.kind.to_string()),
        ("cluster", finding.cluster.to_string()),
        ("severity", finding.severity.to_string()),
        ("grade", finding.grade.to_string()),
    ]);
    let of_subject = [
        ("group", subject.group.as_ref().map(ToString::to_string)),
        ("topic", subject.topic.as_ref().map(ToString::to_string)),
        ("topic_id", subject.topic_id.map(|id| id.to_string())),
        ("partition", subject.partition.map(|partition| partition.to_string())),
        ("broker", subject.broker.map(|broker| broker.to_string())),
        ("member_id", subject.member_id.as_ref().map(ToString::to_string)),
        ("transactional_id", subject.transactional_id.clone()),
        ("canary_class", subject.canary_class.clone()),
    ];
    labels.extend(of_subject.into_iter().filter_map(|(name, value)| Some((name, value?))));
    labels
}

fn annotations(finding: &Finding) -> Words {
    let mut annotations = Words::from([
        ("summary", finding.summary.clone()),
        ("advice", finding.advice.clone()),
        ("evidence", short(&finding.evidence).to_string()),
        ("verify", finding.verify.join("\n")),
    ]);
    if let Some(count) = finding.count {
        annotations.insert("count", count.to_string());
    }
    annotations
}

/// The evidence with its long arrays cut; beside each of them its true length.
fn short(evidence: &Value) -> Value {
    let Value::Object(fields) = evidence else { return evidence.clone() };
    let mut short = serde_json::Map::new();
    for (name, value) in fields {
        if let Value::Array(elements) = value
            && elements.len() > ELEMENTS
        {
            short.insert(name.clone(), elements.iter().take(ELEMENTS).cloned().collect());
            short.insert(format!("{name}_total"), elements.len().into());
        } else {
            short.insert(name.clone(), value.clone());
        }
    }
    Value::Object(short)
}

fn common<'a>(mut all: impl Iterator<Item = &'a Words>) -> Words {
    let mut common = all.next().cloned().unwrap_or_default();
    for words in all {
        common.retain(|name, value| words.get(name) == Some(value));
    }
    common
}

/// FNV-1a of the alert's id: the same for its firing and its resolved notice.
fn fingerprint(id: &str) -> String {
    let hash = id
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::samples_for_tests::notice;

    #[test]
    fn a_notice_reads_as_alertmanager_would_write_it() {
        let firing = Arc::new(notice("f1", NoticeStatus::Firing, "ops"));
        let payload = Payload::of(&[firing], Some("https://kustody.example/")).expect("there is one notice");
        insta::assert_snapshot!(serde_json::to_string_pretty(&payload).expect("it has no odd keys"), @r##"
        {
          "version": "4",
          "groupKey": "{}:{alertname=\"canary_lost\", cluster=\"main\"}",
          "truncatedAlerts": 0,
          "status": "firing",
          "receiver": "ops",
          "groupLabels": {
            "alertname": "canary_lost",
            "cluster": "main"
          },
          "commonLabels": {
            "alertname": "canary_lost",
            "canary_class": "acks1",
            "cluster": "main",
            "grade": "proven",
            "group": "<b>\"odd\"\n\u0000 group</b>",
            "partition": "3",
            "severity": "critical",
            "topic": "orders"
          },
          "commonAnnotations": {
            "advice": "use acks=all",
            "count": "7",
            "evidence": "{\"leader_epoch\":2,\"log_end\":33,\"offset\":40}",
            "summary": "7 canary records of class acks1 were acknowledged and are not in the log of orders-3",
            "verify": "kafka-get-offsets --topic orders"
          },
          "externalURL": "https://kustody.example",
          "alerts": [
            {
              "status": "firing",
              "labels": {
                "alertname": "canary_lost",
                "canary_class": "acks1",
                "cluster": "main",
                "grade": "proven",
                "group": "<b>\"odd\"\n\u0000 group</b>",
                "partition": "3",
                "severity": "critical",
                "topic": "orders"
              },
              "annotations": {
                "advice": "use acks=all",
                "count": "7",
                "evidence": "{\"leader_epoch\":2,\"log_end\":33,\"offset\":40}",
                "summary": "7 canary records of class acks1 were acknowledged and are not in the log of orders-3",
                "verify": "kafka-get-offsets --topic orders"
              },
              "startsAt": "2026-09-21T14:13:20.000Z",
              "endsAt": "0001-01-01T00:00:00Z",
              "generatorURL": "https://kustody.example/clusters/main/findings/f1",
              "fingerprint": "08988b07b5422838",
              "noticeId": "f1/firing/ops"
            }
          ]
        }
        "##);
    }

    #[test]
    fn resolved_has_an_end_and_the_same_fingerprint() {
        let of = |status| {
            let payload = Payload::of(&[Arc::new(notice("f1", status, "ops"))], None).expect("there is one notice");
            payload.alerts.into_iter().next().expect("one")
        };
        let (firing, resolved) = (of(NoticeStatus::Firing), of(NoticeStatus::Resolved));
        assert_eq!(firing.fingerprint, resolved.fingerprint);
        assert_eq!((firing.ends_at.as_str(), resolved.ends_at.as_str()), (NOT_OVER, "2026-09-21T14:13:20.000Z"));
        assert_eq!(firing.generator_url, "", "no link without an external URL");
    }

    #[test]
    fn what_differs_is_not_common() {
        let mut other = notice("f2", NoticeStatus::Firing, "ops");
        other.alert.finding.subject.topic = Some("payments".into());
        let both = [Arc::new(notice("f1", NoticeStatus::Firing, "ops")), Arc::new(other)];
        let payload = Payload::of(&both, None).expect("there are two notices");
        assert_eq!(payload.common_labels.get("topic"), None);
        assert_eq!(payload.common_labels.get("cluster").map(String::as_str), Some("main"));
    }

    #[test]
    fn long_evidence_is_cut_and_says_so() {
        let long: Vec<u32> = (0..10_000).collect();
        let cut = short(&serde_json::json!({"lost_offsets": long, "offset": 0}));
        assert_eq!(cut.get("lost_offsets_total"), Some(&Value::from(10_000)));
        assert_eq!(cut.get("lost_offsets").and_then(Value::as_array).map(Vec::len), Some(ELEMENTS));
    }
}
