//! The canary's judgement. Pure: events come in with their moment, verdicts and questions go out.
pub mod event;
pub mod payload;
pub mod record;
pub mod summary;

pub use event::{Event, Question, Reread, Unreadable};
pub use record::{CanaryClass, CanaryRecord, Incarnation, Lineage, RecordKey};
pub use summary::{CanaryPartition, ClassSummary, Counts, Latency};
