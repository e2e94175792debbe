//! What is known of devices agrees with what Live Response finds on them.

use super::*;
use crate::sim::bans::{Decision, Verdict};
use crate::sim::endpoint::code::Code;
use crate::sim::endpoint::order::Yield;
use crate::sim::fleet::{Wanted, fleet};
use crate::sim::view::Stage;
use crate::sim::world::World;
use tokio::time::advance;

fn windows(id: u64) -> SimDevice {
    let mut device = SimDevice::new(id, format!("WS-{id}"), Os::Windows);
    let files = [
        (r"C:\Tools\Tool.EXE", "MZ tool"),
        (r"C:\Tools\copy.exe", "MZ tool"),
        (r"C:\Tools\notes.txt", "notes"),
        (r"C:\Windows\System32\cmd.exe", "MZ cmd"),
    ];
    for (path, text) in files {
        let content = Some(Content::text(text));
        device.endpoint.plant(path, content, |_| {}).expect("legal");
    }
    device
        .endpoint
        .plant(r"C:\page.sys", Some(Content::text("")), |node| {
            node.locked = true;
        })
        .expect("legal");
    device
}

fn run(line: &str) -> Order {
    Order::CreateProcess {
        line: line.into(),
        wait: false,
        working_directory: None,
        output_file: None,
    }
}

/// What an order comes to on a device with an open session.
async fn outcome(world: &World, id: &str, order: Order) -> Result<Yield, Code> {
    let command = world.post(id, order).expect("taken").id;
    advance(Duration::from_millis(10)).await;
    match world.command(id, command).expect("known").stage {
        Stage::Ended { outcome, .. } => outcome,
        _ => panic!("it has not ended"),
    }
}

async fn active(world: &World, device: u64) -> String {
    let id = world.open(device).expect("opens").session.id;
    advance(Duration::from_millis(100)).await;
    id
}

fn paths(images: &[Image]) -> Vec<&str> {
    images.iter().map(|image| image.path.as_str()).collect()
}

fn ban(world: &World, hash: &str) {
    world.catalogue(|catalogue| {
        let known = catalogue.hashes(hash);
        let decision = Decision {
            who: "analyst".into(),
            at: catalogue.times.elapsed(),
            text: "bad".into(),
            enabled: true,
        };
        let set = catalogue
            .bans
            .set(hash, known.as_deref(), Verdict::Banned, decision);
        assert!(set.is_some());
    });
}

#[tokio::test(start_paused = true)]
async fn executables_are_found_by_ending_and_by_running() {
    let world = World::new(vec![windows(7)]);
    let session = active(&world, 7).await;
    outcome(&world, &session, run(r"c:\tools\TOOL.exe"))
        .await
        .expect("starts");
    world.catalogue(|catalogue| {
        let device = &catalogue.devices[&7];
        let images = catalogue.images(device);
        let expected = [
            r"c:\tools\copy.exe",
            r"c:\tools\tool.exe",
            r"c:\windows\system32\cmd.exe",
        ];
        assert_eq!(paths(&images), expected);
        assert_eq!((images[1].name.as_str(), images[1].size()), ("tool.exe", 7));
        assert_eq!(images[0].hashes(), images[1].hashes());
        let hash = images[2].hashes().sha1.to_uppercase();
        assert_eq!(catalogue.hashes(&hash), Some(images[2].hashes()));
        assert_eq!(catalogue.hashes(&"0".repeat(40)), None);
    });
}

