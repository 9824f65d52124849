//! What is measured. Labels come from closed sets or from route patterns, so their number is bounded.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use wxgate_storage::{BatchObserver, BatchOutcome, BatchReport};

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RequestLabels {
    route: Cow<'static, str>,
    status: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct WechatLabels {
    api: &'static str,
    class: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct AppCallLabels {
    app: String,
    route: &'static str,
    class: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct CauseLabels {
    cause: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct StrangerLabels {
    profile: &'static str,
    field: &'static str,
}

type Times = Family<RouteLabels, Histogram, fn() -> Histogram>;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RouteLabels {
    route: Cow<'static, str>,
}

/// Every metric of the process.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    request_seconds: Times,
    logins: Family<OutcomeLabels, Counter>,
    refreshes: Family<OutcomeLabels, Counter>,
    wechat_calls: Family<WechatLabels, Counter>,
    wechat_app_calls: Family<AppCallLabels, Counter>,
    brokered: Family<OutcomeLabels, Counter>,
    batch_jobs: Histogram,
    batch_seconds: Histogram,
    batches: Family<OutcomeLabels, Counter>,
    decrypt_failures: Family<CauseLabels, Counter>,
    strangers: Family<StrangerLabels, Counter>,
    pushes: Family<OutcomeLabels, Counter>,
    webhook_attempts: Family<OutcomeLabels, Counter>,
    pub(crate) webhook_delivered: Counter,
    pub(crate) webhook_failed: Counter,
    pub(crate) webhook_waiting: Gauge,
    pub(crate) client_failures: Counter,
    pub(crate) previous_secret: Counter,
    pub(crate) admin_key_failures: Counter,
    pub(crate) referer_mismatch: Counter,
    pub(crate) untrusted_forwarded: Counter,
}

fn outcome(of: BatchOutcome) -> &'static str {
    match of {
        BatchOutcome::Committed => "committed",
        BatchOutcome::Retried => "retried",
        BatchOutcome::Split => "split",
        BatchOutcome::Failed => "failed",
    }
}

fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.000_5, 2.0, 14))
}

impl Metrics {
    /// All metrics, at zero.
    pub(crate) fn new() -> Arc<Self> {
        let mut metrics = Self {
            registry: Registry::with_prefix("wxgate"),
            requests: Family::default(),
            request_seconds: Family::new_with_constructor(seconds),
            logins: Family::default(),
            refreshes: Family::default(),
            wechat_calls: Family::default(),
            wechat_app_calls: Family::default(),
            brokered: Family::default(),
            batch_jobs: Histogram::new(exponential_buckets(1.0, 2.0, 9)),
            batch_seconds: seconds(),
            batches: Family::default(),
            decrypt_failures: Family::default(),
            strangers: Family::default(),
            pushes: Family::default(),
            webhook_attempts: Family::default(),
            webhook_delivered: Counter::default(),
            webhook_failed: Counter::default(),
            webhook_waiting: Gauge::default(),
            client_failures: Counter::default(),
            previous_secret: Counter::default(),
            admin_key_failures: Counter::default(),
            referer_mismatch: Counter::default(),
            untrusted_forwarded: Counter::default(),
        };
        metrics.register();
        metrics.register_webhooks();
        Arc::new(metrics)
    }

    fn register(&mut self) {
        let r = &mut self.registry;
        r.register("http_requests", "Requests by route pattern and status", self.requests.clone());
        r.register("http_request_seconds", "Time to answer by route pattern", self.request_seconds.clone());
        r.register("logins", "Logins by outcome", self.logins.clone());
        r.register("refreshes", "Presented refresh tokens by outcome", self.refreshes.clone());
        r.register("wechat_calls", "Calls of WeChat by API and errcode class", self.wechat_calls.clone());
        r.register(
            "wechat_app_calls",
            "Calls of WeChat by app, interface and errcode class; apps beyond the first hundred are (other)",
            self.wechat_app_calls.clone(),
        );
        r.register("brokered", "Access tokens that service clients asked for, by outcome", self.brokered.clone());
        r.register("group_commit_jobs", "Jobs in one batch", self.batch_jobs.clone());
        r.register("group_commit_seconds", "Time of one batch, commit included", self.batch_seconds.clone());
        r.register("group_commits", "Batches by outcome", self.batches.clone());
        r.register(
            "decrypt_failures",
            "User data that did not open, by the first check that failed",
            self.decrypt_failures.clone(),
        );
        r.register("pushes", "Pushes of WeChat by outcome", self.pushes.clone());
        r.register(
            "compat_foreign_fields",
            "Fields of requests under a name that the profile's clients do not use, and that were understood",
            self.strangers.clone(),
        );
        r.register(
            "client_failures",
            "Service clients that were not believed: unknown, a wrong secret, or from another address",
            self.client_failures.clone(),
        );
        r.register(
            "admin_key_failures",
            "Admin keys that are unknown, removed or expired",
            self.admin_key_failures.clone(),
        );
        r.register(
            "previous_secret_exchanges",
            "Exchanges for which WeChat accepted only the AppSecret before the present one",
            self.previous_secret.clone(),
        );
        r.register(
            "referer_mismatches",
            "Requests whose Referer names another mini-program",
            self.referer_mismatch.clone(),
        );
        r.register(
            "untrusted_forwarded",
            "Requests with X-Forwarded-For from a peer that is no trusted proxy",
            self.untrusted_forwarded.clone(),
        );
    }

