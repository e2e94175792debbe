//! Brings a file into the bag, a large one piece by piece, so that an interruption costs one piece.

use super::super::cx::{FileRequest, Opened, StepCx};
use super::super::unexpected;
use crate::model::command::{Command, CommandResult, DirEntry};
use crate::model::outcome::{Cause, PAST_END};
use crate::model::row::StoredFile;

/// Fetches one file. Who has seen its directory entry gives it, which saves asking for it.
pub(in super::super) async fn fetch(
    cx: &mut StepCx<'_>,
    file: &FileRequest,
    entry: Option<&DirEntry>,
) -> Result<StoredFile, Cause> {
    let came = match cx.hands.open(file) {
        Opened::Complete(stored) => return Ok(*stored),
        Opened::Begun { bytes: 0, .. } => {
            cx.hands.describe(entry);
            let there = file.there(entry, 0);
            Fetch::new(file, 0, there).run(cx).await
        }
        Opened::Begun {
            bytes,
            entry: before,
        } => go_on(cx, file, bytes, before.as_ref(), entry).await,
    };
    cx.hands.close(came).await
}

/// Goes on with what an earlier attempt began, unless it is another file by now.
async fn go_on(
    cx: &mut StepCx<'_>,
    file: &FileRequest,
    bytes: u64,
    before: Option<&DirEntry>,
    entry: Option<&DirEntry>,
) -> Result<(), Cause> {
    let entry = match entry {
        Some(entry) => Some(entry.clone()),
        None => look(cx, &file.path).await?,
    };
    let state = |entry: &DirEntry| (entry.size, entry.written);
    // Where the endpoint says nothing either time, there is no better knowledge.
    let is_same = before.map(state) == entry.as_ref().map(state);
    if !is_same {
        cx.hands.begin_anew();
    }
    cx.hands.describe(entry.as_ref());
    let received = if is_same { bytes } else { 0 };
    let there = file.there(entry.as_ref(), received);
    Fetch::new(file, received, there).run(cx).await
}

impl FileRequest {
    /// Bytes that the endpoint has of what is wanted. An entry that says less than came knows nothing: it is
    /// older, or the file is none that has a size.
    fn there(&self, entry: Option<&DirEntry>, received: u64) -> Option<u64> {
        let size = entry?.size.checked_sub(self.offset)?;
        let wanted = self.count.map_or(size, |count| count.min(size));
        Some(wanted).filter(|wanted| *wanted >= received)
    }
}

/// What a fetch that begins asks for first.
pub(in crate::step) fn first(file: &FileRequest, piece: u64) -> Command {
    Fetch::new(file, 0, None).command(piece)
}

struct Fetch<'a> {
    file: &'a FileRequest,
    received: u64,
    there: Option<u64>,
}

impl<'a> Fetch<'a> {
    const fn new(file: &'a FileRequest, received: u64, there: Option<u64>) -> Self {
        Self {
            file,
            received,
            there,
        }
    }

    async fn run(mut self, cx: &mut StepCx<'_>) -> Result<(), Cause> {
        loop {
            self.refuse_too_large()?;
            let asked = self.next(cx.piece);
            if self.received > 0 && asked == Some(0) {
                return Ok(());
            }
            let Some(got) = self.piece(cx).await? else {
                return Ok(());
            };
            let is_first = self.received == 0;
            self.received += got;
            self.refuse_too_large()?;
            if asked != Some(got) {
                return self.end(asked, got);
            }
            let is_all = self.file.count == Some(self.received);
            if is_first && !is_all {
                self.measure(cx).await?;
            }
        }
    }

    fn command(&self, piece: u64) -> Command {
        Command::GetFile {
            path: self.file.path.clone(),
            offset: self.file.offset + self.received,
            count: self.next(piece),
        }
    }

    /// How many bytes to ask for; all unless there is a number.
    fn next(&self, piece: u64) -> Option<u64> {
        let left = |most: u64| most.saturating_sub(self.received);
        // One byte more than allowed tells a file that is too large from one that fits exactly,
        // without making the sensor send all of it.
        let limit = self.file.limit.map(|limit| left(limit.saturating_add(1)));
        // What was just begun is taken as it is, whatever somebody saw before.
        let there = self.there.filter(|_| self.received > 0).map(left);
        // A zip has to come in one go.
        let piece = (!self.file.is_sample).then_some(piece);
        [piece, limit, there, self.file.count.map(left)]
            .into_iter()
            .flatten()
            .min()
    }

