//! Creates the canary topic, once and only when told to. An existing topic is checked by the poll plane.

use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::CanaryError;
use super::client::{Quiet, Role, config};
use super::connection::Connection;
use crate::model::{BrokerId, TopicName};

/// The canary topic to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicPlan {
    /// Its name.
    pub topic: TopicName,
    /// The replicas of each partition, the preferred leader first.
    pub replicas: Vec<Vec<BrokerId>>,
    /// How long its records are kept.
    pub retention: Duration,
}

/// What became of the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopicMade {
    /// It exists now, by this plan. Its leaders may still have to be elected.
    Created,
    /// It existed already, however it is made.
    Existed,
}

/// Why the topic was not created.
#[derive(Debug, thiserror::Error)]
pub enum TopicError {
    /// CREATE on the topic or the cluster is to be granted.
    #[error("not authorized to create it: grant CREATE on the topic")]
    NotAuthorized,
    /// The cluster refuses such a topic, or we made no sense of the plan: asking again does not help.
    #[error("refused: {0}")]
    Refused(String),
    /// No answer; the topic may exist by now.
    #[error("no answer: {0}")]
    Unanswered(String),
    /// The connection section makes no client.
    #[error(transparent)]
    Client(#[from] CanaryError),
}

impl TopicPlan {
    /// The settings it is created with.
    fn settings(&self) -> [(&'static str, String); 4] {
        let replicas = self.replicas.iter().map(Vec::len).min().unwrap_or(0);
        [
            // Compaction would swallow canaries.
            ("cleanup.policy", "delete".to_owned()),
            ("message.timestamp.type", "CreateTime".to_owned()),
            // One replica may be down without a refusal; acks=all then still means two copies where there are three.
            ("min.insync.replicas", replicas.saturating_sub(1).max(1).to_string()),
            ("retention.ms", self.retention.as_millis().to_string()),
        ]
    }

    fn problem(&self) -> Option<&'static str> {
        if self.replicas.is_empty() {
            Some("no partition is planned")
        } else if self.replicas.iter().any(Vec::is_empty) {
            Some("a partition is planned without a replica")
        } else {
            None
        }
    }
}

/// Creates the topic by the plan and nothing else: never alters one that exists.
///
/// # Errors
/// See [`TopicError`].
pub async fn create(kafka: &Connection, plan: &TopicPlan, deadline: Duration) -> Result<TopicMade, TopicError> {
    if let Some(problem) = plan.problem() {
        return Err(TopicError::Refused(problem.to_owned()));
    }
    let client: AdminClient<Quiet> = config(kafka, Role::Admin)
        .create_with_context(Quiet("admin", kafka.tokens.clone()))
        .map_err(CanaryError::from)?;
    let settings = plan.settings();
    let replicas: Vec<Vec<i32>> =
        plan.replicas.iter().map(|replicas| replicas.iter().map(|broker| broker.0).collect()).collect();
    let assignment: Vec<&[i32]> = replicas.iter().map(Vec::as_slice).collect();
    let partitions =
        i32::try_from(assignment.len()).map_err(|_| TopicError::Refused("too many partitions".to_owned()))?;
    let mut topic = NewTopic::new(plan.topic.as_str(), partitions, TopicReplication::Variable(&assignment));
    for (name, value) in &settings {
        topic = topic.set(name, value);
    }
    let options = AdminOptions::new().request_timeout(Some(deadline)).operation_timeout(Some(deadline));
    let answer = client.create_topics([&topic], &options).await;
    // Its drop waits for a thread.
    tokio::task::spawn_blocking(move || drop(client)).await.ok();
    match answer {
        Err(KafkaError::AdminOpCreation(text)) => Err(TopicError::Refused(text)),
        Err(error) => Err(TopicError::Unanswered(error.to_string())),
        Ok(answers) => match answers.into_iter().next() {
            Some(Ok(_)) => Ok(TopicMade::Created),
            Some(Err((_, code))) => made(code),
            None => Err(TopicError::Unanswered("an answer without the topic".to_owned())),
        },
    }
}

fn made(code: RDKafkaErrorCode) -> Result<TopicMade, TopicError> {
    const UNANSWERED: [RDKafkaErrorCode; 5] = [
        RDKafkaErrorCode::RequestTimedOut,
        RDKafkaErrorCode::OperationTimedOut,
        RDKafkaErrorCode::BrokerTransportFailure,
        RDKafkaErrorCode::NotController,
        RDKafkaErrorCode::TimedOutQueue,
    ];
    if code == RDKafkaErrorCode::TopicAlreadyExists {
        Ok(TopicMade::Existed)
    } else if code == RDKafkaErrorCode::TopicAuthorizationFailed || code == RDKafkaErrorCode::ClusterAuthorizationFailed
    {
        Err(TopicError::NotAuthorized)
    } else if UNANSWERED.contains(&code) {
        Err(TopicError::Unanswered(code.to_string()))
    } else {
        Err(TopicError::Refused(code.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(replicas: &[&[i32]]) -> TopicPlan {
        TopicPlan {
            topic: "canary".into(),
            replicas: replicas.iter().map(|brokers| brokers.iter().map(|id| BrokerId(*id)).collect()).collect(),
            retention: Duration::from_secs(7_200),
        }
    }

    #[test]
    fn the_settings_are_those_a_canary_needs() {
        let settings = plan(&[&[1, 2, 3], &[2, 3, 1]]).settings();
        insta::assert_snapshot!(settings.map(|(name, value)| format!("{name}={value}")).join(" "), @"cleanup.policy=delete message.timestamp.type=CreateTime min.insync.replicas=2 retention.ms=7200000");
    }

    #[test]
    fn one_replica_is_enough_where_there_is_one() {
        let cases: [(&str, &[&[i32]], &str); 3] =
            [("one", &[&[1]], "1"), ("two", &[&[1, 2]], "1"), ("the fewest count", &[&[1, 2, 3], &[2, 3]], "1")];
        for (name, replicas, want) in cases {
            let settings = plan(replicas).settings();
            let min = settings.iter().find(|(key, _)| *key == "min.insync.replicas").map(|(_, value)| value.as_str());
            assert_eq!(min, Some(want), "{name}");
        }
    }

    #[tokio::test]
    async fn a_plan_without_sense_is_refused_unasked() {
        for senseless in [plan(&[]), plan(&[&[1], &[]])] {
            let answer = create(&Connection::default(), &senseless, Duration::from_secs(1)).await;
            assert!(matches!(answer, Err(TopicError::Refused(_))), "{answer:?}");
        }
    }

    #[test]
    fn a_topic_that_is_there_is_no_error() {
        assert!(matches!(made(RDKafkaErrorCode::TopicAlreadyExists), Ok(TopicMade::Existed)));
        assert!(matches!(made(RDKafkaErrorCode::TopicAuthorizationFailed), Err(TopicError::NotAuthorized)));
        assert!(matches!(made(RDKafkaErrorCode::RequestTimedOut), Err(TopicError::Unanswered(_))));
        assert!(matches!(made(RDKafkaErrorCode::PolicyViolation), Err(TopicError::Refused(_))));
    }
}
