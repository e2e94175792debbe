//! Whatever a stranger sends to the simulator: an answer that the contract knows, never a panic.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use serde_json::Value;
use sortie::model::device::Os;
use sortie::sim::doors;
use sortie::sim::fault::route_name;
use sortie::sim::fleet::{Wanted, fleet};
use sortie::sim::world::World;
use sortie::wire::{Method, Request};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::Duration;

/// What paths are made of; `{org}` and `{device}` stand for what is true.
const PARTS: [&str; 40] = [
    "appservices",
    "v6",
    "orgs",
    "{org}",
    "OTHER",
    "liveresponse",
    "sessions",
    "1:{device}",
    "1%3A{device}",
    "7:1",
    "commands",
    "0",
    "18446744073709551616",
    "files",
    "content",
    "keepalive",
    "devices",
    "_search",
    "_scroll",
    "_facet",
    "download",
    "{device}",
    "device_actions",
    "integrationServices",
    "v3",
    "cblr",
    "session",
    "command",
    "file",
    "api",
    "v1",
    "v2",
    "sensor",
    "csp",
    "signed",
    "%",
    "%ff%00",
    "..",
    "",
    "\u{202e}é",
];

/// Routes that exist, so that more comes of it than 404.
const ROUTES: [&str; 14] = [
    "liveresponse/sessions",
    "liveresponse/sessions/1:{device}",
    "liveresponse/sessions/1:{device}/keepalive",
    "liveresponse/sessions/1:{device}/commands",
    "liveresponse/sessions/1:{device}/commands/0",
    "liveresponse/sessions/1:{device}/files",
    "liveresponse/sessions/1:{device}/files/x",
    "liveresponse/sessions/1:{device}/files/x/content",
    "devices/_search",
    "devices/_scroll",
    "devices/_facet",
    "devices/_search/download",
    "devices/{device}",
    "device_actions",
];

/// Those of the third version.
const OLD_ROUTES: [&str; 11] = [
    "cblr/session",
    "cblr/session/{device}",
    "cblr/session/1:{device}",
    "cblr/session/1:{device}/keepalive",
    "cblr/session/1:{device}/command",
    "cblr/session/1:{device}/command/0",
    "cblr/session/1:{device}/file",
    "cblr/session/1:{device}/file/1",
    "cblr/session/1:{device}/file/1/content",
    "device",
    "device/{device}",
];

/// Those of EDR.
const SERVER_ROUTES: [&str; 14] = [
    "info",
    "v1/storage/events/partition",
    "v1/cblr/session",
    "v1/cblr/session/1",
    "v1/cblr/session/1/keepalive",
    "v1/cblr/session/1/archive",
    "v1/cblr/session/1/command",
    "v1/cblr/session/1/command/1",
    "v1/cblr/session/1/file",
    "v1/cblr/session/1/file/1",
    "v1/cblr/session/1/file/1/content",
    "v1/sensor",
    "v1/sensor/{device}",
    "v2/sensor",
];

/// EDR's searches, and what is found by a hash.
const SEARCH_ROUTES: [&str; 9] = [
    "v1/process",
    "v1/process/{guid}/1",
    "v2/process/0/1",
    "v1/binary",
    "v1/binary/{md5}",
    "v1/binary/{md5}/summary",
    "v1/binary/\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}",
    "v1/banning/blacklist",
    "v1/banning/blacklist/{md5}",
];

const SEARCH_QUERIES: [&str; 10] = [
    "",
    "q=process_name:svchost.exe&rows=2&sort=last_update desc",
    "q=sensor_id:{device} -cmdline:\"a\\b\" (path:c:\\* OR start:-24h)&start=1&rows=99999",
    "q=start:-99999999999999w&sort=start",
    "q=sensor_id:18446744073709551616",
    "q=md5:{md5}&cb.min_last_update=-009999-01-01T00:00:00Z",
    "q=observed_filename:*.exe&sort=host_count desc",
    "q=((&facet=true",
    "start=18446744073709551615&rows=18446744073709551615",
    "count=0&wait=true",
];

