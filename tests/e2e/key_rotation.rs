//! Keys are replaced while users log in: nobody notices, also when the process dies in the middle.

mod nodes;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use wxgate_crypto::{MasterKey, MasterKeyRing, Random, Secret};
use wxgate_domain::{Clock, SigningAlgorithm, TenantPolicy};
use wxgate_storage::{BatchObserver, DatabaseUrl, InstanceKind, NewTenant, Storage, StorageConfig};
use wxgate_token::SigningKey;

use crate::harness::simulator::Simulator;
use crate::harness::{APP, Client, Gateway, PATIENCE, Reply, within};

/// Enough data keys that a rewrap takes a while: four of each tenant.
const TENANTS: usize = 150;

/// People who log in at the same time.
const PEOPLE: usize = 4;

/// A gateway that takes any number of requests of one address.
async fn gateway() -> Gateway {
    let many = "100000";
    Gateway::dev().env("WXGATE__LIMITS__ADDRESS_PER_SECOND", many).env("WXGATE__LIMITS__ADDRESS_BURST", many).await
}

/// People who log in again and again, each login with all its parts. None may fail while the gateway is there.
struct People {
    stop: Arc<AtomicBool>,
    count: Arc<AtomicUsize>,
    tasks: JoinSet<()>,
}

impl People {
    fn begin(gateway: &Gateway) -> Self {
        let (stop, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let mut tasks = JoinSet::new();
        for _ in 0..PEOPLE {
            let (client, simulator) = (gateway.client().clone(), gateway.simulator().clone());
            tasks.spawn(log_in(client, simulator, stop.clone(), count.clone()));
        }
        Self { stop, count, tasks }
    }

    /// Waits for logins that begin after this.
    async fn some_more(&self) {
        let wanted = self.count.load(Ordering::Relaxed) + 2 * PEOPLE;
        within(PATIENCE, "logins go on", async || (self.count.load(Ordering::Relaxed) >= wanted).then_some(())).await;
    }

    async fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.tasks.join_all().await;
    }
}

async fn log_in(client: Client, simulator: Simulator, stop: Arc<AtomicBool>, count: Arc<AtomicUsize>) {
    while !stop.load(Ordering::Relaxed) {
        let code = simulator.code(APP).await.code;
        let login = client.login_with(APP, &code).await.ok();
        let me = client.request(Method::GET, "/v1/me").bearer_auth(login["access_token"].as_str().unwrap());
        client.send(me).await.ok();
        let body = json!({ "refresh_token": login["refresh_token"] });
        client.post("/v1/token/refresh", &body).await.ok();
        count.fetch_add(1, Ordering::Relaxed);
    }
}

/// Many tenants, written beside the gateway by somebody with the same master key.
async fn add_tenants(data: &Path) {
    let random = Random::system().unwrap();
    let master = Secret::new(std::fs::read_to_string(data.join("master-key")).unwrap());
    let url = Secret::new(format!("sqlite:{}", data.join("wxgate.db").display()));
    let config = StorageConfig {
        url: DatabaseUrl::parse(&url).unwrap(),
        master_keys: MasterKeyRing::new(MasterKey::parse(&master).unwrap(), vec![]),
        kind: InstanceKind::Dev,
        erasure_journal: None,
        clock: Clock::System,
        random,
        observer: BatchObserver::silent(),
    };
    let storage = Storage::connect(config).await.unwrap();
    let key = || SigningKey::generate(SigningAlgorithm::ES256, Clock::System.now()).unwrap();
    let tx = storage.begin().await.unwrap();
    for number in 0..TENANTS {
        let (slug, policy) = (format!("many-{number:03}"), TenantPolicy::default());
        let (signing_key, next_key) = (key(), key());
        let new = NewTenant { name: slug.clone(), slug: slug.parse().unwrap(), policy, signing_key, next_key };
        tx.tenants().create(new).await.unwrap();
    }
    tx.commit().await.unwrap();
    storage.stop().await;
}

