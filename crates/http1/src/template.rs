//! Texts with placeholders, such as `{client}`: read once, filled in for each request.
//! It knows what a placeholder stands for; where a text goes is for `rules` and `location`.

/// Bytes of a text as written.
const TEXT_BYTES_MAX: usize = 4096;
/// Placeholders in a text, so that a value cannot grow without bound.
const PLACEHOLDERS_MAX: usize = 16;

/// What can stand in braces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placeholder {
    /// `{client}`: [`Facts::client`].
    Client,
    /// `{host}`: [`Facts::host`].
    Host,
    /// `{path}`: [`Facts::path`].
    Path,
    /// `{request_id}`: [`Facts::request_id`].
    RequestId,
    /// `{instance}`: [`Facts::instance`].
    Instance,
    /// `{service}`: [`Facts::service`].
    Service,
    /// `{scheme}`: [`Facts::scheme`].
    Scheme,
}

/// What placeholders stand for in one request. Each is a good part of a field value: the parser, or
/// whoever made it, has seen to that.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The client's address, without port.
    pub client: &'a [u8],
    /// The host that was asked for, without port; empty if the request names none.
    pub host: &'a [u8],
    /// Path and query as the client sent them.
    pub path: &'a [u8],
    /// The id of the request.
    pub request_id: &'a [u8],
    /// The instance that gets the request, such as `shop.3`.
    pub instance: &'a [u8],
    /// Its service.
    pub service: &'a [u8],
    /// `http` or `https`.
    pub scheme: &'a [u8],
}

/// A text with placeholders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    segments: Box<[Segment]>,
}

/// A part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Segment {
    Text(Box<[u8]>),
    Fact(Placeholder),
}

/// Why a text cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// It has too many bytes.
    #[error("has {0} bytes, and the most is {TEXT_BYTES_MAX}")]
    TooLong(usize),
    /// It has too many placeholders.
    #[error("has more than {PLACEHOLDERS_MAX} placeholders")]
    TooMany,
    /// There is no such placeholder here.
    #[error("has `{{{0}}}`, which stands for nothing here")]
    Unknown(String),
    /// A brace without its other half.
    #[error("has a brace without its other half")]
    Brace,
}

impl Placeholder {
    /// All of them with their names.
    pub const ALL: [(&'static str, Placeholder); 7] = [
        ("client", Placeholder::Client),
        ("host", Placeholder::Host),
        ("path", Placeholder::Path),
        ("request_id", Placeholder::RequestId),
        ("instance", Placeholder::Instance),
        ("service", Placeholder::Service),
        ("scheme", Placeholder::Scheme),
    ];

    fn of<'a>(self, facts: &Facts<'a>) -> &'a [u8] {
        match self {
            Placeholder::Client => facts.client,
            Placeholder::Host => facts.host,
            Placeholder::Path => facts.path,
            Placeholder::RequestId => facts.request_id,
            Placeholder::Instance => facts.instance,
            Placeholder::Service => facts.service,
            Placeholder::Scheme => facts.scheme,
        }
    }
}

impl Template {
    /// Reads a text, in which `{{` and `}}` stand for braces.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn parse(text: &str, allowed: &[Placeholder]) -> Result<Self, TemplateError> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(TemplateError::TooLong(text.len()));
        }
        let mut segments = Vec::new();
        let mut plain = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            plain.extend_from_slice(&rest.as_bytes()[..at]);
            let brace = &rest.as_bytes()[at..=at];
            let after = &rest[at + 1..];
            if after.as_bytes().starts_with(brace) {
                plain.extend_from_slice(brace);
                rest = &after[1..];
                continue;
            }
            let inside = after.split_once('}').filter(|_| brace == b"{");
            let (name, behind) = inside.ok_or(TemplateError::Brace)?;
            let known = Placeholder::ALL.iter().find(|(known, _)| *known == name);
            let placeholder = known.map(|&(_, found)| found).filter(|one| allowed.contains(one));
            let placeholder = placeholder.ok_or_else(|| TemplateError::Unknown(name.to_owned()))?;
            if !plain.is_empty() {
                segments.push(Segment::Text(std::mem::take(&mut plain).into()));
            }
            segments.push(Segment::Fact(placeholder));
            rest = behind;
        }
        plain.extend_from_slice(rest.as_bytes());
        if !plain.is_empty() {
            segments.push(Segment::Text(plain.into()));
        }
        let is_fact = |segment: &&Segment| matches!(segment, Segment::Fact(_));
        if segments.iter().filter(is_fact).count() > PLACEHOLDERS_MAX {
            return Err(TemplateError::TooMany);
        }
        Ok(Self { segments: segments.into() })
    }

    /// Writes the text with everything filled in.
    pub(crate) fn write(&self, out: &mut Vec<u8>, facts: &Facts<'_>) {
        for segment in &self.segments {
            out.extend_from_slice(match segment {
                Segment::Text(text) => text,
                Segment::Fact(placeholder) => placeholder.of(facts),
            });
        }
    }

    pub(crate) fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The parts that stand in it as they are.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &[u8]> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Text(text) => Some(&**text),
            Segment::Fact(_) => None,
        })
    }

    /// Whether it has one of these.
    pub(crate) fn mentions(&self, wanted: &[Placeholder]) -> bool {
        let is_wanted =
            |segment: &Segment| matches!(segment, Segment::Fact(f) if wanted.contains(f));
        self.segments.iter().any(is_wanted)
    }
}