/// Those of App Control.
const CONTROL_ROUTES: [&str; 14] = [
    "serverConfig",
    "computer",
    "computer/{device}",
    "policy",
    "policy/6525",
    "fileCatalog",
    "fileCatalog/1",
    "fileInstance",
    "fileInstance/{device}000001",
    "fileInstance/18446744073709551615",
    "fileRule",
    "fileRule/1",
    "fileUpload",
    "fileUpload/1",
];

const CONTROL_QUERIES: [&str; 12] = [
    "",
    "limit=-1",
    "limit=0&sort=id DESC",
    "limit=2&offset=18446744073709551615",
    "q=id>0&q=id<99999999999999999999&q=id+1&q=id-1",
    "q=computerId:{device}&q=fileName:*e*|*x*",
    "q=dateCreated>-4294967295d&q=name!",
    "q=dateCreated<-009999-01-01T00:00:00Z",
    "group=fileState&groupType=n",
    "group=id&limit=-1",
    "downloadFile=true",
    "changeDiagnostics=true&resetCLIPassword=true&changeTemplate=maybe",
];

/// What bodies are made of.
const MEMBERS: [&str; 59] = [
    r#""device_id": {device}"#,
    r#""device_id": ["{device}", 3]"#,
    r#""session_timeout": 99999999999999999"#,
    r#""check_in_timeout": -5"#,
    r#""name": "get file""#,
    r#""name": "put file""#,
    r#""name": "delete file""#,
    r#""name": "directory list""#,
    r#""name": "create directory""#,
    r#""name": "memdump""#,
    r#""name": "kill""#,
    r#""name": "process list""#,
    r#""name": "create process""#,
    r#""name": "reg enum key""#,
    r#""name": "reg set value""#,
    r#""name": "reg delete key""#,
    r#""path": "C:\\Windows\\*""#,
    r#""path": "C:\\..\\..\\é\u0000:*?""#,
    r#""path": "\\\\?\\""#,
    r#""path": "HKLM\\\\\\SOFTWARE\\""#,
    r#""path": "cmd.exe /c \"""#,
    r#""path": "timeout.exe /t 4294967295""#,
    r#""object": 18446744073709551615"#,
    r#""object": "C:\\Windows\\*""#,
    r#""file_id": 1"#,
    r#""delete": true"#,
    r#""session_id": "1:{device}", "status": "CLOSE""#,
    r#""sensor_id": {device}"#,
    r#""status": "close""#,
    r#""network_isolation_enabled": true, "uninstall": "true", "group_id": 18446744073709551615"#,
    r#""event_log_flush_time": "Fri, 02 Feb 2024 04:05:06 GMT", "notes": "\u0000""#,
    r#""pid": 4"#,
    r#""offset": 9223372036854775807, "get_count": 9223372036854775807"#,
    r#""value_type": "REG_DWORD", "value_data": 7"#,
    r#""output_file": "C:\\o.txt", "wait": true"#,
    r#""compress": true"#,
    r#""action_type": "QUARANTINE", "options": {"toggle": "ON"}"#,
    r#""action_type": "UNINSTALL_SENSOR""#,
    r#""action_type": "DELETE_SENSOR""#,
    r#""search": {"query": "name:*"}"#,
    r#""query": "((name:W* OR -x) AND NOT \"y\")""#,
    r#""query": "((("#,
    r#""criteria": {"os": ["WINDOWS"], "last_contact_time": {"range": "-99999999999999w"}}"#,
    r#""criteria": {"last_contact_time": {"start": "-009999-01-01T00:00:00Z", "end": null}}"#,
    r#""sort": [{"field": "nothing", "order": "DESC"}]"#,
    r#""rows": 10000, "start": 1"#,
    r#""search_after": "after-18446744073709551615""#,
    r#""terms": {"fields": ["os", "sensor_states", ""], "rows": 99999999}"#,
    r#""md5hash": "{md5}", "text": "why""#,
    r#""md5hash": "éééééééééééééééé""#,
    r#""enabled": false"#,
    r#""hash": "{md5}""#,
    r#""hash": "{md5}{md5}""#,
    r#""fileState": 3"#,
    r#""fileState": 1, "reportOnly": true"#,
    r#""policyIds": "6525,0,,6526", "name": "ban""#,
    r#""computerId": {device}, "fileCatalogId": 1, "priority": -9223372036854775808"#,
    r#""localState": 2"#,
    r#""policyId": 6526, "automaticPolicy": false, "debugLevel": 18446744073709551615"#,
];

