use proptest::prelude::*;
use wxgate_crypto::{KeyId, Place, SealKey};
use wxgate_domain::SessionId;

use super::*;

const TENANT: u8 = 1;

fn uuid(number: u8) -> Uuid {
    Uuid::from_bytes([number; 16])
}

/// A login: app, openid and perhaps unionid by number. App 0 has no union group, 1 and 2 share one, 3 has its own.
type Login = (u8, u8, Option<u8>);

fn job((app, openid, unionid): Login, random: &Random) -> OpenJob {
    let now = Timestamp::from_millis(1_000);
    let place = Place { tenant: uuid(TENANT), table: "session", column: "session_key", row: &[] };
    let group = [None, Some(uuid(51)), Some(uuid(51)), Some(uuid(53))][usize::from(app)];
    OpenJob {
        tenant: uuid(TENANT).into(),
        app: uuid(100 + app).into(),
        union_group: group.map(Into::into),
        openid: format!("open{openid}").parse().unwrap(),
        unionid: unionid.map(|unionid| format!("union{unionid}").parse().unwrap()),
        session: SessionId::new(now, random),
        session_key: SealKey::new(KeyId::from(1), random.secret()).seal(&place, &[7; 16], random),
        mac_key: 3,
        tenant_epoch: 0,
        app_epoch: 0,
        now,
        access_until: now,
        max_sessions: 20,
        link_to: None,
        is_proof: false,
        digest_keys: std::sync::Arc::new([]),
        listener: None,
        appid: None,
    }
}

/// What the next transaction would read: everything that this one wrote.
fn committed(plan: Plan) -> Plan {
    let mut next = Plan { users: plan.users, ..Plan::default() };
    for (key, identity) in plan.identities {
        next.identities.insert(key, Identity { change: Change::None, ..identity });
    }
    for (key, member) in plan.members {
        next.members.insert(key, Member { added: None, ..member });
    }
    next
}

/// Works through the logins in batches of these sizes; the number of each login's user, and whether it was new.
fn decided(logins: &[Login], sizes: &[usize]) -> Vec<(usize, bool, Option<String>)> {
    let random = Random::seeded(1);
    let jobs: Vec<_> = logins.iter().map(|login| job(*login, &random)).collect();
    let mut numbers = HashMap::new();
    let mut decided = Vec::new();
    let mut plan = Plan::default();
    let mut sizes = sizes.iter().copied().cycle();
    let mut rest = jobs.as_slice();
    while !rest.is_empty() {
        let (batch, later) = rest.split_at(sizes.next().unwrap().clamp(1, rest.len()));
        plan = committed(plan);
        for opened in plan.decide(batch, &random).unwrap() {
            let (opened, _) = opened.unwrap();
            let next = numbers.len();
            let number = *numbers.entry(opened.user.id).or_insert(next);
            decided.push((number, opened.is_new, opened.unionid.map(|unionid| unionid.to_string())));
        }
        assert_eq!(plan.sessions.len(), batch.len());
        rest = later;
    }
    // Nobody is left behind: every user has an identity, and every member a user.
    let owners: Vec<_> = plan.identities.values().map(|identity| identity.user).collect();
    assert!(plan.users.keys().all(|user| owners.contains(user)));
    assert!(plan.members.values().all(|member| plan.users.contains_key(&member.user)));
    decided
}

proptest! {
    #[test]
    fn a_batch_decides_as_single_logins_would(
        logins in prop::collection::vec((0_u8..4, 0_u8..4, prop::option::of(0_u8..4)), 1..60),
        sizes in prop::collection::vec(1_usize..20, 1..5),
    ) {
        let one_by_one = decided(&logins, &[1]);
        prop_assert_eq!(decided(&logins, &sizes), one_by_one.clone());
        prop_assert_eq!(decided(&logins, &[60]), one_by_one);
    }
}

#[test]
fn one_batch_makes_one_user_of_one_person() {
    let logins = [(1, 0, Some(0)), (1, 0, Some(0)), (2, 1, Some(0)), (1, 0, None)];
    let users: Vec<_> = decided(&logins, &[4]).into_iter().map(|(user, is_new, _)| (user, is_new)).collect();
    assert_eq!(users, [(0, true), (0, false), (0, false), (0, false)]);
}

#[test]
fn a_returning_login_changes_only_its_session() {
    let random = Random::seeded(1);
    let mut plan = Plan::default();
    plan.decide(&[job((1, 0, Some(0)), &random)], &random).unwrap();
    let mut plan = committed(plan);
    let again = job((1, 0, Some(0)), &random);
    assert_eq!(plan.member_in_question(&again), None);
    plan.decide(&[again], &random).unwrap();
    assert!(plan.new_users.is_empty());
    assert!(plan.identities.values().all(|identity| identity.change == Change::None));
    assert!(plan.members.values().all(|member| member.added.is_none()));
    assert_eq!(plan.sessions.len(), 1);
}

#[test]
fn a_blocked_user_gets_nothing_by_any_way() {
    let random = Random::seeded(1);
    let mut plan = Plan::default();
    plan.decide(&[job((1, 0, Some(0)), &random)], &random).unwrap();
    let mut plan = committed(plan);
    plan.users.values_mut().for_each(|user| user.status = UserStatus::Blocked);
    let logins = [(1, 0, Some(0)), (1, 0, Some(1)), (2, 5, Some(0)), (3, 5, Some(0))];
    let jobs = logins.map(|login| job(login, &random));
    let answers = plan.decide(&jobs, &random).unwrap();
    let refused: Vec<_> = answers.iter().map(Result::is_err).collect();
    // The last is in another group, where this unionid is nobody.
    assert_eq!(refused, [true, true, true, false]);
    assert_eq!((plan.identities.len(), plan.sessions.len(), plan.new_users.len()), (2, 1, 1));
}
