//! The secret of a store, which its passwords are made from: a file that its owner alone can read.
//! One line is one secret; passwords of all of them are taken, and made with the first.

use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::rand::{GetRandomFlags, getrandom};
use state::Credentials;

use crate::cli::Failure;

pub(super) const EXAMPLE: &str = "\
EXAMPLE:
    herder state password shop-3 --secret /var/lib/herder/state.secret";

/// Bytes of a secret that is made here; it is written in hex.
const BYTES: usize = 32;
/// Fewer digits can be found by trying.
const LINE_BYTES_MIN: usize = 16;
/// Who may read the file, and who may not.
const MODE: u32 = 0o600;
const MODE_OF_OTHERS: u32 = 0o077;

/// Whose password.
#[derive(Debug, clap::Args)]
pub(crate) struct Password {
    /// The name, such as that of an instance
    name: String,
    /// The file of the secret
    #[arg(long, value_name = "FILE")]
    secret: PathBuf,
}

/// Prints it.
pub(super) fn password(order: &Password) -> Result<(), Failure> {
    let credentials = read(&order.secret)?;
    let password = credentials.password(order.name.as_bytes());
    let password = password.ok_or_else(|| no_secret(&order.secret))?;
    Ok(writeln!(io::stdout(), "{password}")?)
}

/// The credentials that the file at `path` makes; where there is none, one is written.
pub(super) fn read_or_make(path: &Path) -> Result<Credentials, Failure> {
    match make(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => {
            let text = format!("the secret {} could not be written: {error}", path.display());
            return Err(Failure::new(text));
        }
    }
    read(path)
}

fn make(path: &Path) -> io::Result<()> {
    let mut secret = [0; BYTES];
    let drawn = getrandom(&mut secret, GetRandomFlags::empty())?;
    if drawn != BYTES {
        return Err(io::Error::other("the system gave too few random bytes"));
    }
    let mut file =
        std::fs::OpenOptions::new().write(true).create_new(true).mode(MODE).open(path)?;
    let line: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    writeln!(file, "{line}")?;
    file.sync_all()
}

fn read(path: &Path) -> Result<Credentials, Failure> {
    let shown = path.display();
    let failed = |error| Failure::new(format!("the secret {shown} was not read: {error}"));
    let mode = std::fs::metadata(path).map_err(failed)?.permissions().mode();
    if mode & MODE_OF_OTHERS != 0 {
        let text = format!("the secret {shown} can be read by others than its owner");
        return Err(Failure::new(text).hint(format!("run: chmod 600 {shown}")));
    }
    let text = std::fs::read_to_string(path).map_err(failed)?;
    let lines: Vec<Vec<u8>> =
        text.lines().map(str::trim).filter(|line| !line.is_empty()).map(Vec::from).collect();
    if lines.is_empty() {
        return Err(no_secret(path));
    }
    if lines.iter().any(|line| line.len() < LINE_BYTES_MIN) {
        let text = format!("a secret in {shown} is shorter than {LINE_BYTES_MIN} characters");
        return Err(Failure::new(text).hint("write 32 random bytes there: `openssl rand -hex 32`"));
    }
    Ok(Credentials::new(lines))
}

fn no_secret(path: &Path) -> Failure {
    Failure::new(format!("there is no secret in {}", path.display()))
        .hint("write 32 random bytes there: `openssl rand -hex 32`")
}
