//! How a log line looks to a person beside the lines of instances: `herder | shop.1 ready`.
//! Only the look; what is logged is filtered elsewhere.

use std::fmt::{self, Write as _};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::registry::LookupSpan;

/// Fields that every message about them names anyway.
const NAMED_IN_MESSAGES: &[&str] = &["service", "instance", "kind"];

/// One event as a line behind `herder | `, or as several when the message has several.
pub(super) struct ScreenLine;

#[derive(Default)]
struct Parts {
    message: String,
    rest: String,
}

impl<S, N> FormatEvent<S, N> for ScreenLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut parts = Parts::default();
        event.record(&mut parts);
        let coloured = writer.has_ansi_escapes();
        let paint = |code: &str, text: &str| match coloured {
            true => format!("\x1b[{code}m{text}\x1b[0m"),
            false => text.to_owned(),
        };
        let level = match *event.metadata().level() {
            Level::ERROR => paint("31", "error:") + " ",
            Level::WARN => paint("33", "warning:") + " ",
            Level::INFO => String::new(),
            Level::DEBUG | Level::TRACE => paint("2", event.metadata().target()) + " ",
        };
        // What comes from outside must not move the cursor.
        let shown = |c: &char| !c.is_control() || ['\n', '\t'].contains(c);
        let said: String = parts.message.chars().chain(parts.rest.chars()).filter(shown).collect();
        let prefix = paint("1", "herder | ");
        format!("{level}{said}").lines().try_for_each(|line| writeln!(writer, "{prefix}{line}"))
    }
}

impl Visit for Parts {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let written = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name if NAMED_IN_MESSAGES.contains(&name) => Ok(()),
            name => write!(self.rest, " {name}={value:?}"),
        };
        written.expect("a String takes everything");
    }
}
