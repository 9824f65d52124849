//! WeChat's side of the world: apps, people, codes, and the exchange of a code.

mod app;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::SysError;
use serde_json::{Map, Value};

use crate::api_security::SealedAnswer;
use crate::chance::Chance;
use crate::codes::{Codes, CountryCode, MAX_CODES, Meaning, Phone, Rejected, Session};
use crate::component::Component;
use crate::encrypt_keys::EncryptKeys;
use crate::faults::{Fault, FaultKind, Faults, JSCODE2SESSION, Stage};
use crate::genuine::Genuine;
use crate::payments::Payments;
use crate::quotas::Quotas;
use crate::rids::Rids;
use crate::simulator::SimulatedApp;
use crate::tokens::Tokens;

pub(crate) use app::{App, Condition};

/// Apps known at once.
const MAX_APPS: usize = 20_000;
/// A field that no document knows: WeChat adds one now and then.
pub(crate) const EXTRA_FIELD: &str = "is_new_field";
/// The life of a token under the fault `short_life`, in seconds.
const SHORT_LIFE_S: u64 = 300;
/// People remembered, each per app; beyond that the one met first is forgotten.
const MAX_PEOPLE: usize = 262_144;

/// Why a steering request cannot be carried out.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SteeringError {
    #[error("no such app")]
    UnknownApp,
    #[error("this openid has no session key yet: ask for a code first")]
    NoSessionKey,
    #[error("{0} must be 1 to 64 characters of A-Z, a-z, 0-9, _ and -")]
    BadIdentifier(&'static str),
    #[error("secret must be 1 to 128 visible ASCII characters")]
    BadSecret,
    #[error("phone must be 4 to 15 digits")]
    BadPhone,
    #[error("WeChat gave no such pre_auth_code, or it was used, or is over")]
    UnknownPreAuthCode,
    #[error("10,000 apps are known already")]
    TooManyApps,
}

/// One user of one app.
#[derive(Default)]
struct Person {
    /// The unionid that a caller named; it is in every answer from then on.
    named_unionid: Option<Arc<str>>,
    /// The unionid made up for a member of a union group; hidden while the app is in none.
    own_unionid: Option<Arc<str>>,
    /// Base64 text; none before the first code.
    session_key: Option<Arc<str>>,
    /// Set when a number is first named or needed.
    phone: Option<String>,
}

/// What a code says about whom it was issued to.
pub(crate) struct Issued {
    pub(crate) code: String,
    pub(crate) openid: String,
    pub(crate) unionid: Option<Arc<str>>,
}

/// A phone code, and the number that it stands for.
pub(crate) struct IssuedPhone {
    pub(crate) code: String,
    pub(crate) openid: String,
    pub(crate) phone: String,
}

/// What sealing needs to know of a person.
pub(crate) struct Subject {
    pub(crate) session_key: Arc<str>,
    pub(crate) unionid: Option<Arc<str>>,
    pub(crate) phone: String,
    pub(crate) iv: [u8; 16],
    pub(crate) open_group_id: String,
    pub(crate) activity_id: String,
}

/// The parameters of code2Session; an empty one counts as missing.
#[derive(Default)]
pub(crate) struct Exchange {
    pub(crate) appid: Option<String>,
    pub(crate) secret: Option<String>,
    pub(crate) js_code: Option<String>,
    pub(crate) grant_type: Option<String>,
}

/// A WeChat error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) errcode: i64,
    /// Whether the errcode goes out as a JSON string.
    pub(crate) as_text: bool,
}

impl Refusal {
    pub(crate) const fn new(errcode: i64) -> Self {
        Self { errcode, as_text: false }
    }
}

/// What WeChat answers when all is well.
pub(crate) enum Success {
    /// To code2Session.
    LoggedIn(Session),
    /// To everything else: these fields.
    Fields(Map<String, Value>),
}

/// What came of a call.
pub(crate) struct Outcome {
    pub(crate) result: Result<Success, Refusal>,
    /// The last fault that the call met, if any.
    pub(crate) fault: Option<FaultKind>,
    /// Set by the fault `missing_field`, which another fault may follow.
    pub(crate) without_openid: bool,
    /// Whether a login has a field that no document knows.
    pub(crate) with_extra: bool,
    pub(crate) delay: Duration,
    /// For the errmsg.
    pub(crate) rid: String,
    /// The answer of a signed call that succeeded.
    pub(crate) sealed: Option<SealedAnswer>,
}

