//! No tenant touches another: every operation of the API's document is tried by one tenant's admin with everything that
//! another tenant's things are called, in every place where a name can stand; every other route with its tokens and
//! clients.
//!
//! A new operation fails here until `isolation/operations.rs` has a line for it, a new public route until
//! `isolation/public.rs` has one.

mod document;
mod estate;
mod operations;
mod public;

use std::collections::BTreeSet;

use futures_util::future::join_all;
use serde_json::Value;

use self::document::{Document, Operation, Place};
use self::estate::Estate;
use self::operations::{FREE, Known};
use crate::harness::{Gateway, Operator, Reply};

/// What a tenant's admin is told who asks for what is not theirs.
const REFUSED: [u16; 6] = [400, 403, 404, 409, 412, 422];

#[tokio::test]
async fn the_admin_of_one_tenant_reaches_nothing_of_another_by_any_operation() {
    let gateway = Gateway::dev().await;
    let document = Document::of(&gateway).await;
    let operator = gateway.operator();
    let (mine, theirs) = (Estate::mine(&gateway).await, Estate::theirs(&gateway).await);
    let table = operations::known(&mine);
    Document::are_known(&document.operations(), table.iter().map(|known| known.id), "isolation/operations.rs");

    let admin = operator.admin_of(&mine.slug).await;
    let before = seen(&operator, &document, &theirs).await;
    assert!(before.len() > 2, "{before:?}");
    // To look at everything after each operation would take minutes.
    let mut since_looked = Vec::new();
    for known in &table {
        let operation = document.operation(known.id);
        for (place, field) in operation.fields(&document) {
            if place == Place::Given && field.last().is_some_and(|name| FREE.contains(&name.as_str())) {
                continue;
            }
            let tries = theirs.names().into_iter().map(async |(kind, id)| {
                let fields = document::with(&known.fields, &field, &id);
                let reply = admin.send(operation.request(&admin, &fields)).await;
                let tried = Tried { operation: &operation, field: &field, kind, id: &id };
                tried.got_nothing(&reply, &theirs);
                operation.documents(&reply);
            });
            join_all(tries).await;
        }
        // What only reads has shown whatever it could.
        if operation.method != "get" {
            since_looked.push(known.id);
        }
        if since_looked.len() == 10 {
            unchanged(&before, &seen(&operator, &document, &theirs).await, &since_looked.join(" or "));
            since_looked.clear();
        }
    }
    unchanged(&before, &seen(&operator, &document, &theirs).await, &since_looked.join(" or "));
}

/// What is refused there is refused for whose it is: with what is theirs, a tenant's admin gets on.
#[tokio::test]
async fn with_its_own_things_an_admin_does_everything_and_sees_nothing_else() {
    let gateway = Gateway::dev().await;
    let document = Document::of(&gateway).await;
    let operator = gateway.operator();
    let (mine, theirs) = (Estate::mine(&gateway).await, Estate::theirs(&gateway).await);
    let admin = operator.admin_of(&mine.slug).await;
    let before = seen(&operator, &document, &theirs).await;
    for known in operations::known(&mine) {
        let operation = document.operation(known.id);
        let reply = admin.send(operation.request(&admin, &known.fields)).await;
        assert_eq!(reply.status, known.answer, "{}: {}", known.id, reply.text);
        operation.documents(&reply);
        theirs.is_not_in(&reply, "");
    }
    unchanged(&before, &seen(&operator, &document, &theirs).await, "all of it");
}

#[tokio::test]
async fn a_key_allows_what_its_scopes_say_and_nothing_without_one() {
    let gateway = Gateway::dev().await;
    let document = Document::of(&gateway).await;
    let operator = gateway.operator();
    let mine = Estate::mine(&gateway).await;
    let mut keys = Vec::new();
    for scope in ["read", "write", "secrets"] {
        let made = serde_json::json!({"name": scope, "tenant": mine.slug, "scopes": [scope]});
        let made = operator.post("/admin-keys", &made).await.json();
        keys.push((scope, operator.with_key(made["secret"].as_str().unwrap())));
    }
    let nobody = Operator::nobody(&gateway);
    for known in operations::known(&mine) {
        let operation = document.operation(known.id);
        let reply = nobody.send(operation.request(&nobody, &known.fields)).await;
        reply.refused(401, "ADMIN_KEY_INVALID");
        operation.documents(&reply);
        for (scope, key) in keys.iter().filter(|(scope, _)| *scope != operation.scope()) {
            let reply = key.send(operation.request(key, &known.fields)).await;
            let problem = reply.refused(403, "NOT_GRANTED");
            let detail = problem["detail"].as_str().unwrap();
            assert!(
                detail.contains(&format!("needs the scope {}", operation.scope())),
                "{} {scope}: {detail}",
                known.id
            );
        }
    }
}

