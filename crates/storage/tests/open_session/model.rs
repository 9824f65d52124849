//! Random logins against a model that fits on a page.

use std::collections::HashMap;

use wxgate_crypto::Random;
use wxgate_domain::{UnionGroupId, UserId};

use crate::logins::{Place, count, orphans};
use crate::support::{self, TestDatabase};

/// What ought to happen, one login after another. Users are numbers here.
#[derive(Default)]
struct Model {
    users: usize,
    identities: HashMap<(usize, String), (usize, Option<String>)>,
    members: HashMap<(UnionGroupId, String), usize>,
}

impl Model {
    fn login(&mut self, app: usize, group: Option<UnionGroupId>, openid: &str, unionid: Option<&str>) -> usize {
        let union = group.zip(unionid.map(str::to_owned));
        let identity = self.identities.get_mut(&(app, openid.to_owned()));
        if let Some((user, known)) = identity {
            if known.is_none()
                && let Some(union) = union
            {
                self.members.entry(union).or_insert(*user);
            }
            if unionid.is_some() {
                *known = unionid.map(str::to_owned);
            }
            return *user;
        }
        let joined = union.as_ref().and_then(|union| self.members.get(union)).copied();
        let user = joined.unwrap_or(self.users);
        self.users = self.users.max(user + 1);
        self.identities.insert((app, openid.to_owned()), (user, unionid.map(str::to_owned)));
        if let Some(union) = union {
            self.members.entry(union).or_insert(user);
        }
        user
    }
}

fn below(random: &Random, limit: u8) -> u8 {
    random.bytes::<1>()[0] % limit
}

pub(crate) async fn random_logins_agree_with_a_model(database: TestDatabase) {
    let storage = database.started().await;
    let tenant = support::tenant(&storage, "acme").await;
    let one = support::union_group(&storage, &tenant, "One").await.id;
    let two = support::union_group(&storage, &tenant, "Two").await.id;
    let mut places = Vec::new();
    for (appid, group) in [("wxaaa", Some(one)), ("wxbbb", Some(one)), ("wxccc", Some(two)), ("wxddd", None)] {
        let app = support::app_in_group(&storage, &tenant, appid, group).await;
        places.push(Place { tenant: tenant.clone(), app });
    }
    let random = Random::seeded(2_026);
    let mut model = Model::default();
    let mut known: HashMap<usize, UserId> = HashMap::new();
    for round in 0..60 {
        // Logins of one round go into the batcher together and share batches. Those of one person stay in order because
        // one lane serves them; who is in a round only once cannot be told apart from a sequence.
        let mut logins = Vec::new();
        let mut openids_used = Vec::new();
        let mut unions_used = Vec::new();
        for _ in 0..=below(&random, 12) {
            let app = usize::from(below(&random, 4));
            let openid = format!("open{}", below(&random, 6));
            let unionid = (below(&random, 3) > 0).then(|| format!("union{}", below(&random, 5)));
            let identity = (app, openid.clone());
            if openids_used.contains(&identity) || (unionid.is_some() && unions_used.contains(&unionid)) {
                continue;
            }
            openids_used.push(identity);
            unions_used.push(unionid.clone());
            logins.push((app, openid, unionid));
        }
        let opening: Vec<_> = logins
            .iter()
            .map(|(app, openid, unionid)| {
                let (storage, place) = (storage.clone(), places[*app].clone());
                let (openid, unionid) = (openid.clone(), unionid.clone());
                tokio::spawn(async move { place.login(&storage, &openid, unionid.as_deref()).await })
            })
            .collect();
        for ((app, openid, unionid), opened) in logins.into_iter().zip(opening) {
            let opened = opened.await.unwrap();
            let user = model.login(app, places[app].app.union_group, &openid, unionid.as_deref());
            assert_eq!(opened.is_new, !known.contains_key(&user), "round {round}: {app} {openid} {unionid:?}");
            assert_eq!(*known.entry(user).or_insert(opened.user.id), opened.user.id, "round {round}: {app} {openid}");
        }
    }
    assert_eq!(count(&database, r#""user""#).await, i64::try_from(model.users).unwrap());
    assert_eq!(count(&database, "union_member").await, i64::try_from(model.members.len()).unwrap());
    assert_eq!(orphans(&database).await, 0);
    storage.stop().await;
}
