//! How far a long command is: a bar at a terminal, plain lines elsewhere. Always on standard error.

use std::{io::IsTerminal, sync::Mutex, time::Duration};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use holdfast_checker::{readback::Told, text::grouped};

use crate::{output::note, width::note_long};

/// Progress of one phase. Cheap to clone; the clones share it.
#[derive(Clone, Debug)]
pub struct Progress {
    bar: ProgressBar,
    /// Without a terminal: how the phase is called, and its last tenth that was told.
    plain: Option<std::sync::Arc<Plain>>,
}

#[derive(Debug)]
struct Plain {
    phase: String,
    told: Mutex<u64>,
}

impl Progress {
    /// A phase of this name and this much to do, in any unit; 0 if that is not known.
    pub fn start(phase: &str, total: u64) -> Self {
        if std::io::stderr().is_terminal() {
            let bar = ProgressBar::with_draw_target(Some(total.max(1)), ProgressDrawTarget::stderr_with_hz(10));
            let template = match total {
                0 => "{prefix:10} {spinner:.green} {msg}",
                _ => "{prefix:10} {wide_bar:.green} {percent:>3} %  {msg}",
            };
            let style = ProgressStyle::with_template(template);
            if let Ok(style) = style {
                bar.set_style(style.progress_chars("━╸ "));
            }
            bar.set_prefix(phase.to_owned());
            bar.enable_steady_tick(Duration::from_millis(200));
            Self { bar, plain: None }
        } else {
            let plain = Plain { phase: phase.to_owned(), told: Mutex::new(0) };
            Self {
                bar: ProgressBar::with_draw_target(Some(total.max(1)), ProgressDrawTarget::hidden()),
                plain: Some(plain.into()),
            }
        }
    }

    /// So much is done; `message` tells more, for people.
    pub fn set(&self, done: u64, message: impl FnOnce() -> String) {
        self.bar.set_position(done);
        let Some(plain) = &self.plain else {
            self.bar.set_message(message());
            return;
        };
        let tenth = done.saturating_mul(10) / self.bar.length().unwrap_or(1).max(1);
        let Ok(mut told) = plain.told.lock() else { return };
        if tenth > *told {
            *told = tenth;
            note(format!("{}: {} %, {}", plain.phase, (tenth * 10).min(100), message()));
        }
    }

    /// Something happened that stays on the screen.
    pub fn tell(&self, line: &str) {
        if self.plain.is_some() {
            note(line);
        } else {
            self.bar.suspend(|| note_long(line, " "));
        }
    }

    /// How far an audit's reading is.
    pub fn reading(&self, told: &Told<'_>) {
        match told {
            Told::Read(count) => self.set(*count, || format!("{} read", grouped(*count))),
            Told::Note(note) => self.tell(&note.to_string()),
        }
    }

    /// The phase is over; the bar goes.
    pub fn end(&self) {
        self.bar.finish_and_clear();
    }
}
