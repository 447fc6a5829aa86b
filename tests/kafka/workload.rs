//! Records in and out by librdkafka, and the account a test compares verdicts with: what was acknowledged, what is there.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message as _;
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer as _, ProducerContext};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::util::Timeout;

use super::client::Client;
use super::{Error, until};

/// What became of records given to a producer, each list in the order of the records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Produced {
    /// Value and offset of the records the cluster acknowledged.
    pub(crate) acked: Vec<(String, i64)>,
    /// Value and error of the others.
    pub(crate) failed: Vec<(String, String)>,
}

impl Produced {
    /// The acknowledged values that the log does not hold, in order.
    pub(crate) fn lost_from(&self, log: &Log) -> Vec<String> {
        let there: BTreeSet<String> = log.records.iter().map(Record::text).collect();
        self.acked.iter().map(|(value, _)| value).filter(|value| !there.contains(*value)).cloned().collect()
    }
}

/// One record as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) offset: i64,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
}

impl Record {
    /// The value as text; a tombstone is empty.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(self.value.as_deref().unwrap_or_default()).into_owned()
    }
}

/// One partition read from its log start offset to its high watermark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Log {
    pub(crate) log_start_offset: i64,
    pub(crate) high_watermark: i64,
    pub(crate) records: Vec<Record>,
}

/// `prefix-0`, `prefix-1`, …: values that tell records apart.
pub(crate) fn values(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{prefix}-{number}")).collect()
}

impl Client {
    /// Produces these values to one partition and returns when each was acknowledged or given up, after 20 s at most
    /// unless `settings` (librdkafka's, they win) say otherwise.
    pub(crate) async fn produce(
        &self,
        topic: &str,
        partition: i32,
        values: &[String],
        acks: &str,
        settings: &[(&str, &str)],
    ) -> Result<Produced, Error> {
        let records: Vec<_> = values.iter().map(|value| (None, Some(value.clone()))).collect();
        self.produce_keyed(topic, partition, &records, acks, settings).await
    }

    /// As [`produce`](Self::produce), with keys; a value of `None` is a tombstone.
    pub(crate) async fn produce_keyed(
        &self,
        topic: &str,
        partition: i32,
        records: &[(Option<String>, Option<String>)],
        acks: &str,
        settings: &[(&str, &str)],
    ) -> Result<Produced, Error> {
        let mut config = self.config(&[("linger.ms", "0"), ("message.timeout.ms", "20000"), ("acks", acks)]);
        config.extend(settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        let (topic, records) = (topic.to_owned(), records.to_vec());
        blocking(move || {
            let (delivered, deliveries) = mpsc::channel();
            let producer: BaseProducer<Deliveries> = config.create_with_context(Deliveries(delivered))?;
            for (index, (key, value)) in records.iter().enumerate() {
                let mut record = BaseRecord::<str, str, Box<usize>>::with_opaque_to(&topic, Box::new(index));
                record.partition = Some(partition);
                record.key = key.as_deref();
                record.payload = value.as_deref();
                while let Err((error, refused)) = producer.send(record) {
                    if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
                        return Err(error.into());
                    }
                    record = refused;
                    producer.poll(Duration::from_millis(50));
                }
                producer.poll(Duration::ZERO);
            }
            // Ends, because each record has a message.timeout.ms.
            producer.flush(Timeout::Never)?;
            let mut outcomes: Vec<(usize, Result<i64, String>)> = deliveries.try_iter().collect();
            outcomes.sort_unstable_by_key(|(index, _)| *index);
            let mut produced = Produced::default();
            for (index, outcome) in outcomes {
                let value = records.get(index).and_then(|(_, value)| value.clone()).unwrap_or_default();
                match outcome {
                    Ok(offset) => produced.acked.push((value, offset)),
                    Err(error) => produced.failed.push((value, error)),
                }
            }
            Ok(produced)
        })
        .await
    }

    /// Reads one partition whole, aborted and open transactions included.
    pub(crate) async fn read_all(&self, topic: &str, partition: i32) -> Result<Log, Error> {
        self.read_all_with(topic, partition, &[("isolation.level", "read_uncommitted")]).await
    }

