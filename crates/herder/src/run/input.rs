//! Where the configuration comes from: a file, read anew at every reload, or a command line.
//! It reads and reports problems; what is desired is for `config` to say.

use std::path::PathBuf;

use config::{Problems, Resolved, RunArgs};

use crate::cli::{Exit, Failure};

/// Where the configuration comes from.
#[derive(Clone, Debug)]
pub(crate) enum Input {
    /// A file such as `herder.toml`.
    File(PathBuf),
    /// The arguments of `herder run`.
    Command(Box<RunArgs>),
}

impl Input {
    /// The configuration as it is now.
    ///
    /// # Errors
    /// With [`Exit::Config`], or [`Exit::Usage`] for a command line: the file cannot be read, or
    /// there are problems, which are all listed.
    pub(crate) fn load(&self) -> Result<Resolved, Failure> {
        match self {
            Self::Command(args) => args.resolve().map_err(|problems| {
                listed("the command line", &problems)
                    .exit(Exit::Usage)
                    .hint("see `herder run --help`")
            }),
            Self::File(path) => {
                let text = std::fs::read_to_string(path).map_err(|error| {
                    Failure::new(format!("{} could not be read: {error}", path.display()))
                        .exit(Exit::Config)
                        .hint(
                            "name a file that is there with -c, or run one service without a \
                             file: `herder run -- COMMAND`",
                        )
                })?;
                let file = path.display().to_string();
                config::parse(&text, path)
                    .map_err(|problems| listed(&file, &problems).exit(Exit::Config))
            }
        }
    }

    /// The file, if it is one.
    pub(crate) fn file(&self) -> Option<&PathBuf> {
        match self {
            Self::File(path) => Some(path),
            Self::Command(_) => None,
        }
    }
}

fn listed(what: &str, problems: &Problems) -> Failure {
    match problems.len() {
        1 => Failure::new(problems),
        count => Failure::new(format!("{what} has {count} problems:\n{problems}")),
    }
}
