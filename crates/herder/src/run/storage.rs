//! The directory of what Herder keeps on disk. Without it Herder runs as well, and says what it
//! cannot do then; it holds nothing that a request needs.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use config::Settings;
use control::{Handle, Remembered};
use model::{Desired, ServiceName};

use crate::history::History;
use crate::run::Input;

/// Opens the history of the herd of a file. None when there is no file, the file does not want it,
/// or it cannot be had, which is logged.
pub(super) fn history(input: &Input, settings: &Settings) -> Option<History> {
    let (file, kept) = (input.file()?, settings.history?);
    let dir = file.parent().unwrap_or(Path::new("")).join(&settings.storage_dir);
    let opened = match make(&dir) {
        Ok(()) => History::open(&dir, kept).map_err(|error| error.to_string()),
        Err(error) => Err(format!("{} cannot be made: {error}", dir.display())),
    };
    let warn = |error: &String| {
        tracing::warn!(
            "no history is kept, and after a restart every service begins with `min`: {error}; \
             name another directory under [storage], or write history = \"off\" there"
        );
    };
    opened.inspect_err(warn).ok()
}

/// What services had before.
pub(super) fn remembered(history: &History) -> BTreeMap<ServiceName, Remembered> {
    history.remembered().unwrap_or_else(|error| {
        tracing::warn!("every service begins with `min`: {error}");
        BTreeMap::new()
    })
}

/// Tells the forecasts of a configuration what is known of the past. It returns at once: a forecast
/// says nothing until it knows enough.
pub(super) fn recall(history: Option<&History>, desired: &Desired, control: &Handle) {
    let Some(archive) = history.map(History::archive) else { return };
    let forecasts = desired.services.values().filter(|service| service.autoscale.forecasts);
    let names: Vec<ServiceName> = forecasts.map(|service| service.name.clone()).collect();
    let control = control.clone();
    tokio::spawn(async move {
        for name in names {
            let (archive, service) = (archive.clone(), name.clone());
            match tokio::task::spawn_blocking(move || archive.past(&service)).await {
                Ok(Ok(minutes)) => control.recall(name, minutes).await,
                Ok(Err(error)) => tracing::warn!("the forecast of {name} begins anew: {error}"),
                Err(error) => tracing::error!(%error, "the history could not be read"),
            }
        }
    });
}

/// Makes the directory if it is not there: for its owner alone, and nothing to be committed.
fn make(dir: &Path) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    fs::write(PathBuf::from(dir).join(".gitignore"), "*\n")
}
