//! Logs go to standard error; standard output is for what a command was asked for.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

use super::args::{Color, Global};

/// Starts logging as the command line says. An unreadable filter is reported and replaced by `warn`.
pub fn start(global: &Global) {
    let filter = EnvFilter::try_new(&global.log).unwrap_or_else(|error| {
        eprintln!("warning: --log {:?} is not a filter ({error}); logging warnings", global.log);
        EnvFilter::new("warn")
    });
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    let started = match global.log_json {
        true => builder.json().try_init(),
        false => builder.with_ansi(wanted(global.color, io::stderr().is_terminal())).try_init(),
    };
    if let Err(error) = started {
        eprintln!("warning: cannot log: {error}");
    }
}

/// Whether to write colours to a stream.
pub fn wanted(color: Color, is_terminal: bool) -> bool {
    match color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => is_terminal && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()),
    }
}
