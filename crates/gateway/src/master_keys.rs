//! Where master keys come from: the one place that loads them. A key server would be asked here.
//!
//! The configuration names one key, which a new database begins with, and files of older ones; every `*.key` file of a
//! folder is a key at hand as well, for as long as it is there.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use wxgate_crypto::{KeyId, MasterKey, MasterKeyError, MasterKeyRing, Random, Secret};

/// What the file of a key ends with.
const EXTENSION: &str = "key";
/// More files are no folder of keys.
const MOST: usize = 1_000;

/// The master keys at hand, and where each comes from. Clones share everything.
#[derive(Clone, Debug)]
pub(crate) struct MasterKeys {
    ring: MasterKeyRing,
    configured: Arc<[Configured]>,
    folder: Option<Arc<Path>>,
}

/// A key that stands in the configuration.
#[derive(Clone, Debug)]
pub(crate) struct Configured {
    /// Where it stands, for people.
    pub(crate) entry: String,
    pub(crate) key: MasterKey,
}

/// Why the folder of master keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FolderError {
    #[error("{path}: {1}", path = .0.display())]
    Unreadable(PathBuf, io::Error),
    #[error("{path}: {1}", path = .0.display())]
    NoKey(PathBuf, MasterKeyError),
    #[error("{path} has more than {MOST} keys", path = .0.display())]
    TooMany(PathBuf),
    #[error("there is no folder for master keys: name one in master_key.folder")]
    NoFolder,
}

impl MasterKeys {
    /// The keys of the configuration, the one that a new database begins with first, and those of the folder.
    pub(crate) fn load(first: Configured, old: Vec<Configured>, folder: Option<PathBuf>) -> Result<Self, FolderError> {
        let ring = MasterKeyRing::new(first.key.clone(), Vec::new());
        let configured = std::iter::once(first).chain(old).collect();
        let keys = Self { ring, configured, folder: folder.map(Arc::from) };
        keys.reload()?;
        Ok(keys)
    }

    /// The ring that everybody uses.
    pub(crate) fn ring(&self) -> &MasterKeyRing {
        &self.ring
    }

    /// The fingerprints of all keys at hand, each once.
    pub(crate) fn ids(&self) -> Vec<KeyId> {
        let mut ids: Vec<_> = self.ring.ids().collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// Reads the folder again; whether other keys are at hand than before. What cannot be read changes nothing.
    pub(crate) fn reload(&self) -> Result<bool, FolderError> {
        let before = self.ids();
        let of_folder = self.in_folder()?.into_iter().map(|(_, key)| key);
        self.ring.replace(self.configured.iter().skip(1).map(|old| old.key.clone()).chain(of_folder).collect());
        Ok(self.ids() != before)
    }

    /// Makes a key and writes it into the folder, for its owner alone.
    pub(crate) fn add(&self, random: &Random) -> Result<(KeyId, PathBuf), FolderError> {
        let folder = self.folder.as_deref().ok_or(FolderError::NoFolder)?;
        let text = MasterKey::generate(random);
        let key = MasterKey::parse(&text).map_err(|error| FolderError::NoKey(folder.to_owned(), error))?;
        let path = folder.join(format!("{}.{EXTENSION}", key.id()));
        let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(|error| FolderError::Unreadable(folder.to_owned(), error))?;
        // Whole or not at all: a gateway may read the folder at this moment.
        let draft = path.with_extension("new");
        let written = write_private(&draft, &text).and_then(|()| std::fs::rename(&draft, &path));
        written.map_err(|error| FolderError::Unreadable(path.clone(), error))?;
        self.reload()?;
        Ok((key.id(), path))
    }

    /// Removes the files of a key from the folder; which ones they were.
    pub(crate) fn remove(&self, id: KeyId) -> Result<Vec<PathBuf>, FolderError> {
        let files = self.in_folder()?.into_iter().filter(|(_, key)| key.id() == id);
        let mut removed = Vec::new();
        for (path, _) in files {
            std::fs::remove_file(&path).map_err(|error| FolderError::Unreadable(path.clone(), error))?;
            removed.push(path);
        }
        self.reload()?;
        Ok(removed)
    }

    /// Where a key stands in the configuration.
    pub(crate) fn entry(&self, id: KeyId) -> Option<&str> {
        self.configured.iter().find(|configured| configured.key.id() == id).map(|configured| configured.entry.as_str())
    }

    fn in_folder(&self) -> Result<Vec<(PathBuf, MasterKey)>, FolderError> {
        let Some(folder) = self.folder.as_deref() else { return Ok(Vec::new()) };
        let unreadable = |error| FolderError::Unreadable(folder.to_owned(), error);
        let mut paths = Vec::new();
        let entries = match std::fs::read_dir(folder) {
            // It is made with its first key.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(unreadable)?,
        };
        for entry in entries {
            let path = entry.map_err(unreadable)?.path();
            if path.extension().is_some_and(|extension| extension == EXTENSION) {
                paths.push(path);
            }
            if paths.len() > MOST {
                return Err(FolderError::TooMany(folder.to_owned()));
            }
        }
        paths.sort();
        let read = |path: PathBuf| {
            let text = std::fs::read_to_string(&path).map(Secret::new);
            let text = text.map_err(|error| FolderError::Unreadable(path.clone(), error))?;
            let key = MasterKey::parse(&text).map_err(|error| FolderError::NoKey(path.clone(), error))?;
            Ok((path, key))
        };
        paths.into_iter().map(read).collect()
    }
}

fn write_private(path: &Path, text: &Secret<String>) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.expose().as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configured(random: &Random) -> Configured {
        let key = MasterKey::parse(&MasterKey::generate(random)).unwrap();
        Configured { entry: "master_key.value_file".to_owned(), key }
    }

    #[test]
    fn keys_of_the_folder_come_and_go_for_everybody_who_has_the_ring() {
        let (random, folder) = (Random::system().unwrap(), tempfile::tempdir().unwrap());
        let (first, old) = (configured(&random), configured(&random));
        let keys = MasterKeys::load(first.clone(), vec![old.clone()], Some(folder.path().to_owned())).unwrap();
        let ring = keys.ring().clone();
        let (id, path) = keys.add(&random).unwrap();
        assert!(ring.get(id).is_ok() && ring.get(old.key.id()).is_ok());
        assert_eq!((keys.entry(id), keys.entry(first.key.id())), (None, Some("master_key.value_file")));

        // What is no key at all changes nothing.
        std::fs::write(folder.path().join("x.key"), "secret").unwrap();
        assert!(keys.reload().is_err() && ring.get(id).is_ok());
        std::fs::remove_file(folder.path().join("x.key")).unwrap();
        assert!(!keys.reload().unwrap());

        assert_eq!(keys.remove(id).unwrap(), [path]);
        assert!(ring.get(id).is_err() && ring.get(first.key.id()).is_ok());
    }
}