const CONTROL: &str = "/api/bit9platform/v1/";
const MD5: &str = "454ecab221e6eb69e595a39410bdd57a";

fn body() -> impl Strategy<Value = Vec<u8>> {
    let object = vec(select(&MEMBERS[..]), 0..6)
        .prop_map(|members| format!("{{{}}}", members.join(", ")).into_bytes());
    let form = vec(any::<u8>(), 0..40).prop_map(|content| {
        let head = b"--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"";
        [&head[..], &content, b"\"\r\n\r\n", &content, b"\r\n--b--"].concat()
    });
    prop_oneof![6 => object, 1 => form, 1 => vec(any::<u8>(), 0..200)]
}

fn path() -> impl Strategy<Value = String> {
    let whole = |route: &str| format!("/appservices/v6/orgs/{{org}}/{route}");
    let real = select(&ROUTES[..]).prop_map(whole);
    let old = |route: &str| format!("/integrationServices/v3/{route}");
    let commands = Just(whole("liveresponse/sessions/1:{device}/commands"));
    let old_commands = Just(old("cblr/session/1:{device}/command"));
    let old = select(&OLD_ROUTES[..]).prop_map(old);
    let server = |route: &str| format!("/api/{route}");
    let server_commands = Just(server("v1/cblr/session/1/command"));
    let server = select(&SERVER_ROUTES[..]).prop_map(server);
    let foreign = Just("/appservices/v6/orgs/OTHER/devices/_search".to_owned());
    let found = (select(&SEARCH_ROUTES[..]), select(&SEARCH_QUERIES[..]))
        .prop_map(|(route, query)| format!("/api/{route}?{query}"));
    let control = (select(&CONTROL_ROUTES[..]), select(&CONTROL_QUERIES[..]))
        .prop_map(|(route, query)| format!("{CONTROL}{route}?{query}"));
    let made = vec(select(&PARTS[..]), 0..9).prop_map(|parts| format!("/{}", parts.join("/")));
    prop_oneof![
        3 => commands,
        4 => real,
        1 => old_commands,
        2 => old,
        1 => server_commands,
        2 => server,
        2 => found,
        3 => control,
        1 => foreign,
        1 => made,
        1 => any::<String>(),
    ]
}

/// Method, path, body, with a key or without, and the seconds that pass afterwards.
type Asked = (Method, String, Vec<u8>, bool, u64);

fn asked() -> impl Strategy<Value = Asked> {
    let method = prop_oneof![
        5 => Just(Method::Post),
        2 => Just(Method::Get),
        1 => select(&[Method::Put, Method::Delete][..]),
    ];
    let key = prop_oneof![9 => Just(true), 1 => Just(false)];
    (method, path(), body(), key, select(&[0, 1, 1, 60, 901][..]))
}

const STATUSES: [u16; 11] = [200, 201, 204, 302, 400, 401, 403, 404, 405, 409, 413];

/// What a conversation came to.
#[derive(Default)]
struct Reached {
    statuses: BTreeSet<u16>,
    commands: BTreeSet<String>,
    /// Doors behind which something was had.
    doors: BTreeSet<&'static str>,
}

const DOORS: [&str; 4] = [
    "/appservices/v6/",
    "/integrationServices/v3/",
    "/api/v1/",
    CONTROL,
];

