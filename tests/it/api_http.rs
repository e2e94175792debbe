//! The real client against a server that writes literal bytes: what leaves this machine, and what a
//! broken answer is taken for.

use sortie::api::transport::{Download, LARGEST_ANSWER, Source, Transport};
use sortie::api::{Behind, Http, connect};
use sortie::config::credentials::{Profile, Sources, load};
use sortie::live::{Buffer, DeviceQuery, Fleet, Ours};
use sortie::model::id::{DeviceId, FileId};
use sortie::model::outcome::Cause;
use sortie::wire::{Method, Request};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

const TOKEN: &str = "CANARY0SECRET/AB12CD34EF";

/// Answers each connection with the next of its answers, and keeps what it was asked.
struct Server {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn new(answers: Vec<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        tokio::spawn(async move {
            for answer in answers {
                let (mut stream, _) = listener.accept().await.expect("accepts");
                let request = request(&mut stream).await;
                log.lock().expect("no panic").push(request);
                // The client may have left already: some tests are about that.
                drop(stream.write_all(answer.as_bytes()).await);
                drop(stream.shutdown().await);
            }
        });
        Self { address, asked }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no panic").clone()
    }
}

/// Reads one request, head and body.
async fn request(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                let is_length = name.eq_ignore_ascii_case("content-length");
                is_length.then(|| value.trim().parse::<usize>().expect("is a number"))
            });
            if body.len() >= length.unwrap_or(0) {
                return text;
            }
        }
        let read = stream.read(&mut buffer).await.expect("reads");
        if read == 0 {
            return text;
        }
        bytes.extend_from_slice(&buffer[..read]);
    }
}

fn answer(head: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {head}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}")
}

fn profile(url: &str) -> Profile {
    let variable = |name: &str| {
        Some(match name {
            "CBC_URL" => url.to_owned(),
            "CBC_TOKEN" => TOKEN.to_owned(),
            "CBC_ORG_KEY" => "ABCD1234".to_owned(),
            // Nothing here depends on which authorities a machine trusts.
            "CBC_SSL_VERIFY" => "no".to_owned(),
            _ => return None,
        })
    };
    load(Sources::default(), &variable).expect("is a good profile")
}

fn client(url: &str) -> Http {
    Http::new(&profile(url)).expect("sets up")
}

fn get() -> Request {
    Request::new(Method::Get, "/appservices/x")
}

fn buffer() -> Buffer {
    Buffer {
        bytes: Vec::new(),
        limit: 1 << 20,
    }
}

#[tokio::test]
async fn a_request_goes_out_whole_and_comes_back_whole() {
    let server = Server::new(vec![answer("200 OK\r\nx-other: y", "[1, 2]")]).await;
    let request = Request::new(Method::Post, "/a:b").json(&serde_json::json!({"k": "v"}));
    let response = client(&server.url()).send(request).await.expect("answers");
    assert_eq!((response.status, &*response.body), (200, &b"[1, 2]"[..]));
    assert_eq!(response.header("X-Other"), Some("y"));
    let asked = server.asked().remove(0).to_lowercase();
    let parts = [
        "post /a:b http/1.1\r\n",
        "\r\ncontent-type: application/json\r\n",
        &format!("\r\nx-auth-token: {}\r\n", TOKEN.to_lowercase()),
        &format!("\r\nuser-agent: sortie/{}\r\n", env!("CARGO_PKG_VERSION")),
        "\r\n\r\n{\"k\":\"v\"}",
    ];
    for part in parts {
        assert!(asked.contains(part), "{part:?} in {asked:?}");
    }
    assert!(!asked.contains("accept-encoding"), "{asked:?}");
}

#[tokio::test]
async fn a_file_goes_out_whole_in_pieces() {
    let server = Server::new(vec![answer("201 Created", "{}")]).await;
    let content: String = ('a'..='z').cycle().take(200_000).collect();
    let request =
        Request::new(Method::Post, "/files").file("t.exe", content.as_bytes().into(), "fence");
    let length = request.length();
    let response = client(&server.url()).send(request).await.expect("answers");
    assert_eq!(response.status, 201);
    let asked = server.asked().remove(0);
    let (head, body) = asked.split_once("\r\n\r\n").expect("a head and a body");
    let head = head.to_ascii_lowercase();
    assert!(
        head.contains(&format!("content-length: {length}\r\n")),
        "{head}"
    );
    assert!(!head.contains("transfer-encoding"), "{head}");
    assert!(
        head.contains("content-type: multipart/form-data; boundary=fence"),
        "{head}"
    );
    assert_eq!(body.len(), length);
    assert!(body.ends_with(&format!("\r\n\r\n{content}\r\n--fence--\r\n")));
}

#[tokio::test]
async fn no_redirect_is_followed() {
    for status in ["301", "302", "303", "307", "308"] {
        let elsewhere = Server::new(vec![answer("200 OK", "{}")]).await;
        let head = format!("{status} Moved\r\nlocation: {}/x", elsewhere.url());
        let server = Server::new(vec![answer(&head, "")]).await;
        let response = client(&server.url()).send(get()).await.expect("answers");
        assert_eq!(response.status.to_string(), status);
        assert!(elsewhere.asked().is_empty());
    }
}

