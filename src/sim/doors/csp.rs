//! Credentials: the key in its header, or an access token that was exchanged for one before.

use super::{Problem, Product, Reply, Routed, decode};
use crate::sim::world::World;
use crate::wire::{Method, Request, Response};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

const PREFIX: &str = "/csp/gateway/am/api/auth/";

/// Does the request carry a key or an access token that is valid for this product?
pub(super) fn is_admitted(world: &World, request: &Request, product: Product) -> bool {
    let keys = world.keys();
    if let Some(token) = request.header("x-auth-token") {
        return match product {
            Product::Cloud => token == keys.cloud,
            // There an application may stand in place of a key.
            Product::V3 => {
                let csp = world.csp();
                token == keys.v3 || token == format!("{}/{}", csp.app_secret, csp.app_id)
            }
            Product::Edr => token == keys.edr,
            Product::AppControl => token == keys.app_control,
        };
    }
    product == Product::Cloud
        && request
            .header("authorization")
            .and_then(|value| value.strip_prefix("Bearer "))
            .is_some_and(|token| world.admits(token))
}

/// The routes where access tokens are had; none if it is no such route.
pub(super) fn answer(world: &World, request: &Request) -> Routed {
    let (route, is_right) = match request.path.strip_prefix(PREFIX)? {
        "token" => ("csp/auth/token", is_our_app(world, request)),
        "api-tokens/authorize" => (
            "csp/auth/api-tokens/authorize",
            field(&request.body, "api_token").is_some_and(|token| token == world.csp().api_token),
        ),
        _ => return None,
    };
    let answer = match (request.method, is_right) {
        (Method::Post, true) => Ok(Response::json(200, &granted(world))),
        // Clients show the message and look at nothing else.
        (Method::Post, false) => Ok(Response::json(
            400,
            &json!({"message": "invalid_grant: the credential is not valid", "statusCode": 400}),
        )),
        _ => Err(Problem::wrong_method()),
    };
    Some((route, answer.map(Reply::Whole)))
}

fn granted(world: &World) -> Value {
    let (token, life) = world.grant();
    json!({
        "access_token": token,
        "expires_in": life,
        "token_type": "bearer",
        "scope": "openid ALL_PERMISSIONS",
    })
}

fn is_our_app(world: &World, request: &Request) -> bool {
    let csp = world.csp();
    let basic = request
        .header("authorization")
        .and_then(|value| value.strip_prefix("Basic "))
        .and_then(|text| BASE64_STANDARD.decode(text.trim()).ok());
    let given = basic.as_deref() == Some(format!("{}:{}", csp.app_id, csp.app_secret).as_bytes());
    given && field(&request.body, "grant_type").as_deref() == Some("client_credentials")
}

/// A field of a form.
fn field(body: &[u8], name: &str) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    text.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        (key == name).then(|| decode(&value.replace('+', " ")))
    })
}