/// Asks the admin API as an operator.
async fn operator(gateway: &Gateway, method: Method, path: &str, body: Option<&Value>) -> Reply {
    let key = std::fs::read_to_string(gateway.data().join("admin-key")).unwrap();
    let mut request = gateway.admin().request(method, &format!("/admin/v1{path}")).bearer_auth(key.trim());
    if let Some(body) = body {
        request = request.json(body);
    }
    gateway.admin().send(request).await
}

#[tokio::test]
async fn a_master_key_is_replaced_under_logins_and_over_a_kill() {
    let mut gateway = gateway().await;
    add_tenants(&gateway.data()).await;
    let people = People::begin(&gateway);
    let list = gateway.command(["master-key", "list", "--json"]).run().await.json();
    let old = list[0]["id"].as_str().unwrap().to_owned();
    assert_eq!((&list[0]["state"], list[0]["nodes"].as_array().unwrap().len()), (&"active".into(), 1), "{list}");

    // A key never travels.
    let key_file = gateway.data().join("admin-key").display().to_string();
    let away = ["master-key", "add", "--url", gateway.admin().base(), "--key-file", &key_file];
    let told = gateway.command(away).run().await.failed();
    assert!(told.contains("never travels"), "{told}");
    let added = gateway.command(["master-key", "add", "--json"]).run().await.json();
    let new = added["id"].as_str().unwrap().to_owned();
    let file = added["file"].as_str().unwrap();
    assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    // The gateway sees the file within seconds; until then it is named as the one that lacks the key.
    within(PATIENCE, "the gateway has the key", async || {
        let tried = gateway.command(["master-key", "activate", &new]).run().await;
        assert!(tried.code == 0 || tried.stderr.contains("lack it: 127.0.0.1:"), "{}", tried.stderr);
        (tried.code == 0).then_some(())
    })
    .await;
    people.some_more().await;

    let told = gateway.command(["master-key", "remove", &old, "--yes"]).run().await.failed();
    let keys = 4 * (TENANTS + 1);
    assert!(told.contains(&format!("still seals {keys} data keys of {} tenants, such as demo", TENANTS + 1)), "{told}");
    let told = gateway.command(["master-key", "remove", &new, "--yes"]).run().await.failed();
    assert!(told.contains("is the active one"), "{told}");
    people.end().await;

    // Killed in the middle.
    let job = operator(&gateway, Method::POST, "/master-keys/rewrap", Some(&json!({}))).await.ok();
    let path = format!("/jobs/{}", job["id"].as_str().unwrap());
    let half = within(PATIENCE, "the rewrap has begun", async || {
        let job = operator(&gateway, Method::GET, &path, None).await.ok();
        (job["done"].as_u64().unwrap() > 0).then_some(job)
    })
    .await;
    gateway.kill9();
    assert_eq!(half["state"], "open", "the rewrap was over before the kill: {half}");
    gateway.restart().await;

    let people = People::begin(&gateway);
    let done = within(PATIENCE, "the rewrap is done", async || {
        let job = operator(&gateway, Method::GET, &path, None).await.ok();
        (job["state"] == "done").then_some(job)
    })
    .await;
    assert_eq!(done["done"], done["total"]);
    people.some_more().await;
    let removed = gateway.command(["master-key", "remove", &old, "--yes", "--json"]).run().await.json();
    assert_eq!(removed["configured_in"], "master_key.value_file");

    // The old key is needed for nothing any more: the new one alone opens everything.
    people.end().await;
    gateway.terminate().await;
    std::fs::copy(file, gateway.data().join("master-key")).unwrap();
    std::fs::remove_file(file).unwrap();
    gateway.restart().await;
    let people = People::begin(&gateway);
    people.some_more().await;
    people.end().await;
}

