//! The socket of one Herder: where it is, whose it is, and that only one Herder has it.
//! It binds and cleans up; what is said over it is `admin`'s business.

use std::ffi::OsString;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, fchmod, flock};
use rustix::io::Errno;
use rustix::net::{self, AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

/// Longest path of a Unix socket on Linux, without the byte that ends it.
const PATH_BYTES_MAX: usize = 107;

/// Connections that wait to be accepted. Beyond: connecting waits.
const BACKLOG_MAX: i32 = 128;

/// How often a lock file that vanished between opening and locking is opened again.
const LOCK_TRIES_MAX: usize = 8;

/// One Herder's hold on a socket path: the lock and the file. Both are gone when it is dropped;
/// when the process is killed, the kernel lets the lock go and the next Herder replaces the files.
#[derive(Debug)]
pub(crate) struct Claim {
    socket: PathBuf,
    lock: PathBuf,
    /// Held open for the lock on it.
    _held: File,
}

/// Why a socket was not claimed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Another Herder runs there.
    #[error("another Herder{} has the socket {}", pid_text(*pid), socket.display())]
    Taken {
        /// The socket that was wanted.
        socket: PathBuf,
        /// The other one's process, when it could be read.
        pid: Option<u32>,
    },
    /// The directory is not safe to put a socket in.
    #[error("the socket directory {} is not safe: {why}", dir.display())]
    Unsafe {
        /// The directory.
        dir: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The path does not fit a socket address.
    #[error(
        "the socket path {} is {} bytes long; at most {PATH_BYTES_MAX} fit",
        socket.display(),
        socket.as_os_str().len()
    )]
    TooLong {
        /// The path.
        socket: PathBuf,
    },
    /// The system refused.
    #[error("could not {what} {}: {cause}", path.display())]
    System {
        /// What was tried.
        what: &'static str,
        /// On which path.
        path: PathBuf,
        /// What came back.
        cause: io::Error,
    },
}

/// The socket that was named, or the one of this user.
pub(crate) fn path_or_default(named: Option<PathBuf>) -> PathBuf {
    let uid = rustix::process::getuid().as_raw();
    named.unwrap_or_else(|| default_path(std::env::var_os("XDG_RUNTIME_DIR"), uid))
}

/// The lock file beside a socket. It is there for as long as a Herder that ends in good order runs.
pub(crate) fn lock_path(socket: &Path) -> PathBuf {
    let mut path = socket.as_os_str().to_owned();
    path.push(".lock");
    PathBuf::from(path)
}

fn default_path(runtime_dir: Option<OsString>, uid: u32) -> PathBuf {
    match runtime_dir.map(PathBuf::from).filter(|dir| dir.is_absolute()) {
        Some(dir) => dir.join("herder/herder.sock"),
        None => PathBuf::from(format!("/tmp/herder-{uid}/herder.sock")),
    }
}

impl Claim {
    /// Takes the path for this process and listens there with mode 0600. A missing directory is
    /// made with mode 0700; one called `herder` or `herder-UID`, as in the default, has to be
    /// ours alone. The file that a dead Herder left is replaced.
    ///
    /// # Errors
    /// [`Error`]; nothing is left behind then.
    pub(crate) fn take(socket: &Path) -> Result<(Self, UnixListener), Error> {
        if socket.as_os_str().as_bytes().len() > PATH_BYTES_MAX {
            return Err(Error::TooLong { socket: socket.to_owned() });
        }
        let dir = match socket.parent() {
            Some(dir) if !dir.as_os_str().is_empty() => dir,
            _ => Path::new("."),
        };
        prepare_dir(dir)?;
        let lock = lock_path(socket);
        let held = hold(&lock, socket)?;
        let claim = Self { socket: socket.to_owned(), lock, _held: held };
        let listener = bind(socket)?;
        Ok((claim, listener))
    }

    /// The path that is claimed.
    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }
}

