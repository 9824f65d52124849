//! A file of tenants: TOML, read piece by piece, so that everything that is wrong is told at once and with its place.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use toml::{Table, Value};
use wxgate_crypto::Secret;
use wxgate_domain::AppSecret;

use super::Failure;
use crate::operation::secret_text::SecretText;
use crate::operation::state::{AppState, PushState, TenantState, WebhookState};

/// Where a secret stands.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Source {
    File(PathBuf),
    Env(String),
}

/// What a file says, and everything that is wrong with how it says it.
pub(super) struct Read {
    pub(super) tenants: Vec<TenantState>,
    pub(super) problems: Vec<String>,
}

/// Reads a file with the secrets that it refers to.
///
/// # Errors
/// There is no file, or it is no TOML.
pub(super) fn read(path: &Path) -> Result<Read, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let table: Table = toml::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut reader = Reader { folder: path.parent().unwrap_or(Path::new("")), problems: Vec::new() };
    let tenants = reader.tenants(table);
    Ok(Read { tenants, problems: reader.problems })
}

/// A problem that stands among the others already.
struct Told;

struct Reader<'a> {
    /// What file names of secrets are relative to.
    folder: &'a Path,
    problems: Vec<String>,
}

impl Reader<'_> {
    fn tenants(&mut self, mut table: Table) -> Vec<TenantState> {
        let tenants = self.list("", &mut table, "tenants");
        for key in table.keys() {
            self.problems.push(format!("{key}: unknown; a file has [[tenants]] and nothing else"));
        }
        if tenants.is_empty() {
            self.problems.push("tenants: there is none".to_owned());
        }
        tenants.into_iter().filter_map(|(place, tenant)| self.tenant(&place, tenant)).collect()
    }

    fn tenant(&mut self, place: &str, mut table: Table) -> Option<TenantState> {
        let apps = self.list(place, &mut table, "apps");
        let forward_auth = self.list(place, &mut table, "forward_auth");
        let clients = self.list(place, &mut table, "service_clients");
        let webhooks = self.list(place, &mut table, "webhooks");
        let apps = apps.into_iter().filter_map(|(place, app)| self.app(&place, app)).collect();
        let forward_auth = forward_auth.into_iter().filter_map(|(place, policy)| self.value(&place, policy)).collect();
        let service_clients = clients.into_iter().filter_map(|(place, client)| self.value(&place, client)).collect();
        let webhooks = webhooks.into_iter().filter_map(|(place, webhook)| self.webhook(&place, webhook)).collect();
        let tenant: TenantState = self.value(place, table)?;
        Some(TenantState { apps, forward_auth, service_clients, webhooks, ..tenant })
    }

    fn app(&mut self, place: &str, mut table: Table) -> Option<AppState> {
        let secret = self.secret_of(place, &mut table, "secret", |text| {
            AppSecret::parse(text).map(|secret| SecretText::from(&secret)).map_err(|error| error.to_string())
        });
        let push = table.remove("push").map(|push| self.push(&format!("{place}.push"), push));
        let app: AppState = self.value(place, table)?;
        Some(AppState { secret: secret.ok()?, push: push.transpose().ok()?, ..app })
    }

    fn push(&mut self, place: &str, push: Value) -> Result<PushState, Told> {
        let Value::Table(mut table) = push else {
            self.problem(place, "must be a table");
            return Err(Told);
        };
        let [token, encoding_aes_key] =
            ["token", "encoding_aes_key"].map(|key| self.secret_of(place, &mut table, key, trimmed));
        let push: PushState = self.value(place, table).ok_or(Told)?;
        Ok(PushState { token: token?, encoding_aes_key: encoding_aes_key?, ..push })
    }

    fn webhook(&mut self, place: &str, mut table: Table) -> Option<WebhookState> {
        let secret = self.secret_of(place, &mut table, "secret", trimmed);
        let webhook: WebhookState = self.value(place, table)?;
        Some(WebhookState { secret: secret.ok()?, ..webhook })
    }

    /// The secret that a table refers to, if it does. What is read is never quoted.
    fn secret_of(
        &mut self,
        place: &str,
        table: &mut Table,
        key: &str,
        read_as: impl FnOnce(&Secret<String>) -> Result<SecretText, String>,
    ) -> Result<Option<SecretText>, Told> {
        let Some(source) = table.remove(key) else { return Ok(None) };
        let read = match Source::deserialize(source) {
            Ok(Source::File(path)) => std::fs::read_to_string(self.folder.join(&path))
                .map_err(|error| format!("{}: {error}", self.folder.join(path).display())),
            Ok(Source::Env(name)) => variable(&name).ok_or_else(|| format!("there is no {name} in the environment")),
            Err(_) => {
                Err("must be { file = \"...\" } or { env = \"...\" }; a secret never stands in the file".to_owned())
            }
        };
        let secret = read.and_then(|text| read_as(&Secret::new(text)));
        secret.map(Some).map_err(|problem| {
            self.problem(&format!("{place}.{key}"), problem);
            Told
        })
    }

    /// The tables of a list, each with its place, which names it as people do.
    fn list(&mut self, within: &str, table: &mut Table, key: &str) -> Vec<(String, Table)> {
        let place = if within.is_empty() { key.to_owned() } else { format!("{within}.{key}") };
        let Some(list) = table.remove(key) else { return Vec::new() };
        let Value::Array(list) = list else {
            self.problem(&place, format!("must be [[{key}]]"));
            return Vec::new();
        };
        let mut tables = Vec::with_capacity(list.len());
        for (at, entry) in list.into_iter().enumerate() {
            let Value::Table(entry) = entry else {
                self.problem(&format!("{place}[{at}]"), "must be a table");
                continue;
            };
            let name = ["slug", "appid", "name"].iter().find_map(|key| entry.get(*key)?.as_str());
            let place = format!("{place}[{at}]{}", name.map(|name| format!(" ({name})")).unwrap_or_default());
            tables.push((place, entry));
        }
        tables
    }

    fn value<T: DeserializeOwned>(&mut self, place: &str, table: Table) -> Option<T> {
        let value = serde_path_to_error::deserialize(Value::Table(table));
        let problem = |error: serde_path_to_error::Error<toml::de::Error>| {
            let (field, what) = (error.path().to_string(), error.inner().message().to_owned());
            if field == "." { what } else { format!("{field}: {what}") }
        };
        value.map_err(|error| self.problem(place, problem(error))).ok()
    }

    fn problem(&mut self, place: &str, what: impl std::fmt::Display) {
        self.problems.push(format!("{place}: {what}"));
    }
}

/// Whatever it is a secret of, its file may end with a line.
#[expect(clippy::unnecessary_wraps, reason = "what it says is looked at with everything else")]
fn trimmed(text: &Secret<String>) -> Result<SecretText, String> {
    Ok(SecretText::telling(text.expose().trim()))
}

#[expect(clippy::disallowed_methods, reason = "the file names the variable, and only its operator can set it")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