#[tokio::test(start_paused = true)]
async fn what_is_left_for_later_is_known_before_and_left_alone() {
    let world = World::new(fleet(10, &Wanted::default(), 1));
    for mut device in fleet(10, &Wanted::default(), 1) {
        let known = images(&device, 0);
        let running: Vec<_> = processes(&device, 0)
            .into_iter()
            .map(|running| (running.process.pid, running.image.hashes().md5.clone()))
            .collect();
        let own = device.endpoint.files.own();
        assert_eq!(own, 0, "nothing was put there");
        image::complete(&mut device);
        let after = images(&device, 0);
        assert_eq!(paths(&known), paths(&after), "{}", device.name);
        for (before, after) in known.iter().zip(&after) {
            assert_eq!(before.hashes(), after.hashes(), "{}", before.path);
        }
        let after: Vec<_> = processes(&device, 0)
            .into_iter()
            .map(|running| (running.process.pid, running.image.hashes().md5.clone()))
            .collect();
        assert_eq!(running, after);
        let session = active(&world, device.id).await;
        let listed = outcome(&world, &session, Order::ProcessList).await;
        let Ok(Yield::Processes(listed)) = listed else {
            panic!("no list");
        };
        let listed: Vec<u64> = listed.into_iter().map(|process| process.pid).collect();
        let known: Vec<u64> = running.into_iter().map(|(pid, _)| pid).collect();
        assert_eq!(listed, known, "{}", device.name);
    }
}

#[test]
fn a_program_is_the_same_on_every_device() {
    let all = fleet(60, &Wanted::default(), 1);
    for name in ["onedrive.exe", "odupd.exe", "svchost.exe", "kworkerd"] {
        let hashes: Vec<_> = all
            .iter()
            .flat_map(|device| images(device, 0))
            .filter(|image| image.name == name)
            .map(|image| image.hashes())
            .collect();
        assert!(hashes.len() > 1, "{name}");
        assert!(hashes.iter().all(|one| one == &hashes[0]), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_banned_image_does_not_start() {
    let mut device = windows(7);
    let content = Some(Content::text("MZ tool"));
    let long = r"C:\My Tools\The Tool.exe";
    device.endpoint.plant(long, content, |_| {}).expect("legal");
    let world = World::new(vec![device, windows(8)]);
    let session = active(&world, 7).await;
    ban(&world, &Hashes::of_text("MZ tool").sha256);
    let refused = [
        r"C:\My Tools\The Tool.exe -x",
        r#"cmd.exe /c "C:\My Tools\The Tool.exe""#,
        r#"cmd.exe /c ""C:\My Tools\The Tool.exe" -x""#,
        r"C:\Tools\tool.exe -x",
        r#""c:\tools\COPY.exe""#,
        r"cmd.exe /c C:\Tools\tool.exe",
    ];
    for line in refused {
        let outcome = outcome(&world, &session, run(line)).await;
        assert_eq!(outcome.map(drop), Err(Code::ACCESS_DENIED), "{line}");
    }
    for line in ["cmd.exe /c exit 0", "whoami.exe"] {
        let outcome = outcome(&world, &session, run(line)).await;
        assert!(outcome.is_ok(), "{line}");
    }
    world.catalogue(|catalogue| {
        let rule = &catalogue.bans.rules()[0];
        let block = rule.last_block.clone().expect("blocked");
        assert_eq!(
            (rule.blocks, block.device, block.host.as_str()),
            (6, 7, "WS-7")
        );
        assert_eq!(block.at, Duration::from_millis(150));
    });
}

#[tokio::test(start_paused = true)]
async fn a_ban_of_a_file_that_comes_later_learns_its_other_names() {
    let world = World::new(vec![windows(7)]);
    let late = Hashes::of_text("MZ late");
    ban(&world, &late.sha256);
    let md5 = |world: &World| {
        world.catalogue(|catalogue| {
            catalogue.complete_bans();
            catalogue.bans.rules()[0].md5().map(str::to_owned)
        })
    };
    assert_eq!(md5(&world), None);
    let session = active(&world, 7).await;
    let clip = crate::sim::endpoint::content::Clip::whole(Content::text("MZ late"));
    let file = world.upload(&session, "late.exe", clip).expect("taken");
    let put = Order::PutFile {
        path: r"C:\Tools\late.exe".into(),
        file_id: file.id.uuid,
    };
    outcome(&world, &session, put).await.expect("put");
    assert_eq!(md5(&world), Some(late.md5.clone()));
}
