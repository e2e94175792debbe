//! The doors behind real HTTP or HTTPS: one listener for the API, another for signed content, so that the two
//! are different hosts, and if wanted a third for the judge.

use super::control::{self, Control};
use super::doors::{self, Reply};
use super::endpoint::content::{Clip, Content};
use super::fault::layer::Exchange;
use super::fault::line::{Breakable, Switch};
use super::fault::{End, layer, route_name};
use super::request_log::{Entry, Fate, RequestLog};
use super::tls::Identity;
use super::world::World;
use crate::{clock, wire};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use axum::serve::{IncomingStream, Listener};
use futures_util::{StreamExt, stream};
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Bytes of a JSON body above which it is refused.
const MAX_JSON: usize = 64 << 20;
/// Bytes of content handed to the connection at once.
const CHUNK: usize = 64 << 10;
/// In how many pieces a slow body comes.
const PIECES: u64 = 20;
/// How long `shutdown` waits for answers on their way.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long a long poll is held at most.
const LONG_POLL: Duration = Duration::from_mins(1);
/// How often one that is held looks again.
const GLANCE: Duration = Duration::from_millis(500);

/// A running simulator; it stops when dropped.
pub struct Server {
    /// Scheme, host and port of the API.
    pub url: String,
    pub addr: SocketAddr,
    /// Where signed content is served.
    pub content_addr: SocketAddr,
    /// Where the books are told.
    pub control_addr: Option<SocketAddr>,
    stop: CancellationToken,
    listeners: Vec<JoinHandle<()>>,
}

