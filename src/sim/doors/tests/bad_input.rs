//! What no client should send: an answer as the contract has it, and never a panic.

use super::*;
use crate::sim::world::Settings;

fn assert_problem(world: &World, request: &Request, status: u16) {
    let (got, body) = told(&answer(world, request));
    let shown = format!("{} {}", request.method.as_str(), request.path);
    assert_eq!(got, status, "{shown}: {body}");
    for key in ["error_code", "message"] {
        assert!(body[key].is_string(), "{shown}: {body}");
    }
}

#[tokio::test(start_paused = true)]
async fn bodies_that_are_none_are_refused() {
    let world = World::new(vec![windows(1)]);
    let session = active(&world, &json!({"device_id": 1})).await;
    let commands = format!("{session}/commands");
    let raw = |rest: &str, body: &[u8]| {
        let mut request = request(&world, Method::Post, rest, None);
        request.body = body.to_vec();
        request
    };
    for rest in [
        "liveresponse/sessions",
        &commands,
        "devices/_search",
        "devices/_scroll",
        "devices/_facet",
        "device_actions",
    ] {
        for body in [
            &b""[..],
            b"{",
            b"null",
            b"3",
            b"\"x\"",
            b"[]",
            b"\xff\xfe",
            b"{\"a\":1}}",
        ] {
            assert_problem(&world, &raw(rest, body), 400);
        }
        let deep = "[".repeat(100_000);
        assert_problem(&world, &raw(rest, deep.as_bytes()), 400);
        let mut large = vec![b' '; 9 << 20];
        large.extend(b"{}");
        let expected = if rest == commands { 400 } else { 413 };
        assert_problem(&world, &raw(rest, &large), expected);
    }
    for body in [
        json!({}),
        json!({"device_id": null}),
        json!({"device_id": {}}),
        json!({"device_id": true}),
        json!({"device_id": 1.5}),
        json!({"device_id": "x"}),
        json!({"device_id": 1, "session_timeout": "soon"}),
    ] {
        let request = request(&world, Method::Post, "liveresponse/sessions", Some(&body));
        assert_problem(&world, &request, 400);
    }
    for device in [json!(-1), json!("-1"), json!(0), json!(i64::MAX)] {
        let body = json!({"device_id": device});
        let request = request(&world, Method::Post, "liveresponse/sessions", Some(&body));
        assert_problem(&world, &request, 404);
    }
}

#[tokio::test(start_paused = true)]
async fn commands_that_make_no_sense_are_refused_and_do_nothing() {
    let world = World::new(vec![windows(1)]);
    let session = active(&world, &json!({"device_id": 1})).await;
    let commands = format!("{session}/commands");
    let refused = |body: &Value, status: u16| {
        assert_problem(
            &world,
            &request(&world, Method::Post, &commands, Some(body)),
            status,
        );
    };
    for name in [
        "put file",
        "get file",
        "memdump",
        "create directory",
        "delete file",
        "directory list",
        "reg enum key",
        "reg query value",
        "reg create key",
        "reg delete key",
        "reg delete value",
        "reg set value",
        "create process",
        "kill",
    ] {
        refused(&json!({"name": name}), 400);
        refused(&json!({"name": name, "path": "", "file_id": "x"}), 400);
        refused(
            &json!({"name": name, "path": ["C:\\t"], "file_id": "x"}),
            400,
        );
        refused(&json!({"name": name.to_uppercase(), "path": "C:\\t"}), 400);
    }
    for body in [
        json!({"path": "C:\\t"}),
        json!({"name": null}),
        json!({"name": 5}),
        json!({"name": "execute", "path": "C:\\t"}),
        json!({"name": "kill", "pid": -4}),
        json!({"name": "kill", "pid": "four"}),
        json!({"name": "get file", "path": "C:\\t", "offset": -1}),
        json!({"name": "create process", "path": "x", "wait": 1}),
        json!({"name": "memdump", "path": "C:\\t\\m", "compress": "yes"}),
        json!({"name": "put file", "path": "C:\\t\\x", "file_id": 7}),
        json!({"name": "reg set value", "path": "HKLM\\X\\v", "value_type": "REG_LINK", "value_data": ""}),
        json!({"name": "reg set value", "path": "HKLM\\X\\v", "value_type": "REG_DWORD", "value_data": "x"}),
        json!({"name": "reg set value", "path": "HKLM\\X\\v", "value_type": "REG_SZ", "value_data": {}}),
        json!({"name": "directory list", "path": "x".repeat(10_300)}),
    ] {
        refused(&body, 400);
    }
    refused(
        &json!({"name": "put file", "path": "C:\\t\\x", "file_id": "none"}),
        404,
    );
    advance(SECOND).await;
    assert_eq!(get(&world, &session).1["current_command_index"], 0);
    assert!(world.books().commands.is_empty());
}

#[tokio::test(start_paused = true)]
async fn wrong_methods_routes_and_uploads() {
    let settings = Settings {
        max_upload: 1000,
        ..Settings::default()
    };
    let world = World::with(vec![windows(1)], settings);
    let session = active(&world, &json!({"device_id": 1})).await;
    let put = |rest: &str| request(&world, Method::Put, rest, Some(&json!({})));
    for rest in [
        "liveresponse/sessions".to_owned(),
        session.clone(),
        format!("{session}/keepalive"),
        format!("{session}/commands"),
        format!("{session}/commands/0"),
        format!("{session}/files"),
        format!("{session}/files/x"),
        format!("{session}/files/x/content"),
        "devices/_search".to_owned(),
        "devices/_facet".to_owned(),
        "devices/1".to_owned(),
        "device_actions".to_owned(),
    ] {
        assert_problem(&world, &put(&rest), 405);
    }
    assert!(world.books().unknown_routes.is_empty());
    for rest in [
        "",
        "liveresponse",
        "liveresponse/sessions/1:1/files/x/y",
        "device_actions/1",
        "alerts",
    ] {
        assert_problem(&world, &request(&world, Method::Get, rest, None), 404);
    }
    assert_eq!(world.books().unknown_routes.len(), 5);

    for (kind, body, status) in [
        ("multipart/form-data; boundary=b", "", 400),
        ("multipart/form-data", "--b\r\n", 400),
        ("multipart/form-data; boundary=", "--\r\n\r\n", 400),
        ("application/json", "{}", 400),
        (
            "multipart/form-data; boundary=b",
            "--b\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\n1\r\n--b--",
            400,
        ),
        ("multipart/form-data; boundary=b", &"x".repeat(1001), 413),
    ] {
        let mut upload = request(&world, Method::Post, &format!("{session}/files"), None);
        upload.headers.push(("content-type".into(), kind.into()));
        upload.body = body.as_bytes().to_vec();
        assert_problem(&world, &upload, status);
    }
    assert_eq!(get(&world, &format!("{session}/files")).1, json!([]));
    for rest in [
        "commands/99",
        "commands/x",
        "commands/-1",
        "files/none",
        "files/none/content",
    ] {
        let route = format!("{session}/{rest}");
        assert_problem(&world, &request(&world, Method::Get, &route, None), 404);
    }
    assert_eq!(delete(&world, &format!("{session}/files/none")), 404);
}
