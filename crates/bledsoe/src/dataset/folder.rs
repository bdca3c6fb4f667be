//! Scanning a folder for photos.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use walkdir::WalkDir;

use crate::{Error, Result};

/// File extensions that are tried as photos; the content decides.
const EXTENSIONS: [&str; 14] =
    ["jpg", "jpeg", "jpe", "jfif", "png", "webp", "bmp", "pgm", "ppm", "pnm", "pbm", "gif", "tif", "tiff"];

/// A photo file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Where it is.
    pub path: PathBuf,
    /// Its path below the folder scanned, with `/` between folders; its name for a single file.
    pub relative: String,
    /// The folder it lies in, unless that is the one scanned.
    pub person: Option<String>,
}

/// A photo that gave no face, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// Its path below the folder scanned.
    pub path: String,
    /// `scan`, `decode`, `detect` or `align`.
    pub stage: String,
    /// Why, in words.
    pub reason: String,
}

/// What a scan found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scan {
    /// The photos, sorted by relative path.
    pub items: Vec<Item>,
    /// Folders and links that could not be read.
    pub skipped: Vec<Skipped>,
}

/// Finds the photos below `input`, or takes `input` itself if it is a file.
///
/// Symbolic links are followed, loops are not. Hidden files and files without a photo's extension are passed over;
/// what cannot be read is listed.
///
/// # Errors
/// [`Error::Io`] when `input` itself cannot be read.
pub fn scan(input: &Path) -> Result<Scan> {
    let kind = std::fs::metadata(input).map_err(|e| Error::io(input, e))?;
    let mut scan = Scan::default();
    if kind.is_file() {
        let name = input.file_name().unwrap_or_default().to_string_lossy().into_owned();
        scan.items.push(Item { path: input.to_owned(), relative: name, person: None });
        return Ok(scan);
    }
    std::fs::read_dir(input).map_err(|e| Error::io(input, e))?;
    let hidden = |name: &std::ffi::OsStr| name.to_string_lossy().starts_with('.');
    let walk = WalkDir::new(input).follow_links(true).into_iter();
    for entry in walk.filter_entry(|e| e.depth() == 0 || !hidden(e.file_name())) {
        match entry {
            Ok(entry) if entry.file_type().is_file() && is_photo(entry.path()) => {
                scan.items.push(item(input, entry.into_path()));
            }
            Ok(entry) if !entry.file_type().is_dir() && is_photo(entry.path()) => scan.skipped.push(Skipped {
                path: relative(input, entry.path()),
                stage: "scan".into(),
                reason: "neither a file nor a folder (a pipe, socket or device)".into(),
            }),
            Ok(_) => {}
            Err(error) => {
                let path = error.path().unwrap_or(input);
                let reason = if error.loop_ancestor().is_some() {
                    "a link back to a folder above it".to_owned()
                } else {
                    error.io_error().map_or_else(|| error.to_string(), ToString::to_string)
                };
                scan.skipped.push(Skipped { path: relative(input, path), stage: "scan".into(), reason });
            }
        }
    }
    scan.items.sort_by(|a, b| (&a.relative, &a.path).cmp(&(&b.relative, &b.path)));
    scan.drop_namesakes();
    scan.skipped.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(scan)
}

impl Scan {
    /// Names that are no Unicode may look the same as text; results could not tell such photos apart.
    fn drop_namesakes(&mut self) {
        let skipped = &mut self.skipped;
        self.items.dedup_by(|item, earlier| {
            let same = item.relative == earlier.relative;
            if same {
                let reason = "its name is not Unicode and looks like that of another photo: rename it".to_owned();
                skipped.push(Skipped { path: item.relative.clone(), stage: "scan".into(), reason });
            }
            same
        });
    }
}

fn is_photo(path: &Path) -> bool {
    let extension = path.extension().map(|e| e.to_string_lossy().to_lowercase());
    extension.is_some_and(|e| EXTENSIONS.contains(&e.as_str()))
}

fn relative(root: &Path, path: &Path) -> String {
    let parts = path.strip_prefix(root).unwrap_or(path).components();
    parts.map(|c| c.as_os_str().to_string_lossy().into_owned()).collect::<Vec<_>>().join("/")
}

fn item(root: &Path, path: PathBuf) -> Item {
    let relative = relative(root, &path);
    let person = relative.rsplit_once('/').map(|(folders, _)| folders.to_owned());
    Item { path, relative, person }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn finds_people_in_a_fixed_order() {
        let dir = tempfile::tempdir().unwrap();
        for file in ["b/2.jpg", "b/10.JPG", "a b/1.png", "top.webp", "b/notes.txt", "b/.hidden.jpg", ".git/x.jpg"] {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, b"x").unwrap();
        }
        let scan = scan(dir.path()).unwrap();
        let found: Vec<_> = scan.items.iter().map(|i| (i.relative.as_str(), i.person.as_deref())).collect();
        assert_eq!(
            found,
            [("a b/1.png", Some("a b")), ("b/10.JPG", Some("b")), ("b/2.jpg", Some("b")), ("top.webp", None)]
        );
        assert!(scan.skipped.is_empty());
    }

    #[test]
    fn one_file_is_a_scan_of_one() {
        let file = tempfile::Builder::new().suffix(".jpg").tempfile().unwrap();
        assert_eq!(scan(file.path()).unwrap().items.len(), 1);
        assert!(scan(Path::new("/no/such/folder")).is_err());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn names_that_look_alike_and_things_that_are_no_files_are_listed() {
        use std::os::unix::ffi::OsStrExt;
        let dir = tempfile::tempdir().unwrap();
        for name in [b"a\xfe.jpg", b"a\xff.jpg"] {
            fs::write(dir.path().join(std::ffi::OsStr::from_bytes(name)), b"x").unwrap();
        }
        let _socket = std::os::unix::net::UnixListener::bind(dir.path().join("socket.png")).unwrap();
        let scan = scan(dir.path()).unwrap();
        assert_eq!(scan.items.len(), 1);
        let skipped: Vec<_> = scan.skipped.iter().map(|s| s.path.as_str()).collect();
        assert_eq!(skipped, ["a\u{fffd}.jpg", "socket.png"]);
    }

    /// Root reads every folder whatever its permissions: the test says so and passes.
    #[cfg(unix)]
    #[test]
    fn an_unreadable_folder_is_listed() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let locked = dir.path().join("locked");
        fs::create_dir(&locked).unwrap();
        fs::set_permissions(&locked, fs::Permissions::from_mode(0o000)).unwrap();
        if fs::read_dir(&locked).is_ok() {
            crate::skipped(format_args!("an_unreadable_folder_is_listed: this user reads everything"));
            return;
        }
        let scan = scan(dir.path()).unwrap();
        assert_eq!((scan.skipped.len(), scan.skipped[0].path.as_str()), (1, "locked"));
        fs::set_permissions(&locked, fs::Permissions::from_mode(0o700)).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn loops_and_dangling_links_are_listed() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("p")).unwrap();
        std::os::unix::fs::symlink(dir.path(), dir.path().join("p/loop")).unwrap();
        std::os::unix::fs::symlink("nowhere", dir.path().join("p/gone.jpg")).unwrap();
        let scan = scan(dir.path()).unwrap();
        let skipped: Vec<_> = scan.skipped.iter().map(|s| s.path.as_str()).collect();
        assert_eq!(skipped, ["p/gone.jpg", "p/loop"]);
    }
}
