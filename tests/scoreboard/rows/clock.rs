//! The auditor's wall clock jumps, and goes too fast; that of the machine is left alone.

use std::path::{Path, PathBuf};

use super::elections::promised;
use crate::outcome::Outcome;
use crate::stage::{Run, Setting, Stage};

/// Where Debian's package `libfaketime` puts it.
const LIBRARY: [&str; 2] =
    ["/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1", "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1"];

/// S25: an hour ahead, an hour back, then two in a hundred too fast.
pub(super) async fn jumps(run: Run) -> Outcome {
    let Some(library) = LIBRARY.into_iter().find(|path| Path::new(path).is_file()) else {
        return Outcome::not_run("the clock of one process needs Debian's package libfaketime");
    };
    let mut stage = Stage::set(&run, Setting::default()).await;
    let clock: PathBuf = stage.daemon.directory().join("clock");
    // Renamed into place, so that nobody reads half of it.
    let set = |shift: &str| {
        let next = clock.with_extension("next");
        std::fs::write(&next, shift).and_then(|()| std::fs::rename(&next, &clock)).expect("the directory is writable");
    };
    set("+0");
    let environment = [
        ("LD_PRELOAD", library),
        ("FAKETIME_TIMESTAMP_FILE", clock.to_str().expect("a path of ours")),
        ("FAKETIME_NO_CACHE", "1"),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
    ];
    stage.daemon.environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    stage.raise().await;
    for shift in ["+3600", "-3600", "+0 x1.02", "+0"] {
        set(shift);
        stage.last(6.0).await;
        stage.flow(50).await;
    }
    stage.mark();
    let mut outcome = stage.verdict().await;
    promised(&mut outcome);
    outcome.exactly(&["acks0", "acks1"], "lost", 0);
    outcome.exactly(&["acks0", "acks1", "all"], "duplicated", 0);
    for (name, class) in outcome.classes.clone() {
        outcome.require(class.late + class.overdue_most == 0, || {
            format!("{name}: {} late, {} overdue by a clock", class.late, class.overdue_most)
        });
    }
    outcome
}
