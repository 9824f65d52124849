//! The map of the workspace as a test: which crate may use what, how long a file may be, and where HTTP ends.
//!
//! A heavy dependency belongs to one crate, so that its habits, its updates and its holes concern one crate. Whoever
//! needs it elsewhere changes the table below, and says why in the same commit.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use cargo_metadata::{Dependency, DependencyKind, Metadata, MetadataCommand, Package};

/// Who may depend on a crate of somebody else's. Crates that are not here are light and free for all.
const OWNERS: &[(&str, &[&str])] = &[
    // The simulator seals by itself: with shared code it would share the gateway's mistakes.
    ("aes", &["crypto", "wechat-sim"]),
    ("cbc", &["crypto", "wechat-sim"]),
    ("base64", &["crypto", "wechat-sim"]),
    ("rand", &["crypto", "wechat-sim"]),
    ("sha1", &["crypto", "wechat-sim"]),
    ("sha2", &["crypto", "wechat-sim"]),
    ("aes-gcm-siv", &["crypto"]),
    ("hmac", &["crypto", "wechat-sim"]),
    ("quick-xml", &["crypto"]),
    ("subtle", &["crypto"]),
    // In crypto and in the simulator for WeChat's signed calls, which need RSA-PSS.
    ("aws-lc-rs", &["crypto", "token", "wechat-sim"]),
    ("jsonwebtoken", &["token"]),
    ("sea-orm", &["storage"]),
    ("sqlx", &["storage"]),
    ("sea-orm-migration", &["migrations"]),
    // In gateway for the command line, which asks a gateway that runs.
    ("reqwest", &["gateway", "verifier", "wechat-client"]),
    // In the verifier behind its feature of that name, as is axum.
    // For its errors, which reqwest hands on.
    ("hyper", &["wechat-client"]),
    ("actix-web", &["gateway", "verifier", "wechat-sim"]),
    ("axum", &["verifier"]),
    ("tower", &["verifier"]),
    // In the one binary: a library does not choose the allocator of whoever uses it.
    ("mimalloc", &["gateway"]),
    ("governor", &["gateway"]),
    ("prometheus-client", &["gateway"]),
    ("clap", &["gateway"]),
    ("clap_complete", &["gateway"]),
    ("csv", &["gateway"]),
    ("indicatif", &["gateway"]),
    ("serde_path_to_error", &["gateway"]),
    ("utoipa", &["gateway"]),
    ("toml", &["gateway"]),
    ("tracing-subscriber", &["gateway"]),
];

/// Which of our own crates each one builds on. What is not written here is forbidden.
const USES: &[(&str, &[&str])] = &[
    ("crypto", &[]),
    ("domain", &["crypto"]),
    ("token", &["crypto", "domain"]),
    // A downstream service builds on it: what it needs of the others comes through `token`.
    ("verifier", &["token"]),
    ("wechat-client", &["crypto", "domain"]),
    ("wechat-sim", &[]),
    // The schema's history never follows the entities of today.
    ("migrations", &[]),
    ("storage", &["crypto", "domain", "migrations"]),
    ("gateway", &["crypto", "domain", "storage", "token", "wechat-client", "wechat-sim"]),
];

/// Longest source file, in lines.
const MAX_LINES: usize = 500;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn workspace() -> Metadata {
    MetadataCommand::new().manifest_path(root().join("Cargo.toml")).no_deps().exec().unwrap()
}

/// A member's name without the prefix that all share.
fn short(name: &str) -> &str {
    name.strip_prefix("wxgate-").unwrap_or(name)
}

fn normal(package: &Package) -> impl Iterator<Item = &Dependency> {
    package.dependencies.iter().filter(|dependency| dependency.kind != DependencyKind::Development)
}

fn lookup<'a>(table: &'a [(&str, &'a [&'a str])], name: &str) -> Option<&'a [&'a str]> {
    table.iter().find(|(key, _)| *key == name).map(|(_, value)| *value)
}

#[test]
fn heavy_dependencies_stay_with_their_owners() {
    let metadata = workspace();
    let mut used = BTreeSet::new();
    for package in &metadata.packages {
        for dependency in normal(package) {
            let Some(owners) = lookup(OWNERS, &dependency.name) else { continue };
            let member = short(&package.name);
            assert!(owners.contains(&member), "{member} depends on {}, which belongs to {owners:?}", dependency.name);
            used.insert((dependency.name.clone(), member.to_owned()));
        }
    }
    for (name, owners) in OWNERS {
        for owner in *owners {
            let pair = ((*name).to_owned(), (*owner).to_owned());
            assert!(used.contains(&pair), "{owner} no longer uses {name}: take it out of the table");
        }
    }
}

