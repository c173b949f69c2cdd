//! When to give an attempt up, when to try again, and after how long.

use crate::TransportError;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use std::time::{Duration, SystemTime};

/// How often to try, how long an attempt may be stuck, and how long to wait in between:
/// exponential backoff with jitter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// How many times to try in all; 0 and 1 both mean once.
    pub attempts: u32,
    /// The longest wait after the first failure; doubles with each further one.
    pub base_delay: Duration,
    /// No wait is longer. A server that asks for more (`Retry-After`) is not asked again.
    pub max_delay: Duration,
    /// How long nothing may move on a connection.
    ///
    /// This is not left to the HTTP client, whose read timeout runs while a request's body is
    /// being sent and so breaks long uploads.
    pub idle_timeout: Duration,
}

/// What a failure says about trying again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// The same request would fail the same way.
    Never,
    /// It may work in a while.
    Backoff,
    /// The server said when.
    After(Duration),
}

impl Default for RetryPolicy {
    fn default() -> Self {
        RetryPolicy {
            attempts: 5,
            base_delay: Duration::from_millis(500),
            max_delay: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(90),
        }
    }
}

impl RetryPolicy {
    /// Try once.
    pub const fn never() -> Self {
        RetryPolicy {
            attempts: 1,
            base_delay: Duration::ZERO,
            max_delay: Duration::ZERO,
            idle_timeout: Duration::from_secs(90),
        }
    }

    /// How long to wait after the `failures`th failure in a row (1 is the first), which said
    /// `retry`; `None` to give up.
    pub fn delay(&self, failures: u32, retry: Retry) -> Option<Duration> {
        if failures >= self.attempts {
            return None;
        }
        match retry {
            Retry::Never => None,
            Retry::After(wait) => (wait <= self.max_delay).then_some(wait),
            Retry::Backoff => {
                let doublings = failures.saturating_sub(1).min(31);
                let longest = self.base_delay.saturating_mul(1 << doublings).min(self.max_delay);
                // Half to all of it: many clients that failed together should not return together.
                Some(longest.mul_f64(0.5 + fastrand::f64() / 2.0))
            }
        }
    }

    /// The outcome of `operation`, an error if it takes longer than the idle timeout.
    pub async fn timely<T>(
        &self,
        operation: impl Future<Output = Result<T, reqwest::Error>>,
    ) -> Result<T, TransportError> {
        match tokio::time::timeout(self.idle_timeout, operation).await {
            Ok(result) => Ok(result?),
            Err(_) => Err(TransportError::timed_out()),
        }
    }

    /// Waits as [`delay`](Self::delay) says; false to give up.
    pub async fn pause(&self, failures: u32, retry: Retry) -> bool {
        match self.delay(failures, retry) {
            Some(wait) => {
                tokio::time::sleep(wait).await;
                true
            }
            None => false,
        }
    }
}

impl Retry {
    /// What an answer's status says: 408, 429 and all of 5xx but 501 and 505 may pass.
    pub fn of_status(status: StatusCode, headers: &HeaderMap) -> Self {
        let passing = matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS)
            || status.is_server_error()
                && !matches!(
                    status,
                    StatusCode::NOT_IMPLEMENTED | StatusCode::HTTP_VERSION_NOT_SUPPORTED
                );
        match passing {
            false => Retry::Never,
            true => retry_after(headers).map_or(Retry::Backoff, Retry::After),
        }
    }
}

/// The wait that `Retry-After` asks for, in seconds or as an HTTP date (RFC 9110, 10.2.3).
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let when = httpdate::parse_http_date(value).ok()?;
    Some(when.duration_since(SystemTime::now()).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn headers(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(RETRY_AFTER, value.parse().unwrap())])
    }

    #[test]
    fn statuses() {
        let empty = HeaderMap::new();
        for (status, retry) in [
            (400, Retry::Never),
            (401, Retry::Never),
            (404, Retry::Never),
            (408, Retry::Backoff),
            (429, Retry::Backoff),
            (500, Retry::Backoff),
            (501, Retry::Never),
            (503, Retry::Backoff),
        ] {
            assert_eq!(Retry::of_status(StatusCode::from_u16(status).unwrap(), &empty), retry);
        }
        let asked = Retry::of_status(StatusCode::TOO_MANY_REQUESTS, &headers("7"));
        assert_eq!(asked, Retry::After(Duration::from_secs(7)));
    }

    #[test]
    fn retry_after_reads_seconds_and_dates() {
        assert_eq!(retry_after(&headers(" 120 ")), Some(Duration::from_secs(120)));
        assert_eq!(retry_after(&headers("Sun, 06 Nov 1994 08:49:37 GMT")), Some(Duration::ZERO));
        let later = SystemTime::now() + Duration::from_secs(1000);
        let wait = retry_after(&headers(&httpdate::fmt_http_date(later))).unwrap();
        assert!(wait <= Duration::from_secs(1000) && wait > Duration::from_secs(900));
        assert_eq!(retry_after(&headers("soon")), None);
    }

    #[test]
    fn gives_up_rather_than_wait_for_hours() {
        let policy = RetryPolicy::default();
        assert_eq!(policy.delay(1, Retry::After(Duration::from_secs(3600))), None);
        assert_eq!(policy.delay(policy.attempts, Retry::Backoff), None);
        assert_eq!(RetryPolicy::never().delay(1, Retry::Backoff), None);
    }

    proptest! {
        #[test]
        fn delays_double_within_bounds(failures in 1u32..200) {
            let policy = RetryPolicy { attempts: u32::MAX, ..RetryPolicy::default() };
            let delay = policy.delay(failures, Retry::Backoff).unwrap();
            let longest = policy.base_delay.saturating_mul(1 << (failures - 1).min(20)).min(policy.max_delay);
            prop_assert!(delay <= longest && delay >= longest / 2);
        }
    }
}
