//! The house rules over manifests and documents: arrows, dependencies, lints, walks.
//! Like the rules over sources they take text and return what breaks them.

use crate::manifest::entries;
use crate::source::{Source, words};
use crate::verdict::Finding;

/// Sections whose arrows are those of the product.
const PRODUCT: [&str; 2] = ["dependencies", "build-dependencies"];

/// `manifest`, of crate `name`, depends on just those workspace crates that `arrows` allows, and
/// takes everything else from the workspace's list.
pub(crate) fn arrows(name: &str, manifest: &str, arrows: &[(&str, &[&str])]) -> Vec<Finding> {
    let place = format!("crates/{name}/Cargo.toml");
    let Some((_, allowed)) = arrows.iter().find(|(from, _)| *from == name) else {
        let text = "no row in the table of arrows: say there what it may use";
        return vec![Finding::new(&place, 0, text)];
    };
    let mut found = Vec::new();
    for entry in entries(manifest) {
        let product = PRODUCT.contains(&entry.section);
        if !product && entry.section != "dev-dependencies" {
            continue;
        }
        let ours = arrows.iter().any(|(to, _)| *to == entry.name);
        let for_tests = !product && entry.name == "testkit";
        if ours && !for_tests && !allowed.contains(&entry.name) {
            let text = format!("{name} may not use {}: no such arrow", entry.name);
            found.push(Finding::new(&place, 0, text));
        }
        if !entry.line.contains("workspace = true") {
            let text = format!("{}: its version belongs into the workspace's list", entry.name);
            found.push(Finding::new(&place, 0, text));
        }
    }
    found
}

/// `manifest` takes its lints from the workspace.
pub(crate) fn lints_of_its_own(name: &str, manifest: &str) -> Vec<Finding> {
    let inherited = |section, line| {
        entries(manifest).iter().any(|entry| entry.section == section && entry.line == line)
    };
    let place = format!("crates/{name}/Cargo.toml");
    let text = "write `[lints]` and `workspace = true`";
    (!inherited("lints", "workspace = true"))
        .then(|| Finding::new(&place, 0, text))
        .into_iter()
        .collect()
}

/// Each dependency in the workspace's manifest says in its line why it is there.
pub(crate) fn unreasoned(manifest: &str) -> Vec<Finding> {
    let all = entries(manifest);
    let listed = all.iter().filter(|entry| entry.section == "workspace.dependencies");
    let foreign = listed.filter(|entry| !entry.line.contains("path ="));
    let silent = foreign.filter(|entry| {
        entry.line.split_once(" # ").is_none_or(|(_, reason)| reason.trim().is_empty())
    });
    silent
        .map(|entry| {
            let text = format!("{}: end the line with `# ` and why it is here", entry.name);
            Finding::new("Cargo.toml", 0, text)
        })
        .collect()
}

/// Each `file.rs::name` and each `file.rs` in `document` exists: some source ends with that path,
/// and declares that name.
pub(crate) fn stale_walks(place: &str, document: &str, sources: &[Source]) -> Vec<Finding> {
    let mut found = Vec::new();
    for (at, line) in document.lines().enumerate() {
        for (file, name) in walked(line) {
            let suffix = format!("/{file}");
            let files =
                || sources.iter().filter(|source| format!("/{}", source.path).ends_with(&suffix));
            let text = match name {
                _ if files().next().is_none() => format!("no source ends with {suffix}"),
                Some(name) if !files().any(|source| declares(source, name)) => {
                    format!("{file} has no `{name}`")
                }
                _ => continue,
            };
            found.push(Finding::new(place, at + 1, text));
        }
    }
    found
}

/// The files, with the names behind `::` if any, that `line` mentions.
fn walked(line: &str) -> Vec<(&str, Option<&str>)> {
    line.match_indices(".rs")
        .filter_map(|(at, _)| {
            let in_path = |c: char| c.is_ascii_alphanumeric() || "_-/".contains(c);
            let start = line[..at].rfind(|c| !in_path(c)).map_or(0, |before| before + 1);
            let after = &line[at + 3..];
            if start == at || after.starts_with(|c: char| c.is_alphanumeric()) {
                return None;
            }
            let name = after.trim_start().strip_prefix("::").and_then(|names| {
                let end =
                    names.trim_start().find(|c: char| !c.is_alphanumeric() && !"_:".contains(c));
                let names = &names.trim_start()[..end.unwrap_or(names.trim_start().len())];
                names.trim_end_matches(':').rsplit("::").next()
            });
            Some((&line[start..at + 3], name))
        })
        .collect()
}

/// Whether `source` declares `name` as anything that has a name.
fn declares(source: &Source, name: &str) -> bool {
    let kinds = ["fn", "struct", "enum", "trait", "type", "const", "static", "mod"];
    let all: Vec<&str> = words(&source.code).map(|(_, word)| word).collect();
    all.windows(2).any(|pair| kinds.contains(&pair[0]) && pair[1] == name)
}
