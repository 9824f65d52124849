use wxgate_crypto::Random;

use super::*;

const GOOD: &str = r#"
public_url = "https://login.example.com/"
[database]
url = "sqlite:///var/lib/wxgate/wxgate.db"
[http]
trusted_proxies = ["10.0.0.0/8", "::1"]
"#;

fn check(text: &str, key: &str) -> Result<Config, String> {
    let mut layers = Layers::defaults();
    layers.file("wxgate.toml", text);
    layers.command_line("master_key.value", key);
    Config::check(layers).map_err(|invalid| invalid.to_string())
}

fn key() -> String {
    MasterKey::generate(&Random::seeded(1)).expose().clone()
}

#[test]
fn a_small_file_is_enough() {
    let config = check(GOOD, &key()).unwrap();
    assert_eq!(config.public_url, "https://login.example.com");
    assert_eq!(config.http.trusted_proxies.len(), 2);
    assert_eq!(config.listen.admin.to_string(), "127.0.0.1:8081");
}

#[test]
fn the_erasure_journal_is_in_the_data_folder_unless_it_has_a_place_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let inside = |line: &str| format!("data_dir = {:?}\n{line}{GOOD}", folder.path());
    let journal = |text: &str| check(text, &key()).unwrap().erasure_journal;
    assert_eq!(journal(GOOD), None);
    assert_eq!(journal(&inside("")), Some(folder.path().join("erasures.jsonl")));
    let own = format!("erasure_journal = {:?}\n", folder.path().join("gone.jsonl"));
    assert_eq!(journal(&inside(&own)), Some(folder.path().join("gone.jsonl")));
    let nowhere = check(&format!("erasure_journal = \"/no/such/folder/gone.jsonl\"\n{GOOD}"), &key()).unwrap_err();
    assert!(nowhere.contains("erasure_journal"), "{nowhere}");
}

#[test]
fn a_name_of_the_admin_listener_is_a_name_alone() {
    let named = |names: &str| check(&format!("listen.admin_hosts = {names}\n{GOOD}"), &key());
    assert_eq!(named(r#"["wxgate-admin", "admin.example.com"]"#).unwrap().listen.admin_hosts.len(), 2);
    for wrong in ["https://admin.example.com", "admin.example.com:8081", "a/b", "a b", "a,b", "*"] {
        let told = named(&format!("[{wrong:?}]")).unwrap_err();
        assert!(told.contains("listen.admin_hosts") && told.contains(wrong), "{told}");
    }
}

#[test]
fn all_problems_come_at_once() {
    let told = check(
        "public_url = \"http://login.example.com\"\n[listen]\nadmin = \"0.0.0.0:1\"\n[wechat]\nurl = \"http://evil.example\"\n[log]\nformat = \"xml\"\n",
        "c2hvcnQ=",
    )
    .unwrap_err();
    for part in ["public_url (wxgate.toml)", "listen.admin", "wechat.url", "log.format", "database.url", "master_key"] {
        assert!(told.contains(part), "{part} is missing in: {told}");
    }
}

#[test]
fn weak_and_example_master_keys_refuse_to_start() {
    for weak in ["AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="] {
        assert!(check(GOOD, weak).unwrap_err().contains("master_key.value"), "{weak}");
    }
}

#[test]
fn a_checked_configuration_prints_no_secret() {
    let shown = format!(
        "{:?}",
        check(&GOOD.replace("sqlite:///var/lib/wxgate/wxgate.db", "postgres://u:pa55word@h/d"), &key()).unwrap()
    );
    assert!(!shown.contains("pa55word") && !shown.contains(&key()), "{shown}");
}

#[test]
fn the_documented_keys_and_defaults_are_these() {
    let page = include_str!("../../../../docs/configuration.md");
    // Only a row of a table of keys begins like this: | `key` | `default` | meaning |
    let rows: Vec<_> = page.lines().filter_map(|line| line.strip_prefix("| `")).collect();
    let documented: Vec<_> = rows.iter().map(|row| row.split("` |").next().unwrap()).collect();
    let layers = Layers::defaults();
    for (key, default, _) in layers.entries() {
        let row = format!("{key}` | `{default}` | ");
        let found = rows.iter().any(|line| line.strip_prefix(&row).is_some_and(|meaning| meaning.len() > 10));
        assert!(found, "docs/configuration.md lacks the row:\n| `{row}meaning |");
    }
    let known: Vec<_> = layers.entries().map(|(key, ..)| key).collect();
    let unknown: Vec<_> = documented.iter().filter(|key| !known.contains(key)).collect();
    assert!(unknown.is_empty(), "docs/configuration.md has unknown keys: {unknown:?}");
    assert_eq!(documented.len(), known.len(), "docs/configuration.md has a key twice");
}
