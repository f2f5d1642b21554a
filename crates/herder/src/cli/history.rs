//! `herder history`: what a service was asked, second by second, as `simulate scale --trace` reads
//! it. It only passes on what the admin API tells.

use std::io::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::admin::HISTORY_SECONDS_MAX;
use crate::cli::{Failure, span};
use crate::client::Client;

pub(crate) const EXAMPLE: &str = "\
EXAMPLE:
    herder history shop > yesterday.csv
    herder history shop --last 14d > fortnight.csv

What could have been is for `herder simulate scale --trace yesterday.csv` to say.";

/// The longest that can be asked for, which is the longest that is kept.
const LAST_MAX: Duration = Duration::from_secs(9600 * 3600);

/// What to show.
#[derive(Debug, clap::Args)]
pub(crate) struct History {
    /// The service
    service: model::ServiceName,
    /// From so long ago until the last full minute, such as 90m, 24h or 14d
    #[arg(long, value_name = "TIME", value_parser = last, default_value = "24h")]
    last: Duration,
}

fn last(text: &str) -> Result<Duration, String> {
    span::parse(text, LAST_MAX)
}

/// Asks, a day at a time, and prints.
pub(crate) async fn show(history: &History, client: &Client) -> Result<(), Failure> {
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |passed| passed.as_secs());
    let mut from_s = now_s.saturating_sub(history.last.as_secs());
    let mut out = std::io::stdout().lock();
    let mut is_first = true;
    while from_s < now_s {
        let to_s = now_s.min(from_s + HISTORY_SECONDS_MAX);
        let path = format!("/v1/services/{}/history?from={from_s}&to={to_s}", history.service);
        let text = client.text(&path).await?;
        let (heading, rows) = text.split_once('\n').unwrap_or((&text, ""));
        if is_first {
            writeln!(out, "{heading}")?;
        }
        out.write_all(rows.as_bytes())?;
        (from_s, is_first) = (to_s, false);
    }
    Ok(out.flush()?)
}
