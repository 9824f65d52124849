//! What refuses to start, and says why.

use std::net::TcpListener;

use super::{FAILURE, House, USAGE, refused};
use crate::harness::cli::wxgate;
use crate::harness::database::{Engine, TestDatabase};
use crate::harness::{APP, Gateway};

#[tokio::test]
async fn a_schema_that_is_behind_names_the_command() {
    let house = House::new();
    for command in [&["serve"][..], &["tenant", "list"], &["app", "list"]] {
        let run = command.iter().fold(house.run([]), |run, argument| run.argument(argument));
        let told = refused(run.run().await, FAILURE);
        assert!(told.contains("behind") && told.contains("wxgate migrate up"), "{told}");
    }
    let status = house.run(["migrate", "status"]).run().await.ok();
    assert!(status.contains("pending") && !status.contains("applied"), "{status}");
    house.run(["migrate", "up"]).run().await.ok();
    house.run(["migrate", "up"]).run().await.ok();
    let status = house.run(["migrate", "status"]).run().await.ok();
    assert!(status.contains("applied") && !status.contains("pending"), "{status}");
}

#[tokio::test]
async fn a_folder_that_is_not_there_names_the_command_too() {
    let house = House::new();
    let address = format!("sqlite://{}", house.path("none").join("wx.db").display());
    let told = refused(house.run(["serve"]).env("WXGATE__DATABASE__URL", &address).run().await, FAILURE);
    assert!(told.contains("no database") && told.contains("wxgate migrate up"), "{told}");
    house.run(["migrate", "up"]).env("WXGATE__DATABASE__URL", &address).run().await.ok();
    std::fs::write(house.path("none").join("wx.db"), "no database at all, only words of somebody's").unwrap();
    let told = refused(house.run(["serve"]).env("WXGATE__DATABASE__URL", &address).run().await, FAILURE);
    assert!(told.contains("the file is no database") && !told.contains("somebody"), "{told}");
}

#[tokio::test]
async fn another_master_key_opens_nothing() {
    let house = House::furnished().await;
    house.new_master_key();
    for command in [&["serve"][..], &["tenant", "list"]] {
        let run = command.iter().fold(house.run([]), |run, argument| run.argument(argument));
        let told = refused(run.run().await, FAILURE);
        assert!(told.contains("sealed by the master key") && told.contains("at hand"), "{told}");
        assert!(!told.contains(std::fs::read_to_string(house.path("master-key")).unwrap().trim()), "{told}");
    }
}

#[tokio::test]
async fn a_trial_s_database_is_never_served() {
    let mut gateway = Gateway::dev().await;
    gateway.terminate().await;
    let serve = gateway.command(["serve"]).env("WXGATE__LISTEN__PUBLIC", "127.0.0.1:0");
    let told = refused(serve.env("WXGATE__LISTEN__ADMIN", "127.0.0.1:0").run().await, FAILURE);
    assert!(told.contains("dev database"), "{told}");
    // The commands do work on it: a trial is there to be tried.
    gateway.command(["tenant", "add", "acme"]).run().await.ok();
}

#[tokio::test]
async fn a_served_database_never_becomes_a_trial() {
    let mut gateway = Gateway::serve(TestDatabase::create(Engine::Sqlite).await.unwrap()).await;
    gateway.terminate().await;
    let zero = "127.0.0.1:0";
    let dev = ["dev", "--listen", zero, "--admin-listen", zero, "--simulator-listen", zero, "--data"];
    let told = refused(wxgate(dev).argument(&gateway.data().display().to_string()).run().await, FAILURE);
    assert!(told.contains("live database"), "{told}");
}

#[tokio::test]
async fn a_second_gateway_on_one_sqlite_file_is_refused() {
    let trial = Gateway::dev().await;
    let zero = "127.0.0.1:0";
    let dev = ["dev", "--listen", zero, "--admin-listen", zero, "--simulator-listen", zero, "--data"];
    let told = refused(wxgate(dev).argument(&trial.data().display().to_string()).run().await, FAILURE);
    assert!(told.contains("another gateway runs on"), "{told}");

    let served = Gateway::serve(TestDatabase::create(Engine::Sqlite).await.unwrap()).await;
    let told = refused(served.command(["serve"]).run().await, FAILURE);
    assert!(told.contains("another gateway runs on"), "{told}");
    // Those that run do not notice.
    for gateway in [&trial, &served] {
        assert_eq!(gateway.client().get("/readyz").await.status, 200);
    }
}

#[tokio::test]
async fn a_trial_s_folder_can_be_moved() {
    let mut gateway = Gateway::dev().await;
    gateway.terminate().await;
    let moved = tempfile::tempdir().unwrap();
    for name in ["wxgate.toml", "master-key", "wxgate.db"] {
        std::fs::rename(gateway.data().join(name), moved.path().join(name)).unwrap();
    }
    let config = moved.path().join("wxgate.toml").display().to_string();
    wxgate(["tenant", "add", "acme", "--config", &config]).run().await.ok();
    let listed = wxgate(["app", "list", "--config", &config]).run().await.ok();
    assert!(listed.contains(APP), "{listed}");
    assert!(!gateway.data().join("wxgate.db").exists());
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let house = House::furnished().await;
    for key in ["WXGATE__LISTEN__PUBLIC", "WXGATE__LISTEN__ADMIN"] {
        let told = refused(house.run(["serve"]).env(key, &address).run().await, FAILURE);
        assert!(told.contains(&address), "{told}");
    }
    let told = refused(house.run(["dev", "--data", "trial", "--listen", &address]).run().await, FAILURE);
    assert!(told.contains(&address) && told.contains("--listen"), "{told}");
    let told = refused(house.run(["sim", "--listen", &address]).run().await, FAILURE);
    assert!(told.contains(&address), "{told}");
}

#[tokio::test]
async fn nothing_of_a_trial_is_exposed_by_accident() {
    let house = House::new();
    for option in ["--admin-listen", "--simulator-listen"] {
        let told = refused(house.run(["dev", "--data", "trial", option, "0.0.0.0:0"]).run().await, FAILURE);
        assert!(told.contains("--insecure-expose"), "{told}");
    }
    let told = refused(house.run(["sim", "--listen", "0.0.0.0:0"]).run().await, FAILURE);
    assert!(told.contains("loopback"), "{told}");
    for wrong in ["nonsense", "=secret", "wx1="] {
        refused(house.run(["dev", "--data", "trial", "--app", wrong]).run().await, USAGE);
        refused(house.run(["sim", "--app", wrong]).run().await, USAGE);
    }
    assert!(!house.path("trial/wxgate.db").exists());
}

#[tokio::test]
async fn a_trial_greets_with_logins_that_work() {
    let gateway = Gateway::dev().await;
    let greeting = gateway.stdout();
    for part in [gateway.client().base(), gateway.admin().base(), gateway.simulator().url(), APP, "/t/demo"] {
        assert!(greeting.contains(part), "{part} is missing in\n{greeting}");
    }
    // What it says to paste is pasted.
    let lines: Vec<_> = greeting.lines().map(str::trim).filter(|line| line.contains("curl")).collect();
    assert!(lines.len() >= 2, "{greeting}");
    let script = lines.join("\n");
    let output = tokio::process::Command::new("sh").arg("-c").arg(&script).output().await.unwrap();
    let replies = String::from_utf8(output.stdout).unwrap();
    assert!(replies.contains("\"access_token\""), "{script}\n{replies}");
    assert!(replies.contains("登錄成功"), "{script}\n{replies}");
}