    fn register_webhooks(&mut self) {
        let r = &mut self.registry;
        r.register(
            "webhook_attempts",
            "Attempts to tell a webhook of an event, by what the receiver said",
            self.webhook_attempts.clone(),
        );
        r.register("webhook_deliveries", "Events that webhooks took", self.webhook_delivered.clone());
        r.register("webhook_failures", "Events that were given up after a day", self.webhook_failed.clone());
        r.register(
            "webhook_waiting",
            "Events that wait for webhooks, of all tenants and nodes",
            self.webhook_waiting.clone(),
        );
    }

    /// Counts an attempt to tell a webhook of an event.
    pub(crate) fn webhook_attempt(&self, outcome: &'static str) {
        self.webhook_attempts.get_or_create(&OutcomeLabels { outcome }).inc();
    }

    /// Counts a request.
    pub(crate) fn request(&self, route: Cow<'static, str>, status: u16, duration: Duration) {
        self.requests.get_or_create(&RequestLabels { route: route.clone(), status }).inc();
        self.request_seconds.get_or_create(&RouteLabels { route }).observe(duration.as_secs_f64());
    }

    /// Counts a login.
    pub(crate) fn login(&self, outcome: &'static str) {
        self.logins.get_or_create(&OutcomeLabels { outcome }).inc();
    }

    /// Counts a presented refresh token.
    pub(crate) fn refresh(&self, outcome: &'static str) {
        self.refreshes.get_or_create(&OutcomeLabels { outcome }).inc();
    }

    /// Counts a call of WeChat: of all apps together by the last part of the interface's path, and of the app by the path.
    pub(crate) fn wechat_call(&self, app: &str, route: &'static str, class: &'static str) {
        let api = route.rsplit('/').next().unwrap_or(route);
        self.wechat_calls.get_or_create(&WechatLabels { api, class }).inc();
        self.wechat_app_calls.get_or_create(&AppCallLabels { app: app.to_owned(), route, class }).inc();
    }

    /// Counts an access_token that a service client asked for.
    pub(crate) fn brokered(&self, outcome: &'static str) {
        self.brokered.get_or_create(&OutcomeLabels { outcome }).inc();
    }

    /// Counts user data that did not open.
    pub(crate) fn decrypt_failure(&self, cause: &'static str) {
        self.decrypt_failures.get_or_create(&CauseLabels { cause }).inc();
    }

    /// Counts a field under a name that the clients of its app's profile do not use.
    pub(crate) fn stranger(&self, profile: &'static str, field: &'static str) {
        self.strangers.get_or_create(&StrangerLabels { profile, field }).inc();
    }

    /// Counts a push of WeChat's.
    pub(crate) fn push(&self, outcome: &'static str) {
        self.pushes.get_or_create(&OutcomeLabels { outcome }).inc();
    }

    /// Counts the batches of the group commit.
    pub(crate) fn batch_observer(self: &Arc<Self>) -> BatchObserver {
        let metrics = self.clone();
        BatchObserver::new(move |report: &BatchReport| {
            #[expect(clippy::cast_precision_loss, reason = "a batch has at most some hundred jobs")]
            metrics.batch_jobs.observe(report.jobs as f64);
            metrics.batch_seconds.observe(report.duration.as_secs_f64());
            metrics.batches.get_or_create(&OutcomeLabels { outcome: outcome(report.outcome) }).inc();
        })
    }

    /// The OpenMetrics text.
    pub(crate) fn render(&self) -> String {
        let mut text = String::new();
        // Writing into memory cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}
