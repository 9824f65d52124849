//! The command line as an operator uses it: help with examples, errors that say what to do, secrets kept to itself.

mod admin;
mod configuration;
mod moving;
mod policies;
mod signing_keys;
mod start;
mod trust;
mod users;

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use wxgate_crypto::{MasterKey, Random};

use crate::harness::cli::{Cli, NO_WECHAT, Output, wxgate};
use crate::harness::simulator::SimulatorProcess;

/// Exit status of a command that was not understood, and of one that failed.
const USAGE: i32 = 2;
const FAILURE: i32 = 1;

/// Every command there is.
const COMMANDS: [&[&str]; 85] = [
    &["dev"],
    &["serve"],
    &["sim"],
    &["migrate"],
    &["migrate", "up"],
    &["migrate", "status"],
    &["config"],
    &["config", "check"],
    &["config", "print"],
    &["tenant"],
    &["tenant", "add"],
    &["tenant", "list"],
    &["tenant", "show"],
    &["tenant", "policy"],
    &["tenant", "suspend"],
    &["tenant", "resume"],
    &["tenant", "remove"],
    &["master-key"],
    &["master-key", "list"],
    &["master-key", "add"],
    &["master-key", "activate"],
    &["master-key", "rewrap"],
    &["master-key", "remove"],
    &["data-key"],
    &["data-key", "list"],
    &["data-key", "rotate"],
    &["data-key", "remove"],
    &["job"],
    &["job", "list"],
    &["job", "show"],
    &["job", "watch"],
    &["app"],
    &["app", "add"],
    &["app", "list"],
    &["app", "show"],
    &["app", "rotate-secret"],
    &["app", "verify"],
    &["app", "remove"],
    &["app", "disable"],
    &["app", "enable"],
    &["app", "policy"],
    &["union-group"],
    &["union-group", "add"],
    &["union-group", "list"],
    &["union-group", "show"],
    &["union-group", "rename"],
    &["union-group", "remove"],
    &["audience"],
    &["audience", "add"],
    &["audience", "list"],
    &["audience", "remove"],
    &["policy"],
    &["policy", "add"],
    &["policy", "list"],
    &["policy", "show"],
    &["policy", "change"],
    &["policy", "remove"],
    &["service-client"],
    &["service-client", "add"],
    &["service-client", "list"],
    &["service-client", "show"],
    &["service-client", "change"],
    &["service-client", "rotate"],
    &["service-client", "remove"],
    &["backup"],
    &["user"],
    &["user", "find"],
    &["user", "block"],
    &["user", "unblock"],
    &["user", "list"],
    &["user", "show"],
    &["user", "erase"],
    &["user", "sessions"],
    &["user", "end-session"],
    &["user", "import"],
    &["user", "export"],
    &["signing-key"],
    &["signing-key", "list"],
    &["signing-key", "rotate"],
    &["signing-key", "retire"],
    &["audit"],
    &["audit", "list"],
    &["audit", "verify"],
    &["completions"],
    &["doctor"],
];

/// A folder with a configuration and a master key, as an operator would write them.
struct House {
    folder: TempDir,
    simulator: Option<SimulatorProcess>,
}

impl House {
    fn new() -> Self {
        let house = Self { folder: tempfile::tempdir().unwrap(), simulator: None };
        std::fs::create_dir(house.path("data")).unwrap();
        house.new_master_key();
        house.write("wxgate.toml", &house.configuration());
        house
    }

    /// One with a schema and the tenant `acme`.
    async fn furnished() -> Self {
        let house = Self::new();
        house.run(["migrate", "up"]).run().await.ok();
        house.run(["tenant", "add", "acme"]).run().await.ok();
        house
    }

    /// The same where WeChat can be asked, and knows these apps: `APPID=SECRET`.
    async fn with_wechat(apps: &[&str]) -> Self {
        Self { simulator: Some(SimulatorProcess::start(apps).await), ..Self::furnished().await }
    }

