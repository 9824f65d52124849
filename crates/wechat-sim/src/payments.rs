//! Payments, after each of which a user's unionid can be had for five minutes without their consent.
//!
//! WeChat: getPaidUnionid.

use std::collections::VecDeque;

use serde::Serialize;

use crate::chance::Chance;

/// How long the unionid can be had.
const LIFE_MS: u64 = 5 * 60 * 1000;
/// Payments remembered.
const MAX: usize = 10_000;

/// A payment, by both of its names.
#[derive(Clone, Serialize)]
pub(crate) struct Payment {
    #[serde(skip)]
    appid: String,
    #[serde(skip)]
    openid: String,
    #[serde(skip)]
    at_ms: u64,
    pub(crate) transaction_id: String,
    pub(crate) mch_id: String,
    pub(crate) out_trade_no: String,
}

/// What a payment is called by.
pub(crate) enum Trade<'a> {
    Transaction(&'a str),
    Order { mch_id: &'a str, out_trade_no: &'a str },
}

/// Payments, oldest first.
#[derive(Default)]
pub(crate) struct Payments(VecDeque<Payment>);

impl Payments {
    /// A user pays.
    pub(crate) fn make(&mut self, appid: &str, openid: &str, now_ms: u64, chance: &mut Chance) -> Payment {
        if self.0.len() == MAX {
            self.0.pop_front();
        }
        let payment = Payment {
            appid: appid.to_owned(),
            openid: openid.to_owned(),
            at_ms: now_ms,
            transaction_id: format!("42{}", chance.digits(26)),
            mch_id: chance.digits(10),
            out_trade_no: chance.digits(20),
        };
        self.0.push_back(payment.clone());
        payment
    }

    /// Whether a user of an app made a payment in the last five minutes.
    pub(crate) fn is_made(&self, (appid, openid): (&str, &str), trade: &Trade<'_>, now_ms: u64) -> bool {
        self.0.iter().any(|payment| {
            let is_it = match *trade {
                Trade::Transaction(id) => payment.transaction_id == id,
                Trade::Order { mch_id, out_trade_no } => {
                    payment.mch_id == mch_id && payment.out_trade_no == out_trade_no
                }
            };
            is_it
                && (payment.appid.as_str(), payment.openid.as_str()) == (appid, openid)
                && now_ms.saturating_sub(payment.at_ms) < LIFE_MS
        })
    }
}
