//! One request to one broker, by the `kafka-protocol` crate: an oracle that shares no code with what it judges.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::{MetadataRequest, MetadataResponse, RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Error;

/// The version of Metadata that is asked for; as every other one here, it is spoken by all brokers from 2.8 on.
pub(crate) const METADATA: i16 = 9;

/// The answer of the broker at `port` to one request on a connection of its own.
pub(crate) async fn call<R: Request>(
    name: &'static str,
    port: u16,
    version: i16,
    request: &R,
    limit: Duration,
) -> Result<R::Response, Error> {
    let codec = |error: &dyn std::fmt::Display| Error::Codec { request: name, text: error.to_string() };
    let header = RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_correlation_id(1)
        .with_client_id(Some(StrBytes::from_static_str("kustody-tests")));
    let mut frame = BytesMut::new();
    header.encode(&mut frame, R::header_version(version)).map_err(|error| codec(&error))?;
    request.encode(&mut frame, version).map_err(|error| codec(&error))?;
    let exchange = async {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.write_u32(u32::try_from(frame.len()).map_err(std::io::Error::other)?).await?;
        stream.write_all(&frame).await?;
        let length = stream.read_u32().await?;
        let mut answer = vec![0; usize::try_from(length).map_err(std::io::Error::other)?];
        stream.read_exact(&mut answer).await?;
        Ok(answer)
    };
    let what = format!("{name} to 127.0.0.1:{port}");
    let answer = tokio::time::timeout(limit, exchange)
        .await
        .unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))
        .map_err(Error::system(what))?;
    let mut answer = Bytes::from(answer);
    ResponseHeader::decode(&mut answer, R::Response::header_version(version)).map_err(|error| codec(&error))?;
    R::Response::decode(&mut answer, version).map_err(|error| codec(&error))
}

/// Nothing for error code 0, else the error by Kafka's name for it.
pub(crate) fn accepted(request: &'static str, code: i16) -> Result<(), Error> {
    match ResponseError::try_from_code(code) {
        None if code == 0 => Ok(()),
        None => Err(Error::Refused { request, code: code.to_string() }),
        Some(error) => Err(Error::Refused { request, code: format!("{error:?} ({code})") }),
    }
}

/// The ids of the brokers that the broker at `port` names in its metadata, ascending.
pub(crate) async fn brokers_named_at(port: u16) -> Result<Vec<i32>, Error> {
    let answer = no_topics(port).await?;
    let mut ids: Vec<i32> = answer.brokers.iter().map(|broker| broker.node_id.0).collect();
    ids.sort_unstable();
    Ok(ids)
}

/// The broker that takes what only the controller may do, by the metadata of the broker at `port`.
pub(crate) async fn controller_named_at(port: u16) -> Result<i32, Error> {
    match no_topics(port).await?.controller_id.0 {
        id if id >= 0 => Ok(id),
        _ => Err(Error::NotYet("the cluster has no controller".to_owned())),
    }
}

/// The id of the cluster that the broker at `port` belongs to.
pub(crate) async fn cluster_id_at(port: u16) -> Result<String, Error> {
    let id = no_topics(port).await?.cluster_id;
    id.map(|id| id.to_string()).ok_or_else(|| Error::NotYet("the cluster has no id".to_owned()))
}

async fn no_topics(port: u16) -> Result<MetadataResponse, Error> {
    let request = MetadataRequest::default().with_topics(Some(Vec::new()));
    call("Metadata", port, METADATA, &request, Duration::from_secs(2)).await
}
