//! `herder journal`: what happened and why, oldest first, and what happens from now on.
//! It only shows what the admin API tells.

use std::io::Write as _;
use std::time::Duration;

use crate::admin::api::{JournalEntry, JournalPage};
use crate::cli::{Failure, Paint};
use crate::client::Client;

pub(crate) const EXAMPLE: &str = "\
EXAMPLE:
    herder journal -n 20 --follow
    herder journal --json | jq 'select(.kind == \"failure\")'";

/// Between two looks of `--follow`.
const FOLLOW_INTERVAL: Duration = Duration::from_millis(500);

/// What to show.
#[derive(Debug, clap::Args)]
pub(crate) struct Journal {
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
    /// Go on as things happen, until Ctrl-C
    #[arg(long, short)]
    follow: bool,
    /// Only the last N entries
    #[arg(short = 'n', value_name = "N", default_value_t = 50)]
    last: usize,
}

/// Asks, and prints.
pub(crate) async fn show(journal: &Journal, client: &Client) -> Result<(), Failure> {
    let mut out = std::io::stdout();
    let mut path = format!("/v1/journal?last={}", journal.last);
    loop {
        let page: JournalPage = client.get(&path).await?;
        for entry in &page.entries {
            let line = match journal.json {
                true => serde_json::to_string(entry).map_err(anyhow::Error::from)?,
                false => render(entry, Paint::stdout()),
            };
            writeln!(out, "{line}")?;
        }
        out.flush()?;
        if !journal.follow {
            return Ok(());
        }
        path = format!("/v1/journal?after={}", page.next_after);
        tokio::time::sleep(FOLLOW_INTERVAL).await;
    }
}

/// One entry as one line: when, what kind, whom it concerns, what and why.
fn render(entry: &JournalEntry, paint: Paint) -> String {
    let whom = entry.instance.as_ref().or(entry.service.as_ref());
    let whom = whom.map_or("herder", String::as_str);
    let kind = format!("{:<10}", entry.kind);
    let kind = match entry.kind.as_str() {
        "failure" | "refused" | "defect" => paint.red(&kind),
        "ejected" | "panic" | "admission" => paint.red(&kind),
        "backoff" | "rollout" | "spared" | "trial" | "failover" | "feedback" => paint.yellow(&kind),
        _ => kind,
    };
    format!("{}  {kind}  {whom:<8}  {}", paint.dim(&entry.at), entry.text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_per_entry() {
        let entry = JournalEntry {
            seq: 4,
            at: "2026-11-23T04:05:06.789Z".to_owned(),
            kind: "failure".to_owned(),
            service: Some("shop".to_owned()),
            instance: Some("shop.1".to_owned()),
            text: "exit code 1".to_owned(),
        };
        let check = |entry: &JournalEntry, paint, expected: &str| {
            assert_eq!(render(entry, paint), expected);
        };
        check(&entry, Paint::Plain, "2026-11-23T04:05:06.789Z  failure     shop.1    exit code 1");
        let expected = "\x1b[2m2026-11-23T04:05:06.789Z\x1b[0m  \x1b[31mfailure   \x1b[0m  shop.1\
                        \x20   exit code 1";
        check(&entry, Paint::Coloured, expected);
        let whole = JournalEntry { service: None, instance: None, ..entry };
        check(&whole, Paint::Plain, "2026-11-23T04:05:06.789Z  failure     herder    exit code 1");
    }
}
