//! Two gateways on one database: a master key is activated when both have it, and not before.

use std::path::Path;

use crate::harness::database::{Engine, TestDatabase};
use crate::harness::{Gateway, PATIENCE, SecondGateway, within};

#[tokio::test]
async fn a_node_that_lacks_the_new_key_is_named() {
    let Some(database) = TestDatabase::create(Engine::Postgres).await else { return };
    let keys = tempfile::tempdir().unwrap();
    let folder = keys.path().display().to_string();
    let gateway = Gateway::serve(database).env("WXGATE__MASTER_KEY__FOLDER", &folder).await;
    // Its folder of master keys is another one.
    let mut second = SecondGateway::with(&gateway, &[("WXGATE__MASTER_KEY__FOLDER", "keys")]).await;

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
        assert!(told.contains(second.client().authority()), "{told}");
        (told.matches("127.0.0.1:").count() == 2).then_some(())
    })
    .await;
    std::fs::copy(file, second.folder().join("keys").join(file.file_name().unwrap())).unwrap();
    within(PATIENCE, "both have it", async || (command(&["master-key", "activate", id]).await.code == 0).then_some(()))
        .await;
    let list = command(&["master-key", "list", "--json"]).await.json();
    let active = list.as_array().unwrap().iter().find(|key| key["state"] == "active").unwrap();
    assert_eq!((&active["id"], active["nodes"].as_array().unwrap().len()), (&id.into(), 2));

    // One that ends cleanly is missed by nobody.
    second.terminate().await;
    within(PATIENCE, "one node is left", async || {
        let list = command(&["master-key", "list", "--json"]).await.json();
        let nodes = list.as_array().unwrap().iter().map(|key| key["nodes"].as_array().unwrap().len());
        (nodes.max() == Some(1)).then_some(())
    })
    .await;
}