impl Drop for Claim {
    /// The lock file goes last and while it is still locked, so that nobody can lock a file that
    /// is about to vanish without noticing; see `hold`.
    fn drop(&mut self) {
        for path in [&self.socket, &self.lock] {
            if let Err(error) = std::fs::remove_file(path)
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::warn!(path = %path.display(), %error, "a file was left behind");
            }
        }
    }
}

impl Error {
    /// What to do about it.
    pub(crate) fn hint(&self) -> String {
        match self {
            Self::Taken { socket, .. } => format!(
                "give this one a socket of its own with --socket PATH, or end the other one: \
                 `herder --socket {} stop`",
                socket.display()
            ),
            Self::Unsafe { .. } | Self::TooLong { .. } => {
                "name another socket with --socket PATH".to_owned()
            }
            Self::System { cause, .. }
                if cause.raw_os_error() == Some(Errno::MFILE.raw_os_error()) =>
            {
                "raise the limit of open files: `ulimit -n`".to_owned()
            }
            Self::System { .. } => {
                "name a socket in a directory that you may write to with --socket PATH".to_owned()
            }
        }
    }
}

/// Makes the directory if it is missing, and checks it if it is one of Herder's own.
fn prepare_dir(dir: &Path) -> Result<(), Error> {
    let made = DirBuilder::new().mode(0o700).recursive(true).create(dir);
    made.map_err(|cause| Error::System { what: "make the directory", path: dir.into(), cause })?;
    let ours = dir
        .file_name()
        .and_then(|name| name.to_str())
        .is_some_and(|name| name == "herder" || name.starts_with("herder-"));
    if !ours {
        return Ok(());
    }
    // Of the link, not of what it leads to: in /tmp anybody could have put one there.
    let meta = dir.symlink_metadata();
    let meta = meta.map_err(|cause| Error::System { what: "look at", path: dir.into(), cause })?;
    let uid = rustix::process::geteuid().as_raw();
    let why = if !meta.is_dir() {
        "it is not a directory".to_owned()
    } else if meta.uid() != uid {
        format!("it belongs to user {}, and we are user {uid}", meta.uid())
    } else if meta.mode() & 0o077 != 0 {
        format!("others may enter it (mode {:04o}); `chmod 700` it", meta.mode() & 0o7777)
    } else {
        return Ok(());
    };
    Err(Error::Unsafe { dir: dir.to_owned(), why })
}

/// Locks the lock file for as long as the result lives, and writes our pid into it.
///
/// Whoever ends removes the file while it holds the lock. So a lock is good only if the path still
/// leads to the file that was locked; otherwise it is tried again with the file that is there now.
fn hold(lock: &Path, socket: &Path) -> Result<File, Error> {
    let system = |what, cause| Error::System { what, path: lock.to_owned(), cause };
    for _ in 0..LOCK_TRIES_MAX {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut file = options.open(lock).map_err(|cause| system("open the lock file", cause))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                let mut text = String::new();
                let pid =
                    file.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
                return Err(Error::Taken { socket: socket.to_owned(), pid });
            }
            Err(errno) => return Err(system("lock", errno.into())),
        }
        let held = file.metadata().map_err(|cause| system("look at", cause))?;
        let same =
            lock.metadata().is_ok_and(|now| (now.dev(), now.ino()) == (held.dev(), held.ino()));
        if same {
            let written = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
            written.map_err(|cause| system("write", cause))?;
            return Ok(file);
        }
    }
    Err(Error::Taken { socket: socket.to_owned(), pid: None })
}

/// Listens at the path, whose lock is held: whatever is there was left by a dead Herder.
fn bind(socket: &Path) -> Result<UnixListener, Error> {
    let system = |what, cause| Error::System { what, path: socket.to_owned(), cause };
    match std::fs::remove_file(socket) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(cause) => return Err(system("replace the old socket", cause)),
    }
    let listening = || -> rustix::io::Result<UnixListener> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let fd = net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        // Before the bind and not a chmod after it: Linux gives the file the mode of the socket, so
        // there is no moment at which others may connect.
        fchmod(&fd, Mode::RUSR | Mode::WUSR)?;
        net::bind(&fd, &SocketAddrUnix::new(socket)?)?;
        net::listen(&fd, BACKLOG_MAX)?;
        Ok(UnixListener::from(fd))
    };
    listening().map_err(|errno| system("listen at", errno.into()))
}

