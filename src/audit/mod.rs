//! The canary's judgement. Pure: events come in with their moment, verdicts and questions go out.
mod acks;
pub mod anomaly;
mod ask;
mod book;
pub mod bound;
pub mod event;
pub mod figures;
pub mod fitness;
mod history;
pub mod journal;
mod judge;
mod lane;
mod latency;
pub mod ledger;
mod limits;
mod link;
mod outcome;
pub mod payload;
pub mod placement;
mod probe;
mod proof;
pub mod rates;
mod receipt;
pub mod record;
mod report;
mod resolution;
mod restore;
pub mod saved;
mod search;
mod sighting;
pub mod slo;
pub mod state;
pub mod summary;
mod sums;
mod tracked;
mod transaction;
mod when;

#[cfg(test)]
mod ledger_test;
#[cfg(test)]
mod model_test;
#[cfg(test)]
mod replay_test;

pub use anomaly::{Anomaly, AnomalyKey, AnomalyKind, Beside, EpochAnswer, RecordEvidence, Searched, SearchedBy};
pub use event::{Event, Question, Reread, TransactionEnd, Unreadable};
pub use fitness::{CanaryTopic, Misfit, Weight};
pub use journal::{JournalLine, Step};
pub use latency::Recent;
pub use ledger::{Ledger, LedgerOptions, SecondInstance, Stage};
pub use placement::PlacementPlan;
pub use probe::PROBE_GROUP;
pub use rates::{Bucket, BucketRow, Correction, Share, Span, Tally};
pub use record::{CanaryClass, CanaryRecord, Incarnation, Isolation, Lineage, RecordKey};
pub use resolution::{BAD_RECORDS, FASTEST_BURN, Resolution, SHORTEST_WINDOW, resolution};
pub use saved::{
    Bracket, ClassRow, Copy, IncarnationRow, LedgerChanges, PartitionRow, RecordRow, ReservationRow, SavedLedger,
};
pub use slo::{ClassSlo, MinuteState, Objectives, Slo, SloOptions, SloState, Urgency};
pub use state::State;
pub use summary::{CanaryPartition, ClassSummary, Counts, Latency};
