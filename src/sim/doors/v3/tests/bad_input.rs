//! What no client should send: a refusal in the words of the product, and never a panic.

use super::*;

fn assert_refused(world: &World, request: &Request, status: u16) {
    let (seen, body) = told(&answer(world, request));
    let shown = format!("{} {}", request.method.as_str(), request.path);
    assert_eq!(
        (seen, &body["success"]),
        (status, &json!(false)),
        "{shown}: {body}"
    );
    assert!(
        body["reason"].is_string() && body["status"].is_string(),
        "{shown}: {body}"
    );
}

#[tokio::test(start_paused = true)]
async fn bodies_that_are_none_are_refused() {
    let world = World::new(vec![device()]);
    active(&world, &json!({})).await;
    upload(&world, "x");
    send(&world, &json!({"name": "process list"}));
    let command = format!("{SESSION}/command");
    let (one, file) = (format!("{command}/0"), format!("{SESSION}/file/1"));
    let deep = "[".repeat(100_000);
    for (method, rest) in [
        (Method::Post, "cblr/session/98765"),
        (Method::Put, "cblr/session"),
        (Method::Post, &command),
        (Method::Put, &one),
        (Method::Put, &file),
    ] {
        for body in [
            &b"{"[..],
            b"null",
            b"3",
            b"\"x\"",
            b"[]",
            b"\xff\xfe",
            deep.as_bytes(),
        ] {
            let mut request = request(&world, method, rest);
            request.body = body.to_vec();
            assert_refused(&world, &request, 400);
        }
    }
    for (method, rest) in [
        (Method::Put, "cblr/session"),
        (Method::Post, &command),
        (Method::Put, &file),
        (Method::Post, &format!("{SESSION}/file")),
    ] {
        assert_refused(&world, &request(&world, method, rest), 400);
    }
    let large = request(&world, Method::Post, &command).json(&json!({"name": "x".repeat(11_000)}));
    assert_refused(&world, &large, 400);
}

#[tokio::test(start_paused = true)]
async fn commands_and_terms_that_make_no_sense_are_refused() {
    let world = World::new(vec![device()]);
    active(&world, &json!({})).await;
    let refused = |body: &Value, status: u16| {
        let request = request(&world, Method::Post, &format!("{SESSION}/command")).json(body);
        assert_refused(&world, &request, status);
    };
    for body in [
        json!({}),
        json!({"name": null}),
        json!({"name": 5}),
        json!({"name": "execute", "object": "x"}),
        json!({"name": "Process List"}),
        json!({"name": "delete file"}),
        json!({"name": "delete file", "path": "C:\\temp\\a.txt"}),
        json!({"name": "delete file", "object": ["C:\\temp\\a.txt"]}),
        json!({"name": "kill", "object": -4}),
        json!({"name": "kill", "object": "four"}),
        json!({"name": "kill", "pid": 700}),
        json!({"name": "put file", "object": "C:\\x"}),
        json!({"name": "put file", "object": "C:\\x", "file_id": [1]}),
        json!({"name": "get file", "object": "C:\\x", "offset": -1}),
        json!({"name": "create process", "object": "x", "wait": 1}),
        json!({"name": "reg set value", "object": "HKLM\\X\\v", "value_type": "REG_DWORD",
            "value_data": "x"}),
    ] {
        refused(&body, 400);
    }
    for file in [
        json!(0),
        json!(7),
        json!(-1),
        json!(1.5),
        json!("x"),
        json!(""),
    ] {
        refused(
            &json!({"name": "put file", "object": "C:\\x", "file_id": file}),
            404,
        );
    }
    for terms in [
        json!({"checkin_timeout": "soon"}),
        json!({"session_timeout": []}),
        json!({"sensor_wait_timeout": 1.5}),
        json!({"default_command_timeout": {}}),
    ] {
        let open = request(&world, Method::Post, "cblr/session/98765").json(&terms);
        assert_refused(&world, &open, 400);
    }
    let kept = request(&world, Method::Put, &format!("{SESSION}/file/1"));
    assert_refused(&world, &kept.json(&json!({"delete": "perhaps"})), 400);
    advance(SECOND).await;
    assert_eq!(get(&world, SESSION).1["current_command_index"], 0);
}

#[tokio::test(start_paused = true)]
async fn ids_and_queries_that_make_no_sense_are_refused() {
    let world = World::new(vec![device()]);
    active(&world, &json!({})).await;
    upload(&world, "x");
    for id in [
        "", ":", "1:", ":98765", "1:98765:", "x:y", "%00", "%ff", "💥", "-1:98765",
    ] {
        for rest in [
            "",
            "/keepalive",
            "/command",
            "/command/0",
            "/file",
            "/file/1",
        ] {
            let request = request(&world, Method::Get, &format!("cblr/session/{id}{rest}"));
            assert_refused(&world, &request, 404);
        }
    }
    for id in ["0", "x", "-1", "1.5", "99999999999999999999", ""] {
        for kind in ["command", "file"] {
            let rest = format!("{SESSION}/{kind}/{id}");
            assert_refused(&world, &request(&world, Method::Get, &rest), 404);
            let put = request(&world, Method::Put, &rest).json(&json!({"delete": true}));
            assert_refused(&world, &put, 404);
        }
        let rest = format!("{SESSION}/file/{id}/content");
        assert_refused(&world, &request(&world, Method::Get, &rest), 404);
    }
    for query in ["status=done", "status=", "count=-1", "count=x", "count=1.5"] {
        let rest = format!("{SESSION}/command?{query}");
        assert_refused(&world, &request(&world, Method::Get, &rest), 400);
    }
    for query in [
        "rows=x",
        "rows=-1",
        "start=x",
        "start=-1",
        "limit=",
        "hostname=WS",
        "q=x",
    ] {
        assert_refused(
            &world,
            &request(&world, Method::Get, &format!("device?{query}")),
            400,
        );
    }
}

#[tokio::test(start_paused = true)]
async fn wrong_methods_and_unknown_routes() {
    use Method::{Delete, Get, Post, Put};
    let world = World::new(vec![device()]);
    active(&world, &json!({})).await;
    upload(&world, "x");
    send(&world, &json!({"name": "process list"}));
    for (rest, wrong) in [
        ("cblr/session", &[Get, Post, Delete][..]),
        (SESSION, &[Put, Delete]),
        (&format!("{SESSION}/keepalive"), &[Post, Put, Delete]),
        (&format!("{SESSION}/command"), &[Put, Delete]),
        (&format!("{SESSION}/command/0"), &[Post, Delete]),
        (&format!("{SESSION}/file"), &[Put, Delete]),
        (&format!("{SESSION}/file/1"), &[Post]),
        (&format!("{SESSION}/file/1/content"), &[Post, Put, Delete]),
        ("device", &[Post, Put, Delete]),
        ("device/98765", &[Post, Put, Delete]),
    ] {
        for method in wrong {
            let request = request(&world, *method, rest).json(&json!({}));
            assert_refused(&world, &request, 405);
        }
    }
    assert!(world.books().unknown_routes.is_empty());
    for rest in [
        "",
        "cblr",
        "cblr/",
        "cblr/session/1:98765/archive",
        "device/1/x",
        "policy",
    ] {
        assert_refused(&world, &request(&world, Get, rest), 404);
    }
    assert_eq!(world.books().unknown_routes.len(), 6);
    let requests = world.books().requests;
    assert_eq!(requests.get("POST v3/cblr/session/{id}/file"), Some(&1));
    assert_eq!(requests.get("DELETE v3/device/{id}"), Some(&1));
}
