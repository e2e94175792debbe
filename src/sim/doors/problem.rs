//! Why a door says no, and how each product words it.

use super::Product;
use crate::sim::world::{Missing, Refusal};
use crate::wire::Response;
use serde_json::json;

#[derive(Debug)]
pub(super) enum Problem {
    Refused(Refusal),
    Said {
        status: u16,
        code: &'static str,
        message: String,
    },
}

impl Problem {
    const BAD_QUERY: &'static str = "INVALID_QUERY";

    pub(super) fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self::Said {
            status,
            code,
            message: message.into(),
        }
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BAD_REQUEST", message)
    }

    pub(super) fn bad_query(message: impl Into<String>) -> Self {
        Self::new(400, Self::BAD_QUERY, message)
    }

    pub(super) fn unauthorized() -> Self {
        Self::new(401, "UNAUTHORIZED", "the API key is not valid")
    }

    pub(super) fn unknown_route() -> Self {
        Self::new(404, "UNKNOWN_ROUTE", "there is no such route")
    }

    pub(super) fn too_large() -> Self {
        Self::new(413, "PAYLOAD_TOO_LARGE", "the body is too large")
    }

    pub(super) fn wrong_method() -> Self {
        Self::new(
            405,
            "METHOD_NOT_ALLOWED",
            "the route exists, the method does not",
        )
    }

    /// The answer, as clients of the product know it.
    pub(super) fn told(self, product: Product) -> Response {
        let (status, code, message) = match self {
            Self::Said {
                status,
                code,
                message,
            } => (status, code, message),
            Self::Refused(refusal) => {
                let (status, code) = status(&refusal);
                let status = match (product, &refusal) {
                    // Its client begins a new session where it is told that this one, or its sensor, is gone;
                    // of a second one it says the same.
                    (Product::Edr, Refusal::NotActive(_) | Refusal::SessionExists(_)) => 404,
                    _ => status,
                };
                (status, code, worded(product, &refusal))
            }
        };
        let is_bad_query = code == Self::BAD_QUERY;
        let mut body = match product {
            Product::Cloud => json!({"error_code": code, "message": message}),
            Product::V3 => json!({"reason": message, "success": false, "status": code}),
            Product::AppControl => json!({"message": message}),
            Product::Edr if is_bad_query => json!({"message": message}),
            Product::Edr => {
                return Response {
                    headers: vec![("content-type".into(), "text/plain; charset=utf-8".into())],
                    body: message.into_bytes(),
                    ..Response::new(status)
                };
            }
        };
        if is_bad_query {
            // The one error that clients know by its reason.
            body["reason"] = json!("query_malformed_syntax");
        }
        Response::json(status, &body)
    }
}

fn status(refusal: &Refusal) -> (u16, &'static str) {
    match refusal {
        Refusal::NotFound(_) => (404, "NOT_FOUND"),
        Refusal::SessionLimit | Refusal::LiveResponseOff(_) | Refusal::BadTicket => {
            (403, "FORBIDDEN")
        }
        Refusal::NotActive(_) | Refusal::SessionExists(_) => (409, "CONFLICT"),
        Refusal::CommandLimit(_) | Refusal::Unsupported(_) => (400, "BAD_REQUEST"),
    }
}

/// Clients look at some of these texts.
fn worded(product: Product, refusal: &Refusal) -> String {
    match (product, refusal) {
        (Product::V3, Refusal::NotFound(Missing::Session(_))) => "Session not found".to_owned(),
        (Product::V3, Refusal::NotFound(Missing::Device(_))) => {
            "Unable to find: sensorId".to_owned()
        }
        (Product::Edr, Refusal::NotFound(Missing::Session(id))) => {
            format!("Session {} not found", number(id))
        }
        (Product::Edr, Refusal::NotFound(Missing::Device(id))) => format!("Sensor {id} not found"),
        (Product::Edr, Refusal::NotFound(Missing::Command(number))) => {
            format!("Command {} not found", number + 1)
        }
        (Product::Edr, Refusal::NotActive(id)) => {
            format!("Sensor of session {} is not connected", number(id))
        }
        (Product::Edr, Refusal::SessionExists(id)) => {
            format!("Sensor already has the session {}", number(id))
        }
        _ => refusal.to_string(),
    }
}

/// EDR calls a session by its number alone.
fn number(id: &str) -> &str {
    id.split(':').next().unwrap_or(id)
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}
