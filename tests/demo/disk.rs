//! What a broker has on its disk: the last word on what was lost, and none of the daemon's.

use anyhow::Context as _;

use crate::kafka::Cluster;

/// Offset and value of each record of one replica (`"orders-0"`), in order. An error while the broker is just writing.
pub(crate) fn records(cluster: &Cluster, broker: i32, partition: &str) -> anyhow::Result<Vec<(i64, Vec<u8>)>> {
    let log = cluster.log(broker)?;
    let directory = log.parent().context("a log lies in a directory")?.join("log").join(partition);
    let mut records = Vec::new();
    for segment in std::fs::read_dir(&directory).with_context(|| directory.display().to_string())? {
        let path = segment?.path();
        if path.extension().is_none_or(|extension| extension != "log") {
            continue;
        }
        let mut bytes = bytes::Bytes::from(std::fs::read(&path)?);
        let batches = kafka_protocol::records::RecordBatchDecoder::decode_all(&mut bytes)?;
        for record in batches.into_iter().flat_map(|batch| batch.records) {
            records.push((record.offset, record.value.map(|value| value.to_vec()).unwrap_or_default()));
        }
    }
    records.sort();
    Ok(records)
}

/// The offset after the last record of one replica.
pub(crate) fn end(cluster: &Cluster, broker: i32, partition: &str) -> anyhow::Result<i64> {
    Ok(records(cluster, broker, partition)?.last().map_or(0, |(offset, _)| offset + 1))
}
