//! The real network: TLS, proxies, timeouts, and which failure means what.
//!
//! Redirects are never followed here, and bodies are never unpacked.

use super::dialect::refusal::host_of;
use super::transport::{Download, LARGEST_ANSWER, Source, Transport};
use crate::config::credentials::{Endpoint, Profile, is_loopback};
use crate::live::{Answer, Sink};
use crate::model::outcome::Cause;
use crate::wire::{Form, Method, Request, Response};
use futures_util::{Stream, stream};
use reqwest::header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Body, Certificate, Client, Proxy, Url, redirect, tls};
use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::time::Duration;
use tokio::time::{Instant, timeout};

const CONNECT: Duration = Duration::from_secs(10);
const HEADERS: Duration = Duration::from_mins(1);
/// The longest silence within a body.
const IDLE: Duration = Duration::from_secs(30);
/// Over each such while a body must bring at least [`LEAST`].
const WHILE: Duration = Duration::from_mins(1);
const LEAST: u64 = 60 << 10;
/// Bytes a second, at least, of what is sent.
const SLOWEST: u64 = 32 << 10;
/// Bytes of a form that are sent at once.
const CHUNK: usize = 64 << 10;
/// Below what gateways use, so that they never close a connection that we are about to use.
const POOL_IDLE: Duration = Duration::from_secs(20);
/// Of an error's body only its start matters.
const LARGEST_ERROR: usize = 64 << 10;

/// A client of one API host.
pub struct Http {
    client: Client,
    endpoint: Endpoint,
    token: HeaderValue,
}

impl Http {
    /// Sets up, without connecting.
    pub fn new(profile: &Profile) -> Result<Self, Cause> {
        let endpoint = profile.endpoint.clone();
        let here = |detail: String| Cause::Unconnected {
            host: endpoint.authority().to_owned(),
            detail,
        };
        let mut token = HeaderValue::from_str(profile.token.expose())
            .map_err(|_| here("the token holds characters that no header may hold".into()))?;
        token.set_sensitive(true);
        // An error means that one is installed, which is as good.
        drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
        let mut builder = Client::builder()
            .user_agent(concat!("sortie/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT)
            .pool_idle_timeout(POOL_IDLE)
            .tls_version_min(tls::Version::TLS_1_2);
        if !profile.ssl_verify {
            builder = builder.tls_danger_accept_invalid_certs(true);
        } else if let Some(path) = &profile.ssl_cert_file {
            let bundle = std::fs::read(path)
                .map_err(|error| here(format!("ssl_cert_file {}: {error}", path.display())))?;
            let certificates = Certificate::from_pem_bundle(&bundle)
                .ok()
                .filter(|certificates| !certificates.is_empty())
                .ok_or_else(|| here(format!("ssl_cert_file {}: no certificate", path.display())))?;
            builder = builder.tls_certs_only(certificates);
        } else if endpoint.is_plain() {
            // A simulator needs no authorities, and must run where none are installed.
            builder = builder.tls_certs_only([]);
        }
        if endpoint.is_loopback() || profile.ignore_system_proxy {
            builder = builder.no_proxy();
        } else if let Some(proxy) = &profile.proxy {
            // The error would show the address, which may hold a password.
            let proxy = Proxy::all(proxy.expose())
                .map_err(|_| here("`proxy` is not a valid address".into()))?;
            builder = builder.proxy(proxy);
        }
        let client = builder.build().map_err(|error| Cause::Tls {
            host: endpoint.authority().to_owned(),
            detail: innermost(&error),
        })?;
        Ok(Self {
            client,
            endpoint,
            token,
        })
    }

    async fn ask(&self, request: Request) -> Result<reqwest::Response, Cause> {
        let mut url = Url::parse(&format!("{}{}", self.endpoint.url(), request.path))
            .map_err(|_| internal("a request without a valid path"))?;
        if !request.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&request.query);
        }
        let mut headers = HeaderMap::new();
        for (name, value) in &request.headers {
            let name = HeaderName::try_from(name).map_err(|_| internal("a bad header name"))?;
            let value = HeaderValue::try_from(value).map_err(|_| internal("a bad header value"))?;
            headers.insert(name, value);
        }
        headers.insert("x-auth-token", self.token.clone());
        let method = match request.method {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
            Method::Put => reqwest::Method::PUT,
            Method::Delete => reqwest::Method::DELETE,
        };
        let builder = self.client.request(method, url).headers(headers);
        // The clock of an answer starts when all is sent, however slow the line is.
        let patience = HEADERS + sending(request.length());
        let builder = match request.form {
            Some(form) => builder
                .header(CONTENT_LENGTH, form.len())
                .body(Body::wrap_stream(chunks(form))),
            None => builder.body(request.body),
        };
        let answered = self
            .head(builder, self.endpoint.authority(), patience)
            .await;
        // The path says what is asked; headers and bodies may hold what must not be seen.
        let (method, path) = (request.method.as_str(), request.path);
        match &answered {
            Ok(response) => tracing::debug!("{method} {path} -> {}", response.status().as_u16()),
            Err(cause) => tracing::debug!("{method} {path} -> {}", cause.summary()),
        }
        answered
    }

