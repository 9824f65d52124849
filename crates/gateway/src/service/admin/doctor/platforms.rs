//! What concerns each third-party platform: whether WeChat pushes tickets, and what mini-programs granted.

use std::time::Duration;

use wxgate_domain::{App, ComponentStatus, Platform, PlatformApp, PlatformAppState, Timestamp};

use super::super::{Admin, AdminError};
use super::Finding;

/// WeChat pushes a ticket every ten minutes.
const LATE: Duration = Duration::from_hours(1);
/// A ticket is good for twelve hours.
const OVER: Duration = Duration::from_hours(12);

/// Platforms and apps that are read at once.
const PAGE: u64 = 500;

impl Admin {
    /// Looks at all platforms and at all that they know of apps.
    pub(super) async fn examine_platforms(&self, findings: &mut Vec<Finding>) -> Result<(), AdminError> {
        let mut after: Option<String> = None;
        loop {
            let page = self.storage.platforms().page(None, after.as_deref(), PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.appid.to_string());
            for platform in page {
                findings.push(ticket(&platform, self.clock.now()));
                findings.extend(overlap(&platform));
                self.examine_platform_apps(&platform, findings).await?;
            }
        }
    }

    async fn examine_platform_apps(&self, platform: &Platform, findings: &mut Vec<Finding>) -> Result<(), AdminError> {
        let rows = self.storage.tenant(platform.tenant).platforms();
        let (mut after, mut parked): (Option<String>, u32) = (None, 0);
        loop {
            let page = rows.apps(platform.id, after.as_deref(), PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.appid.to_string());
            for app in page {
                match app.state {
                    PlatformAppState::Attached => findings.extend(grant(platform, &app)),
                    PlatformAppState::Parked => parked += 1,
                    // The app itself says so.
                    PlatformAppState::Withdrawn => {}
                }
            }
        }
        if parked > 0 {
            let advice = format!(
                "decide with `wxgate platform apps {0}` and `wxgate platform attach {0} APPID`",
                platform.appid
            );
            let what = format!("{parked} mini-programs authorised it that nobody asked");
            findings.push(Finding::advice(format!("platform {}", platform.appid), what, advice));
        }
        Ok(())
    }
}

fn ticket(platform: &Platform, now: Timestamp) -> Finding {
    let subject = format!("platform {}", platform.appid);
    let again = format!(
        "see that WeChat's console names the address of `wxgate platform show {0}`, then `wxgate platform start-tickets {0}`",
        platform.appid
    );
    match platform.ticket_at.map(|at| now.since(at)) {
        None => Finding::problem(subject, "WeChat has pushed no ticket yet", again),
        Some(age) if age >= OVER => Finding::problem(subject, "its newest ticket has expired", again),
        Some(age) if age >= LATE => {
            let what = format!("WeChat pushed its newest ticket {} minutes ago", age.as_secs() / 60);
            Finding::problem(subject, what, again)
        }
        Some(age) => Finding::ok(subject, format!("has a ticket of {} minutes ago", age.as_secs() / 60)),
    }
}

/// A change of Token or key that is not over.
fn overlap(platform: &Platform) -> Option<Finding> {
    let two = match (platform.has_previous_key, platform.has_previous_token) {
        (true, _) => "EncodingAESKeys",
        (false, true) => "Tokens",
        (false, false) => return None,
    };
    let (subject, what) = (format!("platform {}", platform.appid), format!("has two {two} for its pushes"));
    let advice = format!("once the new one is in WeChat's console, `wxgate platform push finish {}`", platform.appid);
    Some(Finding::advice(subject, what, advice))
}

/// What is wrong with what an attached app granted.
fn grant(platform: &Platform, app: &PlatformApp) -> Option<Finding> {
    let subject = format!("app {}", app.appid);
    let again =
        format!("have it authorise again with `wxgate platform authorize {} --app {}`", platform.appid, app.appid);
    if !app.is_granted && !app.is_pending {
        return Some(Finding::problem(
            subject,
            format!("platform {} has no refresh token of it", platform.appid),
            again,
        ));
    }
    let what =
        format!("did not grant platform {} the permission set 18, which users and phone numbers need", platform.appid);
    app.lacks_users().then(|| Finding::problem(subject, what, again))
}

/// How an app stands with the platform that acts for it.
pub(super) fn standing(app: &App, component: &ComponentStatus) -> Finding {
    let subject = format!("app {}", app.appid);
    match component.withdrawn_at {
        None => Finding::ok(subject, format!("logs in through platform {}", component.platform)),
        Some(at) => Finding::problem(
            subject,
            format!("withdrew from platform {} at {}: nobody logs in", component.platform, at.to_rfc3339()),
            format!(
                "have it authorise again with `wxgate platform authorize {}`, or give it an AppSecret",
                component.platform
            ),
        ),
    }
}
