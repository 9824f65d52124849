//! Secrets that are easy to find again, in every spelling that a careless program might use.

use wxgate_crypto::encoding;

/// What must not be found, with a name for each spelling. A name says what leaked; the value is not repeated.
#[derive(Debug, Default)]
pub(super) struct Canaries(Vec<(String, Vec<u8>)>);

impl Canaries {
    fn add(&mut self, name: String, bytes: &[u8]) {
        assert!(bytes.len() >= 12, "{name} is too short to be told from chance");
        self.0.push((name, bytes.to_vec()));
    }

    /// A text as it is, percent-encoded nowhere because it needs none.
    pub(super) fn text(&mut self, name: &str, text: &str) {
        self.add(name.to_owned(), text.as_bytes());
    }

    /// A text that might also be stored as its bytes, their hexadecimal digits or base64.
    pub(super) fn secret(&mut self, name: &str, text: &str) {
        self.text(name, text);
        self.text(&format!("{name} in capitals"), &text.to_uppercase());
        self.add(format!("{name} in base64"), unpadded(&encoding::to_base64(text.as_bytes())).as_bytes());
        self.add(format!("{name} in hex"), encoding::to_hex(text.as_bytes()).as_bytes());
        if let Some(bytes) = encoding::base64(text) {
            self.add(format!("{name}, decoded"), &bytes);
        }
    }

    /// The session_key of a person.
    pub(super) fn key(&mut self, key: &[u8; 16]) {
        self.add("session_key".to_owned(), key);
        self.add("session_key in base64".to_owned(), unpadded(&encoding::to_base64(key)).as_bytes());
        self.add("session_key in hex".to_owned(), encoding::to_hex(key).as_bytes());
        self.add("session_key in a list".to_owned(), format!("{key:?}").trim_matches(['[', ']']).as_bytes());
    }

    /// A token: its unguessable end is what counts, wherever it is cut.
    pub(super) fn token(&mut self, name: &str, token: &str) {
        self.text(name, token);
        self.add(format!("the end of a {name}"), &token.as_bytes()[token.len() - 20..]);
    }

    /// The code with this number.
    pub(super) fn code(&mut self, number: u8) -> String {
        let code = format!("canary-code-5f1e9d-{number:03}");
        self.text("login code", &code);
        code
    }

    /// The number of the code in a text.
    pub(super) fn number_of(text: &str) -> Option<u8> {
        let (_, rest) = text.split_once("canary-code-5f1e9d-")?;
        rest.get(..3)?.parse().ok()
    }

    /// Fails if one of them is found.
    #[track_caller]
    pub(super) fn search(&self, place: &str, bytes: &[u8]) {
        for (name, canary) in &self.0 {
            if let Some(at) = bytes.windows(canary.len()).position(|window| window == canary) {
                let around = &bytes[at.saturating_sub(80)..at];
                panic!("{name} found in {place}, after {:?}", String::from_utf8_lossy(around));
            }
        }
    }
}

/// Without the end that depends on what follows.
fn unpadded(base64: &str) -> &str {
    base64.trim_end_matches('=')
}
