//! Two gateways on one database: a master key is activated when both have it, and not before.

use std::path::Path;

use serde_json::Value;

use crate::harness::database::{Engine, TestDatabase};
use crate::harness::process::Process;
use crate::harness::{Gateway, PATIENCE, within};

/// A second gateway, with the configuration of the first but for its folder of master keys.
fn second(gateway: &Gateway, folder: &Path) -> Process {
    let config = std::fs::read_to_string(gateway.config()).unwrap();
    let text = |path: &Path| serde_json::to_string(&path.display().to_string()).unwrap();
    let config = config.replace(&text(&gateway.data()), &text(folder));
    std::fs::create_dir(folder.join("keys")).unwrap();
    std::fs::write(folder.join("wxgate.toml"), config).unwrap();
    let arguments = ["serve", "--config", &folder.join("wxgate.toml").display().to_string()].map(str::to_owned);
    let own_keys = ("WXGATE__MASTER_KEY__FOLDER".to_owned(), folder.join("keys").display().to_string());
    let simulator = gateway.simulator().url().to_owned();
    let environment = [
        own_keys,
        ("WXGATE__WECHAT__URL".to_owned(), simulator),
        ("WXGATE__WECHAT__ALLOW_OTHER_HOSTS".to_owned(), "true".to_owned()),
        ("WXGATE__HTTP__DRAIN_SECONDS".to_owned(), "0".to_owned()),
    ];
    Process::start(folder, "second", &arguments, &environment)
}

#[tokio::test]
async fn a_node_that_lacks_the_new_key_is_named() {
    let Some(database) = TestDatabase::create(Engine::Postgres).await else { return };
    let keys = tempfile::tempdir().unwrap();
    let folder = keys.path().display().to_string();
    let gateway = Gateway::serve(database).env("WXGATE__MASTER_KEY__FOLDER", &folder).await;
    let other = tempfile::tempdir().unwrap();
    let mut process = second(&gateway, other.path());
    let listen = within(PATIENCE, "the second gateway is ready", async || {
        process.assert_alive();
        serde_json::from_slice::<Value>(&std::fs::read(other.path().join("listen.json")).ok()?).ok()
    });
    let address = listen.await["public"].as_str().unwrap().to_owned();

    let command = |arguments: &[&str]| {
        let arguments = arguments.iter().copied().map(str::to_owned);
        let config = gateway.config();
        crate::harness::cli::wxgate(arguments).config(&config).env("WXGATE__MASTER_KEY__FOLDER", &folder).run()
    };
    let added = command(&["master-key", "add", "--json"]).await.json();
    let (id, file) = (added["id"].as_str().unwrap(), Path::new(added["file"].as_str().unwrap()));
    // The first one has it soon; the second one never, by itself.
    within(PATIENCE, "only the second one lacks the key", async || {
        let told = command(&["master-key", "activate", id]).await.failed();
        assert!(told.contains(&address), "{told}");
        (told.matches("127.0.0.1:").count() == 2).then_some(())
    })
    .await;
    std::fs::copy(file, other.path().join("keys").join(file.file_name().unwrap())).unwrap();
    within(PATIENCE, "both have it", async || (command(&["master-key", "activate", id]).await.code == 0).then_some(()))
        .await;
    let list = command(&["master-key", "list", "--json"]).await.json();
    let active = list.as_array().unwrap().iter().find(|key| key["state"] == "active").unwrap();
    assert_eq!((&active["id"], active["nodes"].as_array().unwrap().len()), (&id.into(), 2));

    // One that ends cleanly is missed by nobody.
    process.ask_to_end();
    assert!(process.ended().await.success());
    within(PATIENCE, "one node is left", async || {
        let list = command(&["master-key", "list", "--json"]).await.json();
        let nodes = list.as_array().unwrap().iter().map(|key| key["nodes"].as_array().unwrap().len());
        (nodes.max() == Some(1)).then_some(())
    })
    .await;
}
