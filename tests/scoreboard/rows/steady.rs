//! Nothing happens: the row that every false alarm fails first.

use crate::outcome::Outcome;
use crate::stage::{Run, Setting, Stage};

/// S1: no fault.
pub(super) async fn no_fault(run: Run) -> Outcome {
    no_fault_for(run, 60.0).await
}

/// S1 of any length.
pub(crate) async fn no_fault_for(run: Run, seconds: f64) -> Outcome {
    let classes = run.classes.clone();
    let stage = Stage::up(&run, Setting::default()).await;
    stage.last(seconds).await;
    let mut outcome = stage.verdict().await;
    for (name, class) in outcome.classes.clone() {
        for (word, count) in &class.counts {
            outcome.require(count.oracle == 0, || format!("{name}: {word} is {} without any fault", count.oracle));
        }
        outcome.require(class.late + class.overdue_most == 0, || {
            format!("{name}: {} late, {} overdue without any fault", class.late, class.overdue_most)
        });
        outcome.require(class.rejected + class.indeterminate == 0, || {
            format!("{name}: {} rejected, {} indeterminate without any fault", class.rejected, class.indeterminate)
        });
    }
    outcome.require(outcome.classes.len() == classes.len(), || "a class is missing".to_owned());
    outcome
}
