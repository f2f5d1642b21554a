//! How long an instance takes for its answer, and how long it asks to be spared.
//! It measures one attempt, if somebody wants to know; what follows from it is `model`'s.

use std::time::{Duration, Instant, SystemTime};

use http1::ResponseHead;
use model::{Outcome, Service};

/// Whether the time of an attempt is taken: a look at the clock costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Watch {
    #[default]
    Off,
    /// From the beginning of the attempt, with the time for a connection if it takes a new one.
    FromBegin,
    /// From the end of the body: how fast a client sends it says nothing about the instance.
    FromBody,
}

/// What is known of one attempt.
#[derive(Debug, Default)]
pub(crate) struct Timing {
    watch: Watch,
    began_at: Option<Instant>,
    answered_at: Option<Instant>,
    spared: Option<Duration>,
}

impl Timing {
    /// Begins an attempt at `began_at`, if the time of it is wanted.
    pub(crate) fn begin(service: &Service, has_body: impl FnOnce() -> bool) -> Self {
        let watch = match service.measures() {
            false => Watch::Off,
            true if has_body() => Watch::FromBody,
            true => Watch::FromBegin,
        };
        Self { watch, ..Self::default() }
    }

    /// The same attempt, as begun at a moment that is known already, or now.
    pub(crate) fn since(self, known: Option<Instant>) -> Self {
        match self.watch {
            Watch::FromBegin => Self { began_at: known.or_else(|| Some(Instant::now())), ..self },
            Watch::Off | Watch::FromBody => self,
        }
    }

    /// The request was sent whole.
    pub(crate) fn sent(&mut self) {
        if self.watch == Watch::FromBody {
            self.began_at = Some(Instant::now());
        }
    }

    /// The head of the response is there. Returns the moment, if it was looked at.
    pub(crate) fn answered(&mut self, head: &ResponseHead, buffer: &[u8]) -> Option<Instant> {
        if matches!(head.status(), 429 | 503) {
            self.spared = retry_after(head, buffer);
        }
        if self.watch != Watch::Off {
            self.answered_at = Some(Instant::now());
        }
        self.answered_at
    }

    /// What is to be said of the instance when somebody else ended the attempt. Who gave up on it
    /// would have waited longer still.
    pub(crate) fn unanswered(&self) -> Outcome {
        match (self.began_at, self.answered_at) {
            (Some(began), None) => Outcome::Abandoned(began.elapsed()),
            _ => Outcome::Unknown,
        }
    }

    /// What is to be said of the instance when another one has answered before it. How long that
    /// one took is not known: this attempt began with the first.
    pub(crate) fn overtaken(&mut self) -> Outcome {
        match (self.began_at.take(), self.answered_at) {
            (Some(began), Some(answered)) => Outcome::Abandoned(answered.duration_since(began)),
            (Some(began), None) => Outcome::Abandoned(began.elapsed()),
            (None, _) => Outcome::Unknown,
        }
    }

    /// What the instance made of the request, with the response's status. `connecting` is the time
    /// that a new connection took.
    pub(crate) fn outcome(&self, status: u16, connecting: Duration) -> Outcome {
        // An answer before the end of the body has no time.
        let took = self.answered_at.zip(self.began_at);
        let took = took.map(|(answered, began)| answered.duration_since(began));
        let took = took.map(|took| match self.watch {
            Watch::FromBody => took + connecting,
            Watch::Off | Watch::FromBegin => took,
        });
        Outcome::of(status, self.spared, took)
    }
}

/// `Retry-After`: seconds, or a date (RFC 9110, 10.2.3). None without, and none that makes sense.
pub(crate) fn retry_after(head: &ResponseHead, buffer: &[u8]) -> Option<Duration> {
    let named = |name: &[u8]| name.eq_ignore_ascii_case(b"retry-after");
    let field = head.fields().iter().find(|field| named(field.name.of(buffer)))?;
    let text = std::str::from_utf8(field.value.of(buffer)).ok()?;
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        // Longer than any number of digits that fits is as good as for ever.
        let seconds = text.parse().unwrap_or(u64::from(u32::MAX));
        return (!text.is_empty()).then(|| Duration::from_secs(seconds));
    }
    let until = httpdate::parse_http_date(text).ok()?;
    Some(until.duration_since(SystemTime::now()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use http1::{Limits, Progress};

    use super::*;

    #[test]
    fn whoever_was_overtaken_takes_longer_and_the_other_was_not_measured() {
        let began = Instant::now();
        let answered = began + Duration::from_millis(70);
        let mut timing = Timing {
            watch: Watch::FromBegin,
            began_at: Some(began),
            answered_at: Some(answered),
            spared: None,
        };
        assert_eq!(timing.overtaken(), Outcome::Abandoned(Duration::from_millis(70)));
        assert_eq!(timing.outcome(200, Duration::ZERO), Outcome::Answered(None));
        assert_eq!(timing.unanswered(), Outcome::Unknown);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let limits = Limits { head_bytes_max: 1000, headers_max: 10, target_bytes_max: 0 };
        let read = |value: &str| {
            let text = format!("HTTP/1.1 503 Busy\r\nA: 1\r\nretry-AFTER: {value}\r\n\r\n");
            let mut head = ResponseHead::default();
            assert_eq!(head.advance(text.as_bytes(), &limits), Ok(Progress::Complete));
            retry_after(&head, text.as_bytes())
        };
        assert_eq!(read("7"), Some(Duration::from_secs(7)));
        assert_eq!(read("0"), Some(Duration::ZERO));
        assert_eq!(read("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
        let soon = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(60));
        assert!((50..=60).contains(&read(&soon).unwrap().as_secs()));
        assert_eq!(read("99999999999999999999999"), Some(Duration::from_secs(u32::MAX.into())));
        for wrong in ["", "soon", "-1", "1.5", "\u{e9}"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn only_what_is_wanted_is_measured() {
        let service = |balance| Service {
            balance,
            ..Service::unbounded("shop".parse().unwrap(), model::Source::Static(Vec::new()))
        };
        let head = ResponseHead::default();
        let answer = |mut timing: Timing| {
            timing.sent();
            timing.answered(&head, b"");
            timing.outcome(200, Duration::from_secs(3))
        };
        let turns = service(model::Algorithm::RoundRobin);
        let times = service(model::Algorithm::LeastLatency);
        let of = |timing| answer(timing);
        assert_eq!(of(Timing::begin(&turns, || true).since(None)), Outcome::Answered(None));
        let Outcome::Answered(Some(took)) = of(Timing::begin(&times, || false).since(None)) else {
            panic!("no time");
        };
        assert!(took < Duration::from_secs(3));
        let Outcome::Answered(Some(took)) = of(Timing::begin(&times, || true).since(None)) else {
            panic!("no time");
        };
        assert!(took >= Duration::from_secs(3));
        let mut early = Timing::begin(&times, || true).since(None);
        early.answered(&head, b"");
        assert_eq!(early.outcome(200, Duration::ZERO), Outcome::Answered(None));
        assert_eq!(early.unanswered(), Outcome::Unknown);
        let waiting = Timing::begin(&times, || false).since(None);
        assert!(matches!(waiting.unanswered(), Outcome::Abandoned(_)));
    }
}
