//! Where things are in a checkout: the examples, and the Python that has what they need.
//! It installs nothing; `scripts/test` does.

use std::path::{Path, PathBuf};

/// The root of the workspace.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).expect("the test kit is two folders deep").to_owned()
}

/// A file under `examples/`.
///
/// # Panics
///
/// When there is none.
pub fn example(path: &str) -> PathBuf {
    existing(root().join("examples").join(path), "it is named in a test, so mend the test")
}

/// A program of the Python environment that `scripts/test` makes, such as `python` or `gunicorn`.
///
/// # Panics
///
/// When it is not there.
pub fn venv(program: &str) -> PathBuf {
    let path = root().join(".venv/bin").join(program);
    existing(path, "run `scripts/test --install-only` once")
}

fn existing(path: PathBuf, otherwise: &str) -> PathBuf {
    assert!(path.exists(), "{} does not exist: {otherwise}", path.display());
    path
}
