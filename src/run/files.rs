//! Files of the session's store: small ones into memory, all others into the bag, piece after piece.

use super::link::{Link, Sent, blocking};
use super::patience::bounded;
use crate::bundle::{Bag, DiskError, FileSink};
use crate::clock;
use crate::live::Buffer;
use crate::model::command::{DirEntry, Reply};
use crate::model::event::EventKind;
use crate::model::id::{CommandId, FileId};
use crate::model::outcome::Cause;
use crate::model::remote::RemoteText;
use crate::model::row::{FileState, Packed, StoredAs, StoredFile};
use crate::step::cx::{Content, FileRequest, Opened, Uploaded};
use crate::text::json;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::Arc;

impl Link {
    /// Brings a local file, or bytes, into the session's store.
    pub(super) async fn bring(
        &mut self,
        content: Content<'_>,
        name: &str,
    ) -> Result<Uploaded, Cause> {
        let (sha256, content) = match content {
            Content::Asset(sha256) => {
                let asset = self.job.plan.assets.get(sha256);
                let asset = asset.ok_or_else(|| Cause::Internal {
                    detail: "a file that the plan does not have was to be sent".into(),
                })?;
                (sha256.to_owned(), Arc::clone(&asset.content))
            }
            Content::Bytes(bytes) => (json::hex(&Sha256::digest(&bytes)), bytes),
        };
        let size = content.len();
        // The command that writes it comes next, and must find it in the same session.
        self.roll_over().await?;
        let (patience, deadline) = (self.patience(), self.now.deadline);
        let session = &mut self.hold.current()?.session;
        let id = session.id();
        let upload = session.upload(name, Arc::clone(&content), deadline);
        let result = bounded(patience, deadline, upload).await;
        self.sent = result.as_ref().ok().map(|file| Sent {
            content,
            name: name.to_owned(),
            file: file.clone(),
        });
        let mut entry = json!({
            "t": clock::now(), "step_id": self.now.step, "attempt": self.now.attempt, "session": id,
            "upload": {"sha256": sha256, "size": size}, "cause": self.cause_of(&result),
        });
        self.job.plan.secrets.hide_in(&mut entry);
        self.bag()?.transcript(&entry)?;
        let size = size as u64;
        result.map(|file| Uploaded { file, size })
    }

    /// Reads a file of the session's store into memory.
    pub(super) async fn small(&mut self, file: &FileId, limit: usize) -> Result<Vec<u8>, Cause> {
        let (patience, deadline) = (self.patience(), self.now.deadline);
        let session = &mut self.hold.current()?.session;
        let announced = bounded(patience.clone(), deadline, session.announced(file)).await?;
        let most = limit as u64;
        if announced.is_some_and(|announced| announced > most) {
            return Err(Cause::TooLarge { limit: most });
        }
        let mut buffer = Buffer {
            bytes: Vec::new(),
            limit,
        };
        let content = session.content(file, &mut buffer, deadline);
        let received = bounded(patience, deadline, content).await?;
        match announced {
            Some(announced) if announced != received => Err(Cause::SizeMismatch {
                announced,
                received,
            }),
            _ => Ok(buffer.bytes),
        }
    }

    /// Streams a file of the session's store to the end of the file that is open.
    pub(super) async fn take_in(&mut self, reply: &Reply, id: &FileId) -> Result<u64, Cause> {
        let bag = self.bag()?;
        let (patience, deadline) = (self.patience(), self.now.deadline);
        let session = &mut self.hold.current()?.session;
        let announced = bounded(patience.clone(), deadline, session.announced(id)).await?;
        let open = self.files.open.as_mut().ok_or_else(nothing_open)?;
        let whole = open.came.as_ref().map_or(0, |came| came.whole);
        if let (Some(limit), Some(announced)) = (open.file.limit, announced)
            && whole.saturating_add(announced) > limit
        {
            return Err(Cause::TooLarge { limit });
        }
        let came = match &mut open.came {
            Some(came) => came,
            none => {
                let mut save_as = RemoteText::from(open.file.save_as.as_str());
                save_as.conceal(&|text| self.job.plan.secrets.hide(text));
                let sink = if open.file.is_sample {
                    bag.sample(&save_as, self.device.os)?
                } else {
                    bag.file(&save_as, self.device.os)?
                };
                none.insert(Came::nothing(sink, reply, id))
            }
        };
        came.piece_announced = announced;
        came.last = (reply.command, id.clone());
        let content = session.content(id, &mut came.sink, deadline);
        let received = bounded(patience, deadline, content).await?;
        match announced {
            Some(announced) if announced != received => Err(Cause::SizeMismatch {
                announced,
                received,
            }),
            _ => {
                came.complete_piece(received);
                Ok(received)
            }
        }
    }