    /// Asks a signed address: no header of ours but the User-Agent.
    async fn ask_signed(&self, location: &str) -> Result<reqwest::Response, Cause> {
        let refused = || Cause::Redirected {
            host: host_of(location),
        };
        let base = Url::parse(self.endpoint.url()).map_err(|_| internal("a bad base address"))?;
        let url = base.join(location).map_err(|_| refused())?;
        let host = url.host_str().unwrap_or_default().to_owned();
        let may_be_plain = self.endpoint.is_plain() && is_loopback(&host);
        let is_safe = url.scheme() == "https" || (url.scheme() == "http" && may_be_plain);
        // Credentials within the address would become a header.
        if !is_safe || !url.username().is_empty() || url.password().is_some() {
            return Err(refused());
        }
        self.head(self.client.get(url), &host, HEADERS).await
    }

    async fn head(
        &self,
        request: reqwest::RequestBuilder,
        host: &str,
        patience: Duration,
    ) -> Result<reqwest::Response, Cause> {
        match timeout(patience, request.send()).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(classify(&error, host)),
            Err(_) => Err(Cause::NoAnswer {
                seconds: patience.as_secs(),
            }),
        }
    }
}

impl Transport for Http {
    fn send(&self, request: Request) -> Answer<'_, Response> {
        Box::pin(async move {
            let response = self.ask(request).await?;
            whole(response).await
        })
    }

    fn download<'a>(&'a self, source: Source, sink: &'a mut dyn Sink) -> Answer<'a, Download> {
        Box::pin(async move {
            let mut response = match source {
                Source::Api(request) => self.ask(request).await?,
                Source::Signed(location) => self.ask_signed(&location).await?,
            };
            if !response.status().is_success() {
                return Ok(Download::Refused(whole(response).await?));
            }
            let announced = response.content_length();
            sink.restart().map_err(|error| not_written(&error, 0))?;
            let mut pulse = Pulse::new();
            let mut received = 0;
            while let Some(chunk) = pulse.next(&mut response).await? {
                sink.write(&chunk)
                    .map_err(|error| not_written(&error, received))?;
                received += chunk.len() as u64;
            }
            match announced {
                Some(announced) if announced != received => Err(Cause::ConnectionLost {
                    detail: format!("{received} of {announced} bytes came"),
                }),
                _ => Ok(Download::Whole { received }),
            }
        })
    }
}

/// How long it may take to send so much.
fn sending(bytes: usize) -> Duration {
    Duration::from_secs(bytes as u64 / SLOWEST)
}

/// A form piece by piece, so that no upload has a copy of the whole.
fn chunks(form: Form) -> impl Stream<Item = Result<Vec<u8>, Infallible>> {
    let Form {
        head,
        content,
        tail,
    } = form;
    let pieces = (0..content.len()).step_by(CHUNK).map(move |start| {
        let end = content.len().min(start + CHUNK);
        content[start..end].to_vec()
    });
    let pieces = std::iter::once(head).chain(pieces);
    stream::iter(pieces.chain(std::iter::once(tail)).map(Ok))
}

/// Reads a body to its end, within limits.
async fn whole(mut response: reqwest::Response) -> Result<Response, Cause> {
    let status = response.status();
    let headers = response
        .headers()
        .iter()
        .map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            (name.as_str().to_owned(), value)
        })
        .collect();
    let mut body = Vec::new();
    let mut pulse = Pulse::new();
    while let Some(chunk) = pulse.next(&mut response).await? {
        if !status.is_success() && body.len() + chunk.len() > LARGEST_ERROR {
            break;
        }
        if body.len() + chunk.len() > LARGEST_ANSWER {
            return Err(Cause::TooLarge {
                limit: LARGEST_ANSWER as u64,
            });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Response {
        status: status.as_u16(),
        headers,
        body,
    })
}

/// Watches that a body keeps coming. Only waiting counts: what we do with a chunk is our own delay.
struct Pulse {
    waited: Duration,
    received: u64,
}

