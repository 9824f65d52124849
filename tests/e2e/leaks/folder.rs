//! What a gateway leaves on disk: every byte searched, every file for its owner alone.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::canaries::Canaries;
use crate::harness::Gateway;

/// Searches the log and everything in the data folder. The master key may stand in its own file.
#[track_caller]
pub(super) fn search(gateway: &Gateway, canaries: &Canaries) {
    let files = files(gateway.folder());
    let names: Vec<_> = files.iter().map(|file| name(file)).collect();
    for expected in ["gateway.err", "gateway.out", "wxgate.db", "wxgate.toml", "master-key"] {
        assert!(names.iter().any(|name| name == expected), "{expected} is missing in {names:?}");
    }
    for file in files.iter().filter(|file| name(file) != "master-key") {
        canaries.search(&name(file), &std::fs::read(file).unwrap());
    }
    check_modes(&gateway.data());
}

/// The folder for its owner alone, and each file that says more than an address.
fn check_modes(folder: &Path) {
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(folder), 0o700, "{}", folder.display());
    for file in files(folder).iter().filter(|file| name(file) != "listen.json") {
        assert_eq!(mode(file), 0o600, "{}", file.display());
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}
