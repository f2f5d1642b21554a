//! What the demo shows: lines, and below them a progress bar while there is a load.
//! Without a terminal the bar is a line now and then. It measures nothing.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::Instant;

use crate::cli::{Failure, Paint};
use crate::demo::load::Tally;

/// Between two lines about the load when there is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(5);

/// The screen.
pub(crate) struct Screen {
    pub(crate) paint: Paint,
    bar: Option<ProgressBar>,
    /// When the load is to be mentioned next, without a terminal.
    next_line: Option<Instant>,
}

impl Screen {
    /// Standard output, without a bar yet.
    pub(crate) fn new() -> Self {
        Self { paint: Paint::stdout(), bar: None, next_line: None }
    }

    /// A line; above the bar when there is one.
    pub(crate) fn say(&self, text: &str) -> Result<(), Failure> {
        let print = || writeln!(std::io::stdout(), "{text}");
        match &self.bar {
            Some(bar) => Ok(bar.suspend(print)?),
            None => Ok(print()?),
        }
    }

    /// Begins to show a load that will send about so many requests.
    pub(crate) fn load_begins(&mut self, requests: u64) -> Result<(), Failure> {
        if !std::io::stdout().is_terminal() {
            self.next_line = Some(Instant::now() + LINE_INTERVAL);
            return Ok(());
        }
        let style = ProgressStyle::with_template(
            "   {bar:30} {human_pos} of about {human_len} requests, {msg}",
        );
        let style = style.map_err(|error| Failure::new(format!("the bar's template: {error}")))?;
        let bar = ProgressBar::with_draw_target(Some(requests), ProgressDrawTarget::stdout());
        self.bar = Some(bar.with_style(style));
        Ok(())
    }

    /// Shows how far the load is.
    pub(crate) fn load_goes_on(&mut self, tally: &Tally) -> Result<(), Failure> {
        let failed = format!("{} failed", tally.failures());
        if let Some(bar) = &self.bar {
            bar.set_length(bar.length().unwrap_or(0).max(tally.sent));
            bar.set_position(tally.sent);
            bar.set_message(failed);
        } else if self.next_line.is_some_and(|next| Instant::now() >= next) {
            self.say(&format!("   {} requests so far, {failed}", grouped(tally.sent)))?;
            self.next_line = Some(Instant::now() + LINE_INTERVAL);
        }
        Ok(())
    }

    /// The load is over: what it came to is said in lines.
    pub(crate) fn load_ends(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        self.next_line = None;
    }
}

/// A number with a comma between thousands.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_grouped() {
        let check = |number, expected| assert_eq!(grouped(number), expected);
        check(0, "0");
        check(999, "999");
        check(1_000, "1,000");
        check(45_012, "45,012");
        check(1_234_567, "1,234,567");
    }
}
