//! The file that tells `reload` which process to signal. The running proxy keeps it locked, so that neither a file
//! left over from a crash nor a process id that was given to somebody else can be mistaken for a running proxy.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use nix::libc::O_NOFOLLOW;
use nix::unistd::Pid;

/// The file can vanish between opening and locking it, when another proxy ends at that moment. Not this often.
const ATTEMPTS_MAX: usize = 3;

/// A process id has fewer digits; more is not a pid file.
const CONTENT_BYTES_MAX: u64 = 32;

/// This process's claim on the file. Dropping it removes the file.
#[derive(Debug)]
pub(crate) struct PidFile {
    path: PathBuf,
    /// Open and locked for as long as the claim lasts.
    file: File,
}

impl PidFile {
    /// Takes the file, empty until `announce`. One that nobody holds is replaced.
    ///
    /// # Errors
    /// When another running process holds it, or it cannot be written.
    pub(crate) fn claim(path: &Path) -> anyhow::Result<Self> {
        let shown = path.display();
        for _ in 0..ATTEMPTS_MAX {
            // Never through a link: in a shared folder such as /tmp somebody may have put one there.
            let mut file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o644)
                .custom_flags(O_NOFOLLOW)
                .open(path)
                .with_context(|| format!("pid file {shown} cannot be opened"))?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    let holder = read_pid(&mut file).map_or_else(
                        |_| "another process".to_owned(),
                        |pid| format!("process {pid}"),
                    );
                    bail!(
                        "pid file {shown} is held by {holder}, which is running; stop it, or write another server.pid_file"
                    );
                }
                Err(TryLockError::Error(error)) => {
                    return Err(error)
                        .with_context(|| format!("pid file {shown} cannot be locked"));
                }
            }
            if is_at(&file, path) {
                file.set_len(0)
                    .with_context(|| format!("pid file {shown} cannot be written"))?;
                return Ok(Self {
                    path: path.to_path_buf(),
                    file,
                });
            }
        }
        bail!(
            "pid file {shown} is being replaced all the time; is something else starting proxies?"
        )
    }

    /// Writes this process's id. Not earlier than it can take a signal: HUP ends a process that is still starting.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn announce(&self) -> io::Result<()> {
        let mut file = &self.file;
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", Pid::this())
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if !is_at(&self.file, &self.path) {
            return;
        }
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "pid file not removed");
        }
    }
}

/// The process that holds the file.
///
/// # Errors
/// When there is no such file, or nobody holds it.
pub(crate) fn running(path: &Path) -> anyhow::Result<Pid> {
    let shown = path.display();
    let mut file = File::open(path).with_context(|| {
        format!("pid file {shown} cannot be read, so no proxy seems to be running")
    })?;
    match file.try_lock_shared() {
        Ok(()) => bail!("pid file {shown} is a leftover: the proxy that wrote it is not running"),
        Err(TryLockError::WouldBlock) => {}
        Err(TryLockError::Error(error)) => {
            return Err(error).with_context(|| format!("pid file {shown} cannot be locked"));
        }
    }
    read_pid(&mut file)
        .with_context(|| format!("pid file {shown} names no process; is the proxy still starting?"))
}

fn read_pid(file: &mut File) -> anyhow::Result<Pid> {
    let mut text = String::new();
    file.take(CONTENT_BYTES_MAX).read_to_string(&mut text)?;
    let id: i32 = text.trim().parse()?;
    // 0 and negative numbers address whole process groups.
    anyhow::ensure!(id > 0, "{id} is not a process id");
    Ok(Pid::from_raw(id))
}

/// Whether the open file is still the one at the path.
fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(open), Ok(there)) => (open.dev(), open.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use nix::unistd::Pid;

    use super::{PidFile, running};

    #[test]
    fn a_claim_is_found_until_it_ends() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pid");
        let claim = PidFile::claim(&path).unwrap();
        let refusal = running(&path).unwrap_err().to_string();
        assert!(refusal.contains("still starting"), "{refusal}");
        claim.announce().unwrap();
        assert_eq!(running(&path).unwrap(), Pid::this());
        drop(claim);
        assert!(!path.exists());
        running(&path).unwrap_err();
    }

    #[test]
    fn a_held_file_is_refused_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pid");
        let claim = PidFile::claim(&path).unwrap();
        claim.announce().unwrap();
        let refusal = PidFile::claim(&path).unwrap_err().to_string();
        assert!(
            refusal.contains(&format!("held by process {}", Pid::this())),
            "{refusal}"
        );
        assert_eq!(running(&path).unwrap(), Pid::this());
    }

    #[test]
    fn a_leftover_is_replaced_whatever_it_names() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pid");
        // A process that exists, as after a container's restart, where everybody is number 1 again.
        for leftover in [
            "1\n",
            "",
            "not a number at all, and far longer than one would be\n",
        ] {
            fs::write(&path, leftover).unwrap();
            let refusal = running(&path).unwrap_err().to_string();
            assert!(refusal.contains("leftover"), "{refusal}");
            let claim = PidFile::claim(&path).unwrap();
            claim.announce().unwrap();
            assert_eq!(
                fs::read_to_string(&path).unwrap(),
                format!("{}\n", Pid::this())
            );
        }
    }

    #[test]
    fn a_link_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (target, path) = (folder.path().join("target"), folder.path().join("pid"));
        fs::write(&target, "precious").unwrap();
        symlink(&target, &path).unwrap();
        PidFile::claim(&path).unwrap_err();
        assert_eq!(fs::read_to_string(&target).unwrap(), "precious");
    }

    #[test]
    fn somebody_elses_file_is_not_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pid");
        let claim = PidFile::claim(&path).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, "7\n").unwrap();
        drop(claim);
        assert!(path.exists());
    }
}
