use serde_json::json;

use super::*;
use crate::codes::LIFETIME_MS;

fn world() -> World {
    let mut world = World::new(false).unwrap();
    for (appid, union_group) in [("wxA", None), ("wxB", None), ("wxU", Some("group"))] {
        world.put_app(app(appid, union_group)).unwrap();
    }
    world
}

fn app(appid: &str, union_group: Option<&str>) -> SimulatedApp {
    SimulatedApp { appid: appid.into(), secret: format!("secret-of-{appid}"), union_group: union_group.map(Into::into) }
}

fn call(appid: &str, code: &str) -> Exchange {
    Exchange {
        appid: Some(appid.into()),
        secret: Some(format!("secret-of-{appid}")),
        js_code: Some(code.into()),
        grant_type: Some("authorization_code".into()),
    }
}

fn logged_in(outcome: Outcome) -> Session {
    match outcome.result {
        Ok(Success::LoggedIn(session)) => session,
        _ => panic!("no login"),
    }
}

fn errcode(world: &mut World, call: &Exchange, now_ms: u64) -> i64 {
    world.exchange(call, now_ms).result.err().map_or(0, |refusal| refusal.errcode)
}

fn add_fault(world: &mut World, kind: &str) {
    let body = json!({"route": "jscode2session", "kind": kind});
    world.faults.add(serde_json::from_value(body).unwrap(), 0).unwrap();
}

#[test]
fn every_check_hides_the_ones_after_it() {
    let mut world = world();
    add_fault(&mut world, "quota");
    add_fault(&mut world, "busy");
    let used = world.issue_login("wxA", None, None, true, 0).unwrap().code;
    let mut wrong = Exchange::default();
    assert_eq!(errcode(&mut world, &wrong, 0), 41002);
    wrong.appid = Some("wxNone".into());
    assert_eq!(errcode(&mut world, &wrong, 0), 41004);
    wrong.secret = Some("wrong".into());
    assert_eq!(errcode(&mut world, &wrong, 0), 41008);
    wrong.js_code = Some("unknown".into());
    assert_eq!(errcode(&mut world, &wrong, 0), 40013);
    wrong.appid = Some("wxA".into());
    assert_eq!(errcode(&mut world, &wrong, 0), 40002);
    wrong.grant_type = Some("client_credential".into());
    assert_eq!(errcode(&mut world, &wrong, 0), 40002);
    wrong.grant_type = Some("authorization_code".into());
    assert_eq!(errcode(&mut world, &wrong, 0), 40125);
    wrong.secret = Some("secret-of-wxA".into());
    assert_eq!(errcode(&mut world, &wrong, 0), 45011);
    assert_eq!(errcode(&mut world, &wrong, 0), -1);
    assert_eq!(errcode(&mut world, &wrong, 0), 40029);
    wrong.js_code = Some(used);
    assert_eq!(errcode(&mut world, &wrong, 0), 0);
    assert_eq!(errcode(&mut world, &wrong, 0), 40163);
    assert_eq!(errcode(&mut world, &wrong, LIFETIME_MS), 40029, "expiry comes before use");
}

#[test]
fn a_code_belongs_to_its_app() {
    let mut world = world();
    let code = world.issue_login("wxA", None, None, true, 0).unwrap().code;
    assert_eq!(errcode(&mut world, &call("wxB", &code), 0), 40029);
    assert_eq!(errcode(&mut world, &call("wxA", &code), 0), 0, "the foreign try used nothing up");
}

#[test]
fn a_phone_code_is_no_login_code() {
    let mut world = world();
    let issued =
        world.issue_phone("wxA", Some("o1".into()), Some("13800138000".into()), CountryCode::default(), 0).unwrap();
    assert_eq!(issued.code.len(), 64);
    assert_eq!(errcode(&mut world, &call("wxA", &issued.code), 0), 40029);
    let again = world.issue_phone("wxA", Some("o1".into()), None, CountryCode::default(), 0).unwrap();
    assert_eq!(again.phone, "13800138000", "the number stays with the person");
}

#[test]
fn the_key_changes_when_a_code_is_issued() {
    let mut world = world();
    let login = |world: &mut World, rotate| world.issue_login("wxA", Some("o1".into()), None, rotate, 0).unwrap().code;
    let exchanged = |world: &mut World, code: &str| logged_in(world.exchange(&call("wxA", code), 0)).key;
    let sealing = |world: &mut World| world.subject("wxA", "o1", None).unwrap().session_key;

    let first = login(&mut world, false);
    let first_key = sealing(&mut world);
    assert_eq!(exchanged(&mut world, &first), first_key, "without a key, rotate: false makes the first");
    let kept = login(&mut world, false);
    assert_eq!(sealing(&mut world), first_key);
    assert_eq!(exchanged(&mut world, &kept), first_key);
    let rotated = login(&mut world, true);
    let second_key = sealing(&mut world);
    assert_ne!(second_key, first_key, "before any exchange");
    assert_eq!(exchanged(&mut world, &rotated), second_key);
}

