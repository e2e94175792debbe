//! Process searches as strangers ask for them, and the devices that they find.

use crate::model::device::Os;
use crate::sim::device::SimDevice;
use crate::sim::doors::{answer, decode, shapes};
use crate::sim::endpoint::content::Content;
use crate::sim::endpoint::process::Process;
use crate::sim::fleet::{Wanted, fleet};
use crate::sim::world::World;
use crate::wire::{Method, Request, Response};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::advance;

pub(super) const DAY: i64 = 86_400_000;
/// Of `MZ tool`.
pub(super) const MD5: &str = "454ecab221e6eb69e595a39410bdd57a";

pub(super) fn device(id: u64, name: &str, os: Os) -> SimDevice {
    let mut device = SimDevice::new(id, name, os);
    let plant = |device: &mut SimDevice, path: &str, content: Content| {
        device.endpoint.plant(path, Some(content), |node| {
            node.created = -2 * DAY;
        })
    };
    if os == Os::Windows {
        plant(&mut device, r"C:\Tools\Tool.exe", Content::text("MZ tool")).expect("legal");
        let shell = r"C:\Windows\System32\cmd.exe";
        let made = Content::Seeded {
            magic: b"MZ",
            seed: 1,
            length: 4096,
        };
        plant(&mut device, shell, made).expect("legal");
        run(&mut device, 4, 0, "", "");
        run(&mut device, 700, 4, shell, "cmd.exe /k");
        run(
            &mut device,
            704,
            700,
            r"C:\Tools\TOOL.exe",
            r#""C:\Tools\TOOL.exe" -s"#,
        );
    } else {
        run(&mut device, 1, 0, "/sbin/init", "/sbin/init splash");
        run(&mut device, 2, 0, "", "[kthreadd]");
    }
    device
}

pub(super) fn run(device: &mut SimDevice, pid: u64, parent: u64, path: &str, line: &str) {
    device.endpoint.processes.plant(Process {
        pid,
        parent,
        path: path.into(),
        line: line.into(),
        user: r"CORP\jdoe".into(),
        sid: "S-1-5-21".into(),
        created: i64::try_from(pid).expect("small") * 1000 - DAY,
        protected: false,
        ends: None,
    });
}

pub(super) fn world() -> World {
    World::new(vec![
        device(7, "WS-7", Os::Windows),
        device(8, "WS-8", Os::Windows),
        device(9, "srv-9", Os::Linux),
    ])
}

/// The address is taken apart as the server does it.
pub(super) fn call(world: &World, method: Method, address: &str, body: Option<&Value>) -> Response {
    let (path, query) = address.split_once('?').unwrap_or((address, ""));
    let mut request = Request::new(method, format!("/api/{path}"));
    if let Some(body) = body {
        request = request.json(body);
    }
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    request.query = pairs
        .map(|(key, value)| (key.into(), decode(&value.replace('+', " "))))
        .collect();
    let token = ("x-auth-token".to_owned(), world.keys().edr.clone());
    request.headers.push(token);
    answer(world, &request)
}

pub(super) fn get(world: &World, address: &str) -> (u16, Value) {
    let response = call(world, Method::Get, address, None);
    let text = || json!(String::from_utf8_lossy(&response.body));
    let body = serde_json::from_slice(&response.body).unwrap_or_else(|_| text());
    (response.status, body)
}

/// The query as a client writes it into an address.
pub(super) fn encoded(query: &str) -> String {
    query.bytes().fold(String::new(), |text, byte| match byte {
        b' ' => text + "+",
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'.' | b'-' => {
            text + &char::from(byte).to_string()
        }
        byte => text + &format!("%{byte:02X}"),
    })
}

fn search(world: &World, query: &str) -> (u16, Value) {
    let query = encoded(query);
    get(
        world,
        &format!("v1/process?cb.urlver=1&facet=false&q={query}&rows=100&start=0"),
    )
}

/// What was found, as sensor and number.
fn found(body: &Value) -> Vec<(u64, u64)> {
    let results = body["results"].as_array().expect("a list");
    let number = |one: &Value, key: &str| one[key].as_u64().expect("a number");
    let mut found: Vec<_> = results
        .iter()
        .map(|one| (number(one, "sensor_id"), number(one, "process_pid")))
        .collect();
    found.sort_unstable();
    found
}

pub(super) fn begun(world: &World) -> Timestamp {
    world.survey(|_, times| times.begun)
}

pub(super) fn after(world: &World, milliseconds: i64) -> String {
    shapes::precise(begun(world) + SignedDuration::from_millis(milliseconds))
}