async fn hold(conversation: Vec<Asked>) -> Result<Reached, TestCaseError> {
    let wanted = Wanted {
        os: vec![Os::Windows],
        ..Wanted::default()
    };
    let devices = fleet(2, &wanted, 1);
    let id = devices[0].id;
    let device = id.to_string();
    let world = World::new(devices);
    let filled = |text: &str| {
        text.replace("{org}", world.org_key())
            .replace("{device}", &device)
            .replace("{md5}", MD5)
            .replace("{guid}", &format!("{id:08x}-0000-0004-0000-000000000000"))
    };
    // There is a session whose id is known, and it is not active yet.
    prop_assert!(world.open(id).is_ok());
    let (mut statuses, mut doors_opened) = (BTreeSet::new(), BTreeSet::new());
    for (method, path, body, keyed, pause) in conversation {
        let path = filled(&path);
        let (path, query) = path.split_once('?').unwrap_or((&path, ""));
        let mut request = Request::new(method, path);
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        request.query = pairs
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        request.body = match String::from_utf8(body) {
            Ok(text) => filled(&text).into_bytes(),
            Err(raw) => raw.into_bytes(),
        };
        if keyed {
            let keys = world.keys();
            let key = match request.path.split('/').nth(1) {
                Some("integrationServices") => &keys.v3,
                Some("api") if request.path.starts_with(CONTROL) => &keys.app_control,
                Some("api") => &keys.edr,
                _ => &keys.cloud,
            };
            let key = ("x-auth-token".to_owned(), key.clone());
            let kind = "multipart/form-data; boundary=b".to_owned();
            request.headers = vec![key, ("content-type".to_owned(), kind)];
        }
        let shown = format!("{} {}", method.as_str(), request.path);
        let answer = doors::answer(&world, &request);
        // The archive of a session without content is none, and the server has no better word for that.
        let is_no_archive = answer.status == 500 && request.path.ends_with("/archive");
        prop_assert!(
            STATUSES.contains(&answer.status) || is_no_archive,
            "{}: {}",
            shown,
            answer.status
        );
        statuses.insert(answer.status);
        let door = DOORS.iter().find(|door| request.path.starts_with(**door));
        doors_opened.extend(door.filter(|_| answer.is_success()));
        prop_assert!(keyed || !answer.is_success(), "{}: without a key", shown);
        // What there is can also be struck by its name.
        prop_assert!(
            route_name(&request.path).is_some()
                || [401, 403].contains(&answer.status)
                || world.books().unknown_routes.contains_key(&shown),
            "{}: not among the routes",
            shown
        );
        let is_json = answer.header("content-type") == Some("application/json");
        if is_json {
            let body: Result<Value, _> = serde_json::from_slice(&answer.body);
            let body = body.map_err(|error| TestCaseError::fail(format!("{shown}: {error}")))?;
            // Clients look for members in it, and take this one for a failure.
            prop_assert!(body.is_object() || body.is_array(), "{}", shown);
            prop_assert!(body.get("errorMessage").is_none(), "{}", shown);
        }
        tokio::time::advance(Duration::from_secs(pause)).await;
    }
    let books = world.books();
    prop_assert_eq!(
        books.sessions_opened,
        books.sessions_open + books.sessions_closed + books.sessions_leaked
    );
    Ok(Reached {
        statuses,
        commands: books.commands.into_keys().collect(),
        doors: doors_opened,
    })
}

/// What the conversations must have come to, or they are too harmless to tell anything.
const REACHED: [u16; 9] = [200, 201, 204, 400, 401, 403, 404, 405, 409];

#[test]
fn any_request_gets_an_answer() {
    let config = ProptestConfig {
        cases: 300,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let reached = RefCell::new(Reached::default());
    // The same conversations every time, or what they reach would now and then be too little.
    let dice = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut runner = TestRunner::new_with_rng(config, dice);
    let held = runner.run(&vec(asked(), 1..25), |conversation| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build();
        let new = runtime.expect("it starts").block_on(hold(conversation))?;
        let mut reached = reached.borrow_mut();
        reached.statuses.extend(new.statuses);
        reached.commands.extend(new.commands);
        reached.doors.extend(new.doors);
        Ok(())
    });
    if let Err(error) = held {
        panic!("{error}");
    }
    let reached = reached.into_inner();
    let missing: Vec<_> = REACHED
        .iter()
        .filter(|status| !reached.statuses.contains(status))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
    let ran = &reached.commands;
    assert!(ran.len() >= 5, "{ran:?}");
    assert_eq!(reached.doors, DOORS.into());
}