/// Everything that one lock guards.
pub(crate) struct World {
    pub(crate) apps: HashMap<String, App>,
    /// Whether apps that nobody removed exist once they are named.
    adopts: bool,
    removed: HashSet<String>,
    people: HashMap<(String, String), Person>,
    people_oldest_first: VecDeque<(String, String)>,
    pub(crate) codes: Codes,
    pub(crate) tokens: Tokens,
    pub(crate) components: HashMap<String, Component>,
    /// Platforms that asked for tickets and got none yet.
    pub(crate) tickets_asked_for: HashSet<String>,
    pub(crate) genuine: Genuine,
    pub(crate) quotas: Quotas,
    pub(crate) rids: Rids,
    pub(crate) encrypt_keys: EncryptKeys,
    pub(crate) payments: Payments,
    pub(crate) faults: Faults,
    pub(crate) chance: Chance,
}

impl World {
    pub(crate) fn new(adopts: bool) -> Result<Self, SysError> {
        Ok(Self {
            apps: HashMap::new(),
            adopts,
            removed: HashSet::new(),
            people: HashMap::new(),
            people_oldest_first: VecDeque::new(),
            codes: Codes::new(MAX_CODES),
            tokens: Tokens::default(),
            components: HashMap::new(),
            tickets_asked_for: HashSet::new(),
            genuine: Genuine::default(),
            quotas: Quotas::default(),
            rids: Rids::default(),
            encrypt_keys: EncryptKeys::default(),
            payments: Payments::default(),
            faults: Faults::default(),
            chance: Chance::from_system()?,
        })
    }

