//! The command line, one command at a time.

use std::path::Path;
use std::process::Stdio;

use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::process::WXGATE;

/// A command about to run, with an empty environment and nothing on standard input.
#[derive(Debug)]
pub(crate) struct Cli {
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    stdin: String,
    folder: Option<std::path::PathBuf>,
}

/// What a command left behind.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// An address where no WeChat is: connections to it are refused at once.
pub(crate) const NO_WECHAT: &str = "http://127.0.0.1:9";

/// `wxgate` with these arguments.
pub(crate) fn wxgate<I>(arguments: I) -> Cli
where
    I: IntoIterator,
    I::Item: Into<String>,
{
    let arguments = arguments.into_iter().map(Into::into).collect();
    Cli { arguments, environment: Vec::new(), stdin: String::new(), folder: None }
}

impl Cli {
    /// Adds `--config`.
    pub(crate) fn config(mut self, path: &Path) -> Self {
        self.arguments.extend(["--config".to_owned(), path.display().to_string()]);
        self
    }

    /// Adds `--url` and `--key-file`.
    pub(crate) fn through(mut self, url: &str, key_file: &str) -> Self {
        self.arguments.extend(["--url", url, "--key-file", key_file].map(str::to_owned));
        self
    }

    /// Names the WeChat that is asked.
    pub(crate) fn asking(self, url: &str) -> Self {
        self.env("WXGATE__WECHAT__URL", url).env("WXGATE__WECHAT__ALLOW_OTHER_HOSTS", "true")
    }

    /// Adds an argument.
    pub(crate) fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// Sets an environment variable.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Gives it text on standard input.
    pub(crate) fn stdin(mut self, text: &str) -> Self {
        text.clone_into(&mut self.stdin);
        self
    }

    /// Runs it in a folder.
    pub(crate) fn folder(mut self, folder: &Path) -> Self {
        self.folder = Some(folder.to_owned());
        self
    }

    /// Runs it to its end.
    pub(crate) async fn run(self) -> Output {
        let mut command = Command::new(WXGATE);
        command.args(&self.arguments).env_clear().envs(self.environment).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // A command that ends without reading its input closes the pipe.
        let _ = stdin.write_all(self.stdin.as_bytes()).await;
        drop(stdin);
        let output = child.wait_with_output().await.unwrap();
        Output {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Output {
    /// Fails unless the command succeeded; returns its standard output.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, 0, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self.stdout
    }

    /// The standard output of a successful command as JSON.
    #[track_caller]
    pub(crate) fn json(self) -> Value {
        serde_json::from_str(&self.ok()).unwrap()
    }

    /// Fails unless the command failed; returns its standard error.
    #[track_caller]
    pub(crate) fn failed(self) -> String {
        assert_ne!(self.code, 0, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self.stderr
    }
}