    /// Puts a file away of which all has come, or nothing more will; what another attempt may go on with
    /// is kept for it.
    pub(super) async fn put_away(&mut self, came: Result<(), Cause>) -> Result<StoredFile, Cause> {
        let mut open = self.files.open.take().ok_or_else(nothing_open)?;
        match came {
            Ok(()) => {
                // A piece that broke earlier may have turned out to be none of the file.
                if let Some(came) = &mut open.came {
                    came.sink.back_to_mark()?;
                }
                let wanted = open.file.clone();
                let stored = self.store(open, None).await?;
                self.files.complete.insert(wanted, stored.clone());
                Ok(stored)
            }
            // Nothing of it is wanted.
            Err(cause @ Cause::TooLarge { .. }) => Err(cause),
            Err(cause) if open.came.is_none() => Err(cause),
            Err(cause) if cause.is_transient() => {
                open.trouble = Some(cause.clone());
                self.files.unfinished.push(open);
                Err(cause)
            }
            Err(cause) => {
                self.store(open, Some(cause.clone())).await?;
                Err(cause)
            }
        }
    }

    /// The step has ended, and nobody goes on with what is not whole.
    pub(super) async fn give_up_files(&mut self) {
        // Who was cut short may have left one that is being put away.
        drop(self.disk.lock().await);
        while let Some(mut open) = self.files.left() {
            let trouble = open.trouble.take().unwrap_or(Cause::Interrupted);
            if open.came.is_some() {
                // Why it is not whole is told already; that it cannot be kept either is no other outcome.
                drop(self.store(open, Some(trouble)).await);
            }
        }
        self.files = Files::default();
    }

    /// Gives what came its place, and writes it down. The cause is why it is not all.
    async fn store(&mut self, open: Open, cause: Option<Cause>) -> Result<StoredFile, Cause> {
        let bag = self.bag()?;
        let (file, sink) = self.described(open, cause)?;
        let shown = self.shown(&file.original_path);
        let (job, device) = (Arc::clone(&self.job), self.device.id);
        let turn = Arc::clone(&self.disk).lock_owned().await;
        // Beside us: when we are cut short, the file still gets its line, and the journal knows of it.
        let storing = tokio::spawn(async move {
            let file = blocking(move || place(&bag, file, sink, shown)).await??;
            let stored = EventKind::FileStored {
                device,
                step: file.step_id.clone(),
                path: file.stored_path.clone(),
                size: file.size_received,
                sha256: file.sha256.clone(),
                state: file.state,
            };
            // A broken journal shows at the next permit.
            let _ = job.ledger.record(stored).await;
            drop(turn);
            Ok(file)
        });
        storing.await.map_err(|error| Cause::Internal {
            detail: error.to_string(),
        })?
    }

    /// A path without secrets: it names a file of the bag.
    fn shown(&self, path: &RemoteText) -> RemoteText {
        let mut path = path.clone();
        path.conceal(&|text| self.job.plan.secrets.hide(text));
        path
    }

    /// All that is known of a file before it has its place.
    fn described(&self, open: Open, cause: Option<Cause>) -> Result<(StoredFile, FileSink), Cause> {
        let size_announced = open.announced(cause.is_none());
        let came = open.came.ok_or_else(nothing_open)?;
        let entry = open.entry.as_ref();
        let path = RemoteText::from(open.file.original);
        let (command_id, file_id) = came.last;
        let file = StoredFile {
            original_path_b64: path.exact().map(|bytes| BASE64.encode(bytes)),
            original_path: path,
            stored_path: String::new(),
            step_id: self.now.step.clone(),
            size_announced,
            size_received: 0,
            sha256: String::new(),
            packed: None,
            times: entry.map_or(Value::Null, |entry| {
                json!({"created": entry.created, "accessed": entry.accessed, "written": entry.written})
            }),
            attributes: entry.map_or_else(Vec::new, |entry| entry.attributes.clone()),
            command_id,
            file_id,
            started: open.started,
            ended: open.started,
            attempts: self.now.attempt,
            state: if cause.is_none() {
                FileState::Complete
            } else {
                FileState::Partial
            },
            cause,
        };
        Ok((file, came.sink))
    }
}

