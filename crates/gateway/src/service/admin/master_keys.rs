//! Master keys: another one takes over, and the one before goes. Operators only.

use std::path::PathBuf;

use wxgate_crypto::KeyId;
use wxgate_domain::{Job, Task};
use wxgate_storage::{MasterKeyUse, Node, StorageError, StoredMasterKey};

use super::{Admin, AdminError, Event};

/// A key that was removed, and what is left of it.
#[derive(Debug)]
pub(crate) struct RemovedMasterKey {
    /// The files that were removed from the folder of this machine.
    pub(crate) files: Vec<PathBuf>,
    /// Where the configuration of this machine still names it.
    pub(crate) entry: Option<String>,
    /// The nodes that still have it.
    pub(crate) nodes: Vec<Node>,
}

impl Admin {
    /// The keys that the database knows of, and the nodes that are live.
    pub(crate) async fn master_keys(&self) -> Result<(Vec<StoredMasterKey>, Vec<Node>), AdminError> {
        self.caller.must_be_operator()?;
        Ok((self.storage.master_keys().list().await?, self.storage.nodes().live().await?))
    }

    /// Makes a key in the folder of this machine. It only opens, until it is activated.
    pub(crate) async fn add_master_key(&self) -> Result<(KeyId, PathBuf), AdminError> {
        self.caller.must_be_operator()?;
        let (id, path) = self.master_keys.add(&self.random)?;
        self.storage.master_keys().saw(&[id]).await?;
        let tx = self.storage.begin().await?;
        self.commit(tx, Event::of_operators("master-key.add", id)).await?;
        Ok((id, path))
    }

    /// Lets a key seal from now on. Every node that is live must have it.
    pub(crate) async fn activate_master_key(&self, id: KeyId) -> Result<(), AdminError> {
        self.caller.must_be_operator()?;
        self.master_keys.reload()?;
        self.master_keys.ring().get(id).map_err(|_| AdminError::NoMasterKeyHere(id))?;
        let everywhere = |nodes: &[Node]| {
            let lack = nodes.iter().filter(|node| !node.master_keys.contains(&id));
            let lack: Vec<_> = lack.map(|node| node.address.as_str()).collect();
            if lack.is_empty() { Ok(()) } else { Err(AdminError::MasterKeyLacking(id, lack.join("; "))) }
        };
        let tx = self.storage.begin().await?;
        match tx.master_keys().activate(id, everywhere).await {
            Err(AdminError::Storage(StorageError::NotFound)) => return Err(AdminError::NoMasterKey(id)),
            result => result?,
        }
        self.commit(tx, Event::of_operators("master-key.activate", id)).await
    }

    /// Has everything sealed by the active key.
    pub(crate) async fn rewrap(&self) -> Result<Job, AdminError> {
        self.caller.must_be_operator()?;
        let tx = self.storage.begin().await?;
        let job = tx.jobs().add(None, Task::Rewrap {}).await?;
        self.commit(tx, Event::of_operators("master-key.rewrap", job.id)).await?;
        Ok(job)
    }

    /// Forgets a key that nothing needs, here and in the folder of this machine.
    pub(crate) async fn remove_master_key(&self, id: KeyId) -> Result<RemovedMasterKey, AdminError> {
        self.caller.must_be_operator()?;
        let unneeded = |needed: &MasterKeyUse| match needed {
            MasterKeyUse { active: true, .. } => Err(AdminError::MasterKeyActive(id)),
            MasterKeyUse { data_keys: 0, instance_keys: 0, .. } => Ok(()),
            needed => Err(AdminError::MasterKeyNeeded(id, by_what(needed))),
        };
        let tx = self.storage.begin().await?;
        match tx.master_keys().remove(id, unneeded).await {
            Err(AdminError::Storage(StorageError::NotFound)) => return Err(AdminError::NoMasterKey(id)),
            result => result?,
        }
        self.commit(tx, Event::of_operators("master-key.remove", id)).await?;
        let files = self.master_keys.remove(id)?;
        let mut nodes = self.storage.nodes().live().await?;
        nodes.retain(|node| node.master_keys.contains(&id));
        Ok(RemovedMasterKey { files, entry: self.master_keys.entry(id).map(str::to_owned), nodes })
    }
}

/// What still needs a key, for people.
fn by_what(needed: &MasterKeyUse) -> String {
    let MasterKeyUse { data_keys, tenants, example, instance_keys, .. } = needed;
    let example = example.as_ref().map(|slug| format!(", such as {slug}")).unwrap_or_default();
    match (data_keys, instance_keys) {
        (0, own) => format!("{own} keys of the installation"),
        (_, 0) => format!("{data_keys} data keys of {tenants} tenants{example}"),
        (_, own) => format!("{data_keys} data keys of {tenants} tenants{example}, and {own} of the installation"),
    }
}