#[test]
fn no_key_before_the_first_code() {
    let mut world = world();
    let error = |world: &mut World, appid: &str, openid: &str| world.subject(appid, openid, None).err();
    assert_eq!(error(&mut world, "wxA", "o1"), Some(SteeringError::NoSessionKey));
    world.issue_phone("wxA", Some("o1".into()), None, CountryCode::default(), 0).unwrap();
    assert_eq!(error(&mut world, "wxA", "o1"), Some(SteeringError::NoSessionKey));
    assert_eq!(error(&mut world, "wxNone", "o1"), Some(SteeringError::UnknownApp));
    world.issue_login("wxA", Some("o1".into()), None, true, 0).unwrap();
    assert_eq!(error(&mut world, "wxA", "o1"), None);
    assert_eq!(error(&mut world, "wxB", "o1"), Some(SteeringError::NoSessionKey), "each app has its own people");
}

#[test]
fn unionid_of_bound_apps_and_of_those_named() {
    let mut world = world();
    let unionid = |world: &mut World, appid: &str, openid: &str, named: Option<&str>| {
        let issued = world.issue_login(appid, Some(openid.into()), named.map(Into::into), true, 0).unwrap();
        let session = logged_in(world.exchange(&call(appid, &issued.code), 0));
        assert_eq!(session.unionid, issued.unionid);
        session.unionid.map(|unionid| unionid.to_string())
    };
    assert_eq!(unionid(&mut world, "wxA", "o1", None), None);
    assert_eq!(unionid(&mut world, "wxA", "o1", Some("u1")).as_deref(), Some("u1"));
    let own = unionid(&mut world, "wxU", "o1", None).unwrap();
    assert_eq!(own.len(), 28);
    assert_eq!(unionid(&mut world, "wxU", "o1", None), Some(own.clone()), "remembered");
    assert_ne!(unionid(&mut world, "wxU", "o2", None), Some(own), "each person has one");
    assert_eq!(unionid(&mut world, "wxU", "o1", Some("u1")).as_deref(), Some("u1"), "the name wins");
    world.put_app(app("wxU", None)).unwrap();
    assert_eq!(unionid(&mut world, "wxU", "o2", None), None, "an app that left its group sees none");
}

#[test]
fn a_removed_app_is_unknown_and_a_replaced_one_has_a_new_secret() {
    let mut world = world();
    let code = world.issue_login("wxA", None, None, true, 0).unwrap().code;
    world.put_app(SimulatedApp { secret: "reset".into(), ..app("wxA", None) }).unwrap();
    assert_eq!(errcode(&mut world, &call("wxA", &code), 0), 40125);
    world.remove_app("wxA").unwrap();
    assert_eq!(errcode(&mut world, &call("wxA", &code), 0), 40013);
    assert_eq!(world.remove_app("wxA"), Err(SteeringError::UnknownApp));
}

#[test]
fn malformed_names_are_refused() {
    let mut world = world();
    assert_eq!(world.put_app(app("wx A", None)), Err(SteeringError::BadIdentifier("appid")));
    assert_eq!(world.put_app(app("wxA", Some(""))), Err(SteeringError::BadIdentifier("union_group")));
    for secret in ["", "with space", "ü", &"x".repeat(129)] {
        let refused = world.put_app(SimulatedApp { secret: secret.into(), ..app("wxC", None) });
        assert_eq!(refused, Err(SteeringError::BadSecret));
    }
    let long = Some("o".repeat(65));
    assert!(world.issue_login("wxA", long.clone(), None, true, 0).is_err());
    assert!(world.issue_login("wxA", None, long, true, 0).is_err());
    assert!(world.issue_phone("wxA", None, Some("+86 138".into()), CountryCode::default(), 0).is_err());
}

#[test]
fn people_and_apps_are_bounded() {
    let mut world = World::new(false).unwrap();
    for index in 0..MAX_APPS {
        world.put_app(app(&format!("wx{index}"), None)).unwrap();
    }
    assert_eq!(world.put_app(app("wxone-more", None)), Err(SteeringError::TooManyApps));
    assert_eq!(world.put_app(app("wx0", Some("group"))), Ok(()), "replacing needs no room");
    for index in 0..=MAX_PEOPLE {
        world.meet("wx0", Some(format!("o{index}"))).unwrap();
    }
    assert_eq!((world.people.len(), world.people_oldest_first.len()), (MAX_PEOPLE, MAX_PEOPLE));
    assert!(!world.people.contains_key(&("wx0".into(), "o0".into())));
}

#[test]
fn a_world_that_adopts_takes_the_first_secret_of_an_app_and_leaves_removed_ones_unknown() {
    let mut world = World::new(true).unwrap();
    let errcode = |world: &mut World, secret: &str| {
        let call = Exchange {
            appid: Some("wx1".to_owned()),
            secret: Some(secret.to_owned()),
            js_code: Some("nobodys".to_owned()),
            grant_type: Some("authorization_code".to_owned()),
        };
        world.exchange(&call, 0).result.err().unwrap().errcode
    };
    assert_eq!(errcode(&mut world, "first"), 40029);
    assert_eq!(errcode(&mut world, "second"), 40125);
    world.remove_app("wx1").unwrap();
    assert_eq!(errcode(&mut world, "first"), 40013);
    assert_eq!(errcode(&mut World::new(false).unwrap(), "first"), 40013);
}