    fn configuration(&self) -> String {
        let text = |name: &str| serde_json::to_string(&self.path(name).display().to_string()).unwrap();
        format!(
            "public_url = \"https://login.example.com\"\ndata_dir = {}\n[listen]\npublic = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n\
             [database]\nurl = \"sqlite://{}\"\n[master_key]\nvalue_file = {}\n\
             [wechat]\nurl = \"{NO_WECHAT}\"\nallow_other_hosts = true\n",
            text("data"),
            self.path("data/wxgate.db").display(),
            text("master-key")
        )
    }

    /// Puts a new master key in the place of the old one.
    fn new_master_key(&self) {
        self.write("master-key", MasterKey::generate(&Random::system().unwrap()).expose());
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// A command here, whose configuration is the default `wxgate.toml`.
    fn run<const N: usize>(&self, arguments: [&str; N]) -> Cli {
        let run = wxgate(arguments).folder(self.folder.path());
        match &self.simulator {
            Some(simulator) => run.asking(simulator.url()),
            None => run,
        }
    }
}

/// Fails unless the command failed with this status, a reason and no output; returns the reason.
#[track_caller]
fn refused(output: Output, status: i32) -> String {
    assert_eq!(output.code, status, "{output:?}");
    assert_eq!(output.stdout, "", "errors go to standard error");
    assert!(output.stderr.starts_with("error: "), "{output:?}");
    assert!(!output.stderr.contains("panicked") && !output.stderr.contains("Error {"), "{output:?}");
    output.stderr
}

/// Everything in a folder, one file after another.
fn contents(folder: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        bytes.extend(if path.is_dir() { contents(&path) } else { std::fs::read(&path).unwrap() });
    }
    bytes
}

#[tokio::test]
async fn every_command_explains_itself_with_an_example() {
    for command in COMMANDS {
        let help = wxgate([command, &["--help"]].concat()).run().await.ok();
        assert!(help.contains("Usage: wxgate "), "{command:?}: {help}");
        let is_group = COMMANDS.iter().any(|other| other.len() > command.len() && other.starts_with(command));
        if is_group {
            assert!(help.contains("Commands:"), "{command:?}: {help}");
        } else {
            let example = help.split_once("Example").map(|(_, rest)| rest).unwrap_or_default();
            assert!(example.contains(&format!("wxgate {}", command.join(" "))), "{command:?}: {help}");
        }
        for line in help.lines().filter(|line| line.trim_start().starts_with("--")) {
            assert!(line.trim().len() > 6, "{command:?}: an option without a word about it: {line}");
        }
    }
    let all = wxgate(["--help"]).run().await.ok();
    for command in COMMANDS.iter().filter(|command| command.len() == 1) {
        assert!(all.contains(&format!("\n  {} ", command[0])), "{command:?} is missing in\n{all}");
    }
    let version = wxgate(["--version"]).run().await.ok();
    assert_eq!(version.trim(), format!("wxgate {}", env!("CARGO_PKG_VERSION")));
}

#[tokio::test]
async fn what_is_not_understood_has_a_status_of_its_own() {
    for wrong in [
        &["nonsense"][..],
        &["serve", "--nonsense"],
        &["tenant", "ad", "acme"],
        &["app", "add"],
        &["dev", "--listen", "here"],
    ] {
        let told = refused(wxgate(wrong.iter().copied()).run().await, USAGE);
        assert!(told.contains("--help"), "{told}");
    }
    assert_eq!(wxgate(Vec::<String>::new()).run().await.code, USAGE);
}

#[tokio::test]
async fn names_that_cannot_be_are_told_what_they_look_like() {
    let house = House::new();
    let cases = [
        (["tenant", "add", "Acme"], "a-z"),
        (["tenant", "add", "under_score"], "hyphens"),
        (["app", "disable", "wx 1"], "letters"),
        (["app", "disable", "wx1&x=1"], "letters"),
    ];
    for (command, hint) in cases {
        let told = refused(house.run(command).run().await, USAGE);
        assert!(told.contains(hint), "{told}");
    }
    let told = refused(house.run(["tenant", "add", "acme", "--algorithm", "HS256"]).run().await, USAGE);
    assert!(told.contains("ES256, EdDSA or RS256"), "{told}");
}