impl Server {
    /// Stops, after answers on their way have gone out.
    pub async fn shutdown(mut self) {
        self.stop.cancel();
        for listener in &mut self.listeners {
            if tokio::time::timeout(PATIENCE, &mut *listener)
                .await
                .is_err()
            {
                listener.abort();
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// What a server may have besides.
#[derive(Default)]
pub struct Extras {
    /// HTTPS at both hosts, in place of HTTP.
    pub identity: Option<Identity>,
    pub log: Option<RequestLog>,
    /// Where to tell the books; port 0 takes any.
    pub control: Option<SocketAddr>,
}

/// Serves `world` at `listen` (port 0 takes any), and its content at another port under another name.
pub async fn serve(world: World, listen: SocketAddr) -> io::Result<Server> {
    serve_with(world, listen, Extras::default()).await
}

pub async fn serve_with(world: World, listen: SocketAddr, extras: Extras) -> io::Result<Server> {
    let api = TcpListener::bind(listen).await?;
    let content = TcpListener::bind(SocketAddr::new(listen.ip(), 0)).await?;
    let (addr, content_addr) = (api.local_addr()?, content.local_addr()?);
    let control = match extras.control {
        Some(at) => Some(TcpListener::bind(at).await?),
        None => None,
    };
    let control_addr = control.as_ref().map(TcpListener::local_addr).transpose()?;
    let identity = extras.identity;
    let scheme = if identity.is_some() { "https" } else { "http" };
    let content_host = other_name(content_addr).await;
    world.set_content_base(format!("{scheme}://{content_host}"));
    let url = format!("{scheme}://{addr}");
    let stage = Arc::new(Stage {
        control: control_addr.map(|_| Control::new(world.clone(), url.clone())),
        world,
        log: extras.log,
    });
    let stop = CancellationToken::new();
    let mut listeners = Vec::new();
    for (tcp, host) in [(api, Host::Api), (content, Host::Content)] {
        let router = Router::new()
            .fallback(handle)
            .with_state((stage.clone(), host));
        listeners.push(match &identity {
            Some(identity) => spawn(identity.listen(tcp), router, stop.clone()),
            None => spawn(Breakable(tcp), router, stop.clone()),
        });
    }
    if let (Some(tcp), Some(control)) = (control, stage.control.clone()) {
        listeners.push(spawn(Breakable(tcp), control.router(), stop.clone()));
    }
    Ok(Server {
        url,
        addr,
        content_addr,
        control_addr,
        stop,
        listeners,
    })
}

/// The same place under another host name, where the system knows it by one: a client that takes its token
/// along gives itself away.
async fn other_name(addr: SocketAddr) -> String {
    let name = ("localhost", addr.port());
    let known = tokio::net::lookup_host(name).await;
    if known.is_ok_and(|mut found| found.any(|one| one == addr)) {
        return format!("localhost:{}", addr.port());
    }
    addr.to_string()
}

/// What all connections share.
struct Stage {
    world: World,
    log: Option<RequestLog>,
    control: Option<Control>,
}

#[derive(Clone, Copy)]
enum Host {
    Api,
    Content,
}

impl Host {
    const fn name(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Content => "content",
        }
    }
}

fn spawn<L>(listener: L, router: Router, stop: CancellationToken) -> JoinHandle<()>
where
    L: Listener,
    L::Addr: std::fmt::Debug,
    for<'a> Switch: Connected<IncomingStream<'a, L>>,
{
    tokio::spawn(async move {
        let service = router.into_make_service_with_connect_info::<Switch>();
        let serving = axum::serve(listener, service)
            .with_graceful_shutdown(async move { stop.cancelled().await });
        // It ends when told to; accept errors are dealt with inside.
        let _ = serving.await;
    })
}

async fn handle(
    State((stage, host)): State<(Arc<Stage>, Host)>,
    ConnectInfo(switch): ConnectInfo<Switch>,
    request: Request,
) -> Response {
    let control = stage
        .control
        .as_ref()
        .map(|control| (control, control.count()));
    if let Some((control, number)) = control {
        control.pass(number, control::Moment::Arrival).await;
    }
    let time = clock::now();
    let (head, body) = request.into_parts();
    let (body, route, exchange) = match receive(&head, body, stage.world.max_upload()).await {
        Ok(request) => {
            while_nothing_is_new(&stage.world, &request).await;
            let (route, exchange) = exchange(&stage.world, host, &request);
            (request.body, route, exchange)
        }
        Err(status) => {
            let reply = Reply::Whole(wire::Response::new(status.as_u16()));
            (Vec::new(), "refused".to_owned(), Exchange::whole(reply))
        }
    };
    if let Some((control, number)) = control {
        control.pass(number, control::Moment::Answer).await;
    }
    let delay = exchange.delay;
    let response = carried(exchange, &switch);
    if let Some(log) = &stage.log {
        let fate = Fate {
            route: &route,
            status: response.as_ref().ok().map(|sent| sent.status().as_u16()),
        };
        log.write(&Entry::new(time, host.name(), &head, &body, fate));
    }
    // Sleeping for no time still waits for the clock's next millisecond.
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    response.unwrap_or_else(|how| {
        switch.pull(how);
        bare(StatusCode::BAD_GATEWAY)
    })
}

/// Holds a long poll back until there is something to tell.
async fn while_nothing_is_new(world: &World, request: &wire::Request) {
    let end = Instant::now() + LONG_POLL;
    while let Some(change) = doors::waits(world, request) {
        if Instant::now() >= end {
            return;
        }
        // Somebody else may change it earlier.
        let look = Instant::now() + GLANCE;
        tokio::time::sleep_until(change.min(end).min(look)).await;
    }
}

/// What becomes of a request, and before it what the books call its route.
fn exchange(world: &World, host: Host, request: &wire::Request) -> (String, Exchange) {
    let method = request.method.as_str();
    // What is struck before it arrives has a route all the same.
    let known = route_name(&request.path).unwrap_or("unknown");
    let mut route = format!("{method} {known}");
    let exchange = layer::between(world, request, |world, request| match host {
        Host::Api => {
            let (named, answer) = doors::api(world, request);
            route = named;
            answer
        }
        Host::Content => doors::content(world, request),
    });
    (route, exchange)
}

/// The answer as it goes out; how the connection ends, if there is none.
fn carried(exchange: Exchange, switch: &Switch) -> Result<Response, End> {
    Ok(match (exchange.reply, exchange.cut) {
        (None, how) => return Err(how.map_or(End::Close, |(how, _)| how)),
        (Some(reply), None) if exchange.slow.is_zero() => match reply {
            Reply::Whole(response) => whole(response),
            Reply::Content(clip) => streamed(clip),
        },
        (Some(reply), None) => slow(reply, exchange.slow),
        (Some(reply), Some((how, bytes))) => cut(reply, bytes, switch.clone(), how),
    })
}

/// Sends so many bytes of the body, and breaks the connection once they are gone.
fn cut(reply: Reply, bytes: u64, switch: Switch, how: End) -> Response {
    let (head, body) = parts(reply);
    let start = body.read(0, usize::try_from(bytes).unwrap_or(usize::MAX));
    let start = stream::once(std::future::ready(Ok(Bytes::from(start))));
    let end = stream::once(async move {
        switch.drained().await;
        switch.pull(how);
        Err(io::Error::from(io::ErrorKind::ConnectionReset))
    });
    with_body(head, body.len(), Body::from_stream(start.chain(end)))
}

/// Sends the body in pieces, over so long.
fn slow(reply: Reply, over: Duration) -> Response {
    let (head, body) = parts(reply);
    let length = body.len();
    let piece = usize::try_from(length.div_ceil(PIECES)).unwrap_or(usize::MAX);
    let pieces = stream::unfold(0, move |sent: u64| {
        let chunk = body.read(sent, piece);
        async move {
            tokio::time::sleep(over / u32::try_from(PIECES).unwrap_or(1)).await;
            let sent = sent + chunk.len() as u64;
            (!chunk.is_empty()).then(|| (Ok::<_, Infallible>(Bytes::from(chunk)), sent))
        }
    });
    with_body(head, length, Body::from_stream(pieces))
}

/// The head of an answer, and its body apart.
fn parts(reply: Reply) -> (wire::Response, Clip) {
    match reply {
        Reply::Whole(mut response) => {
            let body = std::mem::take(&mut response.body);
            (response, Clip::whole(Content::Bytes(body.into())))
        }
        Reply::Content(clip) => (doors::head(&clip), clip),
    }
}

fn with_body(head: wire::Response, length: u64, body: Body) -> Response {
    let mut response = whole(head);
    *response.body_mut() = body;
    let length = HeaderValue::from(length);
    response
        .headers_mut()
        .insert(header::CONTENT_LENGTH, length);
    response
}

/// The request as data, or the status that says why it cannot be.
async fn receive(head: &Parts, body: Body, max_upload: usize) -> Result<wire::Request, StatusCode> {
    let method = match head.method {
        Method::GET => wire::Method::Get,
        Method::POST => wire::Method::Post,
        Method::PUT => wire::Method::Put,
        Method::DELETE => wire::Method::Delete,
        _ => return Err(StatusCode::METHOD_NOT_ALLOWED),
    };
    let headers: Vec<(String, String)> = head
        .headers
        .iter()
        .map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            (name.as_str().to_owned(), value)
        })
        .collect();
    let is_upload = head
        .headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"multipart/"));
    let limit = if is_upload { max_upload } else { MAX_JSON };
    let body = axum::body::to_bytes(body, limit)
        .await
        .map_err(|_| StatusCode::PAYLOAD_TOO_LARGE)?;
    Ok(wire::Request {
        method,
        path: head.uri.path().to_owned(),
        query: pairs(head.uri.query().unwrap_or_default()),
        headers,
        body: body.into(),
        form: None,
    })
}

