//! Installing ONNX Runtime: its wheel from PyPI, through the user's own uv or pip, checked by SHA-256.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use super::library;
use crate::{Error, Result, hash, package};

/// A wheel, and which of its files are needed.
#[derive(Debug, Clone, Copy)]
pub struct Wheel {
    /// PyPI package.
    pub package: &'static str,
    /// Pinned version.
    pub version: &'static str,
    /// pip's platform tag.
    pub platform: &'static str,
    /// SHA-256 of the file, in hex.
    pub sha256: &'static str,
    /// Libraries needed, by the beginning of their names; the licences are always taken.
    libraries: &'static [&'static str],
}

/// With OpenVINO: bf16 kernels where the processor has them.
const OPENVINO: Wheel = Wheel {
    package: "onnxruntime-openvino",
    version: "1.24.1",
    platform: "manylinux_2_28_x86_64",
    sha256: "d617fac2f59a6ab5ea59a788c3e1592240a129642519aaeaa774761dfe35150e",
    libraries: &[
        "libonnxruntime.so.",
        "libonnxruntime_providers_shared.so",
        "libonnxruntime_providers_openvino.so",
        "libopenvino.so.2541",
        "libopenvino_intel_cpu_plugin.so",
        "libopenvino_onnx_frontend.so.2541",
        "libtbb.so.12",
    ],
};

/// For NVIDIA GPUs; CUDA 13 and cuDNN 9 must be installed on the machine.
const CUDA: Wheel = Wheel {
    package: "onnxruntime-gpu",
    version: "1.31.1",
    platform: "manylinux_2_28_x86_64",
    sha256: "05d548956197b9d01f59b625de740e0d6be3593f874e241a12dc0362650ecdf7",
    libraries: &["libonnxruntime.so.", "libonnxruntime_providers_shared.so", "libonnxruntime_providers_cuda.so"],
};

const LINUX_ARM: Wheel = Wheel {
    package: "onnxruntime",
    version: "1.24.1",
    platform: "manylinux_2_28_aarch64",
    sha256: "780add442ce2d4175fafb6f3102cdc94243acffa3ab16eacc03dd627cc7b1b54",
    libraries: &["libonnxruntime.so."],
};

const MACOS_ARM: Wheel = Wheel {
    package: "onnxruntime",
    version: "1.24.1",
    platform: "macosx_14_0_arm64",
    sha256: "7307aab9e2e879c0171f37e0eb2808a5b4aec7ba899bb17c5f0cedfc301a8ac2",
    libraries: &["libonnxruntime."],
};

const WINDOWS: Wheel = Wheel {
    package: "onnxruntime",
    version: "1.24.1",
    platform: "win_amd64",
    sha256: "df0af2f1cfcfff9094971c7eb1d1dfae7ccf81af197493c4dc4643e4342c0946",
    libraries: &["onnxruntime.dll", "onnxruntime_providers_shared.dll"],
};

/// The wheel for this machine, if there is one.
pub fn wheel(cuda: bool) -> Option<Wheel> {
    match (std::env::consts::OS, std::env::consts::ARCH, cuda) {
        ("linux", "x86_64", false) => Some(OPENVINO),
        ("linux", "x86_64", true) => Some(CUDA),
        ("linux", "aarch64", false) => Some(LINUX_ARM),
        ("macos", "aarch64", false) => Some(MACOS_ARM),
        ("windows", "x86_64", false) => Some(WINDOWS),
        _ => None,
    }
}

/// Installs ONNX Runtime into `folder` (the user's cache if absent), from the wheel `from` (a file, or a folder that
/// holds it) or fetched by uv or pip. What was there is replaced, whole or not at all. Gives the folder back.
///
/// # Errors
/// [`Error::Engine`] when there is no wheel for this machine, none can be fetched, or its SHA-256 is another.
pub fn install(cuda: bool, from: Option<&Path>, folder: Option<&Path>) -> Result<PathBuf> {
    let wheel = wheel(cuda).ok_or_else(|| {
        fail(format!(
            "no pinned ONNX Runtime for {} {}{}: name a library of your own in {}, or use --engine rten",
            std::env::consts::OS,
            std::env::consts::ARCH,
            if cuda { " with CUDA" } else { "" },
            library::VARIABLE
        ))
    })?;
    let folder = folder.map_or_else(|| library::install_folder(cuda), Path::to_owned);
    let unfinished = folder.with_added_extension("tmp");
    remove(&unfinished)?;
    fs::create_dir_all(&unfinished).map_err(|e| Error::io(&unfinished, e))?;
    let done = fetch(&wheel, from, &unfinished)
        .and_then(|file| unpack(&wheel, &file, &unfinished))
        .and_then(|()| replace(&folder, &unfinished));
    if done.is_err() {
        // Nothing of use is in it; what stood in `folder` still does.
        let _ = fs::remove_dir_all(&unfinished);
    }
    done.map(|()| folder)
}

fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io(folder, e)),
        _ => Ok(()),
    }
}

/// Puts `new` in the place of `folder`, which is moved aside first, so that one of the two is always whole.
fn replace(folder: &Path, new: &Path) -> Result<()> {
    let old = folder.with_added_extension("old");
    remove(&old)?;
    if folder.exists() {
        fs::rename(folder, &old).map_err(|e| Error::io(folder, e))?;
    }
    fs::rename(new, folder).map_err(|e| Error::io(folder, e))?;
    remove(&old)
}

fn fail(reason: String) -> Error {
    Error::engine("ort", reason)
}

/// The wheel's file, its SHA-256 checked.
fn fetch(wheel: &Wheel, from: Option<&Path>, into: &Path) -> Result<PathBuf> {
    let file = match from {
        Some(file) if file.is_file() => file.to_owned(),
        Some(folder) if folder.is_dir() => wheel_in(wheel, folder)
            .ok_or_else(|| fail(format!("{}: no {}{}.whl there", folder.display(), wheel.prefix(), wheel.platform)))?,
        Some(missing) => return Err(fail(format!("{}: no such file or folder", missing.display()))),
        None => download(wheel, into)?,
    };
    let found = hash::sha256_file(&file)?;
    if found != wheel.sha256 {
        return Err(fail(format!("{}: its SHA-256 is {found}, expected {}", file.display(), wheel.sha256)));
    }
    Ok(file)
}

impl Wheel {
    /// How the file's name begins. The tags name the Python it is for, which its libraries do not depend on.
    fn prefix(&self) -> String {
        format!("{}-{}-cp312-cp312-", self.package.replace('-', "_"), self.version)
    }
}

fn wheel_in(wheel: &Wheel, folder: &Path) -> Option<PathBuf> {
    fs::read_dir(folder).ok()?.filter_map(|entry| Some(entry.ok()?.path())).find(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // One file may be for several platforms, all in its name.
        name.starts_with(&wheel.prefix()) && name.contains(wheel.platform) && name.ends_with(".whl")
    })
}

fn download(wheel: &Wheel, into: &Path) -> Result<PathBuf> {
    let requirement = format!("{}=={}", wheel.package, wheel.version);
    let arguments = ["--only-binary=:all:", "--python-version=3.12", "--implementation=cp", "--platform"];
    let arguments: Vec<&str> = arguments.into_iter().chain([wheel.platform, &requirement]).collect();
    package::pip_download(&arguments, into).map_err(|said| {
        let (prefix, platform) = (wheel.prefix(), wheel.platform);
        fail(format!(
            "cannot fetch {requirement} ({said}); get {prefix}{platform}.whl elsewhere and give it with --from"
        ))
    })
}

fn unpack(wheel: &Wheel, file: &Path, folder: &Path) -> Result<()> {
    let bad = |e: zip::result::ZipError| fail(format!("{}: {e}", file.display()));
    let mut archive = zip::ZipArchive::new(File::open(file).map_err(|e| Error::io(file, e))?).map_err(bad)?;
    let mut libraries = 0;
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(bad)?;
        let Some(name) = entry.enclosed_name().and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
        else {
            continue;
        };
        let library = wheel.libraries.iter().any(|prefix| name.starts_with(prefix));
        if library || name == "LICENSE" || name == "ThirdPartyNotices.txt" {
            let path = folder.join(&name);
            let mut output = File::create(&path).map_err(|e| Error::io(&path, e))?;
            std::io::copy(&mut entry, &mut output).map_err(|e| Error::io(&path, e))?;
            libraries += usize::from(library);
        }
    }
    if libraries < wheel.libraries.len() {
        return Err(fail(format!("{}: {libraries} of {} libraries in it", file.display(), wheel.libraries.len())));
    }
    // A wheel that pip put beside the libraries is not needed any more.
    if file.parent() == Some(folder) {
        fs::remove_file(file).map_err(|e| Error::io(file, e))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_or_missing_wheel_leaves_everything_as_it_was() {
        let Some(wheel) = wheel(false) else { return };
        let dir = tempfile::tempdir().unwrap();
        let (wheels, folder) = (dir.path().join("wheels"), dir.path().join("engine"));
        fs::create_dir(&wheels).unwrap();
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("old"), b"x").unwrap();
        let fails = |from: &Path, word: &str| {
            let error = install(false, Some(from), Some(&folder)).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "something is left behind");
            assert!(folder.join("old").is_file());
        };
        fails(&dir.path().join("nowhere"), "no such file");
        fails(&wheels, wheel.platform);
        let other = wheels.join(format!("{}{}.whl", wheel.prefix(), wheel.platform));
        fs::write(&other, b"another wheel").unwrap();
        fails(&wheels, "SHA-256");
        fails(&other, "SHA-256");
    }
}
