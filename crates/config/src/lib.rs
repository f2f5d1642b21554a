//! herder.toml: from the text as written to what is desired, or every problem at once.
//! It reads no file, opens no socket and starts nothing; the caller brings the text.
#![forbid(unsafe_code)]

mod check;
mod defaults;
mod problem;
mod report;
mod resolve;
mod rule;
mod run_args;
mod schema;
mod settings;
mod suggest;
mod syntax;
mod tree;
mod units;
mod value;

use std::path::Path;

use crate::report::{Naming, Report};
use crate::tree::Lines;

pub use problem::{At, Problem, Problems};
pub use run_args::RunArgs;
pub use schema::document::schema;
pub use settings::{AccessLog, LogFormat, Resolved, Settings};

/// Bytes of a file. A thousand services fit; beyond it is not a configuration.
const TEXT_BYTES_MAX: usize = 4 << 20;

/// What `text` asks for. `file` is only what problems call it.
///
/// # Errors
/// Everything that is wrong with it, in the order of the file: first what cannot be read, what the
/// schema refuses, and what does not go together, all in one list.
pub fn parse(text: &str, file: &Path) -> Result<Resolved, Problems> {
    read(text, Naming::Keys).map_err(|problems| Problems::new(file, problems))
}

/// Reads, checks, resolves. One list of problems from three steps: a step judges only what the
/// steps before found sound, so that no problem is the mere echo of another.
fn read(text: &str, naming: Naming) -> Result<Resolved, Vec<Problem>> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(vec![Problem {
            at: Some(At { line: 1, column: 1 }),
            key: String::new(),
            message: format!("the file has {} bytes", text.len()),
            hint: format!("write at most {}", units::size_text(TEXT_BYTES_MAX as u64)),
        }]);
    }
    let lines = Lines::new(text);
    let syntax = syntax::read(text, &lines);
    let schema = schema();
    let found = check::check(syntax.table.get_ref(), &schema, &syntax.places, &syntax.doubt);
    let sound = tree::json(syntax.table.get_ref(), &|path| !found.unsound.contains(path));
    let written = schema::document::config(sound);
    let mut problems = syntax.problems;
    problems.extend(found.problems.iter().cloned());
    match written {
        Ok(written) => {
            let mut report = Report::new(&syntax.places, &found, &syntax.doubt, naming);
            let resolved = resolve::resolve(&written, &mut report);
            problems.extend(report.into_problems());
            if problems.is_empty() { Ok(resolved) } else { Err(problems) }
        }
        Err(defect) => {
            if problems.is_empty() {
                problems.push(Problem {
                    at: Some(At { line: 1, column: 1 }),
                    key: String::new(),
                    message: format!("the checks passed, and yet: {defect}"),
                    hint: "this is a defect of Herder; please report it with the file".to_owned(),
                });
            }
            Err(problems)
        }
    }
}
