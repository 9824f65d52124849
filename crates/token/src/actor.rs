//! Who acts for a user (RFC 8693 section 4.1).

use serde::Serialize;
use serde_json::Value;
use wxgate_domain::ServiceClientId;

/// How many services may stand between the user and whoever holds the token.
pub const MAX_ACTORS: usize = 2;

/// The service that acts for the user, and the one before it on whose token it got its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Actor {
    /// The service that acts.
    pub sub: ServiceClientId,
    /// The service that acted before it. It explains; only [`Actor::sub`] of the outermost may be asked for access.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub act: Option<Box<Actor>>,
}

impl Actor {
    /// How many services act, this one included.
    pub fn depth(&self) -> usize {
        std::iter::successors(Some(self), |actor| actor.act.as_deref()).count()
    }

    /// This service in front of whoever acts already; `None` if that would be more than [`MAX_ACTORS`].
    pub fn in_front_of(client: &ServiceClientId, before: Option<&Self>) -> Option<Self> {
        let actor = Self { sub: client.clone(), act: before.cloned().map(Box::new) };
        (actor.depth() <= MAX_ACTORS).then_some(actor)
    }

    /// Reads the claim; `None` for anything but `sub` and `act`, which would change who is meant, or a longer chain.
    pub(crate) fn read(value: &Value) -> Option<Self> {
        Self::read_within(value, MAX_ACTORS)
    }

    fn read_within(value: &Value, depth: usize) -> Option<Self> {
        let depth = depth.checked_sub(1)?;
        let members = value.as_object()?;
        let sub = members.get("sub")?.as_str()?.parse().ok()?;
        let act = match members.get("act") {
            Some(act) => Some(Box::new(Self::read_within(act, depth)?)),
            None => None,
        };
        (members.len() == 1 + usize::from(act.is_some())).then_some(Self { sub, act })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wxgate_crypto::Random;

    use super::*;

    fn ids() -> [ServiceClientId; 3] {
        let random = Random::seeded(1);
        [(); 3].map(|()| ServiceClientId::new(&random))
    }

    #[test]
    fn a_chain_of_two_reads_back_and_a_third_has_no_place() {
        let [one, two, three] = ids();
        let first = Actor::in_front_of(&one, None).unwrap();
        let second = Actor::in_front_of(&two, Some(&first)).unwrap();
        assert_eq!((first.depth(), second.depth()), (1, 2));
        assert_eq!(Actor::in_front_of(&three, Some(&second)), None);
        for actor in [&first, &second] {
            assert_eq!(Actor::read(&serde_json::to_value(actor).unwrap()).as_ref(), Some(actor));
        }
        let third = json!({"sub": three, "act": second});
        assert_eq!(Actor::read(&third), None);
    }

    #[test]
    fn an_actor_that_is_no_service_client_or_says_more_is_refused() {
        let [one, ..] = ids();
        let wrong = [
            json!(null),
            json!(one),
            json!([{"sub": one}]),
            json!({}),
            json!({"sub": "wx4f4bc4dec97d474b"}),
            json!({"sub": ""}),
            json!({"sub": [one]}),
            json!({"sub": one, "act": null}),
            json!({"sub": one, "act": {}}),
            json!({"sub": one, "act": {"sub": "01900000-0000-7000-8000-000000000001"}}),
            json!({"sub": one, "iss": "https://evil.example"}),
        ];
        for value in wrong {
            assert_eq!(Actor::read(&value), None, "{value}");
        }
    }
}
