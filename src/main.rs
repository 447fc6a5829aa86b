//! The command line: arguments, logging, exit codes.

use std::process::ExitCode;

use clap::Parser;
use kustody::command::{Arguments, run};

fn main() -> ExitCode {
    // A bad option is bad configuration (EX_USAGE); help and version are not.
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            error.print().ok();
            return if error.use_stderr() { ExitCode::from(64) } else { ExitCode::SUCCESS };
        }
    };
    run(arguments)
}