    /// Adds an app, or replaces its secret and group. Its people stay who they were.
    pub(crate) fn put_app(&mut self, app: SimulatedApp) -> Result<(), SteeringError> {
        check_identifier("appid", &app.appid)?;
        if !(1..=128).contains(&app.secret.len()) || !app.secret.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(SteeringError::BadSecret);
        }
        if let Some(group) = &app.union_group {
            check_identifier("union_group", group)?;
        }
        if self.apps.len() == MAX_APPS && !self.apps.contains_key(&app.appid) {
            return Err(SteeringError::TooManyApps);
        }
        self.removed.remove(&app.appid);
        let SimulatedApp { appid, secret, union_group } = app;
        let known = self.apps.remove(&appid);
        let condition = known.as_ref().map(|known| known.condition).unwrap_or_default();
        let api_security = known.and_then(|known| known.api_security);
        self.apps.insert(appid, App { secret, union_group, condition, api_security });
        Ok(())
    }

    /// Says what is the matter with an app's account.
    pub(crate) fn put_condition(&mut self, appid: &str, condition: Condition) -> Result<(), SteeringError> {
        self.apps.get_mut(appid).ok_or(SteeringError::UnknownApp)?.condition = condition;
        Ok(())
    }

    pub(crate) fn remove_app(&mut self, appid: &str) -> Result<(), SteeringError> {
        self.apps.remove(appid).ok_or(SteeringError::UnknownApp)?;
        // As many as were known once, and steering is for whoever runs the tests.
        self.removed.insert(appid.to_owned());
        Ok(())
    }

    /// What `wx.login` does: the session_key changes now (unless `rotate` is false and there is one), and the code will
    /// return the key and the unionid of this moment.
    pub(crate) fn issue_login(
        &mut self,
        appid: &str,
        openid: Option<String>,
        unionid: Option<String>,
        rotate: bool,
        now_ms: u64,
    ) -> Result<Issued, SteeringError> {
        if let Some(unionid) = &unionid {
            check_identifier("unionid", unionid)?;
        }
        let openid = self.meet(appid, openid)?;
        let (person, chance, in_group) = self.person(appid, &openid)?;
        if let Some(unionid) = unionid {
            person.named_unionid = Some(unionid.into());
        } else if in_group && person.own_unionid.is_none() {
            person.own_unionid = Some(chance.open_id().into());
        }
        let key = match &person.session_key {
            Some(key) if !rotate => Arc::clone(key),
            _ => Arc::clone(person.session_key.insert(chance.session_key().into())),
        };
        let unionid = person.unionid(in_group);
        let code = chance.login_code();
        let session = Session { openid: openid.as_str().into(), unionid: unionid.clone(), key };
        self.codes.issue(&code, appid.into(), Meaning::Login(session), now_ms);
        Ok(Issued { code, openid, unionid })
    }

    /// What the phone button does. The number named is the person's from now on.
    pub(crate) fn issue_phone(
        &mut self,
        appid: &str,
        openid: Option<String>,
        phone: Option<String>,
        country_code: CountryCode,
        now_ms: u64,
    ) -> Result<IssuedPhone, SteeringError> {
        if let Some(phone) = &phone {
            check_phone(phone)?;
        }
        let openid = self.meet(appid, openid)?;
        let (person, chance, _) = self.person(appid, &openid)?;
        let phone = person.use_phone(phone, chance);
        let code = chance.phone_code();
        let number = Phone { openid: openid.as_str().into(), number: phone.clone(), country_code };
        self.codes.issue(&code, appid.into(), Meaning::Phone(number), now_ms);
        Ok(IssuedPhone { code, openid, phone })
    }

    /// What sealing data of a person needs; there must have been a login.
    pub(crate) fn subject(
        &mut self,
        appid: &str,
        openid: &str,
        phone: Option<String>,
    ) -> Result<Subject, SteeringError> {
        if !self.apps.contains_key(appid) {
            return Err(SteeringError::UnknownApp);
        }
        if let Some(phone) = &phone {
            check_phone(phone)?;
        }
        let (person, chance, in_group) = self.person(appid, openid)?;
        let session_key = person.session_key.clone().ok_or(SteeringError::NoSessionKey)?;
        Ok(Subject {
            session_key,
            unionid: person.unionid(in_group),
            phone: person.use_phone(phone, chance),
            iv: chance.bytes(),
            open_group_id: chance.open_group_id(),
            activity_id: chance.activity_id(),
        })
    }

    /// A person's unionid; `None` if the app is bound to no Open Platform account, or the person is not known.
    pub(crate) fn unionid(&mut self, appid: &str, openid: &str) -> Option<Arc<str>> {
        let (person, _, in_group) = self.person(appid, openid).ok()?;
        person.unionid(in_group)
    }

    /// A person's present key.
    pub(crate) fn session_key(&self, appid: &str, openid: &str) -> Option<&str> {
        self.people.get(&(appid.to_owned(), openid.to_owned()))?.session_key.as_deref()
    }

    /// Gives a person another key.
    pub(crate) fn new_session_key(&mut self, appid: &str, openid: &str) -> Option<Arc<str>> {
        let person = self.people.get_mut(&(appid.to_owned(), openid.to_owned()))?;
        Some(Arc::clone(person.session_key.insert(self.chance.session_key().into())))
    }

    /// Ends all tokens of an app or of a third-party platform at once, as another server's forced refreshes do, and returns how many there were.
    pub(crate) fn end_tokens(&mut self, appid: &str, now_ms: u64) -> Result<usize, SteeringError> {
        if !self.apps.contains_key(appid) && !self.components.contains_key(appid) {
            return Err(SteeringError::UnknownApp);
        }
        Ok(self.tokens.end_all(appid, now_ms))
    }

    /// code2Session, with the checks in WeChat's order.
    pub(crate) fn exchange(&mut self, call: &Exchange, now_ms: u64) -> Outcome {
        let mut met = Met::default();
        let result = self.checked(call, now_ms, &mut met);
        let appid = call.appid.as_deref();
        if result.is_ok() {
            met.note(self.faults.take(JSCODE2SESSION, appid, Stage::Success, now_ms));
        }
        let (without_openid, with_extra) = (met.misses_field(), met.last == Some(FaultKind::ExtraField));
        met.note(self.faults.take(JSCODE2SESSION, appid, Stage::Answer, now_ms));
        Outcome { without_openid, with_extra, ..self.outcome(result.map(Success::LoggedIn), &met, now_ms) }
    }

    /// The answer to a call that never gets as far as the exchange.
    pub(crate) fn refuse(&mut self, errcode: i64, now_ms: u64) -> Outcome {
        self.outcome(Err(Refusal::new(errcode)), &Met::default(), now_ms)
    }

    /// The answer to a call that met these faults.
    pub(crate) fn outcome(&mut self, result: Result<Success, Refusal>, met: &Met, now_ms: u64) -> Outcome {
        let (fault, delay, rid) = (met.last, met.delay, self.chance.rid(now_ms));
        Outcome { result, fault, without_openid: false, with_extra: false, delay, rid, sealed: None }
    }

    fn checked(&mut self, call: &Exchange, now_ms: u64, met: &mut Met) -> Result<Session, Refusal> {
        let appid = call.appid.as_deref().ok_or(Refusal::new(41002))?;
        let secret = call.secret.as_deref().ok_or(Refusal::new(41004))?;
        let js_code = call.js_code.as_deref().ok_or(Refusal::new(41008))?;
        self.adopt(appid, secret);
        let app = self.apps.get(appid).ok_or(Refusal::new(40013))?;
        if call.grant_type.as_deref() != Some("authorization_code") {
            return Err(Refusal::new(40002));
        }
        app.prove(secret)?;
        self.meet_faults((JSCODE2SESSION, appid), &[Stage::Address, Stage::Rate, Stage::Inside], met, now_ms)?;
        self.codes.exchange(js_code, appid, now_ms).map_err(|rejected| {
            Refusal::new(match rejected {
                Rejected::Invalid => 40029,
                Rejected::Used => 40163,
            })
        })
    }

    pub(crate) fn adopt(&mut self, appid: &str, secret: &str) {
        if self.adopts && !self.apps.contains_key(appid) && !self.removed.contains(appid) {
            let app = SimulatedApp { appid: appid.to_owned(), secret: secret.to_owned(), union_group: None };
            // What cannot be an app stays unknown.
            let _ = self.put_app(app);
        }
    }

    /// Makes sure that the app is known and the person remembered, and returns the openid: the one named, or a new one.
    fn meet(&mut self, appid: &str, openid: Option<String>) -> Result<String, SteeringError> {
        if !self.apps.contains_key(appid) {
            return Err(SteeringError::UnknownApp);
        }
        let openid = match openid {
            Some(openid) => {
                check_identifier("openid", &openid)?;
                openid
            }
            None => self.chance.open_id(),
        };
        let key = (appid.to_owned(), openid.clone());
        if !self.people.contains_key(&key) {
            if self.people.len() >= MAX_PEOPLE
                && let Some(oldest) = self.people_oldest_first.pop_front()
            {
                self.people.remove(&oldest);
            }
            self.people_oldest_first.push_back(key.clone());
            self.people.insert(key, Person::default());
        }
        Ok(openid)
    }

    /// A person met before, chance, and whether the app is in a union group.
    fn person(&mut self, appid: &str, openid: &str) -> Result<(&mut Person, &mut Chance, bool), SteeringError> {
        let app = self.apps.get(appid).ok_or(SteeringError::UnknownApp)?;
        let key = (appid.to_owned(), openid.to_owned());
        let person = self.people.get_mut(&key).ok_or(SteeringError::NoSessionKey)?;
        Ok((person, &mut self.chance, app.union_group.is_some()))
    }
}

