//! The layers of the configuration: `default.toml`, the operator's file, the environment, the command line.
//!
//! `default.toml` is the schema: a key that does not stand there is unknown, and a value must have the type of its
//! default. Every problem is collected with the source it comes from, so that one run names them all.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

/// The embedded defaults, which are also the manual.
pub(crate) const DEFAULT: &str = include_str!("default.toml");

const PREFIX: &str = "WXGATE__";

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Default,
    File(String),
    Environment(String),
    CommandLine,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => f.write_str(path),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::CommandLine => f.write_str("command line"),
        }
    }
}

/// One thing that is wrong, with the place to mend it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) key: String,
    pub(crate) source: Source,
    pub(crate) what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.key, self.source, self.what)
    }
}

/// Every key with its winning value and that value's source. Not `Debug`: some of the values are secrets.
#[derive(Clone)]
pub(crate) struct Layers {
    values: BTreeMap<String, (Value, Source)>,
    problems: Vec<Problem>,
    /// Nothing is known of what the operator's file says.
    is_unread: bool,
}

impl Layers {
    /// The defaults alone.
    pub(crate) fn defaults() -> Self {
        let mut layers = Self { values: BTreeMap::new(), problems: Vec::new(), is_unread: false };
        match DEFAULT.parse::<Table>() {
            Ok(table) => flatten("", table, &mut |key, value| {
                layers.values.insert(key, (value, Source::Default));
            }),
            Err(error) => layers.report("default.toml", Source::Default, error.message()),
        }
        layers
    }

    /// Lays the operator's file over what is there.
    pub(crate) fn file(&mut self, path: &str, text: &str) {
        match text.parse::<Table>() {
            Ok(table) => flatten("", table, &mut |key, value| self.set(&key, value, Source::File(path.to_owned()))),
            Err(error) => {
                self.is_unread = true;
                self.report("the file", Source::File(path.to_owned()), &placed(&error, text));
            }
        }
    }

    /// Lays the environment over what is there; names without our prefix are somebody else's.
    pub(crate) fn environment(&mut self, variables: impl Iterator<Item = (String, String)>) {
        for (name, text) in variables.filter(|(name, _)| name.starts_with(PREFIX)) {
            let key = name.trim_start_matches(PREFIX).to_ascii_lowercase().replace("__", ".");
            let source = Source::Environment(name);
            match self.values.get(&key).map(|(default, _)| typed(default, &text)) {
                Some(Some(value)) => self.set(&key, value, source),
                Some(None) => self.report(&key, source, "has the wrong type"),
                None => self.report(&key, source, "is not a known key"),
            }
        }
    }

    /// Lays one value from the command line over what is there.
    pub(crate) fn command_line(&mut self, key: &str, value: impl Into<Value>) {
        self.set(key, value.into(), Source::CommandLine);
    }

    /// Notes a problem with a key's present value; none with a default that a file which is no TOML may have changed.
    pub(crate) fn reject(&mut self, key: &str, what: impl Into<String>) {
        let source = self.values.get(key).map_or(Source::Default, |(_, source)| source.clone());
        if self.is_unread && source == Source::Default {
            return;
        }
        self.problems.push(Problem { key: key.to_owned(), source, what: what.into() });
    }

    /// A text value; empty text if the key is unknown, which only a mistake of ours can cause.
    pub(crate) fn text(&self, key: &str) -> String {
        self.value(key).and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    /// A path; one that the operator's file gives is relative to that file's folder.
    pub(crate) fn path(&self, key: &str, text: &str) -> PathBuf {
        match self.values.get(key) {
            Some((_, Source::File(file))) => Path::new(file).parent().unwrap_or(Path::new("")).join(text),
            _ => PathBuf::from(text),
        }
    }

    /// A switch.
    pub(crate) fn switch(&self, key: &str) -> bool {
        self.value(key).and_then(Value::as_bool).unwrap_or_default()
    }

    /// A whole number within bounds; outside them a problem is noted and the lower bound returned.
    pub(crate) fn number<T: TryFrom<i64> + PartialOrd + fmt::Display + Copy>(
        &mut self,
        key: &str,
        low: T,
        high: T,
    ) -> T {
        let number = self.value(key).and_then(Value::as_integer).and_then(|n| T::try_from(n).ok());
        if let Some(number) = number.filter(|n| (low..=high).contains(n)) {
            return number;
        }
        self.reject(key, format!("must be a whole number from {low} to {high}"));
        low
    }

    /// A list of texts.
    pub(crate) fn list(&mut self, key: &str) -> Vec<String> {
        let items = self.value(key).and_then(Value::as_array).cloned().unwrap_or_default();
        let texts: Vec<_> = items.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        if texts.len() != items.len() {
            self.reject(key, "must be a list of texts");
        }
        texts
    }

    /// Everything that is wrong so far.
    pub(crate) fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Every key with its value and source, in order.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&str, &Value, &Source)> {
        self.values.iter().map(|(key, (value, source))| (key.as_str(), value, source))
    }

