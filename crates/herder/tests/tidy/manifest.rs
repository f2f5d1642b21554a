//! Cargo manifests as the house rules see them: sections of lines.
//! It reads just the forms that this workspace uses, and nothing outside them is allowed.

/// One `name = value` line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Entry<'a> {
    /// The name of its section, such as `dependencies`.
    pub(crate) section: &'a str,
    /// The key up to a dot: `tokio` for `tokio.workspace = true`.
    pub(crate) name: &'a str,
    /// The whole line.
    pub(crate) line: &'a str,
}

/// All entries, in order. The continuation lines of a list are skipped.
pub(crate) fn entries(text: &str) -> Vec<Entry<'_>> {
    let mut section = "";
    let mut found = Vec::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end().trim_end_matches(']');
        } else if line.starts_with(|c: char| c.is_ascii_alphanumeric())
            && let Some((key, _)) = line.split_once('=')
        {
            let name = key.split('.').next().unwrap_or(key).trim();
            found.push(Entry { section, name, line });
        }
    }
    found
}
