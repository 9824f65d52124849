//! A process of the built binary, which ends with the test.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use super::{PATIENCE, within};

/// The binary under test.
pub(crate) const WXGATE: &str = env!("CARGO_BIN_EXE_wxgate");

/// A running `wxgate`, its output in files. Killed when dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Process {
    /// Starts the binary with nothing of this process's environment. Output is appended to `{name}.out` and
    /// `{name}.err` in `folder`, so a restart goes on in the same files.
    pub(crate) fn start(folder: &Path, name: &str, arguments: &[String], environment: &[(String, String)]) -> Self {
        let stdout = folder.join(format!("{name}.out"));
        let stderr = folder.join(format!("{name}.err"));
        let append = |path: &Path| File::options().create(true).append(true).open(path).unwrap();
        let child = Command::new(WXGATE)
            .args(arguments)
            .env_clear()
            .envs(environment.iter().cloned())
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(append(&stdout))
            .stderr(append(&stderr))
            .spawn()
            .unwrap();
        Self { child, stdout, stderr }
    }

    /// Everything written to standard output so far.
    pub(crate) fn stdout(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.stdout).unwrap()).into_owned()
    }

    /// Everything written to standard error so far: the log.
    pub(crate) fn stderr(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.stderr).unwrap()).into_owned()
    }

    /// Fails with the log if the process has ended.
    pub(crate) fn assert_alive(&mut self) {
        if let Some(status) = self.child.try_wait().unwrap() {
            panic!("wxgate ended, {status}:\n{}", self.stderr());
        }
    }

    /// SIGKILL: no chance to put anything in order.
    pub(crate) fn kill9(&mut self) {
        let _ = self.child.kill();
        self.child.wait().unwrap();
    }

    /// SIGTERM, as a service manager sends it; does not wait.
    pub(crate) fn ask_to_end(&self) {
        let sent = Command::new("sh").arg("-c").arg(format!("kill -TERM {}", self.child.id())).status().unwrap();
        assert!(sent.success());
    }

    /// Waits until the process has ended by itself.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let child = &mut self.child;
        within(PATIENCE, "the process ends", async || child.try_wait().unwrap()).await
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill9();
    }
}
