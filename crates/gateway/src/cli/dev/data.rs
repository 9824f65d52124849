//! The folder of a trial: configuration, master key, database. Only its owner can read it.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use wxgate_crypto::{MasterKey, Random, Secret};
use wxgate_domain::AdminScopes;
use wxgate_storage::NewAdminKey;

use crate::cli::Failure;
use crate::operation::secret_text::SecretText;
use crate::service::admin::Admin;

/// A trial's folder.
#[derive(Debug)]
pub(super) struct DataFolder(PathBuf);

impl DataFolder {
    /// Makes the folder if it is not there, for its owner alone.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        std::fs::set_permissions(path, Permissions::from_mode(0o700))?;
        Ok(Self(path.canonicalize()?))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// The configuration, written at the first start and yours from then on.
    pub(super) fn config_file(&self) -> PathBuf {
        self.0.join("wxgate.toml")
    }

    /// The database, beside the configuration.
    pub(super) fn database(&self) -> PathBuf {
        self.0.join("wxgate.db")
    }

    /// The admin key, for whoever sits at this machine.
    pub(super) fn admin_key_file(&self) -> PathBuf {
        self.0.join("admin-key")
    }

    /// The admin key of the trial: the one in its file while it counts, else a new one.
    pub(super) async fn admin_key(&self, admin: &Admin) -> Result<Secret<String>, Failure> {
        let file = self.admin_key_file();
        if let Ok(text) = std::fs::read_to_string(&file) {
            let text = Secret::new(text.trim().to_owned());
            if admin.holder_of(text.expose()).await?.is_some() {
                return Ok(text);
            }
            std::fs::remove_file(&file)?;
        }
        let scopes = AdminScopes::all();
        let key = NewAdminKey { tenant: None, name: "dev".to_owned(), scopes, expires_at: None };
        let secret = admin.add_admin_key(key, |_, secret| SecretText::telling(secret.expose())).await?;
        write_private(&file, format!("{}\n", secret.expose()).as_bytes())?;
        Ok(Secret::new(secret.expose().to_owned()))
    }

    /// The port that the issuer was given at the first start.
    pub(super) fn issuer_port(&self) -> Option<u16> {
        let text = std::fs::read_to_string(self.config_file()).ok()?;
        let table: toml::Table = text.parse().ok()?;
        url::Url::parse(table.get("public_url")?.as_str()?).ok()?.port()
    }

    /// At the first start, writes a master key and a configuration whose issuer is this address.
    pub(super) fn begin(&self, public: SocketAddr, random: &Random) -> io::Result<()> {
        if self.config_file().exists() {
            return Ok(());
        }
        let key_file = self.0.join("master-key");
        if !key_file.exists() {
            write_private(&key_file, format!("{}\n", MasterKey::generate(random).expose()).as_bytes())?;
        }
        // The configuration comes last and whole: as long as it is missing, this is still the first start.
        let draft = self.0.join("wxgate.toml.new");
        let _ = std::fs::remove_file(&draft);
        write_private(&draft, configuration(public).as_bytes())?;
        std::fs::rename(draft, self.config_file())
    }
}

/// Paths are relative to the file, so the folder can be moved.
fn configuration(public: SocketAddr) -> String {
    // A wildcard address is no place to send a client to.
    let host = if public.ip().is_loopback() { public.ip() } else { [127, 0, 0, 1].into() };
    let issuer = SocketAddr::new(host, public.port());
    format!(
        "# Written by `wxgate dev` at its first start. For every key see `wxgate config print`.\n\
         public_url = \"http://{issuer}\"\n\
         erasure_journal = \"erasures.jsonl\"\n\n\
         [database]\n\
         url = \"sqlite:wxgate.db\"\n\n\
         [master_key]\n\
         value_file = \"master-key\"\n\
         folder = \"master-keys\"\n\n\
         # Receivers of webhooks on this machine are welcome in a trial.\n\
         [webhooks]\n\
         allow_networks = [\"127.0.0.0/8\", \"::1\"]\n"
    )
}

/// Writes a new file that only its owner can read; refuses to follow or replace what is there.
fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file: File = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}
