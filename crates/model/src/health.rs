//! When an instance is fit for requests, and what a probe asks to find out.
//! Nothing is asked here; what a good answer is can be told of one status or one body at a time.

use std::ops::RangeInclusive;
use std::time::Duration;

use regex::bytes::{Regex, RegexBuilder};

/// Bytes of a compiled pattern. Beyond: it is refused.
const PATTERN_BYTES_MAX: usize = 1 << 20;
/// Characters of a command that are shown.
const LINE_MAX: usize = 60;

/// When an instance is fit for requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// What is asked.
    pub probe: Probe,
    /// Between two probes of a ready instance; jittered.
    pub interval: Duration,
    /// Between two probes while starting or failing; never more than `interval`.
    pub interval_fast: Duration,
    /// How long one probe may take.
    pub timeout: Duration,
    /// Consecutive passes before ready.
    pub healthy: u32,
    /// Consecutive failures before unready.
    pub unhealthy: u32,
    /// From the start of an instance until it must be ready.
    pub timeout_boot: Duration,
    /// Whether answers may say how many requests an instance wants.
    pub feedback: bool,
}

/// What a probe asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// The port accepts a connection.
    Tcp,
    /// A request is answered as it should be.
    Http(Box<HttpProbe>),
    /// `grpc.health.v1.Health/Check` answers that this service is serving; an empty name asks about
    /// the instance as a whole.
    Grpc {
        /// Its name.
        service: Box<str>,
    },
    /// A command ends with exit status 0.
    Command {
        /// Program and arguments; never empty. `{port}` in any of them becomes the instance's port.
        argv: Vec<String>,
    },
}

/// A request, and what its answer has to be like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpProbe {
    /// A method in capital letters; not CONNECT.
    pub method: Box<str>,
    /// Path and query, starting with `/`.
    pub path: Box<str>,
    /// Names in lower case, and values; `host` and `user-agent` in the place of Herder's. None that
    /// decides how the message or the connection ends.
    pub headers: Vec<(Box<str>, Box<str>)>,
    /// Statuses that pass; never empty.
    pub statuses: Vec<RangeInclusive<u16>>,
    /// What the body has to have in it.
    pub body: Option<Box<str>>,
    /// What the body has to match.
    pub body_match: Option<BodyPattern>,
}

/// A regular expression over the bytes of a body. Two are equal if they are written alike.
#[derive(Clone, Debug)]
pub struct BodyPattern(Regex);

impl Probe {
    /// What is asked, in a few words: `TCP`, `GET /healthz`, `gRPC health`, or `` `./check` ``.
    pub fn name(&self) -> String {
        match self {
            Probe::Tcp => "TCP".to_owned(),
            Probe::Http(http) => format!("{} {}", http.method, http.path),
            Probe::Grpc { service } if service.is_empty() => "gRPC health".to_owned(),
            Probe::Grpc { service } => format!("gRPC health of {service:?}"),
            Probe::Command { argv } => format!("`{}`", line(argv)),
        }
    }
}

/// A command as somebody may have written it; the end of a long one is left out.
fn line(argv: &[String]) -> String {
    let whole = match argv {
        [shell, flag, script] if shell == "/bin/sh" && flag == "-c" => script.clone(),
        argv => argv.join(" "),
    };
    let mut line: String = whole.chars().take(LINE_MAX).collect();
    if line.len() < whole.len() {
        line.push('…');
    }
    line
}

impl HttpProbe {
    /// Whether an answer with this status passes.
    pub fn takes(&self, status: u16) -> bool {
        self.statuses.iter().any(|range| range.contains(&status))
    }

    /// What a body lacks, if it lacks anything, as the end of a sentence about it.
    pub fn misses(&self, body: &[u8]) -> Option<String> {
        if let Some(text) = &self.body
            && memchr::memmem::find(body, text.as_bytes()).is_none()
        {
            return Some(format!("without {text:?}"));
        }
        let pattern = self.body_match.as_ref()?;
        (!pattern.0.is_match(body)).then(|| format!("that does not match {:?}", pattern.0.as_str()))
    }

    /// Whether its body matters.
    pub fn reads_body(&self) -> bool {
        self.body.is_some() || self.body_match.is_some()
    }
}

impl BodyPattern {
    /// A pattern.
    ///
    /// # Errors
    /// Why it is none, on one line.
    pub fn new(pattern: &str) -> Result<Self, String> {
        let compiled = RegexBuilder::new(pattern).size_limit(PATTERN_BYTES_MAX).build();
        compiled.map(Self).map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => "it is too large".to_owned(),
            error => error.to_string().lines().last().unwrap_or_default().replace("error: ", ""),
        })
    }
}

impl PartialEq for BodyPattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Eq for BodyPattern {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probes_have_names() {
        let check = |probe: Probe, expected: &str| assert_eq!(probe.name(), expected);
        let command =
            |argv: &[&str]| Probe::Command { argv: argv.iter().map(|&it| it.to_owned()).collect() };
        check(Probe::Tcp, "TCP");
        check(Probe::Http(Box::new(HttpProbe::get("/up"))), "GET /up");
        check(Probe::Grpc { service: "".into() }, "gRPC health");
        check(Probe::Grpc { service: "a.B".into() }, "gRPC health of \"a.B\"");
        check(command(&["./check", "--fast"]), "`./check --fast`");
        check(command(&["/bin/sh", "-c", "a | b"]), "`a | b`");
        check(command(&["ü".repeat(61).as_str()]), &format!("`{}…`", "ü".repeat(60)));
    }

    #[test]
    fn statuses_of_a_set_pass() {
        let probe = HttpProbe { statuses: vec![200..=200, 300..=399], ..HttpProbe::get("/") };
        let check = |status, passes| assert_eq!(probe.takes(status), passes, "{status}");
        check(200, true);
        check(204, false);
        check(299, false);
        check(300, true);
        check(399, true);
        check(400, false);
    }

    #[test]
    fn a_body_has_a_text_and_matches_a_pattern() {
        let check = |text: Option<&str>, pattern: Option<&str>, body: &[u8], expected| {
            let probe = HttpProbe {
                body: text.map(Into::into),
                body_match: pattern.map(|it| BodyPattern::new(it).unwrap()),
                ..HttpProbe::get("/")
            };
            assert_eq!(probe.misses(body).as_deref(), expected);
        };
        check(None, None, b"", None);
        check(Some("ok"), None, b"all ok", None);
        check(Some("ok"), None, b"\xffok", None);
        check(Some("ok"), None, b"o k", Some("without \"ok\""));
        check(None, Some("(?m)^up$"), b"a\nup\nb", None);
        check(None, Some("^up$"), b"a\nup\nb", Some("that does not match \"^up$\""));
        check(Some("a"), Some("b"), b"a", Some("that does not match \"b\""));
    }

    #[test]
    fn a_pattern_that_is_none_says_why_on_one_line() {
        let check = |pattern: &str, expected: &str| {
            assert_eq!(BodyPattern::new(pattern).unwrap_err(), expected);
        };
        check("(up", "unclosed group");
        check(r"(\w{1000}){1000}", "it is too large");
        assert_eq!(BodyPattern::new("a"), BodyPattern::new("a"));
        assert_ne!(BodyPattern::new("a"), BodyPattern::new("b"));
    }
}
