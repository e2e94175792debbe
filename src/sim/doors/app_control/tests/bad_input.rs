use super::*;

const RESOURCES: [&str; 7] = [
    "serverConfig",
    "computer",
    "policy",
    "fileCatalog",
    "fileInstance",
    "fileRule",
    "fileUpload",
];

fn world() -> World {
    let world = World::new(vec![windows(3)]);
    let rule = json!({"hash": MD5, "fileState": 3});
    post(&world, "fileRule", &rule);
    post(
        &world,
        "fileUpload",
        &json!({"computerId": 3, "fileCatalogId": 1}),
    );
    world
}

fn refused(world: &World, method: Method, rest: &str, body: Option<&Value>) -> u16 {
    let (status, answer) = ask(world, method, rest, body);
    let shown = format!("{} {rest} {body:?}: {answer}", method.as_str());
    assert!((400..500).contains(&status), "{shown}: {status}");
    assert!(answer["message"].is_string(), "{shown}");
    status
}

#[tokio::test(start_paused = true)]
async fn what_is_not_there_is_not_found() {
    let world = world();
    for resource in &RESOURCES[1..] {
        for id in [
            "0",
            "999999999",
            "-1",
            "x",
            "",
            "1.5",
            "99999999999999999999999999",
            "%00",
        ] {
            let path = format!("{resource}/{id}");
            assert_eq!(refused(&world, Method::Get, &path, None), 404, "{path}");
        }
        let deeper = format!("{resource}/1/2");
        assert_eq!(refused(&world, Method::Get, &deeper, None), 404);
    }
    let body = json!({"policyId": 6526, "localState": 2, "fileState": 2});
    for path in ["computer/9", "fileInstance/9", "fileRule/9"] {
        assert_eq!(refused(&world, Method::Put, path, Some(&body)), 404);
    }
    assert_eq!(refused(&world, Method::Delete, "fileRule/9", None), 404);
    assert_eq!(refused(&world, Method::Get, "event", None), 404);
    assert_eq!(refused(&world, Method::Get, "", None), 404);
    assert!(
        world
            .books()
            .unknown_routes
            .contains_key("GET /api/bit9platform/v1/event")
    );
}

#[tokio::test(start_paused = true)]
async fn other_methods_are_refused() {
    let world = world();
    let copy = get(&world, "fileInstance?q=fileCatalogId:1")[0]["id"].clone();
    let copy = format!("fileInstance/{copy}");
    let table = [
        ("serverConfig", "PPD"),
        ("computer", "PPD"),
        ("computer/3", "OD"),
        ("policy", "OUD"),
        ("policy/6525", "OUD"),
        ("fileCatalog", "OUD"),
        ("fileCatalog/1", "OUD"),
        ("fileInstance", "OUD"),
        (copy.as_str(), "D"),
        ("fileRule", "UD"),
        ("fileRule/1", "O"),
        ("fileUpload", "UD"),
        ("fileUpload/1", "OUD"),
    ];
    for (path, methods) in table {
        for letter in methods.chars() {
            let method = match letter {
                'O' | 'P' => Method::Post,
                'U' => Method::Put,
                _ => Method::Delete,
            };
            let status = refused(&world, method, path, Some(&json!({})));
            assert_eq!(status, 405, "{} {path}", method.as_str());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn queries_that_mean_nothing_are_refused() {
    let world = world();
    let long = "*|".repeat(50_000);
    let garbage = [
        "",
        ":",
        "nothing",
        "nofield:1",
        "id:one",
        "id<",
        "id|1",
        "name~x",
        "\u{0}\u{1}",
        "\u{1f4a9}:x",
        "-1",
        "-99999999999999999999",
        "1e9",
        "0x10",
        "NaN",
        "name DESC, id",
        &long,
    ];
    for resource in RESOURCES {
        for text in garbage {
            for key in ["q", "sort", "group", "limit", "offset", "expand"] {
                // Counting is meant by this.
                if (key, text) == ("limit", "-1") {
                    continue;
                }
                let mut query = request(&world, Method::Get, resource, None);
                query.query.push((key.to_owned(), text.to_owned()));
                let Response { status, body, .. } = answer(&world, &query);
                let body: Value = serde_json::from_slice(&body).expect("JSON");
                assert_eq!(status, 400, "{resource}?{key}={text}");
                assert!(body["message"].is_string());
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn bodies_that_mean_nothing_are_refused_and_change_nothing() {
    let world = world();
    let copy = get(&world, "fileInstance?q=fileCatalogId:1")[0]["id"].clone();
    let copy = format!("fileInstance/{copy}");
    let all = || ["computer/3", "fileRule/1", &copy].map(|path| get(&world, path));
    let before = all();
    for (method, path) in [
        (Method::Put, "computer/3"),
        (Method::Put, copy.as_str()),
        (Method::Post, copy.as_str()),
        (Method::Post, "fileRule"),
        (Method::Put, "fileRule/1"),
        (Method::Post, "fileUpload"),
    ] {
        for body in [&b""[..], b"{", b"null", b"3", b"[]", b"\xff\xfe", b"\"x\""] {
            let mut raw = request(&world, method, path, None);
            raw.body = body.to_vec();
            assert_eq!(answer(&world, &raw).status, 400, "{path}");
        }
    }
    let table = [
        ("computer/3", json!({"policyId": 77})),
        ("computer/3", json!({"policyId": "Standard"})),
        ("computer/3", json!({"policyId": -1})),
        ("computer/3", json!({"policyId": {}})),
        ("computer/3", json!({"computerTag": 5, "description": "x"})),
        ("computer/3", json!({"automaticPolicy": "yes"})),
        ("computer/3", json!({"prioritized": true, "policyId": 77})),
        ("fileRule/1", json!({"fileState": 4})),
        ("fileRule/1", json!({"fileState": 0})),
        ("fileRule/1", json!({"fileState": 2, "policyIds": "1"})),
        ("fileRule/1", json!({"policyIds": "x"})),
        ("fileRule/1", json!({"policyIds": [6525]})),
        ("fileRule/1", json!({"policyIds": 1.5})),
        ("fileRule/1", json!({"name": {}})),
        ("fileRule/1", json!({"reportOnly": 1})),
    ];
    for (path, body) in table {
        assert_eq!(refused(&world, Method::Put, path, Some(&body)), 400);
    }
    for body in [
        json!({}),
        json!({"fileState": 3}),
        json!({"hash": MD5}),
        json!({"hash": "", "fileState": 3}),
        json!({"hash": "x", "fileState": 3}),
        json!({"hash": "é".repeat(16), "fileState": 3}),
        json!({"hash": 5, "fileState": 3}),
        json!({"fileCatalogId": 99, "fileState": 3}),
        json!({"fileCatalogId": -1, "fileState": 3}),
        json!({"hash": MD5, "fileState": "banned"}),
    ] {
        assert_eq!(refused(&world, Method::Post, "fileRule", Some(&body)), 400);
    }
    for body in [
        json!({}),
        json!({"computerId": 3}),
        json!({"fileCatalogId": 1}),
        json!({"computerId": 9, "fileCatalogId": 1}),
        json!({"computerId": 3, "fileCatalogId": 99}),
        json!({"computerId": 3, "fileCatalogId": 1, "priority": "high"}),
    ] {
        assert_eq!(
            refused(&world, Method::Post, "fileUpload", Some(&body)),
            400
        );
    }
    assert_eq!(all(), before);
    assert_eq!(ids(&get(&world, "fileRule")), [1]);
    assert_eq!(ids(&get(&world, "fileUpload")), [1]);
}