    /// Fetches one piece; none if there is nothing where it would begin.
    async fn piece(&self, cx: &mut StepCx<'_>) -> Result<Option<u64>, Cause> {
        let asked = cx.ask(self.command(cx.piece)).await;
        let is_blind = self.received > 0 && self.there.is_none();
        let reply = match asked {
            Err(cause) if is_blind && cause.is_endpoint_code(&PAST_END) => return Ok(None),
            asked => asked?,
        };
        let CommandResult::File(id) = &reply.result else {
            return Err(unexpected(&reply));
        };
        cx.hands.append(&reply, id).await.map(Some)
    }

    /// A first piece is full: how much more is there?
    async fn measure(&mut self, cx: &mut StepCx<'_>) -> Result<(), Cause> {
        if self.there.is_none_or(|there| there < self.received) {
            let entry = look(cx, &self.file.path).await?;
            cx.hands.describe(entry.as_ref());
            self.there = self.file.there(entry.as_ref(), self.received);
        }
        Ok(())
    }

    /// What it means that a piece has another size than the one asked for.
    fn end(&self, asked: Option<u64>, got: u64) -> Result<(), Cause> {
        let is_first = self.received == got;
        if !is_first && asked.is_some_and(|asked| got > asked) {
            let detail = format!("a piece of {got} bytes where {asked:?} were asked for");
            return Err(Cause::BadAnswer { detail });
        }
        match self.there {
            // Of a file in pieces it is known how large it is; one in one piece is what came.
            Some(announced) if !is_first && self.received < announced => Err(Cause::SizeMismatch {
                announced,
                received: self.received,
            }),
            _ => Ok(()),
        }
    }

    fn refuse_too_large(&self) -> Result<(), Cause> {
        let known = self.there.unwrap_or(0).max(self.received);
        match self.file.limit {
            Some(limit) if known > limit => Err(Cause::TooLarge { limit }),
            _ => Ok(()),
        }
    }
}

