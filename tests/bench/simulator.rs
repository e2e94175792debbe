//! How many requests a second the simulator answers, what each costs, and what 10,000 devices weigh.
//!
//! A bounded loop, not a statistic: processor time is what matters, for machines have other things to do.

#![expect(clippy::print_stdout, reason = "that is what it is for")]

use serde_json::json;
use sortie::sim::doors;
use sortie::sim::fleet::{Wanted, fleet};
use sortie::sim::server::serve;
use sortie::sim::world::World;
use sortie::wire::{Method, Request};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;
use tokio::time::Instant;

const DEVICES: usize = 10_000;
const REQUESTS: usize = 20_000;
const CONNECTIONS: usize = 8;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let world = World::new(fleet(DEVICES, &Wanted::default(), 7));
        println!("{DEVICES} devices: {}", memory());
        let device = doors::answer(&world, &search(&world));
        let device: serde_json::Value = serde_json::from_slice(&device.body).expect("JSON");
        let id = device["results"][0]["id"].as_u64().expect("a number");
        let session = world.open(id).expect("opens").session.id;
        tokio::time::sleep(Duration::from_millis(150)).await;
        let org = world.org_key();
        let paths = [
            format!("/appservices/v6/orgs/{org}/liveresponse/sessions/{session}"),
            format!("/appservices/v6/orgs/{org}/devices/{id}"),
        ];
        measure("in memory", || {
            for turn in 0..REQUESTS {
                let mut request = Request::new(Method::Get, paths[turn % paths.len()].clone());
                request
                    .headers
                    .push(("x-auth-token".into(), world.token().into()));
                assert_eq!(doors::answer(&world, &request).status, 200);
            }
        });
        let server = serve(world.clone(), SocketAddr::from(([127, 0, 0, 1], 0)));
        let server = server.await.expect("serves");
        let (addr, token) = (server.addr, world.token().to_owned());
        let clients = tokio::task::spawn_blocking(move || {
            measure("over TCP, with the client's share", || {
                std::thread::scope(|scope| {
                    for _ in 0..CONNECTIONS {
                        scope.spawn(|| ask(addr, &token, &paths));
                    }
                });
            });
        });
        clients.await.expect("no panic");
        println!("afterwards: {}", memory());
    });
}

fn search(world: &World) -> Request {
    let path = format!("/appservices/v6/orgs/{}/devices/_search", world.org_key());
    let mut request = Request::new(Method::Post, path).json(&json!({"rows": 1}));
    let token = world.token().to_owned();
    request.headers.push(("x-auth-token".into(), token));
    request
}

/// One connection that is kept, and the least that a client can do.
fn ask(addr: SocketAddr, token: &str, paths: &[String]) {
    let mut line = TcpStream::connect(addr).expect("connects");
    line.set_nodelay(true).expect("can be set");
    let requests: Vec<String> = paths
        .iter()
        .map(|path| format!("GET {path} HTTP/1.1\r\nHost: x\r\nX-Auth-Token: {token}\r\n\r\n"))
        .collect();
    let mut heard = vec![0; 64 << 10];
    for turn in 0..REQUESTS / CONNECTIONS {
        line.write_all(requests[turn % requests.len()].as_bytes())
            .expect("sends");
        let mut length = 0;
        while !is_whole(&heard[..length]) {
            let count = line.read(&mut heard[length..]).expect("answers");
            assert!(count > 0, "it hung up");
            length += count;
        }
        assert!(heard.starts_with(b"HTTP/1.1 200"));
    }
}

fn is_whole(heard: &[u8]) -> bool {
    let Some(end) = heard.windows(4).position(|four| four == b"\r\n\r\n") else {
        return false;
    };
    let told = String::from_utf8_lossy(&heard[..end]).to_lowercase();
    let length = told
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.and_then(|text| text.parse().ok()).unwrap_or(0);
    heard.len() >= end + 4 + length
}

fn measure(what: &str, act: impl FnOnce()) {
    let (begun, used) = (Instant::now(), processor());
    act();
    let (took, used) = (begun.elapsed(), processor().saturating_sub(used));
    #[expect(clippy::cast_precision_loss, reason = "a few digits are enough")]
    let count = REQUESTS as f64;
    println!(
        "{what}: {:.0} requests a second; {:.1} µs of processor time each ({REQUESTS} requests)",
        count / took.as_secs_f64(),
        used.as_secs_f64() * 1e6 / count
    );
}

/// User and system time of this process, to the hundredth of a second; nothing where it cannot be known.
fn processor() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks = after_name.split_whitespace().skip(11).take(2);
    Duration::from_millis(
        ticks
            .filter_map(|text| text.parse::<u64>().ok())
            .sum::<u64>()
            * 10,
    )
}

fn memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let lines = status.lines();
    let shown = lines.filter(|line| line.starts_with("VmHWM") || line.starts_with("VmRSS"));
    let shown: Vec<String> = shown
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    shown.join(", ")
}
