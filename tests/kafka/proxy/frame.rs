//! Frames: a length of four bytes, then a request or a response.

use std::io::ErrorKind;

use kafka_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use kafka_protocol::messages::{ApiKey, ProduceRequest, ProduceResponse, RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion};
use tokio::io::{AsyncRead, AsyncReadExt};

/// The api key of Produce.
pub(crate) const PRODUCE: i16 = 0;
/// The api key of Fetch.
pub(crate) const FETCH: i16 = 1;

/// Larger than any frame a test sends; more is no Kafka.
const LARGEST: usize = 64 << 20;

/// One frame with its length before it, or nothing at the end of the stream.
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> std::io::Result<Option<Vec<u8>>> {
    let mut length = [0; 4];
    match stream.read_exact(&mut length).await {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let size = usize::try_from(i32::from_be_bytes(length)).map_err(std::io::Error::other)?;
    if size > LARGEST {
        return Err(std::io::Error::other(format!("a frame of {size} bytes")));
    }
    let mut frame = vec![0; size + 4];
    let (head, body) = frame.split_at_mut(4);
    head.copy_from_slice(&length);
    stream.read_exact(body).await?;
    Ok(Some(frame))
}

/// A request as it passes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request<'a> {
    /// The broker it goes to.
    pub(crate) broker: i32,
    pub(crate) api: i16,
    pub(crate) version: i16,
    pub(crate) correlation: i32,
    pub(crate) client: &'a str,
    /// Header and body.
    bytes: &'a [u8],
}

impl<'a> Request<'a> {
    /// The request in a frame; nothing where the header is none.
    pub(super) fn of(broker: i32, frame: &'a [u8]) -> Option<Self> {
        let bytes = frame.get(4..)?;
        let (api, rest) = short(bytes)?;
        let (version, rest) = short(rest)?;
        let (correlation, rest) = rest.split_first_chunk::<4>()?;
        let (length, rest) = short(rest)?;
        // -1: no client id.
        let client = usize::try_from(length).ok().map_or(Some(&[] as &[u8]), |length| rest.get(..length))?;
        let client = std::str::from_utf8(client).ok()?;
        Some(Self { broker, api, version, correlation: i32::from_be_bytes(*correlation), client, bytes })
    }

    /// `acks` of a Produce request.
    pub(crate) fn acks(&self) -> Option<i16> {
        self.produce().map(|produce| produce.acks)
    }

    /// The body of a Produce request.
    pub(crate) fn produce(&self) -> Option<ProduceRequest> {
        if self.api != PRODUCE {
            return None;
        }
        let mut bytes = bytes::Bytes::copy_from_slice(self.bytes);
        RequestHeader::decode(&mut bytes, ApiKey::Produce.request_header_version(self.version)).ok()?;
        ProduceRequest::decode(&mut bytes, self.version).ok()
    }

    /// The producer id of the first batch of a Produce request; none without idempotence.
    pub(crate) fn producer_id(&self) -> Option<i64> {
        let produce = self.produce()?;
        let partition = produce.topic_data.first()?.partition_data.first()?;
        // The header of a batch of version 2: the producer id stands at 43.
        let id = partition.records.as_ref()?.get(43..51)?;
        let id = i64::from_be_bytes(id.try_into().ok()?);
        (id >= 0).then_some(id)
    }

    /// A response to a Produce request that refuses every partition of it with this error.
    pub(super) fn refusal(&self, error: i16) -> Option<Vec<u8>> {
        let produce = self.produce()?;
        let responses = produce.topic_data.into_iter().map(|topic| {
            let partitions = topic.partition_data.into_iter().map(|partition| {
                let refused = PartitionProduceResponse::default().with_index(partition.index);
                refused.with_error_code(error).with_base_offset(-1)
            });
            let answer = TopicProduceResponse::default().with_name(topic.name).with_topic_id(topic.topic_id);
            answer.with_partition_responses(partitions.collect())
        });
        let response = ProduceResponse::default().with_responses(responses.collect());
        let mut frame = bytes::BytesMut::new();
        let header = ResponseHeader::default().with_correlation_id(self.correlation);
        header.encode(&mut frame, ProduceResponse::header_version(self.version)).ok()?;
        response.encode(&mut frame, self.version).ok()?;
        let length = i32::try_from(frame.len()).ok()?;
        Some([length.to_be_bytes().as_slice(), &frame].concat())
    }
}

/// The correlation id of the response in a frame.
pub(super) fn correlation_of(frame: &[u8]) -> Option<i32> {
    frame.get(4..8).and_then(|bytes| bytes.try_into().ok()).map(i32::from_be_bytes)
}

fn short(bytes: &[u8]) -> Option<(i16, &[u8])> {
    let (number, rest) = bytes.split_first_chunk::<2>()?;
    Some((i16::from_be_bytes(*number), rest))
}

