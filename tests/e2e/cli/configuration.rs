//! `config check` and `config print`: the same reading as at start-up.

use super::{FAILURE, House, refused};

#[tokio::test]
async fn a_good_configuration_is_called_good() {
    let house = House::new();
    let told = house.run(["config", "check"]).run().await.ok();
    assert!(told.contains("good"), "{told}");
    let elsewhere = house.path("wxgate.toml");
    crate::harness::cli::wxgate(["config", "check"]).config(&elsewhere).run().await.ok();
}

#[tokio::test]
async fn every_problem_is_told_at_once_with_its_source() {
    let house = House::new();
    house.write(
        "wxgate.toml",
        "public_url = \"http://login.example.com\"\ndata_dir = \"nowhere\"\nunknown = 1\n[listen]\nadmin = \"0.0.0.0:1\"\npublic = \"here\"\n\
         [http]\ntrusted_proxies = [\"ten\"]\n[wechat]\nurl = \"https://evil.example\"\ncalls_per_app = 0\n[limits]\naddress_burst = \"many\"\n\
         [jwks]\ntenants = [\"Acme\"]\n[master_key]\nvalue = \"c2hvcnQ=\"\nvalue_file = \"master-key\"\n",
    );
    let run = house.run(["config", "check"]).env("WXGATE__LOG__LEVEL", "loud").env("WXGATE__LOG__COLOUR", "red");
    let told = refused(run.run().await, FAILURE);
    let problems = [
        "public_url (wxgate.toml)",
        "data_dir (wxgate.toml)",
        "unknown (wxgate.toml)",
        "listen.admin (wxgate.toml)",
        "listen.public (wxgate.toml)",
        "http.trusted_proxies (wxgate.toml)",
        "wechat.url (wxgate.toml)",
        "wechat.calls_per_app (wxgate.toml)",
        "limits.address_burst (wxgate.toml)",
        "jwks.tenants (wxgate.toml)",
        "master_key.value (wxgate.toml)",
        "database.url (default)",
        "log.level (environment WXGATE__LOG__LEVEL)",
        "log.colour (environment WXGATE__LOG__COLOUR)",
    ];
    for problem in problems {
        assert!(told.contains(problem), "{problem} is missing in\n{told}");
    }
    assert!(told.contains(&format!("{} problem", problems.len())), "{told}");
    assert!(!told.contains("c2hvcnQ="), "{told}");
}

#[tokio::test]
async fn weak_keys_and_what_cannot_be_read_are_refused_where_they_stand() {
    let house = House::new();
    for weak in ["AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "", "c2hvcnQ=", "not base64 at all", "wxgate"] {
        house.write("master-key", weak);
        for command in [&["config", "check"][..], &["serve"], &["migrate", "up"], &["tenant", "list"]] {
            let run = command.iter().fold(house.run([]), |run, argument| run.argument(argument));
            let told = refused(run.run().await, FAILURE);
            assert!(told.contains("master_key.value_file (wxgate.toml)"), "{weak:?}, {command:?}: {told}");
            assert!(weak.is_empty() || !told.contains(weak) || weak == "wxgate", "{told}");
        }
    }
    std::fs::remove_file(house.path("master-key")).unwrap();
    let told = refused(house.run(["config", "check"]).run().await, FAILURE);
    assert!(told.contains("master-key cannot be read"), "{told}");
    assert!(!house.path("data/wxgate.db").exists(), "nothing was begun");
}

#[tokio::test]
async fn a_missing_or_broken_file_is_named() {
    let house = House::new();
    for command in [["config", "check"], ["migrate", "up"], ["tenant", "list"]] {
        let told = refused(house.run(command).argument("--config").argument("nowhere.toml").run().await, FAILURE);
        assert!(told.contains("nowhere.toml"), "{told}");
    }
    let told = refused(house.run(["serve", "--config", "nowhere.toml"]).run().await, FAILURE);
    assert!(told.contains("nowhere.toml"), "{told}");
    house.write("wxgate.toml", "[listen\n");
    let told = refused(house.run(["config", "check"]).run().await, FAILURE);
    assert!(told.contains("wxgate.toml"), "{told}");
}

#[tokio::test]
async fn print_shows_every_value_its_source_and_no_secret() {
    let house = House::new();
    house.write("wxgate.toml", &house.configuration().replace("sqlite://", "postgres://u:pa55w0rd@h/d?x="));
    let key = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
    let run =
        house.run(["config", "print"]).env("WXGATE__LIMITS__ADDRESS_BURST", "77").env("WXGATE__MASTER_KEY__VALUE", key);
    let told = run.run().await.ok();
    for line in [
        "limits.address_burst = 77    # environment WXGATE__LIMITS__ADDRESS_BURST",
        "limits.address_per_second = 50    # default",
        "public_url = \"https://login.example.com\"    # wxgate.toml",
        "database.url = [secret]    # wxgate.toml",
        "master_key.value = [secret]    # environment WXGATE__MASTER_KEY__VALUE",
    ] {
        assert!(told.contains(line), "{line} is missing in\n{told}");
    }
    assert!(!told.contains("pa55w0rd") && !told.contains(key), "{told}");
}
