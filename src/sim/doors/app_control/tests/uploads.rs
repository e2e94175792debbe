use super::*;
use crate::sim::world::Settings;
use std::io::{Cursor, Read};

#[tokio::test(start_paused = true)]
async fn an_agent_sends_a_file_by_and_by() {
    let world = World::new(vec![windows(3)]);
    let wanted = json!({"computerId": 3, "fileCatalogId": 1, "priority": -2});
    let made = post(&world, "fileUpload", &wanted);
    assert_eq!(
        without_dates(made.clone()),
        json!({
            "id": 1,
            "computerId": 3,
            "fileCatalogId": 1,
            "fileName": "tool.exe",
            "pathName": "c:\\tools",
            "priority": -2,
            "uploadStatus": 0,
            "uploadedFileSize": 0,
            "uploadPath": "",
            "createdBy": "API",
            "createdByUserId": 1,
            "dateCreated": "a date",
            "dateModified": "a date",
        })
    );
    assert_eq!(get(&world, "fileupload"), json!([made]));
    let download = || {
        answer(
            &world,
            &request(&world, Method::Get, "fileUpload/1?downloadFile=true", None),
        )
    };
    for status in [1, 2, 3] {
        assert_eq!(download().status, 404);
        advance(MINUTE).await;
        assert_eq!(get(&world, "fileUpload/1")["uploadStatus"], status);
    }
    assert_eq!(get(&world, "fileUpload/1")["uploadedFileSize"], 7);
    let response = download();
    assert_eq!(
        (response.status, response.header("content-type")),
        (200, Some("application/zip"))
    );
    let mut archive = zip::ZipArchive::new(Cursor::new(response.body)).expect("an archive");
    assert_eq!(archive.len(), 1);
    let mut member = archive.by_index(0).expect("there");
    let mut text = String::new();
    member.read_to_string(&mut text).expect("text");
    assert_eq!(
        (member.name().ok().as_deref(), text.as_str()),
        (Some("tool.exe"), "MZ tool")
    );
    assert_eq!(world.books().content_bytes, 7);
}

#[tokio::test(start_paused = true)]
async fn not_every_upload_comes_to_something() {
    let mut other = windows(4);
    let content = Some(Content::text("MZ other"));
    (other.endpoint)
        .plant(r"C:\Tools\Other.exe", content, |_| {})
        .expect("legal");
    let mut large = windows(6);
    let content = Some(Content::text(&"MZ".repeat(100)));
    (large.endpoint)
        .plant(r"C:\Tools\Large.exe", content, |_| {})
        .expect("legal");
    let settings = Settings {
        max_upload: 100,
        ..Settings::default()
    };
    let world = World::with(
        vec![windows(3), other, windows(5).offline(), large],
        settings,
    );
    let number =
        |name: &str| get(&world, &format!("fileCatalog?q=fileName:{name}"))[0]["id"].clone();
    for (id, computer, file, status) in [
        (1, 3, number("other.exe"), 4),
        (2, 5, number("tool.exe"), 0),
        (3, 6, number("large.exe"), 4),
    ] {
        let wanted = json!({"computerId": computer, "fileCatalogId": file});
        assert_eq!(post(&world, "fileUpload", &wanted)["uploadStatus"], 0);
        advance(5 * MINUTE).await;
        let path = format!("fileUpload/{id}");
        assert_eq!(get(&world, &path)["uploadStatus"], status, "{wanted}");
        assert_eq!(
            ask(
                &world,
                Method::Get,
                &format!("{path}?downloadFile=true"),
                None
            )
            .0,
            404
        );
    }
}
