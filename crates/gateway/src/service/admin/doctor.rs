//! An examination: what is well, what could be better, and what is wrong, each with what to do about it.

mod apps;
mod installation;
mod platforms;
mod push;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Admin, AdminError};

/// How long an examination may take; what was not looked at by then is said.
const PATIENCE: Duration = Duration::from_secs(45);

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    /// Well.
    Ok,
    /// It works, and could be better.
    Advice,
    /// It does not work, or is not safe.
    Problem,
}

impl Level {
    /// The word.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Advice => "advice",
            Self::Problem => "problem",
        }
    }
}

/// What one look found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Finding {
    /// What was looked at, such as `database` or `app wx0123456789abcdef`.
    pub(crate) subject: String,
    /// `ok`, `advice` or `problem`.
    #[schema(value_type = String)]
    pub(crate) level: Level,
    /// How it is.
    pub(crate) what: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) advice: Option<String>,
}

impl Finding {
    /// All is well.
    pub(crate) fn ok(subject: impl Into<String>, what: impl Into<String>) -> Self {
        Self { subject: subject.into(), level: Level::Ok, what: what.into(), advice: None }
    }

    /// Something could be better.
    pub(crate) fn advice(subject: impl Into<String>, what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { subject: subject.into(), level: Level::Advice, what: what.into(), advice: Some(advice.into()) }
    }

    /// Something is wrong.
    pub(crate) fn problem(subject: impl Into<String>, what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { level: Level::Problem, ..Self::advice(subject, what, advice) }
    }
}

impl Admin {
    /// Looks at everything, one after another.
    ///
    /// # Errors
    /// The caller is no operator, or the database fails altogether.
    pub(crate) async fn examine(&self) -> Result<Vec<Finding>, AdminError> {
        self.caller.must_be_operator()?;
        let mut findings = self.examine_installation().await?;
        self.examine_platforms(&mut findings).await?;
        let left = findings.len();
        let looked = tokio::time::timeout(PATIENCE, self.examine_apps(&mut findings)).await;
        match looked {
            Ok(result) => result?,
            Err(_) => findings.push(Finding::advice(
                "apps",
                format!("not all were looked at within {} seconds: {} were", PATIENCE.as_secs(), findings.len() - left),
                "look again when WeChat answers faster",
            )),
        }
        Ok(findings)
    }
}
