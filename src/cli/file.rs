//! Small files that a user names: plans and jobs.

use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::error::{Error, Place, Result};
use crate::os;

fn place(path: &Path) -> Place {
    Place::new(path.display().to_string(), "")
}

/// Reads the file at `path`, or stdin for `-`, of at most `limit` bytes.
///
/// # Errors
/// What the operating system says, and a file that is larger.
pub(crate) fn read(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let path = if path == Path::new("-") { Path::new("/dev/stdin") } else { path };
    let fail = |error| Error::io(place(path), error);
    let file = os::open_path(path).map_err(fail)?;
    let mut bytes = Vec::new();
    let most = limit.saturating_add(1);
    file.take(most).read_to_end(&mut bytes).map_err(fail)?;
    if bytes.len() as u64 == most {
        let what = format!("found more than {limit} bytes, wanted less");
        return Err(Error::corrupt(place(path), what));
    }
    Ok(bytes)
}

/// Writes the file at `path` whole, in place of one that is there.
///
/// # Errors
/// What the operating system says; refused if something else than a file is there.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    if path.exists() && !path.is_file() {
        let what = format!("{} is there already, and is no file", place(path));
        return Err(Error::refused(what));
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let write = || -> io::Result<()> {
        let mut file = tempfile::Builder::new()
            .prefix(".tranship-")
            .permissions(PermissionsExt::from_mode(0o666))
            .tempfile_in(folder.unwrap_or_else(|| Path::new(".")))?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    };
    write().map_err(|error| Error::io(place(path), error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn a_file_is_replaced_and_nothing_else() {
        let folder = tempfile::TempDir::new().expect("a temporary folder");
        let path = folder.path().join("plan.json");
        for text in [&b"one"[..], b"two"] {
            replace(&path, text).expect("a folder of my own");
            assert_eq!(read(&path, 3).expect("it was written"), text);
        }
        assert_eq!(read(&path, 2).expect_err("too large").kind(), ErrorKind::Corrupt);
        for other in [folder.path(), Path::new("/dev/null")] {
            assert_eq!(replace(other, b"x").expect_err("no file").kind(), ErrorKind::Refused);
        }
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 1);
    }
}
