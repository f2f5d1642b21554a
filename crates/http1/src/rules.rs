//! Header rules: what is taken off a head and put onto it because somebody configured it.
//! A rule is judged when it is made: none can decide about framing, connection or routing, or say
//! what Herder says itself.

use crate::bytes::{is_authority, is_field_value, is_token, trim};
use crate::{Facts, Known, Placeholder, Template, TemplateError};

/// Rules for one direction.
pub const RULES_MAX: usize = 64;
/// Bytes of a name.
const NAME_BYTES_MAX: usize = 128;

/// Which heads rules are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From clients to instances.
    Request,
    /// From instances to clients.
    Response,
}

/// One rule as it is written: names, and texts with placeholders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldRule<'a> {
    /// Takes all fields of this name off.
    Remove(&'a str),
    /// Takes all fields of this name off and puts one on.
    Set(&'a str, &'a str),
    /// Puts one more on.
    Add(&'a str, &'a str),
}

/// Why a rule cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuleError {
    /// The name is not a token, or too long.
    Name,
    /// The name decides about framing or connection.
    Connection,
    /// The name is one that Herder writes onto requests itself.
    Ours,
    /// One of these with `_` instead of `-`.
    Disguised,
    /// `Host` can only be set on requests.
    HostNotSet,
    /// The value of `Host` is not a host with perhaps a port, or has a placeholder.
    HostValue,
    /// The value is empty.
    Empty,
    /// The value begins or ends with white space, which no reader would see.
    Space,
    /// The value has a byte that no field can have.
    Byte,
    /// The text has something wrong with its placeholders.
    Template(TemplateError),
    /// There is a rule for the same name already, at this place in the list.
    Clash(usize),
    /// There are more than [`RULES_MAX`].
    TooMany,
}

/// Rules for the heads of one direction. Names are compared without case, and `_` is the same as
/// `-`: servers that follow CGI read `X_User` and `X-User` as one field, and rules are used to say
/// who a request is from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldRules {
    /// What is taken off.
    taken_off: Box<[Box<str>]>,
    /// One bit per length of a name that is taken off, so that most fields cost one look.
    lengths: u64,
    /// What is put on, in order.
    put_on: Box<[Line]>,
    /// `Host` of a request.
    host: Option<Box<str>>,
}

/// A line that is put on.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    name: Box<str>,
    value: Template,
}

/// Rules, and what they put on, written out already: by [`Ruling::write`].
#[derive(Clone, Copy, Debug)]
pub struct Ruled<'a> {
    /// The rules.
    pub rules: &'a FieldRules,
    /// The lines.
    pub lines: &'a [u8],
}

/// Rules, and what their placeholders stand for at the moment.
#[derive(Clone, Copy, Debug)]
pub struct Ruling<'a> {
    /// The rules.
    pub rules: &'a FieldRules,
    /// What placeholders stand for.
    pub facts: Facts<'a>,
}

impl FieldRules {
    /// Makes rules of what is written; they are applied in the order remove, set, add.
    ///
    /// # Errors
    /// Every rule that cannot be used, by its place in the list.
    pub fn new(
        direction: Direction,
        written: &[FieldRule<'_>],
    ) -> Result<Self, Vec<(usize, RuleError)>> {
        let mut errors = Vec::new();
        let mut taken_off: Vec<Box<str>> = Vec::new();
        let (mut set, mut added) = (Vec::new(), Vec::new());
        let mut host = None;
        for (at, rule) in written.iter().enumerate() {
            let value = match judge(direction, written, at) {
                Ok(value) => value,
                Err(error) => {
                    errors.push((at, error));
                    continue;
                }
            };
            let line = value.map(|value| Line { name: rule.name().into(), value });
            match rule {
                FieldRule::Set(name, value) if is_alike(name, "host") => {
                    host = Some((*value).into());
                }
                FieldRule::Remove(name) => taken_off.push((*name).into()),
                FieldRule::Set(name, _) => {
                    taken_off.push((*name).into());
                    set.extend(line);
                }
                FieldRule::Add(..) => added.extend(line),
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        set.append(&mut added);
        let lengths = taken_off.iter().fold(0, |bits, name| bits | bit(name.len()));
        Ok(Self { taken_off: taken_off.into(), lengths, put_on: set.into(), host })
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.taken_off.is_empty() && self.put_on.is_empty() && self.host.is_none()
    }

    /// Whether a field of this name is taken off.
    pub(crate) fn takes_off(&self, name: &[u8]) -> bool {
        let is_it = |rule: &str| is_alike(rule, name);
        self.lengths & bit(name.len()) != 0 && self.taken_off.iter().any(|rule| is_it(rule))
    }

    pub(crate) fn host(&self) -> Option<&[u8]> {
        self.host.as_deref().map(str::as_bytes)
    }
}

impl Ruling<'_> {
    /// Writes the lines that are put on.
    pub fn write(&self, out: &mut Vec<u8>) {
        for line in &self.rules.put_on {
            out.extend_from_slice(line.name.as_bytes());
            out.extend_from_slice(b": ");
            line.value.write(out, &self.facts);
            out.extend_from_slice(b"\r\n");
        }
    }
}

impl<'a> FieldRule<'a> {
    /// The name that it is about.
    pub fn name(&self) -> &'a str {
        match self {
            FieldRule::Remove(name) | FieldRule::Set(name, _) | FieldRule::Add(name, _) => name,
        }
    }

    fn value(&self) -> Option<&'a str> {
        match self {
            FieldRule::Remove(_) => None,
            FieldRule::Set(_, value) | FieldRule::Add(_, value) => Some(value),
        }
    }