#[tokio::test]
async fn data_keys_are_rotated_under_logins() {
    let gateway = gateway().await;
    let code = gateway.simulator().code(APP).await.code;
    let before = gateway.client().login_with(APP, &code).await.ok();
    let people = People::begin(&gateway);
    people.some_more().await;
    for purpose in ["seal", "refresh_mac", "digest", "audit"] {
        let body = json!({ "tenant": "demo", "purpose": purpose });
        let rotated = operator(&gateway, Method::POST, "/data-keys/rotate", Some(&body)).await.ok();
        assert_eq!((&rotated["key"]["state"], &rotated["key"]["purpose"]), (&"active".into(), &purpose.into()));
        assert_eq!(rotated.get("job").is_some(), ["seal", "digest"].contains(&purpose), "{rotated}");
        people.some_more().await;
    }
    // All that the old key sealed is sealed anew; the key itself waits for nodes that have not heard of it.
    within(PATIENCE, "the resealing rests", async || {
        let jobs = operator(&gateway, Method::GET, "/jobs?tenant=demo", None).await.ok();
        let job = jobs["items"].as_array().unwrap().iter().find(|job| job["kind"] == "reseal").unwrap();
        assert_eq!(job.get("error"), None, "{jobs}");
        (job["rests_until"].is_number() && job["done"].as_u64().unwrap() > 0).then_some(())
    })
    .await;
    people.some_more().await;
    people.end().await;

    // A refresh token of before is good, and its key stays.
    let told = gateway.command(["data-key", "remove", "--tenant", "demo", "3", "--yes"]).run().await.failed();
    assert!(told.contains("needed by the refresh tokens of"), "{told}");
    let body = json!({ "refresh_token": before["refresh_token"] });
    gateway.client().post("/v1/token/refresh", &body).await.ok();
    let list = gateway.command(["data-key", "list", "--tenant", "demo", "--json"]).run().await.json();
    let active: Vec<_> = list.as_array().unwrap().iter().filter(|key| key["state"] == "active").collect();
    assert_eq!((list.as_array().unwrap().len(), active.len()), (8, 4), "{list}");
}

#[tokio::test]
async fn keys_are_out_of_another_tenants_reach() {
    let gateway = gateway().await;
    gateway.command(["tenant", "add", "other"]).run().await.ok();
    let add = [
        "admin-key",
        "add",
        "Others",
        "--tenant",
        "other",
        "--scope",
        "read",
        "--scope",
        "write",
        "--scope",
        "secrets",
    ];
    let key = gateway.command(add).argument("--json").run().await.json();
    let ask = async |method: Method, path: &str, body: Value| {
        let request = gateway.admin().request(method.clone(), &format!("/admin/v1{path}"));
        let request = request.bearer_auth(key["secret"].as_str().unwrap());
        gateway.admin().send(if method == Method::GET { request } else { request.json(&body) }).await
    };
    ask(Method::GET, "/data-keys?tenant=other", json!({})).await.ok();
    ask(Method::GET, "/data-keys?tenant=demo", json!({})).await.refused(404, "NOT_FOUND");
    let demo = json!({ "tenant": "demo", "purpose": "seal" });
    ask(Method::POST, "/data-keys/rotate", demo).await.refused(404, "NOT_FOUND");
    ask(Method::GET, "/master-keys", json!({})).await.refused(403, "NOT_GRANTED");
    ask(Method::POST, "/master-keys/rewrap", json!({})).await.refused(403, "NOT_GRANTED");
    let body = json!({ "tenant": "demo", "purpose": "seal" });
    let rotated = operator(&gateway, Method::POST, "/data-keys/rotate", Some(&body)).await.ok();
    let job = format!("/jobs/{}", rotated["job"]["id"].as_str().unwrap());
    ask(Method::GET, &job, json!({})).await.refused(404, "NOT_FOUND");
    assert_eq!(ask(Method::GET, "/jobs", json!({})).await.ok()["items"], json!([]));
}
