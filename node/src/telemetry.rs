//! The program's own log, through `tracing`: lines for people or JSON for collectors, on stderr.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::settings::LogFormat;

/// Starts logging as the configuration says: `level` as in `RUST_LOG`. Does nothing if logging was started before.
///
/// `quiet` names libraries that tell at `info` what only their authors need; each is logged from `warn` on, unless
/// `level` names it.
pub fn start(level: &str, format: LogFormat, quiet: &[&str]) {
    let quieted = |level: &str| {
        let unnamed = quiet.iter().filter(|library| !level.contains(**library));
        unnamed.fold(level.to_owned(), |filter, library| format!("{filter},{library}=warn"))
    };
    let filter = EnvFilter::try_new(quieted(level)).unwrap_or_else(|_| EnvFilter::new(quieted("info")));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match format {
        LogFormat::Text => builder.with_target(false).with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    if let Err(error) = started {
        tracing::debug!(%error, "logging was started before");
    }
}

/// True if [`start`] understands this level.
pub fn is_level(level: &str) -> bool {
    level.parse::<EnvFilter>().is_ok()
}