    /// Reads one partition whole with these settings of librdkafka.
    pub(crate) async fn read_all_with(
        &self,
        topic: &str,
        partition: i32,
        settings: &[(&str, &str)],
    ) -> Result<Log, Error> {
        let mut config = self.config(&[
            // librdkafka wants a group for every consumer; one that neither joins nor commits leaves no trace.
            ("group.id", "kustody-tests-reader"),
            ("enable.auto.commit", "false"),
            ("enable.partition.eof", "true"),
            ("fetch.wait.max.ms", "50"),
        ]);
        config.extend(settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        let topic = topic.to_owned();
        blocking(move || {
            let consumer: BaseConsumer = config.create()?;
            let mut from_start = TopicPartitionList::new();
            from_start.add_partition_offset(&topic, partition, Offset::Beginning)?;
            consumer.assign(&from_start)?;
            let mut records = Vec::new();
            let mut silent_polls = 0;
            loop {
                match consumer.poll(Duration::from_millis(500)) {
                    Some(Ok(message)) => records.push(Record {
                        offset: message.offset(),
                        key: message.key().map(<[u8]>::to_vec),
                        value: message.payload().map(<[u8]>::to_vec),
                    }),
                    Some(Err(KafkaError::PartitionEOF(_))) => break,
                    // Errors of single brokers: librdkafka tries on.
                    Some(Err(_)) | None => silent_polls += 1,
                }
                if silent_polls > 60 {
                    return Err(Error::NotYet(format!(
                        "{topic}-{partition} gave {} records and no end",
                        records.len()
                    )));
                }
            }
            let (log_start_offset, high_watermark) =
                consumer.fetch_watermarks(&topic, partition, Duration::from_secs(10))?;
            Ok(Log { log_start_offset, high_watermark, records })
        })
        .await
    }

    /// Starts a consumer that is a member of `group`, reads from the start where nothing is committed, and commits what
    /// it has read every 200 ms unless `settings` say otherwise.
    pub(crate) fn consume(&self, group: &str, topic: &str, settings: &[(&str, &str)]) -> Result<Consumer, Error> {
        let mut config = self.config(&[
            ("group.id", group),
            ("auto.offset.reset", "earliest"),
            ("auto.commit.interval.ms", "200"),
            ("fetch.wait.max.ms", "50"),
        ]);
        config.extend(settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        let consumer: BaseConsumer = config.create()?;
        consumer.subscribe(&[topic])?;
        let shared = Arc::new(Shared::default());
        let task = tokio::task::spawn_blocking({
            let shared = Arc::clone(&shared);
            move || consume(&consumer, &shared)
        });
        Ok(Consumer { shared, task: Some(task) })
    }

    fn config(&self, settings: &[(&str, &str)]) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.bootstrap()).set("log_level", "0");
        config.extend(settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        config
    }
}

/// A member of a group that reads until it is told to stop; dropping it tells it so.
pub(crate) struct Consumer {
    shared: Arc<Shared>,
    task: Option<tokio::task::JoinHandle<Vec<(i32, Record)>>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    delay_ms: AtomicU64,
    consumed: AtomicUsize,
}

impl Consumer {
    /// Records read so far.
    pub(crate) fn consumed(&self) -> usize {
        self.shared.consumed.load(Ordering::Relaxed)
    }

    /// Waits until so many records were read.
    pub(crate) async fn until_consumed(&self, count: usize) -> Result<(), Error> {
        until(&format!("{count} records are read"), Duration::from_secs(60), async || match self.consumed() {
            consumed if consumed >= count => Ok(()),
            consumed => Err(Error::NotYet(consumed.to_string())),
        })
        .await
    }

    /// From now on waits so long after each record, as slow work would; a long delay is a consumer that hangs while its
    /// heartbeats go on.
    pub(crate) fn delay(&self, delay: Duration) {
        let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        self.shared.delay_ms.store(delay_ms, Ordering::Relaxed);
    }

    /// Commits, leaves the group, and returns what was read: partition and record, in order.
    pub(crate) async fn stop(mut self) -> Vec<(i32, Record)> {
        self.shared.stop.store(true, Ordering::Relaxed);
        let task = self.task.take().expect("stop consumes the consumer, so the task is still there");
        task.await.expect("the consumer's loop does not panic")
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        // The runtime waits for blocking tasks at its end.
        self.shared.stop.store(true, Ordering::Relaxed);
    }
}

fn consume(consumer: &BaseConsumer, shared: &Shared) -> Vec<(i32, Record)> {
    let mut records = Vec::new();
    let stopped = || shared.stop.load(Ordering::Relaxed);
    while !stopped() {
        let Some(Ok(message)) = consumer.poll(Duration::from_millis(50)) else { continue };
        let record = Record {
            offset: message.offset(),
            key: message.key().map(<[u8]>::to_vec),
            value: message.payload().map(<[u8]>::to_vec),
        };
        records.push((message.partition(), record));
        shared.consumed.store(records.len(), Ordering::Relaxed);
        let mut waited_ms = 0;
        while waited_ms < shared.delay_ms.load(Ordering::Relaxed) && !stopped() {
            std::thread::sleep(Duration::from_millis(10));
            waited_ms += 10;
        }
    }
    records
}

/// Hands every delivery report on, with the number of the record.
struct Deliveries(mpsc::Sender<(usize, Result<i64, String>)>);

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Box<usize>;

    fn delivery(&self, result: &DeliveryResult<'_>, index: Box<usize>) {
        let outcome = match result {
            Ok(message) => Ok(message.offset()),
            Err((error, _)) => Err(error.to_string()),
        };
        // Nobody listens any more when `produce` ended early with an error of its own.
        self.0.send((*index, outcome)).ok();
    }
}

/// librdkafka's blocking calls, on a thread that may block.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    }
}
