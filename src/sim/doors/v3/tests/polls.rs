//! Long polls, which a real server holds.

use super::*;
use crate::sim::doors::waits;
use crate::sim::server::serve;
use std::net::SocketAddr;

#[tokio::test]
async fn a_long_poll_is_answered_when_there_is_something_to_tell() {
    let settings = Settings {
        check_in: Duration::from_millis(200),
        command: Duration::from_millis(200),
        ..Settings::default()
    };
    let world = World::with(vec![device()], settings);
    let server = serve(world.clone(), SocketAddr::from(([127, 0, 0, 1], 0)))
        .await
        .expect("serves");
    // A provider must be there even for plain HTTP; another test may have installed it.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build();
    let client = client.expect("a client");
    let base = format!("{}/integrationServices/v3/cblr/session", server.url);
    let call = async |request: reqwest::RequestBuilder| {
        let request = request.header("X-Auth-Token", &world.keys().v3);
        let answer = request.send().await.expect("an answer");
        let body = answer.bytes().await.expect("a body");
        serde_json::from_slice::<Value>(&body).expect("JSON")
    };

    let opened = call(client.post(format!("{base}/98765"))).await;
    assert_eq!(opened["status"], "PENDING");
    let active = call(client.get(format!("{base}/1:98765?wait=true"))).await;
    assert_eq!(active["status"], "ACTIVE");
    let commands = format!("{base}/1:98765/command");
    let first = client.post(&commands).body(r#"{"name": "process list"}"#);
    let second = client.post(&commands).body(r#"{"name": "process list"}"#);
    assert_eq!(call(first).await["status"], "pending");
    assert_eq!(call(second).await["status"], "pending");
    // It waits for those before it too.
    let ended = call(client.get(format!("{commands}/1?wait=True"))).await;
    assert_eq!(ended["status"], "complete");
    // What has ended is told at once, and what is not there as well.
    let ended = call(client.get(format!("{commands}/0?wait=true"))).await;
    assert_eq!(ended["status"], "complete");
    let missing = call(client.get(format!("{base}/2:98765?wait=true"))).await;
    assert_eq!(missing["status"], "NOT_FOUND");
    server.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn who_has_no_key_waits_for_nothing() {
    let world = World::with(vec![device()], Settings::default());
    post(&world, "cblr/session/98765", &json!({}));
    let poll = format!("{SESSION}?wait=true");
    let mut poll = request(&world, Method::Get, &poll);
    assert!(waits(&world, &poll).is_some());
    poll.headers = vec![("x-auth-token".to_owned(), world.token().to_owned())];
    assert_eq!(waits(&world, &poll), None);
    poll.headers.clear();
    assert_eq!(waits(&world, &poll), None);
}