impl Pulse {
    const fn new() -> Self {
        Self {
            waited: Duration::ZERO,
            received: 0,
        }
    }

    async fn next(
        &mut self,
        response: &mut reqwest::Response,
    ) -> Result<Option<impl AsRef<[u8]> + std::ops::Deref<Target = [u8]> + use<>>, Cause> {
        let lost = |detail| Cause::ConnectionLost { detail };
        let begun = Instant::now();
        let chunk = match timeout(IDLE, response.chunk()).await {
            Ok(Ok(chunk)) => chunk,
            Ok(Err(error)) => return Err(lost(innermost(&error))),
            Err(_) => return Err(lost(format!("silent for {} s", IDLE.as_secs()))),
        };
        self.waited += begun.elapsed();
        self.received += chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
        if self.waited >= WHILE {
            if self.received < LEAST {
                return Err(lost("slower than 1 KiB/s".into()));
            }
            *self = Self::new();
        }
        Ok(chunk)
    }
}

fn not_written(error: &io::Error, received: u64) -> Cause {
    if error.kind() == io::ErrorKind::FileTooLarge {
        // The sink's own limit lies within the chunk that it refused.
        Cause::TooLarge { limit: received }
    } else {
        Cause::Disk {
            detail: error.to_string(),
        }
    }
}

fn classify(error: &reqwest::Error, host: &str) -> Cause {
    let host = host.to_owned();
    let detail = innermost(error);
    if error.is_connect() {
        if is_tls(error) {
            Cause::Tls { host, detail }
        } else {
            Cause::Unconnected { host, detail }
        }
    } else if error.is_builder() {
        internal(&detail)
    } else {
        Cause::ConnectionLost { detail }
    }
}

fn is_tls(error: &reqwest::Error) -> bool {
    let mut next: Option<&(dyn Error + 'static)> = error.source();
    while let Some(error) = next {
        if error.is::<rustls::Error>() {
            return true;
        }
        // An IO error's source is the source of what it wraps, and steps over that.
        next = match error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref)
        {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
    }
    false
}

/// The first cause, in whose words no address occurs.
fn innermost(error: &reqwest::Error) -> String {
    let Some(mut deepest) = error.source() else {
        return "the request failed".into();
    };
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}

fn internal(detail: &str) -> Cause {
    Cause::Internal {
        detail: detail.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;
    use reqwest::Body;
    use tokio::time::sleep;

    /// A body of so many chunks of so many bytes, each after this time; then nothing more, and no end.
    fn trickle(chunks: usize, bytes: usize, every: Duration) -> reqwest::Response {
        let body = stream::unfold(0, move |sent| async move {
            if sent == chunks {
                std::future::pending::<()>().await;
            }
            sleep(every).await;
            Some((Ok::<_, io::Error>(vec![0; bytes]), sent + 1))
        });
        let body = Body::wrap_stream(body);
        axum::http::Response::new(body).into()
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_hardly_comes_is_given_up() {
        let seconds = Duration::from_secs;
        // Chunks of so many bytes, each after so many seconds, and then: how many are taken, until when.
        let table = [
            (3, 1 << 20, 29, 3, 29 * 3 + 30, "silent for 30 s"),
            (0, 0, 1, 0, 30, "silent for 30 s"),
            (9, 20 << 10, 20, 9, 9 * 20 + 30, "silent for 30 s"),
            (9, 20 << 9, 20, 2, 60, "slower than 1 KiB/s"),
            (900, 1, 1, 59, 60, "slower than 1 KiB/s"),
        ];
        for (chunks, bytes, every, taken, until, why) in table {
            let mut response = trickle(chunks, bytes, seconds(every));
            let mut pulse = Pulse::new();
            let begun = Instant::now();
            let mut got = 0;
            let cause = loop {
                match pulse.next(&mut response).await {
                    Ok(Some(chunk)) => {
                        assert_eq!(chunk.len(), bytes);
                        got += 1;
                    }
                    Ok(None) => panic!("a body without end has ended"),
                    Err(cause) => break cause,
                }
            };
            let detail = why.to_owned();
            assert_eq!(cause, Cause::ConnectionLost { detail }, "{chunks} {bytes}");
            assert_eq!(
                (got, begun.elapsed()),
                (taken, seconds(until)),
                "{chunks} {bytes}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn our_own_delay_is_nobody_elses() {
        let mut response = trickle(5, 1, Duration::from_secs(1));
        let mut pulse = Pulse::new();
        for _ in 0..5 {
            assert!(pulse.next(&mut response).await.is_ok());
            sleep(Duration::from_hours(1)).await;
        }
    }
}
