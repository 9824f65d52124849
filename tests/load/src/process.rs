//! A server as a process of its own, and what Linux tells of it.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_getcpuclockid};
use nix::unistd::Pid;
use tokio::process::{Child, Command};

use crate::Failure;

/// Longest wait for a server to start.
const START: Duration = Duration::from_secs(30);
/// How often it is looked at meanwhile, which is how exactly its start is timed.
const LOOK: Duration = Duration::from_millis(1);

/// A running server. Dropped, it is killed.
pub(crate) struct Server {
    /// What it is called where something went wrong.
    pub(crate) name: &'static str,
    pub(crate) address: SocketAddr,
    /// From the start of the process until it said where it listens.
    pub(crate) started_in: Duration,
    child: Child,
    pid: i32,
}

impl Server {
    /// Starts a server whose output goes to `log`, and waits until `address` says where it listens.
    ///
    /// # Errors
    /// It cannot be started, ends at once, or says nothing for too long.
    pub(crate) async fn start(
        name: &'static str,
        mut command: Command,
        log: &Path,
        address: impl Fn() -> Option<SocketAddr>,
    ) -> Result<Self, Failure> {
        let output = File::create(log)?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output).kill_on_drop(true);
        let started = Instant::now();
        let mut child =
            command.spawn().map_err(|error| format!("{}: {error}", command.as_std().get_program().display()))?;
        let pid = child.id().and_then(|id| id.try_into().ok()).ok_or_else(|| format!("{name} ended at once"))?;
        loop {
            if let Some(address) = address() {
                return Ok(Self { name, address, started_in: started.elapsed(), child, pid });
            }
            if child.try_wait()?.is_some() || started.elapsed() > START {
                return Err(format!("{name} did not start:\n{}", fs::read_to_string(log)?).into());
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Processor time, user and system, of the process and its children so far.
    pub(crate) fn cpu(&self) -> Result<Duration, Failure> {
        let all = processes()?;
        let mut time = cpu_of(self.pid)?;
        let mut ours = vec![self.pid];
        while let Some(pid) = ours.pop() {
            for child in all.iter().filter(|process| process.parent == pid) {
                // It may have ended meanwhile.
                time += cpu_of(child.pid).unwrap_or_default();
                ours.push(child.pid);
            }
        }
        Ok(time)
    }

    /// Resident memory of the process in bytes (`VmRSS`).
    pub(crate) fn memory(&self) -> Result<u64, Failure> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
        Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1_024)
    }

    /// Asks the process to stop, and waits until it has.
    pub(crate) async fn stop(mut self) -> Result<(), Failure> {
        Command::new("kill").arg(self.pid.to_string()).status().await?;
        self.child.wait().await?;
        Ok(())
    }
}

/// The address that a server's output names after `before`.
pub(crate) fn address_in(log: &Path, before: &str) -> Option<SocketAddr> {
    let text = fs::read_to_string(log).ok()?;
    let (_, after) = text.split_once(before)?;
    // The line may still be on its way.
    let (address, _) = after.split_once(|c: char| c.is_whitespace())?;
    address.parse().ok()
}

/// What a process and all its threads, those that ended too, have used. Exact, unlike the ticks of `/proc/PID/stat`.
fn cpu_of(pid: i32) -> Result<Duration, Failure> {
    let clock: ClockId = clock_getcpuclockid(Pid::from_raw(pid))?;
    Ok(clock.now()?.into())
}

struct Process {
    pid: i32,
    parent: i32,
}

fn processes() -> Result<Vec<Process>, Failure> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let path = entry?.path();
        let Some(pid) = path.file_name().and_then(|name| name.to_str()?.parse().ok()) else { continue };
        // It may have ended meanwhile.
        let Ok(stat) = fs::read_to_string(path.join("stat")) else { continue };
        found.extend(parent(&stat).map(|parent| Process { pid, parent }));
    }
    Ok(found)
}

/// proc(5): the name in brackets may hold anything; after it come the state and the parent.
fn parent(stat: &str) -> Option<i32> {
    let (_, rest) = stat.rsplit_once(") ")?;
    rest.split(' ').nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parent_is_read_past_any_name() {
        assert_eq!(parent("7 (a) b) S 3 7 7 0 -1 4194560 100 0 0 0 11 5 2 1 20 0 1 0 100 0 0"), Some(3));
    }

    #[test]
    fn processor_time_grows_with_work() {
        let own = i32::try_from(std::process::id()).unwrap();
        let before = cpu_of(own).unwrap();
        std::hint::black_box(processes().unwrap());
        assert!(cpu_of(own).unwrap() > before);
    }
}