#[tokio::test(start_paused = true)]
async fn processes_are_found_by_what_is_known_of_them() {
    let world = world();
    let (tools, shells, systems) = ([(7, 704), (8, 704)], [(7, 700), (8, 700)], [(7, 4), (8, 4)]);
    let windows = [systems, shells, tools].concat();
    let all = [windows.clone(), vec![(9, 1), (9, 2)]].concat();
    let family = [shells, tools].concat();
    let table: Vec<(String, Vec<(u64, u64)>)> = vec![
        (String::new(), all.clone()),
        ("*:*".into(), all),
        ("process_name:tool.exe".into(), tools.to_vec()),
        ("process_name:TOOL.exe hostname:ws-8".into(), vec![(8, 704)]),
        ("process_name:tool".into(), vec![]),
        ("process_name:t??l*".into(), tools.to_vec()),
        (format!("process_md5:{MD5}"), tools.to_vec()),
        (
            format!("process_md5:{}", MD5.to_uppercase()),
            tools.to_vec(),
        ),
        (format!("md5:{MD5} -process_md5:{MD5}"), shells.to_vec()),
        (r#"path:"c:\tools\tool.exe""#.into(), tools.to_vec()),
        (r"path:c\:\\tools\\tool.exe".into(), tools.to_vec()),
        (r"path:windows\system32".into(), shells.to_vec()),
        (r"path:c:\tools\*".into(), tools.to_vec()),
        ("sensor_id:9".into(), vec![(9, 1), (9, 2)]),
        ("sensor_id:9 AND process_pid:2".into(), vec![(9, 2)]),
        ("process_name:kthreadd".into(), vec![(9, 2)]),
        ("cmdline:\"/init splash\"".into(), vec![(9, 1)]),
        ("username:jdoe -sensor_id:9".into(), windows),
        (
            r#"username:"CORP\jdoe" hostname:srv-9"#.into(),
            vec![(9, 1), (9, 2)],
        ),
        ("parent_name:cmd.exe".into(), tools.to_vec()),
        (
            "(process_name:cmd.exe OR process_name:tool.exe) AND os_type:windows".into(),
            family,
        ),
        ("start:-24h process_name:tool.exe".into(), tools.to_vec()),
        ("start:-1h".into(), vec![]),
        ("tool.exe -WS-8".into(), vec![(7, 704)]),
    ];
    for (query, expected) in table {
        let (status, body) = search(&world, &query);
        assert_eq!(status, 200, "{query}: {body}");
        let mut expected = expected;
        expected.sort_unstable();
        assert_eq!(found(&body), expected, "{query}");
        assert_eq!(body["total_results"], expected.len(), "{query}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_query_is_decoded_once() {
    let mut linux = device(9, "srv-9", Os::Linux);
    run(&mut linux, 3, 1, "/usr/bin/c++", "c++ -Da=100%41");
    let world = World::new(vec![linux]);
    for query in [r#"cmdline:"c++ -Da=100%41""#, "process_name:c++"] {
        let (_, body) = search(&world, query);
        assert_eq!(found(&body), [(9, 3)], "{query}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_is_a_bad_query() {
    let world = world();
    for query in [
        "(process_name:x",
        "process_name:",
        "process_nam:x",
        "start:-24",
        "sensor_id:seven",
        "start:[* TO *]",
    ] {
        let (status, body) = search(&world, query);
        assert_eq!(status, 400, "{query}");
        assert_eq!(body["reason"], "query_malformed_syntax", "{query}: {body}");
    }
    for address in ["v1/process?rows=ten", "v1/process?start=-1"] {
        let (status, body) = get(&world, address);
        assert_eq!((status, body.is_string()), (400, true), "{address}");
    }
    for address in [
        "v1/process?sort=colour",
        "v1/binary?sort=colour+desc",
        "v1/process?cb.min_last_update=soon",
    ] {
        assert_eq!(get(&world, address).0, 400, "{address}");
    }
    assert_eq!(call(&world, Method::Post, "v1/process", None).status, 405);
}

#[tokio::test(start_paused = true)]
async fn results_come_in_order_and_in_pages() {
    let world = world();
    let page = |address: &str| {
        let (_, body) = get(&world, &format!("v1/process?{address}"));
        let results = body["results"].as_array().expect("a list");
        let pids = results.iter().filter_map(|one| one["process_pid"].as_u64());
        (pids.collect::<Vec<u64>>(), body["total_results"].clone())
    };
    let eight = json!(8);
    assert_eq!(page("q=&rows=0&start=0"), (vec![], eight.clone()));
    assert_eq!(
        page("sort=process_pid+desc&rows=3"),
        (vec![704, 704, 700], eight.clone())
    );
    assert_eq!(
        page("sort=process_pid+asc&rows=3&start=6&cb.group=id"),
        (vec![704, 704], eight.clone())
    );
    assert_eq!(page("rows=3&start=8"), (vec![], eight));
    assert_eq!(page("sort=start&q=hostname:WS-7").0, [4, 700, 704]);
    assert_eq!(page("sort=process_name&q=hostname:WS-7").0, [700, 4, 704]);
    let report =
        get(&world, "v1/process?q=sensor_id:7&rows=1").1["results"][0]["last_update"].clone();
    let report: Timestamp = report
        .as_str()
        .and_then(|text| text.parse().ok())
        .expect("a time");
    for (bound, milliseconds, found) in [
        ("min_last_update", 0, 1),
        ("min_last_server_update", 1, 0),
        ("max_last_update", 0, 3),
        ("max_last_server_update", -1, 2),
    ] {
        let at = report + SignedDuration::from_millis(milliseconds);
        let address = format!("q=sensor_id:7&rows=0&cb.{bound}={at}");
        assert_eq!(page(&address).1, found, "{address}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_process_tells_what_clients_read() {
    let world = world();
    let (_, body) = search(&world, "process_name:tool.exe sensor_id:7");
    let record = body["results"][0].clone();
    let id = record["id"].as_str().expect("text").to_owned();
    let parent = record["parent_id"].as_str().expect("text").to_owned();
    let start = begun(&world) + SignedDuration::from_millis(704_000 - DAY);
    let ticks = (start.as_millisecond() + 11_644_473_600_000) * 10_000;
    let hex = format!("{ticks:016x}");
    assert_eq!(
        id,
        format!("00000007-0000-02c0-{}-{}", &hex[..4], &hex[4..])
    );
    assert!(parent.starts_with("00000007-0000-02bc-"), "{parent}");
    assert_eq!(
        record.clone(),
        json!({
            "id": id,
            "segment_id": 1,
            "unique_id": format!("{id}-000000000001"),
            "sensor_id": 7,
            "hostname": "WS-7",
            "process_name": "tool.exe",
            "process_pid": 704,
            "process_md5": MD5,
            "process_sha256": record["process_sha256"],
            "path": r"c:\tools\tool.exe",
            "cmdline": r#""C:\Tools\TOOL.exe" -s"#,
            "username": r"CORP\jdoe",
            "start": after(&world, 704_000 - DAY),
            "last_update": after(&world, 704_000 - DAY),
            "last_server_update": after(&world, 704_000 - DAY),
            "terminated": false,
            "os_type": "windows",
            "host_type": "workstation",
            "group": "Default Group",
            "parent_id": parent,
            "parent_unique_id": format!("{parent}-000000000001"),
            "parent_name": "cmd.exe",
            "parent_pid": 700,
            "parent_md5": body["results"][0]["parent_md5"],
            "modload_count": 0,
            "filemod_count": 0,
            "regmod_count": 0,
            "netconn_count": 0,
            "childproc_count": 0,
            "crossproc_count": 0,
            "emet_count": 0,
            "comms_ip": 169_082_889,
            "interface_ip": 169_082_889,
        })
    );
    let mut envelope = body;
    envelope["results"] = json!([]);
    assert_eq!(
        envelope,
        json!({
            "results": [],
            "total_results": 1,
            "start": 0,
            "elapsed": 0.001,
            "terms": ["process_name:tool.exe", "sensor_id:7"],
            "facets": {},
            "highlights": [],
            "tagged_pids": {},
            "filtered": {},
            "incomplete_results": false,
            "comprehensive_search": true,
            "all_segments": true,
        })
    );
    let (status, family) = get(&world, &format!("v1/process/{parent}/0?children=15"));
    assert_eq!(
        (status, &family["process"]["process_pid"]),
        (200, &json!(700))
    );
    assert_eq!(family["children"], json!([record]));
    assert_eq!(family["parent"]["process_name"], "system");
    assert_eq!(family["parent"]["parent_name"], Value::Null);
    for unknown in ["00000063", &id.replace("-02c0-", "-02c1-"), "x", "é"] {
        let (status, body) = get(&world, &format!("v2/process/{unknown}/1"));
        assert_eq!((status, body.is_string()), (404, true), "{unknown}");
    }
}

#[tokio::test(start_paused = true)]
async fn pages_fit_together_while_sensors_report() {
    let world = World::new(fleet(20, &Wanted::default(), 1));
    let mut seen = Vec::new();
    loop {
        let page = get(&world, &format!("v1/process?rows=100&start={}", seen.len()));
        let page = found(&page.1);
        if page.is_empty() {
            break;
        }
        seen.extend(page);
        advance(Duration::from_secs(50)).await;
    }
    let all = seen.len();
    seen.sort_unstable();
    seen.dedup();
    assert!(all > 300);
    assert_eq!(seen.len(), all);
}

#[tokio::test(start_paused = true)]
async fn every_process_of_a_fleet_is_found_once_by_its_hash() {
    let world = World::new(fleet(30, &Wanted::default(), 1));
    let (_, body) = get(&world, "v1/process?rows=10000");
    let results = body["results"].as_array().expect("a list");
    assert_eq!(body["total_results"], results.len());
    let listed: usize = world.catalogue(|catalogue| {
        let devices = catalogue.devices.values();
        devices
            .map(|device| catalogue.processes(device).len())
            .sum()
    });
    assert_eq!(results.len(), listed);
    let evil = results
        .iter()
        .find(|one| one["process_name"] == "odupd.exe");
    let md5 = evil.expect("planted")["process_md5"]
        .as_str()
        .expect("text");
    let (_, body) = search(&world, &format!("process_md5:{md5}"));
    let planted = world.survey(|devices, _| {
        let windows = devices.values().filter(|device| device.os == Os::Windows);
        windows.filter(|device| device.planted).count()
    });
    assert_eq!(body["total_results"], planted);
    assert!(planted > 1);
    let everyone = results
        .iter()
        .all(|one| one["process_md5"].as_str().map(str::len) == Some(32));
    assert!(everyone);
}
