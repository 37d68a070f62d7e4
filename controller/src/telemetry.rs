//! The program's own log, through `tracing`: lines for people or JSON for collectors, on stderr.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

use crate::config::{Config, LogFormat};

/// Starts logging as the configuration says. Does nothing if logging was started before.
pub fn start(config: &Config) {
    // The consensus library tells at `info` what only its authors need.
    let quiet = format!("{},openraft=warn", config.log_level);
    let wanted = if config.log_level.contains("openraft") { &config.log_level } else { &quiet };
    let filter = EnvFilter::try_new(wanted).unwrap_or_else(|_| EnvFilter::new("info,openraft=warn"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let started = match config.log_format {
        LogFormat::Text => builder.with_target(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    if let Err(error) = started {
        tracing::debug!(%error, "logging was started before");
    }
}