impl Person {
    fn unionid(&self, in_group: bool) -> Option<Arc<str>> {
        self.named_unionid.clone().or_else(|| self.own_unionid.clone().filter(|_| in_group))
    }

    /// The number named, which replaces the present one; else the present one; else a new one.
    fn use_phone(&mut self, named: Option<String>, chance: &mut Chance) -> String {
        if named.is_some() {
            self.phone = named;
        }
        self.phone.get_or_insert_with(|| chance.phone()).clone()
    }
}

/// The faults that a call met.
#[derive(Default)]
pub(crate) struct Met {
    last: Option<FaultKind>,
    delay: Duration,
    pub(crate) refusal: Option<Refusal>,
}

impl Met {
    /// The last one.
    pub(crate) fn last(&self) -> Option<FaultKind> {
        self.last
    }

    /// Whether the last one leaves out the main field of a success.
    fn misses_field(&self) -> bool {
        self.last == Some(FaultKind::MissingField)
    }

    /// Does to the fields of a success what the last one does.
    pub(crate) fn change(&self, fields: &mut Map<String, Value>, main_field: &str) {
        match self.last {
            Some(FaultKind::MissingField) => {
                fields.remove(main_field);
            }
            Some(FaultKind::ExtraField) => {
                fields.insert(EXTRA_FIELD.to_owned(), Value::from(EXTRA_FIELD));
            }
            Some(FaultKind::ShortLife) => {
                fields.insert("expires_in".to_owned(), SHORT_LIFE_S.into());
            }
            _ => {}
        }
    }

    pub(crate) fn note(&mut self, fault: Option<Fault>) {
        let Some(fault) = fault else { return };
        self.last = Some(fault.kind);
        self.delay += fault.delay;
        if let Some(errcode) = fault.errcode {
            self.refusal = Some(Refusal { errcode, as_text: fault.kind == FaultKind::StringErrcode });
        }
    }
}

pub(crate) fn check_identifier(name: &'static str, text: &str) -> Result<(), SteeringError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if (1..=64).contains(&text.len()) && text.bytes().all(allowed) {
        Ok(())
    } else {
        Err(SteeringError::BadIdentifier(name))
    }
}

fn check_phone(phone: &str) -> Result<(), SteeringError> {
    if (4..=15).contains(&phone.len()) && phone.bytes().all(|byte| byte.is_ascii_digit()) {
        Ok(())
    } else {
        Err(SteeringError::BadPhone)
    }
}

#[cfg(test)]
mod tests;
