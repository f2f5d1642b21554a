//! Where a redirect leads: an address of its own, or a path on the same host.
//! What a client sent can only end up where it was meant to: no path of a request becomes a host.

use crate::bytes::is_authority;
use crate::template::Segment;
use crate::{Facts, Placeholder, Template, TemplateError};

/// Where a redirect leads, with placeholders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    template: Template,
    is_path: bool,
}

/// The request names no host, and the place it is led to needs one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoHost;

/// Why a text is not a place to lead to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LocationError {
    /// The text has something wrong with its placeholders.
    Template(TemplateError),
    /// It begins with neither `http://`, `https://` nor a slash.
    Beginning,
    /// It begins with two slashes, which would be a host.
    TwoSlashes,
    /// What stands for the host is none, or has another placeholder than `{host}`.
    Host,
    /// It has a character that no address has.
    Character(char),
}

impl Location {
    /// Reads where to lead to: `https://` and a host with perhaps a port, which gets the request's
    /// path and query; the same with a path, or a path alone, which get what they mention.
    /// `{host}` and `{path}` are [`Facts::host`] and [`Facts::path`].
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn parse(text: &str) -> Result<Self, LocationError> {
        if let Some(bad) = text.chars().find(|c| !c.is_ascii_graphic()) {
            return Err(LocationError::Character(bad));
        }
        let parse = |text: &str| Template::parse(text, &[Placeholder::Host, Placeholder::Path]);
        let template = parse(text).map_err(LocationError::Template)?;
        if text.starts_with("//") || text.starts_with("/\\") {
            return Err(LocationError::TwoSlashes);
        }
        if text.starts_with('/') || text.starts_with("{path}") {
            return Ok(Self { template, is_path: true });
        }
        let scheme = ["http://", "https://"].iter().find(|scheme| text.starts_with(*scheme));
        let scheme = scheme.ok_or(LocationError::Beginning)?;
        let Some((authority, has_path)) = authority(template.segments(), scheme.len()) else {
            return Err(LocationError::Host);
        };
        if authority.is_empty() || !is_authority(&authority) {
            return Err(LocationError::Host);
        }
        if has_path {
            return Ok(Self { template, is_path: false });
        }
        let template = parse(&format!("{text}{{path}}")).map_err(LocationError::Template)?;
        Ok(Self { template, is_path: false })
    }

    /// Writes the place that this request is led to. `*`, which is no path, counts as `/`.
    ///
    /// # Errors
    /// [`NoHost`]; something may have been written.
    pub fn write(&self, out: &mut Vec<u8>, facts: &Facts<'_>) -> Result<(), NoHost> {
        if facts.host.is_empty() && self.template.mentions(&[Placeholder::Host]) {
            return Err(NoHost);
        }
        let start = out.len();
        let path = if facts.path.starts_with(b"/") { facts.path } else { b"/" };
        self.template.write(out, &Facts { path, ..*facts });
        if self.is_path {
            // Browsers read `//x` and `/\x` as the host x.
            let is_slash = |byte: &&u8| matches!(byte, b'/' | b'\\');
            let slashes = out[start..].iter().take_while(is_slash).count();
            out.drain(start..start + slashes.saturating_sub(1));
            out[start] = b'/';
        }
        Ok(())
    }
}

/// What stands for the host, with `a` for `{host}`, and whether something follows. None if it has
/// another placeholder, or what follows is no path.
fn authority(segments: &[Segment], scheme_bytes: usize) -> Option<(Vec<u8>, bool)> {
    let mut authority = Vec::new();
    for segment in segments {
        match segment {
            Segment::Text(text) => authority.extend_from_slice(text),
            Segment::Fact(Placeholder::Host) => authority.push(b'a'),
            Segment::Fact(_) if authority[scheme_bytes..].contains(&b'/') => {}
            Segment::Fact(Placeholder::Path) if !authority[scheme_bytes..].is_empty() => {
                authority.push(b'/');
            }
            Segment::Fact(_) => return None,
        }
    }
    authority.drain(..scheme_bytes);
    let end = authority.iter().position(|&byte| byte == b'/');
    authority.truncate(end.unwrap_or(authority.len()));
    Some((authority, end.is_some()))
}
