//! What a login and a refresh pay for secrets: to seal and open a `session_key`, to decrypt user data, to mint and check
//! a refresh token.
//!
//! `cargo bench -p wxgate-crypto` runs it; `-- --quick` gives a first impression.
#![allow(clippy::unwrap_used, reason = "a bench may")]

use std::hint::black_box;

use aes::Aes128;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeEncrypt, KeyIvInit};
use criterion::Criterion;
use wxgate_crypto::user_data::{EncryptedUserData, SessionKey};
use wxgate_crypto::{KeyId, MacKey, Place, Random, SealKey, Secret, encoding, opaque};

/// What a user of WeChat's example shares, as long as such texts are.
const PROFILE: &str = r#"{"openId":"oGZUI0egBJY1zhBYw2KhdUfwVJJE","nickName":"Band","gender":1,"language":"zh_CN",
"city":"Guangzhou","province":"Guangdong","country":"CN","avatarUrl":"http://wx.qlogo.cn/mmopen/vi_32/aSKcBBPpibyKNicHNTMM0qJVh8Kjgiak2AHWr8MHM4WgMEm7GFhsf8OYrySdbvAMvTsw3mo8ibKicsnfN5pRjl1p8HQ/0",
"unionId":"ocMvos6NjeKLIBqg5Mr9QjxrP1FA","watermark":{"timestamp":1477314187,"appid":"wx4f4bc4dec97d474b"}}"#;

/// The payload of a refresh token.
const REFRESH: usize = 41;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    sealing(&mut criterion);
    user_data(&mut criterion);
    refresh_tokens(&mut criterion);
    criterion.final_summary();
}

fn sealing(criterion: &mut Criterion) {
    let random = Random::seeded(1);
    let key = SealKey::new(KeyId::from(1), random.secret());
    let row = random.uuid_v7(0);
    let place = Place { tenant: random.uuid_v7(0), table: "session", column: "session_key", row: row.as_bytes() };
    let plain: [u8; 16] = random.bytes();
    criterion.bench_function("seal", |bencher| bencher.iter(|| key.seal(&place, black_box(&plain), &random)));
    let sealed = key.seal(&place, &plain, &random);
    criterion.bench_function("open", |bencher| bencher.iter(|| key.open(&place, black_box(&sealed)).unwrap()));
}

fn user_data(criterion: &mut Criterion) {
    let random = Random::seeded(2);
    let (key, iv): ([u8; 16], [u8; 16]) = (random.bytes(), random.bytes());
    let cipher = cbc::Encryptor::<Aes128>::new(&key.into(), &iv.into());
    let encrypted = encoding::to_base64(cipher.encrypt_padded_vec::<Pkcs7>(PROFILE.as_bytes()));
    let (key, iv) = (SessionKey::from_bytes(key), encoding::to_base64(iv));
    criterion.bench_function("decrypt user data", |bencher| {
        bencher.iter(|| EncryptedUserData::parse(black_box(&encrypted), &iv).unwrap().decrypt(&key).unwrap());
    });
}

fn refresh_tokens(criterion: &mut Criterion) {
    let random = Random::seeded(3);
    let key = MacKey::new(KeyId::from(1), random.secret());
    let (payload, epoch): ([u8; REFRESH], _) = (random.bytes(), 7_u32.to_be_bytes());
    criterion.bench_function("mint a refresh token", |bencher| {
        bencher.iter(|| opaque::mint("wxr_", black_box(&payload), &epoch, &key));
    });
    let token: Secret<String> = opaque::mint("wxr_", &payload, &epoch, &key);
    criterion.bench_function("verify a refresh token", |bencher| {
        let read = || opaque::Unverified::<REFRESH>::parse("wxr_", black_box(&token));
        bencher.iter(|| read().unwrap().verify(&epoch, &key).unwrap());
    });
}
