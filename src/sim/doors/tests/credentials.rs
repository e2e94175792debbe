//! Keys, access tokens, and who is let in.

use super::*;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

const APP: &str = "/csp/gateway/am/api/auth/token";
const TOKEN: &str = "/csp/gateway/am/api/auth/api-tokens/authorize";

fn exchange(world: &World, path: &str, basic: Option<&str>, form: &str) -> (u16, Value) {
    let mut request = Request::new(Method::Post, path);
    request.headers = vec![(
        "content-type".into(),
        "application/x-www-form-urlencoded".into(),
    )];
    if let Some(pair) = basic {
        let value = format!("Basic {}", BASE64_STANDARD.encode(pair));
        request.headers.push(("authorization".into(), value));
    }
    request.body = form.as_bytes().to_vec();
    told(&answer(world, &request))
}

fn with(world: &World, header: &str, value: &str) -> u16 {
    let mut request = Request::new(Method::Get, path(world, "liveresponse/sessions"));
    request.headers.push((header.into(), value.into()));
    answer(world, &request).status
}

#[tokio::test(start_paused = true)]
async fn access_tokens_are_exchanged_and_end() {
    let world = World::new(vec![windows(1)]);
    let csp = world.csp().clone();
    let pair = format!("{}:{}", csp.app_id, csp.app_secret);
    let grant = "grant_type=client_credentials";
    let form = format!("x=1&api_token={}", csp.api_token);
    for (path, pair, form) in [(APP, Some(&*pair), grant), (TOKEN, None, &*form)] {
        let (status, granted) = exchange(&world, path, pair, form);
        assert_eq!(status, 200, "{granted}");
        assert_eq!(granted["token_type"], "bearer");
        assert!(granted["scope"].is_string());
        let bearer = format!("Bearer {}", granted["access_token"].as_str().expect("text"));
        assert_eq!(with(&world, "Authorization", &bearer), 200);
        let life = granted["expires_in"].as_u64().expect("a number");
        advance(Duration::from_secs(life - 1)).await;
        assert_eq!(with(&world, "authorization", &bearer), 200);
        advance(SECOND).await;
        assert_eq!(with(&world, "authorization", &bearer), 401);
    }
    for (path, pair, form) in [
        (APP, None, grant),
        (APP, Some("a:b"), grant),
        (APP, Some(&*pair), "grant_type=password"),
        (TOKEN, None, "api_token=x"),
        (TOKEN, Some(&*pair), ""),
    ] {
        let (status, body) = exchange(&world, path, pair, form);
        assert_eq!(status, 400, "{path} {form}");
        assert!(body["message"].is_string(), "clients show it");
    }
    let unknown = exchange(&world, "/csp/gateway/am/api/auth/other", None, grant);
    assert_eq!(unknown.0, 401);
    assert_eq!(answer(&world, &Request::new(Method::Get, APP)).status, 405);
    assert_eq!(world.books().unknown_routes.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_the_cloud_has_below_api_is_its_own() {
    let world = World::new(vec![windows(1)]);
    for (path, expected) in [
        ("/api/investigate/v2/orgs/X/processes/search_jobs", 404),
        ("/api/alerts/v7/orgs/X/alerts/_search", 404),
        ("/api/v1/sensor", 401),
    ] {
        let mut request = Request::new(Method::Post, path);
        let token = ("x-auth-token".to_owned(), world.token().to_owned());
        request.headers.push(token);
        assert_eq!(answer(&world, &request).status, expected, "{path}");
    }
    // A test that needs them must notice.
    assert_eq!(world.books().unknown_routes.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn only_the_key_opens_and_only_its_own_organisation() {
    let world = World::new(vec![windows(1)]);
    assert_eq!(with(&world, "X-AUTH-TOKEN", world.token()), 200);
    for (header, value) in [
        ("x-auth-token", ""),
        ("x-auth-token", "NO/NO"),
        ("x-auth-token", &world.token().to_lowercase()),
        ("authorization", world.token()),
        ("authorization", "Bearer "),
        ("cookie", world.token()),
    ] {
        assert_eq!(with(&world, header, value), 401, "{header}: {value}");
    }
    let mut request = Request::new(
        Method::Get,
        "/appservices/v6/orgs/OTHER/liveresponse/sessions",
    );
    let token = ("x-auth-token".to_owned(), world.token().to_owned());
    request.headers.push(token);
    let (status, body) = told(&answer(&world, &request));
    assert_eq!(status, 403);
    assert!(
        body["message"]
            .as_str()
            .is_some_and(|text| text.contains("org_id"))
    );
}
