//! How fast and how often the backend is asked, for everybody who shares a client.
//!
//! One token bucket, one pause that a `Retry-After` imposes on all, one budget of repeats. It repeats
//! requests, never commands: what may have reached an endpoint goes back to the caller.

use super::budget::Budget;
use super::dialect::refusal::retry_after;
use super::transport::{Download, Source, Transport};
use crate::clock;
use crate::live::{Sink, WINDOW};
use crate::model::effect::Reached;
use crate::model::outcome::Cause;
use crate::model::spent::Spent;
use crate::wire::{Request, Response};
use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use std::io;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until};

/// A request is tried at most so often.
const TRIES: u32 = 5;
const LONGEST_BACKOFF: Duration = Duration::from_mins(1);

/// How patient to be, by how far away the backend is.
#[derive(Debug, Clone, Copy)]
pub struct Tempo {
    /// Requests a minute, and how many of them at once. None: as many as one likes.
    pub limit: Option<(NonZeroU32, NonZeroU32)>,
    /// The longest wait before a second try; it doubles with each.
    pub backoff: Duration,
    /// When to look first at a command of a kind that has not been seen yet.
    pub first_look: Duration,
    /// The shortest wait before a second look.
    pub least_gap: Duration,
    /// When to look first for sensors that check in.
    pub first_watch: Duration,
    /// How many commands of one device may be under way at once.
    pub window: usize,
}

impl Tempo {
    /// Half of what the service allows to one address, the rest being other tools'.
    pub const CLOUD: Self = Self {
        limit: Some((
            NonZeroU32::new(180).expect("is not 0"),
            NonZeroU32::new(600).expect("is not 0"),
        )),
        backoff: Duration::from_secs(1),
        first_look: Duration::from_millis(100),
        least_gap: Duration::from_millis(500),
        first_watch: Duration::from_secs(2),
        window: WINDOW,
    };

    /// A simulator on this machine.
    pub const LOOPBACK: Self = Self {
        limit: None,
        backoff: Duration::from_millis(20),
        first_look: Duration::from_millis(10),
        least_gap: Duration::from_millis(10),
        first_watch: Duration::from_millis(100),
        window: WINDOW,
    };
}

/// What may be done about a request that failed for a passing reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    /// Asking twice is asking once.
    Always,
    /// Only what has surely not arrived.
    Unreached,
    Never,
}

/// How an exchange ended.
#[derive(Debug)]
pub(super) struct Sent<T> {
    pub(super) result: Result<T, Cause>,
    /// An earlier try failed in a way that leaves open whether it had arrived.
    pub(super) is_doubted: bool,
}

pub(super) struct Pace {
    transport: Arc<dyn Transport>,
    backoff: Duration,
    bucket: Option<Bucket>,
    paused_until: Mutex<Option<Instant>>,
    budget: Mutex<Budget>,
    requests: AtomicU64,
    bytes: AtomicU64,
}

type Bucket = RateLimiter<NotKeyed, InMemoryState, SinceStart, NoOpMiddleware<Duration>>;

/// The clock that tests can pause.
struct SinceStart(Instant);

impl Clock for SinceStart {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

impl Pace {
    pub(super) fn new(transport: Arc<dyn Transport>, tempo: Tempo) -> Self {
        let bucket = tempo.limit.map(|(a_minute, burst)| {
            let quota = Quota::per_minute(a_minute).allow_burst(burst);
            RateLimiter::direct_with_clock(quota, SinceStart(Instant::now()))
        });
        Self {
            transport,
            backoff: tempo.backoff,
            bucket,
            paused_until: Mutex::new(None),
            budget: Mutex::default(),
            requests: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        }
    }

    /// Sends until `read` makes sense of an answer, as often as `repeat` and the budget allow.
    pub(super) async fn send<T>(
        &self,
        request: Request,
        repeat: Repeat,
        read: impl Fn(&Response) -> Result<T, Cause>,
    ) -> Sent<T> {
        let mut tries = self.tries(repeat);
        loop {
            let answer = self.exchange(request.clone()).await;
            let result = match answer.and_then(|response| read(&response)) {
                Err(cause) => match tries.again(cause).await {
                    Ok(()) => continue,
                    Err(cause) => Err(cause),
                },
                Ok(value) => {
                    tries.succeeded();
                    Ok(value)
                }
            };
            return Sent {
                result,
                is_doubted: tries.is_doubted,
            };
        }
    }

    /// One try of a download; the caller repeats, since it may be two requests.
    pub(super) async fn download(
        &self,
        source: Source,
        sink: &mut dyn Sink,
    ) -> Result<Download, Cause> {
        match &source {
            Source::Api(request) => self.turn(request).await,
            // Another host, with no say in how we treat the API's.
            Source::Signed(_) => self.count_request(0),
        }
        let mut counted = Counted {
            sink,
            bytes: &self.bytes,
        };
        let download = self.transport.download(source, &mut counted).await;
        if let Ok(Download::Refused(response)) = &download {
            self.heed(response);
        }
        download
    }

