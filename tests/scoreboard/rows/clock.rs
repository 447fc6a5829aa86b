//! The auditor's wall clock jumps, and goes too fast; that of the machine is left alone.

use std::path::PathBuf;
use std::process::Command;

use super::elections::promised;
use crate::outcome::Outcome;
use crate::stage::{Run, Setting, Stage};

const HOUR_MS: i64 = 3_600_000;

/// A clock of the daemon's own, by a library that is loaded into it.
struct WallClock {
    file: PathBuf,
}

impl WallClock {
    /// Compiles the library, and has the daemon load it at its next launch.
    fn of(stage: &mut Stage) -> Self {
        let (source, library) = (
            concat!(env!("CARGO_MANIFEST_DIR"), "/tests/scoreboard/clock.c"),
            stage.daemon.directory().join("clock.so"),
        );
        let made = Command::new("cc").args(["-O1", "-shared", "-fPIC", "-o"]).arg(&library).arg(source).status();
        assert!(made.as_ref().is_ok_and(std::process::ExitStatus::success), "a C compiler makes the clock: {made:?}");
        let clock = Self { file: stage.daemon.directory().join("clock") };
        clock.set(0);
        let text = |path: &PathBuf| path.to_str().expect("a path of ours").to_owned();
        stage.daemon.environment =
            vec![("LD_PRELOAD".to_owned(), text(&library)), ("KUSTODY_TEST_CLOCK".to_owned(), text(&clock.file))];
        clock
    }

    /// Shifts the clock: eight bytes in place, which the daemon has mapped.
    fn set(&self, shift_ms: i64) {
        use std::os::unix::fs::FileExt as _;
        let file = std::fs::OpenOptions::new().create(true).truncate(false).write(true).open(&self.file);
        file.and_then(|file| file.write_all_at(&shift_ms.to_ne_bytes(), 0)).expect("the directory is writable");
    }
}

/// S25: an hour ahead, back, an hour back, then two in a hundred too fast, as after NTP found its mistake.
pub(super) async fn jumps(run: Run) -> Outcome {
    let mut stage = Stage::set(&run, Setting::default()).await;
    let clock = WallClock::of(&mut stage);
    stage.raise().await;
    for shift in [HOUR_MS, 0, -HOUR_MS, 0] {
        clock.set(shift);
        stage.last(3.0).await;
        stage.flow(50).await;
    }
    for step in 1..=60 {
        clock.set(step * 2);
        stage.last(0.1).await;
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
