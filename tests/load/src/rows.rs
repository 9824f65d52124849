//! What is measured, round by round, and what it should come to.

use std::ops::Range;

use crate::Failure;
use crate::load::Load;
use crate::logins::tokens;
use crate::peers::Provider;
use crate::process::Server;
use crate::report::{Goal, Row, number, ratio, table};
use crate::servers::TENANT;
use crate::simulator::User;
use crate::tokens::per_core;

/// One login of the Flask server for so many of the others: it is slow, and one is as costly as the next.
const FLASK_SHARE: usize = 20;
/// Requests that cost little are so many more than logins, so that they take as long.
const CHEAP: usize = 5;
/// Refreshes of the provider are so many fewer: they cost much.
const PROVIDER_SHARE: usize = 2;
/// How often each token is shown in a round, so that it is a known one.
const SHOWN: usize = 50;

/// The processes of a run.
pub(crate) struct Servers<'a> {
    pub(crate) gateway: &'a Server,
    /// How a backend proves to the gateway who it is.
    pub(crate) backend: &'a str,
    pub(crate) floor: &'a Server,
    pub(crate) flask: Option<&'a Server>,
    pub(crate) node: Option<&'a Server>,
    pub(crate) provider: Option<&'a Provider>,
}

/// The kinds of requests.
pub(crate) struct Rows {
    floor: Row,
    first: Row,
    returning: Row,
    tutorial: Row,
    flask: Row,
    node: Row,
    floor_refresh: Row,
    refresh: Row,
    provider_refresh: Row,
    hello: Row,
    forward_auth: Row,
    introspect: Row,
    provider_introspect: Row,
    keys: Row,
    provider_keys: Row,
}

impl Rows {
    pub(crate) fn new() -> Self {
        Self {
            floor: Row::new("floor"),
            first: Row::new("gateway, first login"),
            returning: Row::new("gateway, returning user"),
            tutorial: Row::new("gateway, tutorial's request"),
            flask: Row::new("Flask, tutorial's request"),
            node: Row::new("Node, login"),
            floor_refresh: Row::new("floor, refresh"),
            refresh: Row::new("gateway, refresh"),
            provider_refresh: Row::new("oidc-provider, refresh"),
            hello: Row::new("actix, hello"),
            forward_auth: Row::new("gateway, forward auth"),
            introspect: Row::new("gateway, introspection"),
            provider_introspect: Row::new("oidc-provider, introspection"),
            keys: Row::new("gateway, JWKS"),
            provider_keys: Row::new("oidc-provider, JWKS"),
        }
    }

    /// What is compared follows close upon each other, so that both meet the same noise.
    ///
    /// # Errors
    /// A server answered otherwise than it should.
    pub(crate) async fn round(
        &mut self,
        load: &Load<'_>,
        servers: &Servers<'_>,
        users: Range<usize>,
    ) -> Result<(), Failure> {
        let Servers { gateway, floor, .. } = *servers;
        let of_flask: Vec<_> = users.clone().step_by(FLASK_SHARE).map(|number| User::of_app(0, number)).collect();
        let users: Vec<_> = users.map(User::number).collect();
        self.first.rounds.push(load.native(gateway, &users).await?.0);
        let (sample, of_floor) = load.native(floor, &users).await?;
        self.floor.rounds.push(sample);
        let (sample, of_gateway) = load.native(gateway, &users).await?;
        self.returning.rounds.push(sample);
        if let Some(node) = servers.node {
            self.node.rounds.push(load.native(node, &users).await?.0);
        }
        let path = |user: &User| format!("/apps/{}/user/wxlogin", user.appid);
        self.tutorial.rounds.push(load.tutorial(gateway, &users, path).await?);
        if let Some(flask) = servers.flask {
            let path = |_: &User| "/user/wxlogin".to_owned();
            self.flask.rounds.push(load.tutorial(flask, &of_flask, path).await?);
        }
        self.tokens(load, servers, &of_floor, &of_gateway).await
    }

    /// What is done with the tokens of this round's logins.
    async fn tokens(
        &mut self,
        load: &Load<'_>,
        servers: &Servers<'_>,
        of_floor: &[Vec<u8>],
        of_gateway: &[Vec<u8>],
    ) -> Result<(), Failure> {
        let Servers { gateway, floor, backend, .. } = *servers;
        let (of_floor, tokens) = (tokens(of_floor)?, tokens(of_gateway)?);
        self.floor_refresh.rounds.push(load.refresh(floor, &of_floor).await?);
        self.refresh.rounds.push(load.refresh(gateway, &tokens).await?);

        let many = tokens.len() * CHEAP;
        let known = &tokens[..(many / SHOWN).clamp(1, tokens.len())];
        // Once each, so that the gateway knows them.
        load.forward_auth(gateway, known, known.len()).await?;
        self.hello.rounds.push(load.hello(floor, many).await?);
        self.forward_auth.rounds.push(load.forward_auth(gateway, known, many).await?);
        self.introspect.rounds.push(load.introspect(gateway, backend, known, many).await?);
        self.keys.rounds.push(load.keys(gateway, &format!("/t/{TENANT}/jwks.json"), many).await?);
        if let Some(provider) = servers.provider {
            let few = (tokens.len() / PROVIDER_SHARE).max(1);
            self.provider_refresh.rounds.push(load.provider_refresh(provider, few).await?);
            self.provider_introspect.rounds.push(load.provider_introspect(provider, tokens.len()).await?);
            self.provider_keys.rounds.push(load.keys(&provider.server, "/jwks", tokens.len()).await?);
        }
        Ok(())
    }

    /// Prints everything; `goal` decides whether goals are judged.
    pub(crate) fn print(&self, goal: impl Fn(Goal) -> Option<Goal>) {
        let Self { floor, first, returning, tutorial, flask, node, .. } = self;
        let Self { floor_refresh, refresh, provider_refresh, hello, forward_auth, .. } = self;
        let Self { introspect, provider_introspect, keys, provider_keys, .. } = self;
        table("logins", &[floor, returning, first, tutorial, node, flask]);
        table("refreshes", &[floor_refresh, refresh, provider_refresh]);
        table("tokens that are checked", &[hello, forward_auth, introspect, provider_introspect, keys, provider_keys]);
        println!("\nRatios of CPU: the middle round, and least and most");
        ratio(returning, floor, goal(Goal::AtMost(1.5)));
        ratio(first, floor, None);
        ratio(returning, node, goal(Goal::AtMost(1.0)));
        ratio(flask, returning, goal(Goal::AtLeast(14.0)));
        ratio(flask, tutorial, None);
        ratio(refresh, floor_refresh, goal(Goal::AtMost(1.3)));
        ratio(provider_refresh, refresh, goal(Goal::AtLeast(6.0)));
        ratio(forward_auth, hello, goal(Goal::AtMost(1.5)));
        ratio(provider_introspect, introspect, goal(Goal::AtLeast(9.0)));
        ratio(provider_keys, keys, goal(Goal::AtLeast(7.0)));
        println!();
        number("gateway: refreshes a second and core", refresh.median(per_core), "", goal(Goal::AtLeast(5_000.0)));
    }
}
