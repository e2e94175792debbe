//! Files of the session's store: small ones into memory, all others into the bag.

use super::link::Link;
use super::patience::bounded;
use crate::bundle::StoredContent;
use crate::clock;
use crate::live::Buffer;
use crate::model::event::EventKind;
use crate::model::id::FileId;
use crate::model::outcome::Cause;
use crate::model::remote::RemoteText;
use crate::model::row::{FileState, StoredFile};
use crate::step::cx::Fetched;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::Timestamp;

impl Link {
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

    /// Streams a file of the session's store into the bag, and writes down what came.
    pub(super) async fn fetch(&mut self, fetched: &Fetched<'_>) -> Result<StoredFile, Cause> {
        let started = clock::now();
        let bag = self.bag()?;
        let save_as = self.shown(fetched.save_as);
        let (patience, deadline) = (self.patience(), self.now.deadline);
        let session = &mut self.hold.current()?.session;
        let announced =
            bounded(patience.clone(), deadline, session.announced(fetched.file)).await?;
        if let (Some(limit), Some(announced)) = (fetched.limit, announced)
            && announced > limit
        {
            return Err(Cause::TooLarge { limit });
        }
        let mut sink = bag.file(&save_as, self.device.os)?;
        let content = session.content(fetched.file, &mut sink, deadline);
        let result = bounded(patience, deadline, content).await;
        let result = result.and_then(|received| match announced {
            Some(announced) if announced != received => Err(Cause::SizeMismatch {
                announced,
                received,
            }),
            _ => Ok(()),
        });
        let state = if result.is_ok() {
            FileState::Complete
        } else {
            FileState::Partial
        };
        let stored = self.on_disk(move || sink.finish(state)).await??;
        let file = self.entry(
            fetched,
            announced,
            stored,
            started,
            state,
            result.as_ref().err(),
        );
        bag.index(&StoredFile {
            original_path: self.shown(&file.original_path),
            ..file.clone()
        })?;
        self.note(EventKind::FileStored {
            device: self.device.id,
            step: self.now.step.clone(),
            path: file.stored_path.clone(),
            size: file.size_received,
            sha256: file.sha256.clone(),
            state,
        })
        .await;
        result.map(|()| file)
    }

    /// A path without secrets: it names a file of the bag.
    fn shown(&self, path: &RemoteText) -> RemoteText {
        let mut path = path.clone();
        path.conceal(&|text| self.job.plan.secrets.hide(text));
        path
    }

    fn entry(
        &self,
        fetched: &Fetched<'_>,
        announced: Option<u64>,
        stored: StoredContent,
        started: Timestamp,
        state: FileState,
        cause: Option<&Cause>,
    ) -> StoredFile {
        StoredFile {
            original_path: fetched.path.clone(),
            original_path_b64: fetched.path.exact().map(|bytes| BASE64.encode(bytes)),
            stored_path: stored.stored_path,
            step_id: self.now.step.clone(),
            size_announced: announced,
            size_received: stored.size,
            sha256: stored.sha256,
            times: serde_json::Value::Null,
            attributes: Vec::new(),
            command_id: fetched.reply.command,
            file_id: fetched.file.clone(),
            started,
            ended: clock::now(),
            attempts: self.now.attempt,
            state,
            cause: cause.cloned(),
        }
    }
}