fn pairs(query: &str) -> Vec<(String, String)> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            // Clients write forms: a blank is a plus sign.
            let decode = |text: &str| doors::decode(&text.replace('+', " "));
            (decode(key), decode(value))
        })
        .collect()
}

fn bare(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

fn whole(answer: wire::Response) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = status;
    for (name, value) in answer.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// Sends content as it is computed: a large file never lies in memory.
fn streamed(clip: Clip) -> Response {
    let (head, length) = (doors::head(&clip), clip.len());
    let chunks = stream::unfold((clip, 0_u64), |(clip, sent)| async move {
        let chunk = clip.read(sent, CHUNK);
        let sent = sent + chunk.len() as u64;
        (!chunk.is_empty()).then(|| (Ok::<_, Infallible>(Bytes::from(chunk)), (clip, sent)))
    });
    with_body(head, length, Body::from_stream(chunks))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::device::Os;
    use crate::sim::device::SimDevice;
    use crate::sim::world::Settings;
    use serde_json::{Value, json};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    const LARGE: u64 = 3_000_001;

    fn world() -> World {
        let mut device = SimDevice::new(7, "WS-7", Os::Windows);
        let content = Content::Seeded {
            magic: b"ElfFile\0",
            seed: 1,
            length: LARGE,
        };
        device
            .endpoint
            .plant(r"C:\big.evtx", Some(content), |_| {})
            .expect("legal");
        // Nothing takes time, so that nobody has to wait.
        let settings = Settings {
            check_in: Duration::ZERO,
            command: Duration::ZERO,
            ..Settings::default()
        };
        World::with(vec![device], settings)
    }

    fn client() -> reqwest::Client {
        // A provider must be there even for plain HTTP; another test may have installed it.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none());
        client.build().expect("a client")
    }

    async fn call(world: &World, request: reqwest::RequestBuilder) -> (u16, Value) {
        let answer = request
            .header("X-Auth-Token", world.token())
            .send()
            .await
            .expect("an answer");
        let status = answer.status().as_u16();
        let body = answer.bytes().await.expect("a body");
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    fn post(client: &reqwest::Client, url: &str, body: &Value) -> reqwest::RequestBuilder {
        client
            .post(url)
            .header("Content-Type", "application/json")
            .body(body.to_string())
    }

    #[tokio::test]
    async fn a_file_comes_over_real_connections() {
        let world = world();
        let server = serve(world.clone(), SocketAddr::from(([127, 0, 0, 1], 0)))
            .await
            .expect("serves");
        let client = client();
        let base = format!("{}/appservices/v6/orgs/{}", server.url, world.org_key());
        let sessions = format!("{base}/liveresponse/sessions");

        let request = post(&client, &sessions, &json!({"device_id": 7}));
        let (status, session) = call(&world, request).await;
        assert_eq!((status, &session["id"]), (201, &json!("1:7")));
        let commands = format!("{sessions}/1:7/commands");
        let get = json!({"name": "get file", "path": "C:\\big.evtx"});
        call(&world, post(&client, &commands, &get)).await;
        let (_, command) = call(&world, client.get(format!("{commands}/0"))).await;
        assert_eq!(command["status"], "COMPLETE");

        let file = command["file_details"]["file_id"].as_str().expect("named");
        let content = client.get(format!("{sessions}/1:7/files/{file}/content"));
        let redirect = content
            .header("X-Auth-Token", world.token())
            .send()
            .await
            .expect("an answer");
        assert_eq!(redirect.status().as_u16(), 302);
        let location = redirect.headers()["location"]
            .to_str()
            .expect("text")
            .to_owned();
        let host = other_name(server.content_addr).await;
        assert!(location.starts_with(&format!("http://{host}/signed/")));
        let fetched = client.get(&location).send().await.expect("an answer");
        assert_eq!(fetched.content_length(), Some(LARGE));
        let bytes = fetched.bytes().await.expect("a body");
        assert!(bytes.starts_with(b"ElfFile\0") && bytes.len() as u64 == LARGE);

        let (status, _) = call(&world, client.delete(format!("{sessions}/1:7"))).await;
        assert_eq!(status, 204);
        let books = world.books();
        assert_eq!((books.sessions_open, books.content_bytes), (0, LARGE));
        assert_eq!(
            (books.credentials_leaked, books.unknown_routes.len()),
            (0, 0)
        );
        server.shutdown().await;
    }

    #[tokio::test]
    async fn nonsense_is_refused_politely() {
        let world = world();
        let server = serve(world.clone(), SocketAddr::from(([127, 0, 0, 1], 0)))
            .await
            .expect("serves");
        let client = client();
        let base = format!("{}/appservices/v6/orgs/{}", server.url, world.org_key());
        let sessions = format!("{base}/liveresponse/sessions");
        let url = |path: &str| format!("{base}{path}");
        let requests = [
            (400, post(&client, &sessions, &json!([]))),
            (400, client.post(&sessions).body("{\"device_id\": ")),
            (400, client.post(&sessions)),
            (404, post(&client, &sessions, &json!({"device_id": -1}))),
            (405, client.put(&sessions)),
            (405, client.patch(&sessions)),
            (
                400,
                client
                    .post(format!("{}/devices/_search", &base))
                    .body("\u{0}"),
            ),
            (404, client.get(url("/liveresponse/sessions/%00:%ff"))),
            (404, client.get(url("/alerts"))),
            (404, client.get(format!("{}/signed/x/y", server.url))),
        ];
        for (expected, request) in requests {
            let shown = format!("{request:?}");
            let (status, _) = call(&world, request).await;
            assert_eq!(status, expected, "{shown}");
        }
        let wrong = client
            .get(&sessions)
            .header("X-Auth-Token", "no")
            .send()
            .await
            .expect("an answer");
        assert_eq!(wrong.status().as_u16(), 401);
        assert_eq!(world.books().unknown_routes.len(), 2);

        // What is no HTTP at all.
        let mut raw = TcpStream::connect(server.addr).await.expect("connects");
        raw.write_all(b"\x16\x03\x01 hello\r\n\r\n")
            .await
            .expect("sends");
        let mut said = Vec::new();
        raw.read_to_end(&mut said).await.expect("it hangs up");
        assert!(said.is_empty() || said.starts_with(b"HTTP/1.1 400"));
        server.shutdown().await;
    }
}
