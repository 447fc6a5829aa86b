//! What each command does and how it exits: 64 for bad configuration, 1 where it cannot start, 2 where the doctor found
//! a problem.

mod doctor;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use crate::app::{self, App};
use crate::config::{self, Config, Problems};

/// Bad configuration: `EX_USAGE`.
const BAD_CONFIGURATION: u8 = 64;
/// The daemon cannot start.
const CANNOT_START: u8 = 1;
/// The doctor found a problem.
const PROBLEM_FOUND: u8 = 2;

/// Keeps the chain of custody of Kafka messages.
#[derive(Debug, Parser)]
#[command(name = "kustody", disable_version_flag = true)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the daemon.
    Serve(Source),
    /// Looks whether everything the daemon needs is there; never writes to a cluster.
    Doctor(Patient),
    /// Validates a configuration, or prints every key with its default.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Prints the version, the commit and librdkafka's version.
    Version,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Names every problem of a configuration file.
    Check {
        /// The file.
        file: PathBuf,
    },
    /// Prints every key with its default and meaning.
    Reference,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct SourceOf {
    /// The configuration file.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// One cluster called `default`, with all defaults.
    #[arg(long, value_name = "HOST:PORT[,…]")]
    bootstrap: Option<String>,
}

#[derive(Debug, Args)]
struct Source {
    #[command(flatten)]
    of: SourceOf,
    /// Where to serve, with --bootstrap.
    #[arg(long, value_name = "ADDR", requires = "bootstrap")]
    listen: Option<String>,
    /// The directory of the databases, with --bootstrap.
    #[arg(long, value_name = "DIR", requires = "bootstrap")]
    data: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct Patient {
    #[command(flatten)]
    of: SourceOf,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

impl SourceOf {
    fn load(&self, listen: Option<&str>, data: Option<&Path>) -> Result<Config, Problems> {
        match (&self.config, &self.bootstrap) {
            (Some(file), _) => config::load(file, &config::environment()),
            (None, Some(bootstrap)) => config::of_bootstrap(bootstrap, listen, data, &config::environment()),
            (None, None) => Err(Problems(vec!["give --config FILE or --bootstrap HOST:PORT".to_owned()])),
        }
    }
}

/// Runs the command and says how it ended.
#[must_use]
pub fn run(arguments: Arguments) -> ExitCode {
    match arguments.command {
        Command::Serve(Source { of, listen, data }) => match of.load(listen.as_deref(), data.as_deref()) {
            Ok(config) => serve(config),
            Err(problems) => refuse(&problems),
        },
        Command::Doctor(Patient { of, json }) => match of.load(None, None) {
            Ok(config) => diagnose(&config, json),
            Err(problems) => refuse(&problems),
        },
        Command::Config(ConfigCommand::Check { file }) => match config::load(&file, &config::environment()) {
            Ok(_) => print(&format!("{}: no problems\n", file.display())),
            Err(problems) => refuse(&problems),
        },
        Command::Config(ConfigCommand::Reference) => print(&config::reference()),
        Command::Version => print(&app::version::version()),
    }
}

/// Prints to standard output. A reader that closed the pipe is no failure of ours.
fn print(text: &str) -> ExitCode {
    std::io::stdout().write_all(text.as_bytes()).ok();
    ExitCode::SUCCESS
}

fn refuse(problems: &Problems) -> ExitCode {
    let mut stderr = std::io::stderr().lock();
    for problem in &problems.0 {
        writeln!(stderr, "kustody: {problem}").ok();
    }
    ExitCode::from(BAD_CONFIGURATION)
}

fn diagnose(config: &Config, json: bool) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime {
        Ok(runtime) => {
            let diagnosis = runtime.block_on(doctor::diagnosis(config, json));
            print(&diagnosis.text);
            if diagnosis.is_well { ExitCode::SUCCESS } else { ExitCode::from(PROBLEM_FOUND) }
        }
        Err(error) => {
            writeln!(std::io::stderr(), "kustody: {error}").ok();
            ExitCode::from(CANNOT_START)
        }
    }
}

fn serve(config: Config) -> ExitCode {
    let filter = EnvFilter::try_from_env("KUSTODY_LOG").unwrap_or_else(|_| EnvFilter::new("info,sqlx=warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    // Two workers: the turn of one cluster never waits for the pages, and the daemon stays small.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let ended = runtime.map_err(anyhow::Error::from).and_then(|runtime| {
        let ended = runtime.block_on(async {
            let app = App::start(config).await?;
            let failed = tokio::select! {
                () = app::lifecycle::stop_signal() => false,
                () = app.failed() => true,
            };
            app.stop().await;
            anyhow::ensure!(!failed, "a part of the daemon ended; see the log");
            Ok(())
        });
        // A re-read that still waits for a broker does not hold up the end.
        runtime.shutdown_timeout(Duration::from_secs(1));
        ended
    });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            writeln!(std::io::stderr(), "kustody: {error:#}").ok();
            ExitCode::from(CANNOT_START)
        }
    }
}