/// Gives a file its place in the bag, and its line in the index.
fn place(
    bag: &Bag,
    file: StoredFile,
    sink: FileSink,
    shown: RemoteText,
) -> Result<StoredFile, DiskError> {
    let stored = sink.finish(file.state)?;
    let file = StoredFile {
        stored_path: stored.stored_path,
        size_received: stored.size,
        sha256: stored.sha256,
        packed: stored.zip_sha256.map(|stored_sha256| Packed {
            stored_as: StoredAs::Zip,
            stored_sha256,
        }),
        ended: clock::now(),
        ..file
    };
    bag.index(&StoredFile {
        original_path: shown,
        ..file.clone()
    })?;
    Ok(file)
}

/// The files of the step, or of the item of `for_each`, under way.
#[derive(Default)]
pub(super) struct Files {
    open: Option<Open>,
    /// What another attempt may go on with.
    unfinished: Vec<Open>,
    /// Files that this attempt has brought.
    complete: HashMap<FileRequest, StoredFile>,
    /// Files that an attempt before it has brought, whose session was lost.
    inherited: HashMap<FileRequest, StoredFile>,
}

/// A file that is being fetched.
struct Open {
    file: FileRequest,
    entry: Option<DirEntry>,
    started: Timestamp,
    came: Option<Came>,
    /// Why it was left.
    trouble: Option<Cause>,
}

/// What has come of a file.
struct Came {
    sink: FileSink,
    /// Bytes of all pieces that are whole.
    whole: u64,
    /// What was announced for those; unknown for all if for one.
    announced: Option<u64>,
    /// The same for the last piece, while it is not whole.
    piece_announced: Option<u64>,
    last: (CommandId, FileId),
}

impl Files {
    /// Opens a file, where an earlier attempt left it.
    pub(super) fn open(&mut self, wanted: &FileRequest) -> Opened {
        if let Some(stored) = self.inherited.remove(wanted).filter(|_| !wanted.is_anew) {
            self.complete.insert(wanted.clone(), stored.clone());
            return Opened::Complete(Box::new(stored));
        }
        let mut left = self.unfinished.iter();
        let begun = left.position(|open| open.file == *wanted && !wanted.is_anew);
        let open = match begun {
            Some(place) => self.unfinished.remove(place),
            None => Open {
                file: wanted.clone(),
                entry: None,
                started: clock::now(),
                came: None,
                trouble: None,
            },
        };
        let open = self.open.insert(open);
        Opened::Begun {
            bytes: open.came.as_ref().map_or(0, |came| came.whole),
            entry: open.entry.clone(),
        }
    }

    pub(super) fn describe(&mut self, entry: Option<&DirEntry>) {
        if let Some(open) = &mut self.open {
            open.entry = entry.cloned();
        }
    }

    pub(super) fn begin_anew(&mut self) {
        if let Some(open) = &mut self.open {
            open.came = None;
            open.started = clock::now();
        }
    }

    /// One that is not whole, if there is any.
    fn left(&mut self) -> Option<Open> {
        self.unfinished.pop().or_else(|| self.open.take())
    }

    /// The step begins again in another session: what it has, it has.
    pub(super) fn hand_on(&mut self) {
        self.inherited.extend(self.complete.drain());
    }

    /// The step is asked anew, and wants to see everything as it is now.
    pub(super) fn ask_anew(&mut self) {
        self.inherited.clear();
        self.complete.clear();
    }
}

impl Open {
    /// The size of the whole file where it is known, and otherwise what was announced piece by piece. Of one
    /// that came whole in one piece the piece knows best: its entry may be older.
    fn announced(&self, is_complete: bool) -> Option<u64> {
        let size = self.entry.as_ref().map(|entry| entry.size);
        let size = size.filter(|_| !self.file.is_part());
        let came = self.came.as_ref().and_then(|came| {
            let last = if is_complete {
                Some(0)
            } else {
                came.piece_announced
            };
            Some(came.announced? + last?)
        });
        if is_complete {
            came.or(size)
        } else {
            size.or(came)
        }
    }
}

impl Came {
    fn nothing(sink: FileSink, reply: &Reply, id: &FileId) -> Self {
        Self {
            sink,
            whole: 0,
            announced: Some(0),
            piece_announced: None,
            last: (reply.command, id.clone()),
        }
    }

    fn complete_piece(&mut self, received: u64) {
        self.sink.mark();
        self.whole += received;
        self.announced = self
            .announced
            .zip(self.piece_announced.take())
            .map(|(before, piece)| before + piece);
    }
}

fn nothing_open() -> Cause {
    Cause::Internal {
        detail: "a step sends bytes to a file that is not open".into(),
    }
}