    /// Whether nobody could say what both together mean. Further lines do no harm.
    fn contradicts(&self, other: &Self) -> bool {
        let adds = matches!(self, Self::Add(..)) || matches!(other, Self::Add(..));
        !adds && is_alike(self.name(), other.name())
    }
}

/// The value that a rule puts on, if any.
fn judge(
    direction: Direction,
    written: &[FieldRule<'_>],
    at: usize,
) -> Result<Option<Template>, RuleError> {
    let rule = written[at];
    if at >= RULES_MAX {
        return Err(RuleError::TooMany);
    }
    judge_name(direction, rule)?;
    if let Some(before) = written[..at].iter().position(|before| before.contradicts(&rule)) {
        return Err(RuleError::Clash(before));
    }
    let Some(text) = rule.value() else {
        return Ok(None);
    };
    if is_alike(rule.name(), "host") {
        let is_plain = !text.is_empty() && is_authority(text.as_bytes());
        return if is_plain { Ok(None) } else { Err(RuleError::HostValue) };
    }
    value(text).map(Some)
}

fn judge_name(direction: Direction, rule: FieldRule<'_>) -> Result<(), RuleError> {
    let name = rule.name().as_bytes();
    if !is_token(name) || name.len() > NAME_BYTES_MAX {
        return Err(RuleError::Name);
    }
    match (Known::of(name), direction) {
        (Known::Other, _) if name.eq_ignore_ascii_case(b"trailer") => Err(RuleError::Connection),
        (Known::Host, Direction::Request) if matches!(rule, FieldRule::Set(..)) => Ok(()),
        (Known::Host, _) => Err(RuleError::HostNotSet),
        (Known::Forwarded | Known::RequestId, Direction::Request) => Err(RuleError::Ours),
        (Known::Other | Known::Forwarded | Known::RequestId, _) => Ok(()),
        (Known::Disguised, _) => Err(RuleError::Disguised),
        (
            Known::Connection
            | Known::ContentLength
            | Known::Expect
            | Known::KeepAlive
            | Known::Te
            | Known::TransferEncoding
            | Known::Upgrade,
            _,
        ) => Err(RuleError::Connection),
    }
}

fn value(text: &str) -> Result<Template, RuleError> {
    if text.is_empty() {
        return Err(RuleError::Empty);
    }
    if trim(text.as_bytes()).len() != text.len() {
        return Err(RuleError::Space);
    }
    let template = Template::parse(text, &Placeholder::ALL.map(|(_, placeholder)| placeholder));
    let template = template.map_err(RuleError::Template)?;
    if template.texts().all(is_field_value) { Ok(template) } else { Err(RuleError::Byte) }
}

/// Whether two names are the same field for somebody.
fn is_alike(a: impl AsRef<[u8]>, b: impl AsRef<[u8]>) -> bool {
    let plain = |byte: u8| if byte == b'_' { b'-' } else { byte.to_ascii_lowercase() };
    let (a, b) = (a.as_ref(), b.as_ref());
    a.len() == b.len() && a.iter().zip(b).all(|(&a, &b)| plain(a) == plain(b))
}

fn bit(name_bytes: usize) -> u64 {
    1 << name_bytes.min(63)
}
