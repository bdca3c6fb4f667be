//! Where ONNX Runtime's shared library is looked for, and whether the processor has bf16.

use std::path::{Path, PathBuf};

/// Names a library of one's own, before every other place.
pub const VARIABLE: &str = "BLEDSOE_ORT_DYLIB";

/// The user's cache: `BLEDSOE_CACHE`, else `bledsoe` in the system's cache folder.
pub fn cache() -> PathBuf {
    let var = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    if let Some(folder) = var("BLEDSOE_CACHE") {
        return folder;
    }
    let system = if cfg!(windows) {
        var("LOCALAPPDATA")
    } else if cfg!(target_os = "macos") {
        var("HOME").map(|home| home.join("Library/Caches"))
    } else {
        var("XDG_CACHE_HOME").or_else(|| var("HOME").map(|home| home.join(".cache")))
    };
    system.unwrap_or_else(std::env::temp_dir).join("bledsoe")
}

/// The folder that `engine install` fills.
pub fn install_folder(cuda: bool) -> PathBuf {
    cache().join("engine").join(if cuda { "cuda" } else { "cpu" })
}

/// The first library found: `BLEDSOE_ORT_DYLIB`, the install folder, or `lib/bledsoe` beside the program's folder.
pub fn find(cuda: bool) -> Option<PathBuf> {
    if let Some(path) = std::env::var_os(VARIABLE).filter(|v| !v.is_empty()) {
        return Some(PathBuf::from(path));
    }
    let beside = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.parent()?.join("lib/bledsoe")));
    [Some(install_folder(cuda)), beside].into_iter().flatten().find_map(|folder| in_folder(&folder))
}

/// ONNX Runtime's own library in `folder`, not one of its providers.
pub fn in_folder(folder: &Path) -> Option<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder)
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("libonnxruntime.so")
                || name.starts_with("libonnxruntime.1") && name.ends_with(".dylib")
                || name == "libonnxruntime.dylib"
                || name == "onnxruntime.dll"
        })
        .collect();
    found.sort();
    found.pop()
}

/// What the processor has of the instructions that make networks fast.
pub fn processor_features() -> Vec<&'static str> {
    let mut features = Vec::new();
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::is_x86_feature_detected as has;
        let known = [
            ("avx2", has!("avx2")),
            ("fma", has!("fma")),
            ("avx512f", has!("avx512f")),
            ("avx512vnni", has!("avx512vnni")),
            ("avx512bf16", has!("avx512bf16")),
        ];
        features.extend(known.into_iter().filter(|(_, there)| *there).map(|(name, _)| name));
    }
    #[cfg(target_arch = "aarch64")]
    {
        use std::arch::is_aarch64_feature_detected as has;
        let known = [("neon", has!("neon")), ("dotprod", has!("dotprod")), ("bf16", has!("bf16"))];
        features.extend(known.into_iter().filter(|(_, there)| *there).map(|(name, _)| name));
    }
    features
}

/// Whether the processor multiplies bf16 in hardware.
pub fn has_bf16() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        std::arch::is_x86_feature_detected!("avx512bf16")
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        false
    }
}
