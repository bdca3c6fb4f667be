//! Files that are written whole or not at all: what stood at the path stays until all of the new is on the disk.

use std::{fs, path::Path};

use crate::{Error, Result};

/// Lets `write` fill a file beside `path`, which then takes the place of `path`. When anything fails, nothing is left
/// beside it.
///
/// # Errors
/// What `write` returns; [`Error::Io`] when the file cannot be put in its place.
pub(crate) fn replace(path: &Path, write: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let unfinished = path.with_added_extension("tmp");
    let written = write(&unfinished).and_then(|()| fs::rename(&unfinished, path).map_err(|e| Error::io(path, e)));
    if written.is_err() {
        let _ = fs::remove_file(&unfinished);
    }
    written
}

/// Writes `bytes` to `path`.
///
/// # Errors
/// [`Error::Io`], for example on a full disk; it names `path`.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    replace(path, |unfinished| fs::write(unfinished, bytes).map_err(|e| Error::io(path, e)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        write(&file, b"old").unwrap();
        let failed = replace(&file, |unfinished| {
            fs::write(unfinished, b"half").unwrap();
            Err(Error::Invalid("the disk is full".into()))
        });
        assert!(failed.is_err());
        assert_eq!(fs::read(&file).unwrap(), b"old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        write(&file, b"new").unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"new");
        let nowhere = folder.path().join("no/file");
        assert!(write(&nowhere, b"").unwrap_err().to_string().contains("file"));
    }
}
