//! The demo: a cluster with failures on loopback, and kustody watching it.
//!
//! `make demo` goes through the failures again and again until Ctrl-C. With `TOUR=once` it goes through them once, and
//! ends with 0 only if each was found as provoked, with its kind, subject and count, and nothing else was proven.

mod daemon;
mod dashboard;
mod disk;
#[path = "../kafka/mod.rs"]
mod kafka;
mod receiver;
mod screen;
mod stage;
mod steps;
mod tour;
mod workload;

use std::process::ExitCode;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use screen::{Screen, Tone};
use stage::Stage;
use tour::{Account, Pace, Tour};

/// Ended by a signal, as shells count it.
const INTERRUPTED: u8 = 130;
/// Lines of the daemon's log that tell what it was at.
const LAST_WORDS: usize = 30;

fn main() -> ExitCode {
    let screen = Screen::new();
    let pace = match std::env::var("TOUR").as_deref() {
        Ok("once") => Pace::Once,
        Err(_) | Ok("") => Pace::Leisurely,
        Ok(other) => {
            screen.line(Tone::Bad, &format!("TOUR={other}: must be `once`, or unset to go on until Ctrl-C"));
            return ExitCode::from(64);
        }
    };
    rustls::crypto::ring::default_provider().install_default().ok();
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            screen.line(Tone::Bad, &format!("no runtime: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(demo(screen, pace));
    // A consumer that still waits for a broker must not keep the terminal.
    runtime.shutdown_timeout(Duration::from_secs(3));
    ExitCode::from(code)
}

async fn demo(screen: Screen, pace: Pace) -> u8 {
    let begun = tokio::time::Instant::now();
    let mut stage = None;
    let ended = match Signals::new() {
        Ok(mut signals) => tokio::select! {
            ended = show(&mut stage, screen, pace) => Some(ended),
            () = signals.any() => None,
        },
        Err(error) => Some(Err(error.into())),
    };
    let (code, verdict) = match ended {
        Some(Ok(account)) if account.is_as_provoked() => (0, Some(account)),
        Some(Ok(account)) => (1, Some(account)),
        Some(Err(error)) => {
            // A broker's or the daemon's last words may be among it.
            format!("✘ {error:#}").lines().for_each(|line| screen.line(Tone::Bad, line));
            (1, None)
        }
        None => {
            screen.say("");
            screen.say("Ending everything …");
            let code = match pace {
                Pace::Once => INTERRUPTED,
                // That is how it ends.
                Pace::Leisurely => 0,
            };
            (code, None)
        }
    };
    if let Some(stage) = stage {
        if code == 1 {
            screen.line(Tone::Bad, "The daemon's last log lines:");
            stage.daemon.last_words(LAST_WORDS).lines().for_each(|line| screen.line(Tone::Faint, line));
        }
        if let Err(error) = stage.end().await {
            screen.line(Tone::Bad, &format!("the daemon did not end in order: {error:#}"));
        }
    }
    if let Some(account) = verdict {
        account.print(screen);
    }
    let seconds = begun.elapsed().as_secs();
    screen.say(&format!("Total time: {} min {:02} s.", seconds / 60, seconds % 60));
    code
}

/// Sets the stage and goes through the tour, once or until nobody looks any more.
async fn show(slot: &mut Option<Stage>, screen: Screen, pace: Pace) -> anyhow::Result<Account> {
    let stage = slot.insert(Stage::start(screen).await?);
    screen.boxed(&[
        "kustody watches a cluster with failures. Open",
        &stage.dashboard().page("/"),
        match pace {
            Pace::Once => "One tour, then the end.",
            Pace::Leisurely => "The tour goes on until Ctrl-C.",
        },
    ]);
    screen.line(Tone::Faint, &format!("The daemon's log: {}", stage.daemon.log_file().display()));
    let mut account = Account::default();
    loop {
        account = Tour::new(stage, screen, pace, account).lap().await?;
        match pace {
            Pace::Once => return Ok(account),
            Pace::Leisurely => account.print(screen),
        }
    }
}

/// What ends the demo before its time.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn any(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }
}