    fn value(&self, key: &str) -> Option<&Value> {
        self.values.get(key).map(|(value, _)| value)
    }

    fn set(&mut self, key: &str, value: Value, source: Source) {
        match self.values.get_mut(key) {
            Some(slot) if slot.0.same_type(&value) => *slot = (value, source),
            Some(slot) => {
                let wanted = slot.0.type_str();
                self.report(key, source, &format!("must be of the type {wanted}"));
            }
            None => self.report(key, source, "is not a known key"),
        }
    }

    fn report(&mut self, key: &str, source: Source, what: &str) {
        self.problems.push(Problem { key: key.to_owned(), source, what: what.to_owned() });
    }
}

fn flatten(prefix: &str, table: Table, each: &mut impl FnMut(String, Value)) {
    for (key, value) in table {
        let path = if prefix.is_empty() { key } else { format!("{prefix}.{key}") };
        match value {
            Value::Table(inner) => flatten(&path, inner, each),
            value => each(path, value),
        }
    }
}

/// What is wrong with a text that is no TOML, and in which line. The line itself is not told: it may hold a secret.
fn placed(error: &toml::de::Error, text: &str) -> String {
    let before = error.span().and_then(|span| text.get(..span.start));
    match before {
        Some(before) => format!("line {}: {}", before.matches('\n').count() + 1, error.message()),
        None => error.message().to_owned(),
    }
}

/// An environment variable's text as a value of the default's type; lists are separated by commas.
fn typed(default: &Value, text: &str) -> Option<Value> {
    match default {
        Value::String(_) => Some(text.into()),
        Value::Boolean(_) => text.parse::<bool>().ok().map(Value::from),
        Value::Integer(_) => text.parse::<i64>().ok().map(Value::from),
        Value::Array(_) => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            Some(Value::Array(items.map(Value::from).collect()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(layers: &Layers) -> Vec<String> {
        layers.problems().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn later_layers_win_and_remember_their_source() {
        let mut layers = Layers::defaults();
        layers.file("wxgate.toml", "[listen]\npublic = \"127.0.0.1:1\"\nworkers = 3\n");
        layers.environment([("WXGATE__LISTEN__PUBLIC".to_owned(), "127.0.0.1:2".to_owned())].into_iter());
        layers.command_line("listen.admin", "127.0.0.1:3");
        assert_eq!(layers.text("listen.public"), "127.0.0.1:2");
        assert_eq!(layers.number::<u16>("listen.workers", 0, 64), 3);
        assert_eq!(layers.text("listen.admin"), "127.0.0.1:3");
        assert!(layers.problems().is_empty());
        let (_, _, source) = layers.entries().find(|(key, ..)| *key == "listen.public").unwrap();
        assert_eq!(source.to_string(), "environment WXGATE__LISTEN__PUBLIC");
    }

    #[test]
    fn every_problem_is_reported_with_its_source() {
        let mut layers = Layers::defaults();
        layers.file("wxgate.toml", "publc_url = \"x\"\n[listen]\nworkers = \"two\"\n[limits]\naddress_burst = 0\n");
        layers.environment([("WXGATE__LOG__LEVLE".to_owned(), "debug".to_owned())].into_iter());
        layers.number::<u32>("limits.address_burst", 1, 1_000);
        assert_eq!(
            problems(&layers),
            [
                "listen.workers (wxgate.toml): must be of the type integer",
                "publc_url (wxgate.toml): is not a known key",
                "log.levle (environment WXGATE__LOG__LEVLE): is not a known key",
                "limits.address_burst (wxgate.toml): must be a whole number from 1 to 1000",
            ]
        );
    }

    #[test]
    fn a_file_that_is_not_toml_is_one_problem() {
        let mut layers = Layers::defaults();
        layers.file("wxgate.toml", "# ours\n[listen]\npublic = \"secret\n");
        layers.reject("public_url", "is required");
        let [problem] = layers.problems() else { panic!("{:?}", problems(&layers)) };
        assert!(problem.what.starts_with("line 3: ") && !problem.what.contains("secret"), "{problem}");
    }
}
