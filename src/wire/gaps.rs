//! What a turn could not read, part by part.

use std::collections::BTreeSet;

use crate::model::{BrokerId, Missing, MissingPart, Part};

/// The missing parts of one turn, each once.
#[derive(Debug, Default)]
pub(crate) struct Gaps(BTreeSet<MissingPart>);

impl Gaps {
    pub(crate) fn add(&mut self, part: Part, broker: Option<BrokerId>, why: Missing) {
        self.0.insert(MissingPart { part, broker, why });
    }

    /// In the order of parts, what no broker at all could answer first.
    pub(crate) fn into_parts(self) -> Vec<MissingPart> {
        self.0.into_iter().collect()
    }
}