fn pid_text(pid: Option<u32>) -> String {
    pid.map_or_else(String::new, |pid| format!(" (pid {pid})"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn the_default_is_ours_alone() {
        let check = |dir: Option<&str>, expected: &str| {
            assert_eq!(default_path(dir.map(OsString::from), 1000), Path::new(expected));
        };
        check(Some("/run/user/1000"), "/run/user/1000/herder/herder.sock");
        check(None, "/tmp/herder-1000/herder.sock");
        check(Some(""), "/tmp/herder-1000/herder.sock");
        check(Some("relative"), "/tmp/herder-1000/herder.sock");
    }

    #[test]
    fn one_herder_per_socket_and_nothing_left_behind() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("herder/herder.sock");
        let (claim, _listener) = Claim::take(&path).unwrap();
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
        assert_eq!(path.parent().unwrap().metadata().unwrap().mode() & 0o777, 0o700);
        UnixStream::connect(&path).unwrap();

        let refused = Claim::take(&path).unwrap_err();
        let Error::Taken { pid, .. } = &refused else { panic!("{refused}") };
        assert_eq!(*pid, Some(std::process::id()));
        assert!(refused.to_string().contains(&format!("(pid {})", std::process::id())));
        assert!(refused.hint().contains("--socket"));
        UnixStream::connect(&path).unwrap();

        drop(claim);
        assert_eq!(path.parent().unwrap().read_dir().unwrap().count(), 0);
        Claim::take(&path).unwrap();
    }

    #[test]
    fn what_a_dead_herder_left_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("h.sock");
        drop(UnixListener::bind(&path).unwrap());
        std::fs::write(lock_path(&path), "4711\n").unwrap();
        assert!(UnixStream::connect(&path).is_err());
        let (_claim, _listener) = Claim::take(&path).unwrap();
        UnixStream::connect(&path).unwrap();
        let lock = std::fs::read_to_string(lock_path(&path)).unwrap();
        assert_eq!(lock.trim(), std::process::id().to_string());
    }

    #[test]
    fn a_directory_that_others_may_enter_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let shared = dir.path().join("herder-1");
        std::fs::create_dir(&shared).unwrap();
        std::fs::set_permissions(&shared, PermissionsExt::from_mode(0o755)).unwrap();
        let refused = Claim::take(&shared.join("herder.sock")).unwrap_err();
        assert!(refused.to_string().contains("mode 0755"), "{refused}");

        let link = dir.path().join("herder");
        std::os::unix::fs::symlink("/tmp", &link).unwrap();
        let refused = Claim::take(&link.join("herder.sock")).unwrap_err();
        assert!(refused.to_string().contains("not a directory"), "{refused}");
    }

    #[test]
    fn a_path_that_is_too_long_is_refused() {
        let path = PathBuf::from(format!("/tmp/{}", "x".repeat(PATH_BYTES_MAX)));
        let refused = Claim::take(&path).unwrap_err();
        assert!(refused.to_string().contains("at most 107"), "{refused}");
    }

    /// Many at once: exactly one holds it at a time, and none locks a file that vanished.
    #[test]
    fn a_race_has_one_winner() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("h.sock");
        let holders = std::sync::atomic::AtomicUsize::new(0);
        let taken: usize = std::thread::scope(|scope| {
            let race = || {
                let mut taken = 0;
                for _ in 0..200 {
                    if let Ok((claim, _listener)) = Claim::take(&path) {
                        let before = holders.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                        assert_eq!(before, 0, "two hold the same socket");
                        holders.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                        drop(claim);
                        taken += 1;
                    }
                }
                taken
            };
            let racers: Vec<_> = (0..4).map(|_| scope.spawn(race)).collect();
            racers.into_iter().map(|racer| racer.join().unwrap()).sum()
        });
        assert!(taken > 0);
    }
}
