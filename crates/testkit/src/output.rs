//! What a process writes, line by line, kept while it runs.
//! It does not interpret the lines.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::{PATIENCE, wait_for};

/// Lines that are kept; the oldest go first.
const LINES_MAX: usize = 100_000;

/// The lines that arrived so far on one or more streams, in the order in which they did.
#[derive(Clone, Debug, Default)]
pub struct Output {
    lines: Arc<Mutex<VecDeque<String>>>,
}

impl Output {
    /// Goes on collecting the lines of `stream`, on a thread of its own, until it ends. What is
    /// not UTF-8 is replaced.
    pub(crate) fn collect(&self, stream: impl Read + Send + 'static) {
        let output = self.clone();
        let work = move || {
            let mut reader = BufReader::new(stream);
            let mut line = Vec::new();
            while reader.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
                output.push(String::from_utf8_lossy(&line).trim_end());
                line.clear();
            }
        };
        thread::Builder::new().name("output".to_owned()).spawn(work).expect("there is a thread");
    }

    /// All lines so far.
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().expect("no holder panics").iter().cloned().collect()
    }

    /// All lines so far as one text.
    pub fn text(&self) -> String {
        self.lines().join("\n")
    }

    /// The first line that holds `part`, once there is one.
    ///
    /// # Panics
    ///
    /// When none comes within [`PATIENCE`], with all that came.
    pub async fn line(&self, part: &str) -> String {
        self.line_where(&format!("a line with {part:?}"), |line| line.contains(part)).await
    }

    /// The first line that `matches`, once there is one; `what` says in words which.
    ///
    /// # Panics
    ///
    /// When none comes within [`PATIENCE`], with all that came.
    pub async fn line_where(&self, what: &str, matches: impl Fn(&str) -> bool) -> String {
        let find = || self.lines().into_iter().find(|line| matches(line));
        let wait = wait_for(PATIENCE, "a line", async || find());
        match tokio::time::timeout(PATIENCE * 9 / 10, wait).await {
            Ok(line) => line,
            Err(_) => panic!("waited in vain for {what}; there was:\n{}", self.text()),
        }
    }

    fn push(&self, line: &str) {
        let mut lines = self.lines.lock().expect("no holder panics");
        lines.push_back(line.to_owned());
        if lines.len() > LINES_MAX {
            lines.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn keeps_lines_and_finds_them() {
        let output = Output::default();
        output.collect(&b"one\ntwo \xff\nthree"[..]);
        assert_eq!(output.line("thr").await, "three");
        assert_eq!(output.lines(), ["one", "two \u{fffd}", "three"]);
    }

    #[tokio::test(start_paused = true)]
    #[should_panic(expected = "waited in vain for a line with \"two\"; there was:\none")]
    async fn tells_what_there_was_instead() {
        let output = Output::default();
        output.push("one");
        output.line("two").await;
    }
}
