//! Where Herder's own log goes: stderr, filtered by `HERDER_LOG`.
//! It sets up and filters; what is logged is decided at the place that owns the decision.

mod screen;

use std::env::{self, VarError};
use std::io::{self, IsTerminal};

use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use crate::Format;
use screen::ScreenLine;

/// The variable that says what is logged: a level, or `TARGET=LEVEL` parts divided by commas.
pub const FILTER_ENV: &str = "HERDER_LOG";

/// What is logged when nobody says otherwise.
const LEVEL_DEFAULT: LevelFilter = LevelFilter::INFO;

/// Why the log could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// A part of the filter says nothing.
    #[error(
        "{FILTER_ENV}: `{part}` is neither a level nor TARGET=LEVEL; use error, warn, info, debug, \
         trace or off, such as `info` or `info,control=debug`"
    )]
    Filter {
        /// The part.
        part: String,
    },
    /// The filter is not text.
    #[error("{FILTER_ENV}: not valid UTF-8; use a level, such as `info`")]
    FilterNotText,
    /// There is one already.
    #[error("the log of this process was set up before: {0}")]
    Twice(#[from] TryInitError),
}

/// Sends the log of this process to stderr, from now on. Coloured as text on a terminal, unless
/// `NO_COLOR` is set.
///
/// # Errors
/// When `HERDER_LOG` does not parse, or the process has a log already. Nothing was set up then.
pub fn init(format: Format) -> Result<(), LogError> {
    subscriber(format, asked_filter()?, stderr_colour(), io::stderr).try_init()?;
    Ok(())
}

/// The same for a person who watches the instances' own lines as well: `herder | ` and the message,
/// without the time, and without the fields that the message names.
///
/// # Errors
/// Those of [`init`].
pub fn init_screen() -> Result<(), LogError> {
    screen(asked_filter()?, stderr_colour(), io::stderr).try_init()?;
    Ok(())
}

fn asked_filter() -> Result<EnvFilter, LogError> {
    match env::var(FILTER_ENV) {
        Ok(text) => filter(&text),
        Err(VarError::NotPresent) => filter(""),
        Err(VarError::NotUnicode(_)) => Err(LogError::FilterNotText),
    }
}

fn stderr_colour() -> Colour {
    match env::var_os("NO_COLOR") {
        Some(value) if !value.is_empty() => Colour::Never,
        _ if io::stderr().is_terminal() => Colour::Always,
        _ => Colour::Never,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Colour {
    Always,
    Never,
}

fn subscriber<W>(
    format: Format,
    filter: EnvFilter,
    colour: Colour,
    sink: W,
) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(sink)
        .with_ansi(colour == Colour::Always)
        .with_target(true);
    match format {
        Format::Text => Box::new(log.finish()),
        Format::Json => Box::new(log.json().flatten_event(true).finish()),
    }
}

fn screen<W>(filter: EnvFilter, colour: Colour, sink: W) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(sink)
        .with_ansi(colour == Colour::Always)
        .event_format(ScreenLine);
    Box::new(log.finish())
}

/// The filter that a text asks for. The parser of the library takes any word for a target, so
/// that `HERDER_LOG=inof` would silence the log; here a part must name a level.
fn filter(text: &str) -> Result<EnvFilter, LogError> {
    let bad = |part: &str| LogError::Filter { part: part.trim().to_owned() };
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    let mut filter = EnvFilter::default().add_directive(LEVEL_DEFAULT.into());
    for part in parts {
        let level = part.rsplit_once('=').map_or(part, |(_, level)| level);
        // The library takes no level at all for `error`.
        if level.is_empty() || level.parse::<LevelFilter>().is_err() {
            return Err(bad(part));
        }
        filter = filter.add_directive(part.parse().map_err(|_| bad(part))?);
    }
    Ok(filter)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is written of four events, at several levels and targets.
    fn logged(format: Format, text: &str, colour: Colour) -> String {
        let sink = Captured::default();
        let captured = sink.clone();
        let make = move || captured.clone();
        let subscriber = subscriber(format, filter(text).unwrap(), colour, make);
        tracing::subscriber::with_default(subscriber, || {
            tracing::debug!(target: "control", "planned");
            tracing::info!(target: "control", instance = "shop.1", "became ready");
            tracing::debug!(target: "proxy", "accepted");
            tracing::warn!(target: "proxy", path = "a\x1b[31mb", "refused");
        });
        let bytes = sink.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn the_filter_decides_what_is_logged() {
        let check = |text: &str, expected: &[&str]| {
            let logged = logged(Format::Text, text, Colour::Never);
            for word in ["planned", "became ready", "accepted", "refused"] {
                assert_eq!(logged.contains(word), expected.contains(&word), "{text}: {logged}");
            }
        };
        check("", &["became ready", "refused"]);
        check("warn", &["refused"]);
        check("off", &[]);
        check("control=debug", &["planned", "became ready", "refused"]);
        check("warn, control=debug ,", &["planned", "became ready", "refused"]);
        check("TRACE", &["planned", "became ready", "accepted", "refused"]);
    }

    #[test]
    fn a_screen_shows_the_message_and_what_it_does_not_name() {
        let shown = |colour| {
            let sink = Captured::default();
            let captured = sink.clone();
            let subscriber = screen(filter("").unwrap(), colour, move || captured.clone());
            tracing::subscriber::with_default(subscriber, || {
                tracing::info!(instance = "shop.1", kind = "phase", "shop.1 ready");
                tracing::warn!(connections = 3, error = ?"no\x1b[2J", "cut off");
                tracing::error!("two\nlines\x1b[2J");
            });
            String::from_utf8(sink.0.lock().unwrap().clone()).unwrap()
        };
        let expected = "herder | shop.1 ready\n\
                        herder | warning: cut off connections=3 error=\"no\\u{1b}[2J\"\n\
                        herder | error: two\n\
                        herder | lines[2J\n";
        assert_eq!(shown(Colour::Never), expected);
        assert!(shown(Colour::Always).contains("\x1b[33mwarning:\x1b[0m cut off"));
    }

    #[test]
    fn a_filter_that_says_nothing_is_refused() {
        let check = |text: &str, part: &str| {
            let error = filter(text).unwrap_err().to_string();
            assert!(error.contains(&format!("`{part}`")), "{error}");
        };
        check("inof", "inof");
        check("info,control", "control");
        check("control=loud", "control=loud");
        check("control=", "control=");
        check("=[=info", "=[=info");
    }

    #[test]
    fn json_lines_parse_and_carry_the_fields() {
        let logged = logged(Format::Json, "info", Colour::Never);
        let lines: Vec<serde_json::Value> =
            logged.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0]["message"], "became ready");
        assert_eq!(lines[0]["instance"], "shop.1");
        assert_eq!(lines[1]["level"], "WARN");
    }

    #[test]
    fn colours_only_when_asked_for() {
        assert!(logged(Format::Text, "", Colour::Always).contains('\x1b'));
        let plain = logged(Format::Text, "", Colour::Never);
        assert!(!plain.contains('\x1b'), "{plain:?}");
    }
}
