//! The canary's judgement. Pure: events come in with their moment, verdicts and questions go out.
pub mod anomaly;
pub mod event;
pub mod payload;
pub mod ledger;
pub mod placement;
pub mod record;
pub mod saved;
pub mod state;
pub mod summary;

pub use anomaly::{Anomaly, AnomalyKey, AnomalyKind, EpochAnswer, RecordEvidence};
pub use event::{Event, Question, Reread, Unreadable};
pub use ledger::{Ledger, LedgerOptions, SecondInstance, Stage};
pub use placement::PlacementPlan;
pub use record::{CanaryClass, CanaryRecord, Incarnation, Lineage, RecordKey};
pub use saved::{
    Bracket, ClassRow, Copy, IncarnationRow, LedgerChanges, PartitionRow, RecordRow, ReservationRow, SavedLedger,
};
pub use state::State;
pub use summary::{CanaryPartition, ClassSummary, Counts, Latency};