    pub(super) const fn tries(&self, repeat: Repeat) -> Tries<'_> {
        Tries {
            pace: self,
            repeat,
            made: 0,
            is_doubted: false,
        }
    }

    pub(super) fn spent(&self) -> Spent {
        Spent {
            requests: self.requests.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }

    pub(super) fn is_struggling(&self) -> bool {
        lock(&self.budget).is_open(Instant::now())
    }

    async fn exchange(&self, request: Request) -> Result<Response, Cause> {
        self.turn(&request).await;
        let response = self.transport.send(request).await?;
        self.bytes
            .fetch_add(response.body.len() as u64, Ordering::Relaxed);
        self.heed(&response);
        Ok(response)
    }

    /// Waits until a request may leave.
    async fn turn(&self, request: &Request) {
        if let Some(bucket) = &self.bucket {
            while let Err(early) = bucket.check() {
                sleep(early.wait_time_from(bucket.clock().now())).await;
            }
        }
        // Asked last: a pause may have begun while we waited for the bucket.
        while let Some(until) = self.pause() {
            sleep_until(until).await;
        }
        self.count_request(request.length());
    }

    fn count_request(&self, body: usize) {
        lock(&self.budget).sent();
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(body as u64, Ordering::Relaxed);
    }

    fn pause(&self) -> Option<Instant> {
        lock(&self.paused_until).filter(|until| Instant::now() < *until)
    }

    /// Leaves the backend alone if it asks for that: nobody sends until then.
    fn heed(&self, response: &Response) {
        if matches!(response.status, 429 | 503)
            && let Some(pause) = retry_after(response)
        {
            self.pause_for(pause);
        }
    }

    fn pause_for(&self, pause: Duration) {
        let until = Instant::now() + pause;
        let mut paused = lock(&self.paused_until);
        *paused = Some(paused.map_or(until, |other| other.max(until)));
    }
}

/// The tries of one request.
pub(super) struct Tries<'a> {
    pace: &'a Pace,
    repeat: Repeat,
    made: u32,
    is_doubted: bool,
}

impl Tries<'_> {
    /// Waits until it may be tried again, or gives the cause back.
    pub(super) async fn again(&mut self, cause: Cause) -> Result<(), Cause> {
        self.made += 1;
        if !cause.is_transport() {
            // The backend works; it is what it says that we do not like.
            self.succeeded();
            return Err(cause);
        }
        let is_surely_unreached = cause.reached() == Reached::No;
        let may_repeat = match self.repeat {
            Repeat::Always => true,
            Repeat::Unreached => is_surely_unreached,
            Repeat::Never => false,
        };
        self.is_doubted |= !is_surely_unreached;
        let backoff = self.backoff();
        if cause == (Cause::RateLimited { retry_after: None }) {
            self.pace.pause_for(backoff);
        }
        let is_worth_it = cause.is_transient() && may_repeat && self.made < TRIES;
        if !is_worth_it || !lock(&self.pace.budget).take(Instant::now()) {
            return Err(cause);
        }
        // A rate limit has paused everybody already.
        if !matches!(cause, Cause::RateLimited { .. }) {
            sleep(backoff).await;
        }
        Ok(())
    }

    pub(super) fn succeeded(&self) {
        lock(&self.pace.budget).succeeded(Instant::now());
    }

    /// Full jitter: anything up to a limit that doubles.
    fn backoff(&self) -> Duration {
        let doubled = self.pace.backoff * 2_u32.pow(self.made - 1);
        doubled.min(LONGEST_BACKOFF).mul_f64(clock::fraction())
    }
}

struct Counted<'a> {
    sink: &'a mut dyn Sink,
    bytes: &'a AtomicU64,
}

impl Sink for Counted<'_> {
    fn restart(&mut self) -> io::Result<()> {
        self.sink.restart()
    }

    fn write(&mut self, chunk: &[u8]) -> io::Result<()> {
        self.bytes.fetch_add(chunk.len() as u64, Ordering::Relaxed);
        self.sink.write(chunk)
    }
}

