//! Who is told of every call, to count it: WeChat's quotas are per app and interface.

use std::fmt;
use std::sync::Arc;

use wxgate_domain::WechatAppid;

/// A call that has ended.
#[derive(Clone, Copy, Debug)]
pub struct CallReport<'a> {
    /// The app, or the third-party platform.
    pub appid: &'a WechatAppid,
    /// The interface, such as `/sns/jscode2session`.
    pub route: &'static str,
    /// How it ended: `ok`, or the class of the error.
    pub class: &'static str,
}

/// Whoever is told of every call. It must not block.
#[derive(Clone, Default)]
pub struct CallObserver(Option<Arc<Told>>);

type Told = dyn Fn(&CallReport<'_>) + Send + Sync;

impl CallObserver {
    /// Tells this function.
    pub fn new(told: impl Fn(&CallReport<'_>) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(told)))
    }

    pub(crate) fn tell(&self, report: &CallReport<'_>) {
        if let Some(told) = &self.0 {
            told(report);
        }
    }
}

impl fmt::Debug for CallObserver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CallObserver")
    }
}
