//! Logins, in the two shapes that clients send.

use serde::Deserialize;

use crate::Failure;
use crate::http::{JSON, post};
use crate::load::{Load, Sample};
use crate::process::Server;
use crate::simulator::{User, codes, user_data};

/// What a login gives.
#[derive(Deserialize)]
pub(crate) struct Tokens {
    pub(crate) access_token: String,
    pub(crate) refresh_token: String,
}

impl Load<'_> {
    /// Logins at `POST /v1/apps/{appid}/login` with a code alone, and the bodies of their answers.
    ///
    /// # Errors
    /// A login was not answered 200.
    pub(crate) async fn native(&self, server: &Server, users: &[User]) -> Result<(Sample, Vec<Vec<u8>>), Failure> {
        let codes = codes(self.simulator.address, users).await?;
        let request = |(user, code): (&User, String)| {
            let path = format!("/v1/apps/{}/login", user.appid);
            post(&path, JSON, &self.client(), &format!(r#"{{"code":"{code}"}}"#))
        };
        self.measure(server, users.iter().zip(codes).map(request).collect(), "access_token").await
    }

    /// Logins as the tutorial's client sends them, with the user's encrypted data.
    ///
    /// # Errors
    /// A login was not answered 200.
    pub(crate) async fn tutorial(
        &self,
        server: &Server,
        users: &[User],
        path: impl Fn(&User) -> String,
    ) -> Result<Sample, Failure> {
        let codes = codes(self.simulator.address, users).await?;
        let data = user_data(self.simulator.address, users).await?;
        let mut requests = Vec::with_capacity(users.len());
        for ((user, code), data) in users.iter().zip(codes).zip(data) {
            let info = format!(r#"{{"encryptedData":"{}","iv":"{}"}}"#, data.encrypted_data, data.iv);
            let body = format!(r#"{{"platCode":"{code}","platUserInfoMap":{info}}}"#);
            requests.push(post(&path(user), JSON, &self.client(), &body));
        }
        Ok(self.measure(server, requests, "userinfo").await?.0)
    }
}

/// Reads the tokens out of the answers of logins.
///
/// # Errors
/// An answer has none.
pub(crate) fn tokens(answers: &[Vec<u8>]) -> Result<Vec<Tokens>, Failure> {
    Ok(answers.iter().map(|answer| serde_json::from_slice(answer)).collect::<Result<_, _>>()?)
}
