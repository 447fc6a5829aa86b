//! Cutting the log of a broker that does not run: what a power cut does to pages that were never written.

use std::path::PathBuf;

use super::{Cluster, Error};

/// One batch of a segment: where it begins in the file, its first offset, and the offset behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Batch {
    pub(crate) position: u64,
    pub(crate) first: i64,
    pub(crate) next: i64,
}

/// Bytes before the length of a batch ends, and the place of the last offset's delta, in the format of version 2.
const LENGTH_ENDS: usize = 12;
const LAST_OFFSET_DELTA: usize = 23;

/// The batches of a segment, up to the first that is not whole.
pub(crate) fn batches(segment: &[u8]) -> Vec<Batch> {
    let (mut found, mut at) = (Vec::new(), 0);
    while let Some(batch) = batch_at(segment, at) {
        found.push(batch.0);
        at = batch.1;
    }
    found
}

fn batch_at(segment: &[u8], at: usize) -> Option<(Batch, usize)> {
    let bytes = segment.get(at..)?;
    let first = i64::from_be_bytes(*bytes.first_chunk()?);
    let length = i32::from_be_bytes(bytes.get(8..LENGTH_ENDS)?.try_into().ok()?);
    let end = LENGTH_ENDS + usize::try_from(length).ok()?;
    let delta = i32::from_be_bytes(bytes.get(LAST_OFFSET_DELTA..LAST_OFFSET_DELTA + 4)?.try_into().ok()?);
    bytes.get(..end)?;
    let batch = Batch { position: u64::try_from(at).ok()?, first, next: first + i64::from(delta) + 1 };
    Some((batch, at + end))
}

impl Cluster {
    /// The batches of the first segment of a replica (`"orders-0"`) as they are on disk.
    pub(crate) fn batches_on_disk(&self, id: i32, partition: &str) -> Result<Vec<Batch>, Error> {
        let segment = self.first_segment(id, partition)?;
        let bytes = std::fs::read(&segment).map_err(Error::system(format!("read {}", segment.display())))?;
        Ok(batches(&bytes))
    }

    /// Cuts the first segment of a replica before the batch that begins at `offset`, while its broker does not run.
    pub(crate) fn cut_log(&mut self, id: i32, partition: &str, offset: i64) -> Result<(), Error> {
        self.broker(id)?.reap()?;
        let batches = self.batches_on_disk(id, partition)?;
        let batch = batches.iter().find(|batch| batch.first == offset);
        let batch = batch.ok_or_else(|| Error::NotYet(format!("no batch of broker {id} begins at {offset}")))?;
        let segment = self.first_segment(id, partition)?;
        let file = std::fs::OpenOptions::new().write(true).open(&segment);
        file.and_then(|file| file.set_len(batch.position)).map_err(Error::system(format!("cut {}", segment.display())))
    }

    fn first_segment(&self, id: i32, partition: &str) -> Result<PathBuf, Error> {
        Ok(self.replica(id, partition)?.join("00000000000000000000.log"))
    }
}

/// Unit tests; each target that includes this module runs them.
#[cfg(test)]
mod tests {
    use super::*;

    /// A batch as far as this module looks at it.
    fn batch(first: i64, records: i32) -> Vec<u8> {
        let mut bytes = vec![0; 61];
        bytes.splice(..8, first.to_be_bytes());
        bytes.splice(8..12, 49_i32.to_be_bytes());
        bytes.splice(23..27, (records - 1).to_be_bytes());
        bytes
    }

    #[test]
    fn batches_are_found_up_to_a_torn_one() {
        let mut segment = [batch(0, 1), batch(1, 3), batch(4, 1)].concat();
        let found = batches(&segment);
        let brief: Vec<_> = found.iter().map(|batch| (batch.position, batch.first, batch.next)).collect();
        assert_eq!(brief, [(0, 0, 1), (61, 1, 4), (122, 4, 5)]);
        segment.truncate(150);
        assert_eq!(batches(&segment).len(), 2, "the third is torn");
        assert_eq!(batches(&[]), []);
    }
}