/// Asks for the directory entry of one file, where the endpoint has such a thing.
async fn look(cx: &mut StepCx<'_>, path: &str) -> Result<Option<DirEntry>, Cause> {
    let command = Command::DirectoryList {
        path: path.to_owned(),
    };
    match cx.ask(command).await {
        Ok(reply) => Ok(match reply.result {
            CommandResult::Entries(entries) => match <[DirEntry; 1]>::try_from(entries) {
                Ok([entry]) if !entry.is_directory() => Some(entry),
                _ => None,
            },
            _ => None,
        }),
        Err(Cause::Endpoint { .. } | Cause::Unsupported { .. }) => Ok(None),
        Err(cause) => Err(cause),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::cx::Hands;
    use super::*;
    use crate::live::Answer;
    use crate::model::command::Reply;
    use crate::model::device::{Os, sample};
    use crate::model::effect::Effect;
    use crate::model::id::FileId;
    use crate::model::row::Finding;
    use crate::step::cx::{Content, Source, Uploaded};
    use crate::template::Scope;
    use jiff::Timestamp;
    use std::time::Duration;

    const PIECE: u64 = 10;
    const ALL: u64 = u64::MAX;
    const BAD_PARAMETER: u32 = 0x8007_0057;
    const END_OF_FILE: u32 = 0x8007_0026;

    /// An endpoint with one file, and a bag that only counts.
    #[derive(Default)]
    struct Endpoint {
        /// Bytes of the file when it is read.
        size: u64,
        /// What its directory entry says.
        listed: Option<u64>,
        /// What it says of an offset at the end; it sends an empty file unless given.
        past_end: Option<u32>,
        /// It sends all that there is from the offset on.
        counts_nothing: bool,
        /// What an earlier attempt brought, and the size that was listed then.
        begun: u64,
        listed_before: Option<u64>,
        log: Vec<String>,
        closed: Option<Result<(), Cause>>,
    }

    fn entry(size: u64) -> DirEntry {
        DirEntry {
            name: "f".into(),
            size,
            attributes: Vec::new(),
            created: None,
            accessed: None,
            written: Some(Timestamp::UNIX_EPOCH),
        }
    }

    impl Endpoint {
        fn answer(&self, command: &Command) -> Result<CommandResult, Cause> {
            match command {
                Command::GetFile { offset, count, .. } => {
                    if let Some(code) = self.past_end.filter(|_| *offset >= self.size) {
                        return Err(Cause::Endpoint { code });
                    }
                    let left = self.size.saturating_sub(*offset);
                    let count = count.filter(|_| !self.counts_nothing).unwrap_or(ALL);
                    let sent = left.min(count);
                    Ok(CommandResult::File(sent.to_string().as_str().into()))
                }
                _ => match self.listed {
                    Some(size) => Ok(CommandResult::Entries(vec![entry(size)])),
                    None => Err(Cause::Endpoint { code: 0x8007_0005 }),
                },
            }
        }
    }

    impl Hands for Endpoint {
        fn expect(&mut self, _: Vec<Command>) {}

        fn command(&mut self, command: Command, _: Effect) -> Answer<'_, Reply> {
            self.log.push(match &command {
                Command::GetFile { offset, count, .. } => {
                    let count = count.map_or("all".to_owned(), |count| count.to_string());
                    format!("{offset}+{count}")
                }
                other => other.name().to_owned(),
            });
            let result = self.answer(&command);
            Box::pin(async {
                Ok(Reply {
                    session: "1:1".into(),
                    command: crate::model::id::CommandId(1),
                    result: result?,
                    raw: Vec::new(),
                })
            })
        }

        fn clean_up(&mut self, command: Command) -> Answer<'_, Reply> {
            self.command(command, Effect::Converge)
        }

        fn open(&mut self, _: &FileRequest) -> Opened {
            Opened::Begun {
                bytes: self.begun,
                entry: self.listed_before.map(entry),
            }
        }

        fn describe(&mut self, _: Option<&DirEntry>) {}

        fn begin_anew(&mut self) {
            self.log.push("anew".into());
        }

        fn append<'a>(&'a mut self, _: &'a Reply, file: &'a FileId) -> Answer<'a, u64> {
            Box::pin(async { Ok(file.as_str().parse().unwrap()) })
        }

        fn close(&mut self, came: Result<(), Cause>) -> Answer<'_, StoredFile> {
            self.closed = Some(came);
            Box::pin(async { Err(Cause::Interrupted) })
        }

        fn read<'a>(&'a mut self, _: &'a FileId, _: usize) -> Answer<'a, Vec<u8>> {
            unreachable!("files go into the bag")
        }

        fn finding(&mut self, _: Finding) -> Answer<'_, ()> {
            unreachable!("nothing is found")
        }

        fn left_behind(&mut self, _: String) -> Answer<'_, ()> {
            unreachable!("nothing is left")
        }

        fn wait(&mut self, _: Duration) -> Answer<'_, ()> {
            unreachable!("nothing is waited for")
        }

        fn source(&self) -> Option<Source> {
            None
        }

        fn upload<'a>(&'a mut self, _: Content<'a>, _: &'a str) -> Answer<'a, Uploaded> {
            unreachable!("nothing is sent")
        }

        fn renew(&mut self) -> Answer<'_, ()> {
            unreachable!("no session is lost")
        }

        fn left(&self) -> Duration {
            Duration::ZERO
        }

        fn extend(&mut self, _: Duration) {}

        fn has_run(&self) -> &[Command] {
            &[]
        }

        fn written(&self, text: &str) -> String {
            text.to_owned()
        }

        fn keep<'a>(&'a mut self, _: &'a str, _: &'a [u8]) -> Answer<'a, ()> {
            unreachable!("nothing is taken away")
        }

        fn kept(&self, _: &str) -> Option<Vec<u8>> {
            None
        }

        fn nonce(&mut self) -> String {
            String::new()
        }
    }

    /// What was asked, and how it ended.
    async fn ask(
        mut endpoint: Endpoint,
        file: FileRequest,
        seen: Option<u64>,
    ) -> (String, Result<(), Cause>) {
        let mut cx = StepCx {
            step: &"get".into(),
            device: &sample(1, "h", Os::Windows),
            scope: &Scope::default(),
            hands: &mut endpoint,
            piece: PIECE,
            rows: &mut Vec::new(),
        };
        let seen = seen.map(entry);
        drop(fetch(&mut cx, &file, seen.as_ref()).await);
        let closed = endpoint.closed.expect("whatever is opened is closed");
        (endpoint.log.join(" "), closed)
    }

    fn whole() -> FileRequest {
        FileRequest::whole(r"C:\f")
    }

    fn of(size: u64) -> Endpoint {
        Endpoint {
            size,
            listed: Some(size),
            ..Endpoint::default()
        }
    }

    #[tokio::test]
    async fn what_is_asked_for() {
        let limited = |limit| FileRequest {
            limit: Some(limit),
            ..whole()
        };
        let sample = FileRequest {
            is_sample: true,
            ..whole()
        };
        let table = [
            (of(9), whole(), "0+10"),
            (of(0), whole(), "0+10"),
            (of(10), whole(), "0+10 directory list"),
            (of(25), whole(), "0+10 directory list 10+10 20+5"),
            (of(25), limited(25), "0+10 directory list 10+10 20+5"),
            (of(5), limited(5), "0+6"),
            (of(25), sample.clone(), "0+all"),
            (
                of(25),
                FileRequest {
                    limit: Some(30),
                    ..sample
                },
                "0+31",
            ),
            // A sensor that does not count.
            (
                Endpoint {
                    counts_nothing: true,
                    ..of(25)
                },
                whole(),
                "0+10",
            ),
            // It grew since it was listed.
            (
                Endpoint { size: 99, ..of(15) },
                whole(),
                "0+10 directory list 10+5",
            ),
        ];
        for (endpoint, file, expected) in table {
            let case = format!("{file:?}");
            assert_eq!(
                ask(endpoint, file, None).await,
                (expected.into(), Ok(())),
                "{case}"
            );
        }
    }

    #[tokio::test]
    async fn without_an_entry_it_goes_on_to_the_end() {
        for (size, past_end, expected) in [
            (15, None, "0+10 directory list 10+10"),
            (20, None, "0+10 directory list 10+10 20+10"),
            (20, Some(BAD_PARAMETER), "0+10 directory list 10+10 20+10"),
            (20, Some(END_OF_FILE), "0+10 directory list 10+10 20+10"),
        ] {
            // One that says less than came is as good as none.
            for listed in [None, Some(3)] {
                let endpoint = Endpoint {
                    size,
                    listed,
                    past_end,
                    ..Endpoint::default()
                };
                assert_eq!(
                    ask(endpoint, whole(), None).await,
                    (expected.into(), Ok(()))
                );
            }
        }
        let refused = Endpoint {
            past_end: Some(BAD_PARAMETER),
            ..of(0)
        };
        let code = BAD_PARAMETER;
        let expected = ("0+10".into(), Err(Cause::Endpoint { code }));
        assert_eq!(ask(refused, whole(), None).await, expected);
    }

    #[tokio::test]
    async fn an_entry_that_was_seen_is_not_asked_for() {
        let table = [
            (of(25), 25, "0+10 10+10 20+5"),
            (of(10), 10, "0+10"),
            // What is no more than a piece is taken as it is now.
            (of(9), 3, "0+10"),
            (of(3), 9, "0+10"),
            // It has outgrown the piece since then.
            (of(25), 3, "0+10 directory list 10+10 20+5"),
        ];
        for (endpoint, seen, expected) in table {
            let asked = ask(endpoint, whole(), Some(seen)).await;
            assert_eq!(asked, (expected.into(), Ok(())));
        }
    }

    #[tokio::test]
    async fn a_file_that_changes_under_way_is_not_taken_for_whole() {
        let shrunk = Endpoint { size: 12, ..of(25) };
        let mismatch = Cause::SizeMismatch {
            announced: 25,
            received: 12,
        };
        let expected = ("0+10 directory list 10+10".into(), Err(mismatch));
        assert_eq!(ask(shrunk, whole(), None).await, expected);
        let uncounted = Endpoint {
            begun: 10,
            listed_before: Some(15),
            counts_nothing: true,
            size: 99,
            ..of(15)
        };
        let (asked, ended) = ask(uncounted, whole(), None).await;
        assert_eq!(asked, "directory list 10+5");
        assert!(matches!(ended, Err(Cause::BadAnswer { .. })), "{ended:?}");
    }

    #[tokio::test]
    async fn it_goes_on_with_the_same_file_only() {
        let begun = |before| Endpoint {
            begun: 20,
            listed_before: before,
            ..of(25)
        };
        let table = [
            (begun(Some(25)), None, "directory list 20+5"),
            (begun(Some(25)), Some(25), "20+5"),
            // Nobody knows which file it was.
            (begun(None), None, "directory list anew 0+10 10+10 20+5"),
            (
                Endpoint {
                    listed: None,
                    ..begun(None)
                },
                None,
                "directory list 20+10",
            ),
            (begun(Some(24)), None, "directory list anew 0+10 10+10 20+5"),
            (begun(Some(24)), Some(25), "anew 0+10 10+10 20+5"),
            (
                Endpoint {
                    listed: None,
                    ..begun(Some(25))
                },
                None,
                "directory list anew 0+10 directory list 10+10 20+10",
            ),
        ];
        for (endpoint, seen, expected) in table {
            let asked = ask(endpoint, whole(), seen).await;
            assert_eq!(asked, (expected.into(), Ok(())));
        }
    }
}