#[tokio::test]
async fn a_broken_answer_is_never_taken_for_a_whole_one() {
    let cut = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"half\":".to_owned();
    let unended = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n".to_owned();
    for text in [cut, unended, String::new(), "SSH-2.0-x\r\n".to_owned()] {
        let server = Server::new(vec![text.clone(), text.clone()]).await;
        let client = client(&server.url());
        let sent = client.send(get()).await;
        assert!(
            matches!(sent, Err(Cause::ConnectionLost { .. })),
            "{text:?}: {sent:?}"
        );
        let mut sink = buffer();
        let got = client.download(Source::Api(get()), &mut sink).await;
        assert!(
            matches!(got, Err(Cause::ConnectionLost { .. })),
            "{text:?}: {got:?}"
        );
    }
}

#[tokio::test]
async fn what_was_never_sent_is_told_apart() {
    let listener = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    drop(listener);
    let refused = client(&format!("http://{address}")).send(get()).await;
    assert!(
        matches!(refused, Err(Cause::Unconnected { .. })),
        "{refused:?}"
    );

    // Whoever answers there does not speak TLS.
    let listener = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("accepts");
        let mut hello = [0; 4096];
        assert!(stream.read(&mut hello).await.expect("reads") > 0);
        let text = answer("400 Bad Request", "");
        drop(stream.write_all(text.as_bytes()).await);
    });
    let plain = client(&format!("https://{address}")).send(get()).await;
    assert!(matches!(plain, Err(Cause::Tls { .. })), "{plain:?}");
}

#[tokio::test]
async fn an_answer_without_end_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port is free");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("accepts");
        request(&mut stream).await;
        let head = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n";
        drop(stream.write_all(head.as_bytes()).await);
        let chunk = vec![b' '; 1 << 20];
        for _ in 0..200 {
            if stream.write_all(&chunk).await.is_err() {
                break;
            }
        }
    });
    let sent = client(&url).send(get()).await;
    let limit = LARGEST_ANSWER as u64;
    assert_eq!(sent, Err(Cause::TooLarge { limit }));
}

#[tokio::test]
async fn a_signed_address_must_be_safe() {
    let table = [
        (
            "http://127.0.0.1:1",
            "http://store.example/key?sig=s",
            "store.example",
        ),
        ("http://127.0.0.1:1", "ftp://127.0.0.1/key", "127.0.0.1"),
        (
            "http://127.0.0.1:1",
            "https://user:pw@127.0.0.1/key",
            "127.0.0.1",
        ),
        // Down from TLS to plain text, even on this machine.
        (
            "https://127.0.0.1:1",
            "http://127.0.0.1:2/key",
            "127.0.0.1:2",
        ),
    ];
    for (base, location, host) in table {
        let source = Source::Signed(location.to_owned());
        let got = client(base).download(source, &mut buffer()).await;
        match got {
            Err(Cause::Redirected { host: told }) => assert_eq!(told, host, "{location}"),
            other => panic!("{location}: {other:?}"),
        }
    }
}

const SESSION: &str = r#"{"id":"7:5","status":"ACTIVE","drives":["C:\\"]}"#;
const DEVICE: &str = r#"{"results":[{"id":5,"name":"WS-5","os":"WINDOWS"}],"num_found":1}"#;

#[tokio::test]
async fn a_file_comes_from_its_store_without_our_token() {
    let store = Server::new(vec![
        // A first answer breaks off: the second must not be appended to it.
        "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nevid".to_owned(),
        answer("200 OK", "evidence!"),
    ])
    .await;
    let pointer = answer(
        &format!(
            "302 Found\r\nset-cookie: sid=1\r\nlocation: {}/key?sig=s",
            store.url()
        ),
        "",
    );
    let api = Server::new(vec![
        answer("200 OK", DEVICE),
        answer("201 Created", SESSION),
        pointer.clone(),
        pointer,
        answer("404 Not Found", ""),
    ])
    .await;
    let fleet = connect(&profile(&api.url()), Behind::Simulator).expect("sets up");
    let query = DeviceQuery {
        ids: vec![DeviceId(5)],
        all_of: None,
    };
    let device = fleet.find(query).await.expect("finds").remove(0);
    let mut session = fleet
        .request(&device, &Ours::default())
        .await
        .expect("opens");
    let deadline = Instant::now() + Duration::from_mins(1);
    let mut sink = buffer();
    let file = FileId::from("f");
    let received = session.content(&file, &mut sink, deadline).await;
    assert_eq!((received, &*sink.bytes), (Ok(9), &b"evidence!"[..]));
    assert_eq!(session.close().await, Err(Cause::SessionLost));

    assert_eq!(store.asked().len(), 2);
    for asked in store.asked() {
        let asked = asked.to_lowercase();
        assert!(asked.starts_with("get /key?sig=s http/1.1\r\n"), "{asked}");
        for secret in [
            "canary",
            "x-auth-token",
            "authorization",
            "cookie",
            "referer",
        ] {
            assert!(!asked.contains(secret), "{secret} in {asked}");
        }
    }
    assert!(api.asked().iter().all(|asked| asked.contains(TOKEN)));
}

#[tokio::test]
async fn a_second_redirect_is_refused() {
    let elsewhere = Server::new(vec![answer("200 OK", "x")]).await;
    let store = Server::new(vec![answer(
        &format!("302 Found\r\nlocation: {}/y", elsewhere.url()),
        "",
    )])
    .await;
    let source = Source::Signed(format!("{}/x", store.url()));
    let got = client("http://127.0.0.1:1")
        .download(source, &mut buffer())
        .await;
    match got {
        Ok(Download::Refused(response)) => assert_eq!(response.status, 302),
        other => panic!("{other:?}"),
    }
    assert!(elsewhere.asked().is_empty());
}