/// What somebody else changed meanwhile is neither changed nor removed, by whichever operation: what does not compare says so.
#[tokio::test]
async fn no_operation_ignores_what_its_caller_saw_before() {
    let gateway = Gateway::dev().await;
    let document = Document::of(&gateway).await;
    let mine = Estate::mine(&gateway).await;
    let (operator, admin) = (gateway.operator(), gateway.operator().admin_of(&mine.slug).await);
    let mut compared = BTreeSet::new();
    for known in operations::known(&mine) {
        let operation = document.operation(known.id);
        if operation.method == "get" {
            continue;
        }
        // What is an operator's alone is refused here all the same, but for what is done to nothing.
        let who = if known.answer == 403 { &operator } else { &admin };
        let stale = || operation.request(who, &known.fields).header("If-Match", "\"what-it-was\"");
        let reply = who.send(stale()).await;
        operation.documents(&reply);
        if operation.takes("If-Match") {
            let code = reply.json()["code"].as_str().unwrap_or_default().to_owned();
            let refused = code == "PRECONDITION_FAILED" || known.answer == 403 || known.answer == 409;
            assert!(refused && reply.status >= 400, "{}: {} {}", known.id, reply.status, reply.text);
            if code == "PRECONDITION_FAILED" {
                compared.insert(operation.id.clone());
            }
        } else {
            let problem = reply.refused(400, "REQUEST_INVALID");
            assert!(problem["detail"].as_str().unwrap().contains("If-Match"), "{}: {problem}", known.id);
        }
        // For what comes after it.
        if known.answer < 300 {
            let whatever = operation.request(&admin, &known.fields);
            let whatever = if operation.takes("If-Match") { whatever.header("If-Match", "*") } else { whatever };
            assert_eq!(admin.send(whatever).await.status, known.answer, "{}", known.id);
        }
    }
    for id in ["changeTenant", "removeApp", "setAppSecret", "setPush", "removePush", "removeAudience", "removePolicy"] {
        assert!(compared.contains(id), "{id}: {compared:?}");
    }
    for id in ["removeServiceClient", "removeWebhook", "setApiSecurity", "forgetApiSecurity", "removeUnionGroup"] {
        assert!(compared.contains(id), "{id}: {compared:?}");
    }
}

#[tokio::test]
async fn no_token_and_no_client_of_one_tenant_counts_at_another() {
    let gateway = Gateway::dev().await;
    let document = Document::of(&gateway).await;
    let operator = gateway.operator();
    let (mine, theirs) = (Estate::mine(&gateway).await, Estate::theirs(&gateway).await);
    Document::are_known(&document.public(), public::KNOWN.iter().copied(), "isolation/public.rs");
    let before = seen(&operator, &document, &theirs).await;
    for id in public::KNOWN {
        for reply in public::try_everything(&gateway, id, &mine, &theirs).await {
            document.operation(id).documents(&reply);
            theirs.is_not_in(&reply, "");
        }
        theirs.is_still_logged_in(&gateway, id).await;
    }
    unchanged(&before, &seen(&operator, &document, &theirs).await, "all of it");
}

/// Whatever clients an app has, and however a request presents a token: it must be the app's own.
#[tokio::test]
async fn no_token_of_one_tenant_counts_at_another_whatever_clients_it_has() {
    // Everything that is tried comes from one address.
    let gateway = Gateway::dev()
        .env("WXGATE__LIMITS__ADDRESS_PER_SECOND", "100000")
        .env("WXGATE__LIMITS__ADDRESS_BURST", "100000")
        .await;
    let document = Document::of(&gateway).await;
    let (mine, theirs) = (Estate::mine(&gateway).await, Estate::theirs(&gateway).await);
    let operations = document.compatibility();
    let mut reached = BTreeSet::new();
    for profile in wxgate_domain::ClientProfile::ALL {
        let policy = serde_json::json!({"policy": {"profile": profile}});
        gateway.operator().patch(&format!("/apps/{}", theirs.appid), &policy).await.ok();
        gateway.comes_to_answer(&theirs.appid, "CODE_INVALID").await;
        for operation in &operations {
            for reply in public::try_compatibility(&gateway, operation, &mine, &theirs).await {
                operation.documents(&reply);
                theirs.is_not_in(&reply, "");
                if !reply.text.contains("NOT_FOUND") {
                    reached.insert(operation.id.clone());
                }
            }
        }
        theirs.is_still_logged_in(&gateway, profile.as_str()).await;
    }
    assert_eq!(reached.len(), operations.len(), "each profile has been in force: {reached:?}");
}

/// Fails if anything of a tenant looks different.
#[track_caller]
fn unchanged(before: &[(&str, Value)], after: &[(&str, Value)], by: &str) {
    for ((id, before), (_, after)) in before.iter().zip(after) {
        assert_eq!(before, after, "{by} changed what {id} shows of another tenant");
    }
}

/// Everything of a tenant that an operator can look at.
async fn seen(operator: &Operator, document: &Document, of: &Estate) -> Vec<(&'static str, Value)> {
    let mut seen = Vec::new();
    for Known { id, fields, answer } in operations::known(of) {
        let operation = document.operation(id);
        // What takes no field is not of this tenant alone.
        if operation.method == "get" && answer == 200 && fields != serde_json::json!({}) {
            seen.push((id, operator.send(operation.request(operator, &fields)).await.ok()));
        }
    }
    seen
}

/// One name of another's in one place.
struct Tried<'a> {
    operation: &'a Operation,
    field: &'a [String],
    kind: &'static str,
    id: &'a str,
}

impl Tried<'_> {
    /// Fails if the answer holds anything of the other tenant, or if something was done with what was named.
    #[track_caller]
    fn got_nothing(&self, reply: &Reply, theirs: &Estate) {
        let Self { operation, field, kind, id } = self;
        let what = format!("{} with another tenant's {kind} ({id}) as {}", operation.id, field.join("."));
        theirs.is_not_in(reply, id);
        // A list in which nothing is found is an answer.
        // An import leaves out the rows that do not fit, and tells of them.
        let answers = operation.method == "get" || operation.id == "importUsers";
        let fine = REFUSED.contains(&reply.status) || (reply.status == 200 && answers);
        assert!(
            fine,
            "{what}: {} {}\nIf any text may stand there, name the field in FREE of isolation/operations.rs.",
            reply.status, reply.text
        );
    }
}

/// The ids of one list that the other lacks.
fn lacking<'a>(of: &BTreeSet<&'a str>, known: &BTreeSet<&'a str>) -> Vec<&'a str> {
    of.difference(known).copied().collect()
}
