use proptest::prelude::*;

use super::*;

fn key(seed: u64) -> SealKey {
    SealKey::new(KeyId::from(7), Random::seeded(seed).secret())
}

fn place(row: &[u8]) -> Place<'_> {
    Place { tenant: Uuid::from_u128(1), table: "app", column: "secret", row }
}

#[test]
fn a_value_opens_for_no_other_tenant_table_column_row_or_key() {
    let sealed = key(1).seal(&place(b"1"), b"value", &Random::seeded(2));
    assert_eq!(key(1).open(&place(b"1"), &sealed).unwrap().expose(), b"value");

    let elsewhere = [
        Place { tenant: Uuid::from_u128(2), ..place(b"1") },
        Place { table: "apps", ..place(b"1") },
        Place { column: "ecret", ..place(b"1") },
        // The boundary moved by one byte: without length prefixes this would be the same associated data.
        Place { table: "apps", column: "ecret", ..place(b"1") },
        place(b"2"),
    ];
    for other in elsewhere {
        assert_eq!(key(1).open(&other, &sealed).unwrap_err(), SealError::Forged, "{other:?}");
    }
    assert_eq!(key(2).open(&place(b"1"), &sealed).unwrap_err(), SealError::Forged);
    let renamed = SealKey::new(KeyId::from(8), Random::seeded(1).secret());
    assert_eq!(renamed.open(&place(b"1"), &sealed).unwrap_err(), SealError::UnknownKey(KeyId::from(7)));
}

#[test]
fn two_seals_of_one_value_differ() {
    let random = Random::seeded(3);
    assert_ne!(key(1).seal(&place(b"1"), b"value", &random), key(1).seal(&place(b"1"), b"value", &random));
}

proptest! {
    #[test]
    fn what_is_sealed_opens(plain in proptest::collection::vec(any::<u8>(), 0..200), row in any::<[u8; 16]>()) {
        let sealed = key(1).seal(&place(&row), &plain, &Random::seeded(4));
        let read = Sealed::parse(sealed.into_bytes()).unwrap();
        let opened = key(1).open(&place(&row), &read).unwrap();
        prop_assert_eq!(opened.expose(), &plain);
    }

    #[test]
    fn any_flipped_bit_fails(plain in proptest::collection::vec(any::<u8>(), 0..64), at in any::<prop::sample::Index>(), bit in 0..8u8) {
        let mut bytes = key(1).seal(&place(b"1"), &plain, &Random::seeded(5)).into_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let opened = Sealed::parse(bytes).and_then(|sealed| key(1).open(&place(b"1"), &sealed));
        prop_assert!(opened.is_err());
    }

    #[test]
    fn any_truncation_fails_and_no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100), cut in 1..60usize) {
        if let Ok(sealed) = Sealed::parse(bytes) {
            prop_assert!(key(1).open(&place(b"1"), &sealed).is_err());
        }
        let mut sealed = key(1).seal(&place(b"1"), b"value", &Random::seeded(6)).into_bytes();
        sealed.truncate(sealed.len().saturating_sub(cut));
        prop_assert!(Sealed::parse(sealed).and_then(|sealed| key(1).open(&place(b"1"), &sealed)).is_err());
    }
}