/// Unit tests; each target that includes this module runs them.
#[cfg(test)]
mod tests {
    use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
    use kafka_protocol::protocol::StrBytes;

    use super::*;

    fn framed(api: i16, version: i16, client: Option<&str>, body: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(api.to_be_bytes());
        bytes.extend(version.to_be_bytes());
        bytes.extend(77_i32.to_be_bytes());
        let length = client.map_or(-1, |client| i16::try_from(client.len()).expect("short"));
        bytes.extend(length.to_be_bytes());
        bytes.extend(client.unwrap_or_default().as_bytes());
        bytes.extend(body);
        let length = i32::try_from(bytes.len()).expect("short");
        [length.to_be_bytes().as_slice(), &bytes].concat()
    }

    fn produce(version: i16, acks: i16, producer_id: i64) -> Vec<u8> {
        let mut batch = vec![0; 61];
        batch.splice(43..51, producer_id.to_be_bytes());
        let partition = PartitionProduceData::default().with_index(2).with_records(Some(batch.into()));
        let topic = TopicProduceData::default()
            .with_name(kafka_protocol::messages::TopicName(StrBytes::from_static_str("t")))
            .with_partition_data(vec![partition]);
        let request = ProduceRequest::default().with_acks(acks).with_timeout_ms(9).with_topic_data(vec![topic]);
        let mut body = bytes::BytesMut::new();
        if version >= 9 {
            // The tagged fields of a flexible header: none.
            body.extend([0]);
        }
        request.encode(&mut body, version).expect("it is encodable");
        framed(PRODUCE, version, Some("kustody-canary"), &body)
    }

    #[test]
    fn a_request_tells_who_asks_what() {
        let frame = framed(3, 12, Some("somebody"), b"...");
        let request = Request::of(2, &frame).expect("a request");
        assert_eq!((request.broker, request.api, request.version, request.correlation), (2, 3, 12, 77));
        assert_eq!((request.client, request.acks(), request.producer_id()), ("somebody", None, None));
        assert_eq!(Request::of(1, &framed(18, 0, None, b"")).map(|request| request.client), Some(""));
        for cut in 0..14 {
            let short = frame.get(..cut).expect("shorter");
            assert_eq!(Request::of(1, short), None, "{cut} bytes are no request");
        }
    }

    #[test]
    fn a_produce_request_tells_its_acks_in_every_version_that_clients_send() {
        for (version, acks, id) in [(3, 0, None), (7, 1, None), (8, -1, Some(4000)), (9, -1, None), (11, -1, Some(0))] {
            let frame = produce(version, acks, id.unwrap_or(-1));
            let request = Request::of(1, &frame).expect("a request");
            assert_eq!((request.acks(), request.producer_id()), (Some(acks), id), "version {version}");
        }
    }

    #[test]
    fn a_refusal_answers_each_partition() {
        for version in [3, 9, 11] {
            let frame = produce(version, -1, -1);
            let answer = Request::of(1, &frame).and_then(|request| request.refusal(6)).expect("an answer");
            assert_eq!(correlation_of(&answer), Some(77), "version {version}");
            let mut bytes = bytes::Bytes::copy_from_slice(answer.get(4..).expect("a body"));
            ResponseHeader::decode(&mut bytes, ProduceResponse::header_version(version)).expect("a header");
            let response = ProduceResponse::decode(&mut bytes, version).expect("a response");
            let partition = response.responses.first().and_then(|topic| topic.partition_responses.first());
            assert_eq!(partition.map(|partition| (partition.index, partition.error_code)), Some((2, 6)));
            assert!(bytes.is_empty(), "nothing is left over");
        }
    }

    #[tokio::test]
    async fn frames_are_cut_from_a_stream_wherever_it_is_cut() {
        let (first, second) = (framed(3, 1, Some("a"), b"x"), framed(0, 9, None, &[7; 300]));
        let stream = [first.clone(), second.clone()].concat();
        let (mut write, mut read_end) = tokio::io::duplex(5);
        let writer = tokio::spawn(async move {
            tokio::io::AsyncWriteExt::write_all(&mut write, &stream).await.expect("it is read");
        });
        assert_eq!(read(&mut read_end).await.expect("a frame"), Some(first));
        assert_eq!(read(&mut read_end).await.expect("a frame"), Some(second));
        assert_eq!(read(&mut read_end).await.expect("an end"), None);
        writer.await.expect("all was written");
        let mut huge: &[u8] = &[0x7f, 0xff, 0xff, 0xff, 1];
        read(&mut huge).await.expect_err("no frame is that large");
        let mut negative: &[u8] = &[0xff; 8];
        read(&mut negative).await.expect_err("no frame is negative");
    }
}
