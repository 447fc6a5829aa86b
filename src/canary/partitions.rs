//! Partitions that join at run time. librdkafka asks for metadata every `topic.metadata.refresh.interval.ms`, and until
//! then refuses records for a partition that it does not know: for 10 s of the rate they would all be rejected.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::producer::Producer as _;
use tokio::time::{Instant, sleep};

use super::producer::Client;
use crate::model::TopicName;

/// How long until a broker that does not know the partitions yet is asked again.
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(200);

/// Asks for metadata, which librdkafka takes over as it would its own, until the topic has so many partitions.
pub(super) async fn learn(client: Arc<Client>, topic: TopicName, count: usize, within: Duration) {
    let deadline = Instant::now() + within;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            tracing::warn!(%topic, "a producer does not know all partitions yet, records for them are rejected until it does");
            return;
        }
        let (asked, name) = (Arc::clone(&client), topic.clone());
        // It blocks its thread.
        let told = tokio::task::spawn_blocking(move || partitions(&asked, &name, left)).await;
        if told.is_ok_and(|known| known >= count) {
            return;
        }
        sleep(ASK_AGAIN_AFTER).await;
    }
}

/// How many partitions a broker names; none where it does not answer.
fn partitions(client: &Client, topic: &TopicName, within: Duration) -> usize {
    match client.client().fetch_metadata(Some(topic.as_str()), within) {
        Ok(metadata) => metadata.topics().first().map_or(0, |topic| topic.partitions().len()),
        Err(error) => {
            tracing::debug!(%error, %topic, "no metadata");
            0
        }
    }
}
