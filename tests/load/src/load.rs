//! Many requests to one server, measured.

use std::cell::Cell;
use std::net::Ipv4Addr;
use std::time::Duration;

use crate::Failure;
use crate::http::{Replies, send_all};
use crate::process::Server;

/// What was measured in one round.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) per_second: f64,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    /// Processor microseconds of the server for each request.
    pub(crate) cpu: f64,
    /// And of the simulated WeChat.
    pub(crate) simulator_cpu: f64,
}

/// Drives servers against one simulator.
pub(crate) struct Load<'a> {
    pub(crate) simulator: &'a Server,
    pub(crate) connections: usize,
    /// Addresses given to clients so far.
    pub(crate) clients: Cell<u32>,
}

impl Load<'_> {
    /// The headers of a client as a proxy passes them on: every one has another address, so that the limits are the
    /// default ones.
    pub(crate) fn client(&self) -> String {
        let number = self.clients.get();
        self.clients.set(number.wrapping_add(1));
        client(number)
    }

    /// Sends all requests; each answer must be 200 and hold `expected`. Returns the bodies as well.
    ///
    /// # Errors
    /// An answer was another one, or a connection broke.
    pub(crate) async fn measure(
        &self,
        server: &Server,
        requests: Vec<Vec<u8>>,
        expected: &str,
    ) -> Result<(Sample, Vec<Vec<u8>>), Failure> {
        let (server_before, simulator_before) = (server.cpu()?, self.simulator.cpu()?);
        let answered = send_all(server.address, requests, self.connections).await?;
        let (server_after, simulator_after) = (server.cpu()?, self.simulator.cpu()?);
        let Replies { replies, elapsed } = answered;
        let holds = |body: &[u8]| expected.is_empty() || body.windows(expected.len()).any(|w| w == expected.as_bytes());
        if let Some(wrong) = replies.iter().find(|reply| reply.status != 200 || !holds(&reply.body)) {
            let (status, body) = (wrong.status, String::from_utf8_lossy(&wrong.body));
            return Err(format!("{} answered {status}: {body}", server.name).into());
        }
        let mut times: Vec<_> = replies.iter().map(|reply| reply.took).collect();
        times.sort_unstable();
        let requests = count(times.len());
        let each = |time: Duration| time.as_secs_f64() * 1e6 / requests;
        let sample = Sample {
            per_second: requests / elapsed.as_secs_f64(),
            p50: percentile(&times, 50),
            p99: percentile(&times, 99),
            cpu: each(server_after.saturating_sub(server_before)),
            simulator_cpu: each(simulator_after.saturating_sub(simulator_before)),
        };
        Ok((sample, replies.into_iter().map(|reply| reply.body).collect()))
    }
}

/// The headers of the client of this number, whose address is out of 198.18.0.0/15 (RFC 2544).
pub(crate) fn client(number: u32) -> String {
    let address = Ipv4Addr::from_bits(Ipv4Addr::new(198, 18, 0, 0).to_bits() + number % 0x2_0000);
    format!("User-Agent: Mozilla/5.0 MicroMessenger/8.0.60 MiniProgramEnv/iOS\r\nX-Forwarded-For: {address}\r\n")
}

/// A count as a number to calculate with. Runs are far below 2^32 requests.
pub(crate) fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

/// The time within which this many percent are done; times are sorted.
fn percentile(times: &[Duration], percent: usize) -> Duration {
    let rank = (times.len() * percent).div_ceil(100).max(1);
    times.get(rank - 1).copied().unwrap_or_default()
}

/// The middle value, or of two middle values the lower one.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.into_iter().collect();
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len().saturating_sub(1) / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_time_that_was_measured() {
        let times: Vec<_> = (1..=200).map(Duration::from_millis).collect();
        assert_eq!(percentile(&times, 50), Duration::from_millis(100));
        assert_eq!(percentile(&times, 99), Duration::from_millis(198));
        assert_eq!(percentile(&times[..1], 99), Duration::from_millis(1));
        assert_eq!(percentile(&[], 99), Duration::ZERO);
    }

    #[test]
    fn the_median_is_the_middle() {
        assert!((median([3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!(median([]).is_nan());
    }
}
