//! `fileUpload`: an agent is asked to send a file; it does so by and by, each time it reports.

use super::super::{Problem, orders};
use super::copies::{copies, first_of};
use super::fields::{Cell, Column, Field, object};
use super::listing::Listing;
use super::{body, is_on, missing};
use crate::sim::app_control::{Progress, Upload};
use crate::sim::catalogue::Catalogue;
use crate::sim::endpoint::content::Content;
use crate::sim::world::World;
use crate::sim::zipped::zipped;
use crate::wire::{Method, Request, Response};
use jiff::Timestamp;

struct Row {
    upload: Upload,
    progress: Progress,
    asked: Timestamp,
}

const FIELDS: &[Field<Row>] = &[
    ("id", Column::Number(|r| r.upload.id)),
    ("computerId", Column::Number(|r| r.upload.computer)),
    ("fileCatalogId", Column::Number(|r| r.upload.file)),
    ("fileName", Column::Text(|r| &r.upload.name)),
    ("pathName", Column::Text(|r| &r.upload.directory)),
    ("priority", Column::Signed(|r| r.upload.priority)),
    ("uploadStatus", Column::Number(Row::status)),
    ("uploadedFileSize", Column::Number(Row::size)),
    ("uploadPath", Column::Always(Cell::Text(""))),
    ("createdBy", Column::Always(Cell::Text("API"))),
    ("createdByUserId", Column::Always(Cell::Number(1))),
    ("dateCreated", Column::Date(|r| Some(r.asked))),
    ("dateModified", Column::Date(|r| Some(r.asked))),
];

impl Row {
    fn of(upload: &Upload, catalogue: &Catalogue<'_>) -> Self {
        let device = catalogue.devices.get(&upload.computer);
        let times = catalogue.times;
        Self {
            progress: upload.progress(device, times.elapsed()),
            asked: times.at(upload.asked),
            upload: upload.clone(),
        }
    }

    fn status(&self) -> u64 {
        match self.progress {
            Progress::Queued => 0,
            Progress::Initiated => 1,
            Progress::Uploading => 2,
            Progress::Completed => 3,
            Progress::Failed => 4,
        }
    }

    fn size(&self) -> u64 {
        let content = self.upload.content.as_ref();
        content
            .filter(|_| self.progress == Progress::Completed)
            .map_or(0, Content::len)
    }
}

pub(super) fn all(world: &World, request: &Request) -> Result<Response, Problem> {
    match request.method {
        Method::Get => list(world, request),
        Method::Post => ask(world, request),
        _ => Err(Problem::wrong_method()),
    }
}

fn list(world: &World, request: &Request) -> Result<Response, Problem> {
    world.app_control(|kept, catalogue| {
        let listing = Listing::read(FIELDS, &request.query, catalogue.times.now)?;
        let uploads = kept.uploads().iter();
        let rows = uploads.map(|upload| Row::of(upload, catalogue));
        Ok(Response::json(200, &listing.of(rows)))
    })
}

fn ask(world: &World, request: &Request) -> Result<Response, Problem> {
    let body = body(request)?;
    let number = |key: &str| {
        orders::natural(&body, key)?
            .ok_or_else(|| Problem::bad_request(format!("{key} is missing")))
    };
    let (computer, file) = (number("computerId")?, number("fileCatalogId")?);
    let priority = orders::integer(&body, "priority")?.unwrap_or(0);
    let largest = world.max_upload() as u64;
    world.app_control(|kept, catalogue| {
        let device = catalogue.devices.get(&computer);
        let device =
            device.ok_or_else(|| Problem::bad_request(format!("no computer {computer}")))?;
        let mut own = copies(kept, catalogue, device).into_iter();
        let copy = own.find(|copy| copy.file == file);
        let there = copy.is_some();
        let known = copy.or_else(|| first_of(file, kept, catalogue));
        let known = known.ok_or_else(|| Problem::bad_request(format!("no file {file}")))?;
        let mut upload = Upload::new(computer, file, catalogue.times.elapsed());
        upload.priority = priority;
        known.name().clone_into(&mut upload.name);
        known.directory().clone_into(&mut upload.directory);
        let content = known.image.content;
        upload.content = content.filter(|content| there && content.len() <= largest);
        let id = kept.ask_upload(upload, device);
        let made = kept.uploads().iter().find(|upload| upload.id == id);
        let made = made.ok_or_else(|| missing("file upload", id))?;
        Ok(Response::json(
            201,
            &object(FIELDS, &Row::of(made, catalogue)),
        ))
    })
}

pub(super) fn one(world: &World, request: &Request, id: &str) -> Result<Response, Problem> {
    if request.method != Method::Get {
        return Err(Problem::wrong_method());
    }
    let row = world.app_control(|kept, catalogue| {
        let number: Option<u64> = id.parse().ok();
        let mut uploads = kept.uploads().iter();
        let upload = uploads.find(|upload| Some(upload.id) == number);
        upload.map(|upload| Row::of(upload, catalogue))
    });
    let row = row.ok_or_else(|| missing("file upload", id))?;
    if is_on(&request.query, "downloadFile") == Some(true) {
        return archive(world, &row);
    }
    Ok(Response::json(200, &object(FIELDS, &row)))
}

fn archive(world: &World, row: &Row) -> Result<Response, Problem> {
    let content = row.upload.content.as_ref();
    let content = content
        .filter(|_| row.progress == Progress::Completed)
        .ok_or_else(|| missing("file yet of upload", row.upload.id))?;
    let bytes = content.read(0, usize::MAX);
    world.note(|books| books.content_bytes += content.len());
    let body = zipped(&[(row.upload.name.as_str(), &bytes)]);
    Ok(Response {
        headers: vec![("content-type".to_owned(), "application/zip".to_owned())],
        body,
        ..Response::new(200)
    })
}