/// No holder of these locks can panic half-way through a change.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::scripted::{FREE, Scripted, ok, status};
    use crate::wire::Method;
    use serde_json::json;

    fn get() -> Request {
        Request::new(Method::Get, "/x")
    }

    fn read(response: &Response) -> Result<u16, Cause> {
        crate::api::dialect::refusal::check(response, crate::api::dialect::refusal::Asked::Other)?;
        Ok(response.status)
    }

    fn unconnected() -> Cause {
        Cause::Unconnected {
            host: "h".into(),
            detail: "refused".into(),
        }
    }

    fn no_answer() -> Cause {
        Cause::NoAnswer { seconds: 60 }
    }

    #[tokio::test(start_paused = true)]
    async fn only_what_is_harmless_is_repeated() {
        type Case = (fn() -> Cause, Repeat, usize);
        let down = || Cause::BackendDown { status: 503 };
        let limited = || Cause::RateLimited { retry_after: None };
        let lost = || Cause::ConnectionLost {
            detail: "reset".into(),
        };
        let table: [Case; 10] = [
            (unconnected, Repeat::Always, 5),
            (unconnected, Repeat::Unreached, 5),
            (unconnected, Repeat::Never, 1),
            (limited, Repeat::Unreached, 5),
            (down, Repeat::Always, 5),
            (down, Repeat::Unreached, 1),
            (no_answer, Repeat::Unreached, 1),
            (lost, Repeat::Unreached, 1),
            (|| Cause::Unauthorized, Repeat::Always, 1),
            (|| Cause::SessionLimit, Repeat::Always, 1),
        ];
        for (cause, repeat, tries) in table {
            let (transport, log) = Scripted::new(move |_, _| Err(cause()));
            let pace = Pace::new(transport, FREE);
            let sent = pace.send(get(), repeat, read).await;
            assert_eq!(sent.result, Err(cause()), "{repeat:?}");
            let asked = log.lock().expect("no panic").len();
            assert_eq!(asked, tries, "{:?} {repeat:?}", cause());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_doubt_is_told() {
        for (first, is_doubted) in [(no_answer(), true), (unconnected(), false)] {
            let mut first = Some(first);
            let (transport, _) = Scripted::new(move |_, _| match first.take() {
                Some(cause) => Err(cause),
                None => status(200),
            });
            let sent = Pace::new(transport, FREE)
                .send(get(), Repeat::Always, read)
                .await;
            assert_eq!((sent.result, sent.is_doubted), (Ok(200), is_doubted));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_retry_after_holds_everybody_back() {
        let mut is_first = true;
        let (transport, log) = Scripted::new(move |_, _| {
            let mut response = Response::new(if is_first { 429 } else { 200 });
            if is_first {
                response.headers.push(("retry-after".into(), "37".into()));
            }
            is_first = false;
            Ok(response)
        });
        let pace = Pace::new(transport, FREE);
        let limited = pace.send(get(), Repeat::Unreached, read);
        let other = async {
            // Comes later, and knows nothing of the refusal.
            sleep(Duration::from_secs(1)).await;
            pace.send(get(), Repeat::Never, read).await
        };
        let (limited, other) = tokio::join!(limited, other);
        assert_eq!((limited.result, other.result), (Ok(200), Ok(200)));
        let log = log.lock().expect("no panic");
        assert_eq!(log.len(), 3);
        for (_, at) in &log[1..] {
            assert!(*at >= Duration::from_secs(37), "{at:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_bucket_lets_a_burst_through_and_then_a_stream() {
        let (transport, log) = Scripted::new(|_, _| status(200));
        let pace = Pace::new(transport, Tempo::CLOUD);
        for _ in 0..660 {
            pace.send(get(), Repeat::Never, read)
                .await
                .result
                .expect("works");
        }
        let log = log.lock().expect("no panic");
        let (burst, last) = (log[599].1, log[659].1);
        assert!(burst < Duration::from_secs(1), "{burst:?}");
        // Sixty more at three a second.
        let expected = Duration::from_secs(20);
        assert!(last.abs_diff(expected) < Duration::from_secs(1), "{last:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_outage_uses_up_the_budget_and_then_costs_one_try_each() {
        let (transport, log) = Scripted::new(|_, at| {
            if at < Duration::from_hours(1) {
                Err(Cause::BackendDown { status: 500 })
            } else {
                status(200)
            }
        });
        let pace = Pace::new(transport, FREE);
        for _ in 0..25 {
            assert!(!pace.is_struggling());
            drop(pace.send(get(), Repeat::Always, read).await);
        }
        // 25 requests and all 100 repeats; the next finds none left.
        assert_eq!(log.lock().expect("no panic").len(), 125);
        drop(pace.send(get(), Repeat::Always, read).await);
        assert_eq!(log.lock().expect("no panic").len(), 126);
        assert!(pace.is_struggling());
        sleep(Duration::from_hours(1)).await;
        assert!(!pace.is_struggling(), "it may try again");
        let sent = pace.send(get(), Repeat::Always, read).await;
        assert_eq!(sent.result, Ok(200));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_spent_is_counted() {
        let (transport, _) = Scripted::new(|_, _| ok(&json!([1])));
        let pace = Pace::new(transport, FREE);
        let request = Request::new(Method::Post, "/x").json(&json!({}));
        pace.send(request, Repeat::Never, read)
            .await
            .result
            .expect("works");
        let mut sink = crate::live::Buffer {
            bytes: Vec::new(),
            limit: 10,
        };
        let source = Source::Signed("https://store".into());
        pace.download(source, &mut sink).await.expect("works");
        let spent = pace.spent();
        assert_eq!((spent.requests, spent.bytes), (2, 2 + 3 + 3));
    }
}
