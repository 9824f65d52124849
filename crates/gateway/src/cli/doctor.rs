//! `wxgate doctor`: is everything as it should be, and what to do if not.

use std::process::ExitCode;

use clap::Args;
use tokio_util::task::TaskTracker;
use wxgate_crypto::Random;
use wxgate_domain::Clock;
use wxgate_storage::{BatchObserver, InstanceKind};
use wxgate_wechat_client::CallObserver;

use super::admin::{AdminArgs, connect};
use super::{Failure, admin, print};
use crate::config::Config;
use crate::operation::doctor::Examine;
use crate::service::admin::{Caller, Finding, Level};
use crate::service::meters::Meters;
use crate::{app, telemetry};

/// Look at everything and say what to do: configuration, database, clock, keys, audit logs, and each app at WeChat.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  wxgate doctor --config /etc/wxgate/wxgate.toml\n  wxgate doctor --url http://127.0.0.1:8081 --key-file wxgate-data/admin-key --json\n\nExit status: 0 if all is well, 1 if something could be better, 2 if something is wrong."
)]
pub(super) struct Doctor {
    #[command(flatten)]
    admin: AdminArgs,
}

impl Doctor {
    pub(super) async fn run(self) -> ExitCode {
        let findings = if self.admin.gateway() { self.through_gateway().await } else { self.on_database().await };
        let worst = findings.iter().map(|finding| finding.level).max().unwrap_or(Level::Ok);
        if self.admin.json {
            print::json(&findings);
        } else {
            findings.iter().for_each(tell);
        }
        match worst {
            Level::Ok => ExitCode::SUCCESS,
            Level::Advice => ExitCode::from(1),
            Level::Problem => ExitCode::from(2),
        }
    }

    async fn through_gateway(&self) -> Vec<Finding> {
        let asked = async { self.admin.door().await?.call(Examine {}).await };
        match asked.await {
            Ok(found) => found.findings,
            Err(error) => {
                let advice = "is it running, is --url its admin listener, and is the key an operator's?";
                vec![Finding::problem("gateway", told(error.as_ref()), advice)]
            }
        }
    }

    /// Step by step as at start-up, as far as it goes.
    async fn on_database(&self) -> Vec<Finding> {
        let config = match admin::layers(&self.admin.config).and_then(|layers| Ok(Config::check(layers)?)) {
            Ok(config) => config,
            Err(error) => {
                let advice = "docs/configuration.md describes every key; `wxgate config print` shows what is read";
                return vec![Finding::problem("configuration", told(error.as_ref()), advice)];
            }
        };
        let mut findings = vec![Finding::ok("configuration", "is good")];
        telemetry::start(config.log);
        if let Err((error, advice)) = examine(&config, &mut findings).await {
            findings.push(Finding::problem("database", told(error.as_ref()), advice));
        }
        findings
    }
}

/// What does not let an examination go on, and what to do about it.
type Stopped = (Failure, &'static str);

async fn examine(config: &Config, findings: &mut Vec<Finding>) -> Result<(), Stopped> {
    let reachable = "see whether it runs, and whether database.url is right";
    let random = Random::system().map_err(|error| (error.into(), "the operating system gives no randomness"))?;
    let storage = connect(config, InstanceKind::Live, random.clone(), BatchObserver::silent()).await;
    let storage = storage.map_err(|error| (error, reachable))?;
    let usable = storage.check().await;
    usable.map_err(|error| (error.into(), "nothing else can be looked at before this is mended"))?;
    let wechat = app::wechat(&config.wechat, CallObserver::default())
        .map_err(|error| (error.into(), "see [wechat] in the configuration"))?;
    let (time, meters) = ((Clock::System, random), Meters::new(Clock::System, storage.clone()));
    let desk = app::desk(config, time, storage.clone(), wechat, meters, TaskTracker::new());
    let found = desk.serve(Caller::console()).examine().await.map_err(|error| (error.into(), reachable));
    storage.stop().await;
    findings.extend(found?);
    Ok(())
}

/// An error with its causes.
fn told(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text = format!("{text}: {source}");
        next = source.source();
    }
    text
}

fn tell(finding: &Finding) {
    print::line(format!("{:8} {}: {}", finding.level.as_str(), finding.subject, finding.what));
    if let Some(advice) = &finding.advice {
        print::line(format!("{:8}   {advice}", ""));
    }
}