#[test]
fn whoever_only_verifies_builds_no_web_framework() {
    let metadata = workspace();
    let verifier = metadata.packages.iter().find(|package| short(&package.name) == "verifier").unwrap();
    for name in ["actix-web", "axum", "tower"] {
        assert!(normal(verifier).any(|dependency| dependency.name == name && dependency.optional), "{name}");
    }
    assert!(!verifier.features.contains_key("default"), "{:?}", verifier.features);
}

#[test]
fn our_crates_build_on_each_other_as_the_map_says() {
    let metadata = workspace();
    assert_eq!(metadata.packages.len(), USES.len(), "every member stands in the table");
    for package in &metadata.packages {
        let user = short(&package.name);
        let allowed = lookup(USES, user).unwrap_or_else(|| panic!("{user} is not in the table"));
        let ours = normal(package).filter(|dependency| dependency.path.is_some());
        let actual: BTreeSet<_> = ours.map(|dependency| short(&dependency.name)).collect();
        assert_eq!(actual, allowed.iter().copied().collect(), "what {user} builds on");
    }
}

#[test]
fn the_simulator_shares_nothing_even_in_tests() {
    let metadata = workspace();
    let simulator = metadata.packages.iter().find(|package| short(&package.name) == "wechat-sim").unwrap();
    let ours: Vec<_> = simulator.dependencies.iter().filter(|d| d.path.is_some()).map(|d| &d.name).collect();
    assert!(ours.is_empty(), "the simulator depends on {ours:?}");
}

#[test]
fn a_direct_dependency_has_one_version() {
    let metadata = workspace();
    let mut wanted: BTreeMap<&str, BTreeMap<String, &str>> = BTreeMap::new();
    for package in &metadata.packages {
        for dependency in package.dependencies.iter().filter(|dependency| dependency.path.is_none()) {
            wanted.entry(&dependency.name).or_default().insert(dependency.req.to_string(), short(&package.name));
        }
    }
    assert!(wanted.len() > 20, "{wanted:?}");
    for (name, versions) in wanted {
        assert_eq!(versions.len(), 1, "{name} is wanted as {versions:?}: write `{name}.workspace = true`");
    }
}

#[test]
fn every_member_obeys_the_lints_of_the_workspace() {
    for package in workspace().packages {
        let manifest = fs::read_to_string(&package.manifest_path).unwrap();
        assert!(manifest.contains("[lints]\nworkspace = true\n"), "{} has lints of its own", package.name);
        assert!(package.name.starts_with("wxgate-"), "{} lacks the prefix wxgate-", package.name);
        assert!(package.readme.is_some(), "{} has no README", package.name);
    }
}

#[test]
fn no_file_is_too_long_to_read() {
    let files = rust_files(&["crates", "migrations", "tests"]);
    assert!(files.len() > 50, "only {} files were found", files.len());
    for file in files {
        let lines = fs::read_to_string(&file).unwrap().lines().count();
        assert!(lines <= MAX_LINES, "{} has {lines} lines: split it by what its parts are about", file.display());
        assert!(file.file_name().is_none_or(|name| name != "mod.rs"), "{}: write foo.rs beside foo/", file.display());
    }
}

#[test]
fn use_cases_know_nothing_of_http() {
    let files =
        rust_files(&["crates/gateway/src/service", "crates/storage", "crates/token", "crates/domain", "crates/crypto"]);
    assert!(files.iter().any(|file| file.ends_with("service/login.rs")));
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        assert!(!text.contains("actix_web") && !text.contains("crate::http"), "{} knows of HTTP", file.display());
    }
}

/// The Rust files under some folders of the repository, without what tools put there.
fn rust_files(folders: &[&str]) -> Vec<PathBuf> {
    let root = root();
    let mut files = Vec::new();
    let mut folders: Vec<_> = folders.iter().map(|folder| root.join(folder)).collect();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let generated = matches!(name.as_str(), "target" | "node_modules") || name.starts_with('.');
            if path.is_dir() && !generated {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files
}
