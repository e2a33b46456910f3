//! Runs the commands that read or change the mailbox. Everything here blocks: the exchange calls it
//! on a thread that may.

use freehold_core::mailbox::FolderId;

use super::command::append::{self, Append, Appended};
use super::command::fetch::{Fetch, FetchProgress, Slice};
use super::command::notify::Notify;
use super::command::search::SearchProgress;
use super::command::sort::SortProgress;
use super::command::thread::ThreadProgress;
use super::command::{
    Command, Tagged, close, copy, create, delete, enable, expunge, get_metadata, get_quota,
    get_quota_root, list, lsub, rename, select, set_metadata, status, store, subscribe,
};
use super::completion::Completion;
use super::context::Context;
use super::framer::Literal;
use super::selected::{Arrived, Numbers, Selected, Wanted};
use super::sequence::{Numbering, Set};
use super::session::{Answer, Question};
use super::watch::{OwnChange, Watch};

/// Most new messages whose items are sent at once because of NOTIFY.
const NEW_FETCHED_MAX: usize = 256;
/// The sizes of these messages together, in bytes.
const NEW_FETCHED_SIZE_MAX: u64 = 2 * 1024 * 1024;

/// See the module's text.
pub(crate) struct Executor {
    cx: Context,
    selected: Option<Selected>,
    running: Option<Running>,
    /// The changes that the client asked for with NOTIFY.
    watch: Option<Box<Watch>>,
}

/// A command that is answered in slices.
enum Running {
    Fetch(FetchProgress),
    Search(SearchProgress),
    Sort(SortProgress),
    Thread(ThreadProgress),
}

/// A command's progress after one call.
enum Progress {
    Completed(Completion),
    /// The command is in `running`.
    Running,
}

impl Executor {
    pub(crate) fn new(cx: Context) -> Self {
        Self { cx, selected: None, running: None, watch: None }
    }

    /// Begins an APPEND or REPLACE.
    pub(crate) fn start_append(
        &self,
        head: append::Head,
        literal: Literal,
    ) -> Result<Append, Completion> {
        Append::start(&self.cx, self.selected.as_ref(), head, literal)
    }

    /// Prints the result of an APPEND or REPLACE.
    pub(crate) fn appended(&mut self, appended: &Appended) -> Completion {
        appended.print(&mut self.cx.out)
    }

    /// The selected folder.
    pub(crate) fn selected(&self) -> Option<FolderId> {
        self.selected.as_ref().map(|selected| selected.folder)
    }

    /// Takes the untagged responses printed so far.
    pub(crate) fn take_output(&mut self) -> Vec<u8> {
        self.cx.out.take()
    }

    /// True when no folder is selected or it has not changed: at most one row is read.
    pub(crate) fn is_current(&self) -> bool {
        match &self.selected {
            None => true,
            // An error is met and logged again by the report.
            Some(selected) => selected.is_current(&self.cx).unwrap_or(false),
        }
    }

    /// Reports the changes in the selected folder. False when the output broke off in a literal.
    pub(crate) async fn report(&mut self, numbers: Numbers) -> bool {
        let wanted = self.watch.as_ref().map_or(Wanted::ALL, |watch| watch.wanted());
        self.report_wanted(numbers, wanted).await
    }

    async fn report_wanted(&mut self, numbers: Numbers, wanted: Wanted) -> bool {
        let Some(selected) = &mut self.selected else { return true };
        match selected.report_changes(&mut self.cx, numbers, wanted).await {
            Ok(arrived) => self.fetch_new(arrived).await,
            Err(error) => {
                // The next report has the changes as well; the command that just ended succeeded.
                tracing::error!(%error, "imap: changes could not be reported");
                true
            }
        }
    }

    /// Prints the items of new messages that NOTIFY asked for (RFC 5465 5.2), or ends NOTIFY if
    /// they are too many (RFC 5465 5.8). False when the output broke off in a literal.
    async fn fetch_new(&mut self, arrived: Arrived) -> bool {
        let (Some(watch), Some(selected)) = (&self.watch, &mut self.selected) else { return true };
        let group = watch.request.selected.as_ref().filter(|group| !group.items.is_empty());
        let Some(group) = group.filter(|_| !arrived.uids.is_empty()) else { return true };
        if arrived.uids.len() > NEW_FETCHED_MAX || arrived.size > NEW_FETCHED_SIZE_MAX {
            self.overflow();
            return true;
        }
        let fetch = Fetch {
            by: Numbering::Uid,
            set: Set::of(&arrived.uids),
            items: group.items.clone(),
            changed_since: None,
            vanished: false,
        };
        let Ok(mut fetch) = FetchProgress::start(&mut self.cx, selected, fetch) else {
            return true;
        };
        fetch.peek();
        loop {
            match Box::pin(fetch.slice(&mut self.cx, selected)).await {
                Slice::More => {}
                Slice::Complete(_) => return true,
                Slice::Broken => return false,
            }
        }
    }

    /// Ends NOTIFY. From now on changes are reported as without it.
    fn overflow(&mut self) {
        self.watch = None;
        self.cx.out.line("* OK [NOTIFICATIONOVERFLOW] too many changes; NOTIFY has ended");
    }

    /// Reports what NOTIFY asked for, between commands or in IDLE. False when the output broke off
    /// in a literal.
    pub(crate) async fn notify(&mut self, is_idle: bool) -> bool {
        let Some(watch) = &self.watch else {
            return !is_idle || self.report(Numbers::MayChange).await;
        };
        // In IDLE an EXPUNGE is permitted (RFC 5465 4).
        let numbers = match watch.is_delayed() && !is_idle {
            true => Numbers::MustStay,
            false => Numbers::MayChange,
        };
        if !self.report(numbers).await {
            return false;
        }
        let (selected, Some(watch)) = (self.selected(), &mut self.watch) else { return true };
        match watch.report(&mut self.cx, selected) {
            Ok(true) => {}
            Ok(false) => self.overflow(),
            Err(error) => tracing::error!(%error, "imap: changes could not be reported"),
        }
        true
    }

    /// Answers [`Question::Run`] and [`Question::Continue`].
    pub(crate) async fn answer(&mut self, question: Question) -> Answer {
        let Question::Run(Tagged { tag, command }) = question else { return self.resume().await };
        let numbers = command.numbers_after();
        // The client is sent what its own command expunges, whatever NOTIFY says.
        let expunges = command.expunges();
        let own = self.watch.as_ref().and_then(|_| OwnChange::of(&command));
        match self.execute(tag, command).await {
            Ok(Progress::Running) => self.resume().await,
            Ok(Progress::Completed(completion)) | Err(completion) => {
                if let (Some(watch), Some(own), true) = (&mut self.watch, own, completion.is_ok())
                    && let Err(error) = watch.note(&self.cx, own)
                {
                    tracing::error!(%error, "imap: a change is reported to its own client");
                }
                if expunges && !self.report_wanted(numbers, Wanted::ALL).await {
                    return Answer::Broken;
                }
                self.complete(completion, numbers).await
            }
        }
    }

    async fn complete(&mut self, completion: Completion, numbers: Numbers) -> Answer {
        if !self.report(numbers).await {
            return Answer::Broken;
        }
        Answer::Completed { completion, selected: self.selected() }
    }

    /// NOTIFY SET and NONE (RFC 5465 3.1).
    fn set_watch(&mut self, notify: Notify) -> Result<Completion, Completion> {
        let request = match notify {
            Notify::None => {
                self.watch = None;
                return Ok(Completion::ok("no changes are reported"));
            }
            Notify::Set(request) => request,
        };
        if let Some(refusal) = request.refusal() {
            return Err(refusal);
        }
        let selected = self.selected();
        let watch = Watch::start(&mut self.cx, selected, request)?;
        self.watch = Some(Box::new(watch));
        Ok(Completion::ok("changes are reported"))
    }

    /// Does the next slice of the command that is running.
    async fn resume(&mut self) -> Answer {
        let Some(selected) = &mut self.selected else { return Answer::Broken };
        match &mut self.running {
            None => Answer::Broken,
            Some(Running::Fetch(fetch)) => {
                let numbers = Numbers::after(fetch.by);
                match Box::pin(fetch.slice(&mut self.cx, selected)).await {
                    Slice::More => Answer::More,
                    Slice::Broken => Answer::Broken,
                    Slice::Complete(completion) => {
                        self.running = None;
                        self.complete(completion, numbers).await
                    }
                }
            }
            Some(Running::Search(search)) => {
                let completion = search.slice(&mut self.cx, selected);
                let by = search.by;
                self.searched(completion, by).await
            }
            Some(Running::Sort(sort)) => {
                let completion = sort.slice(&mut self.cx, selected);
                let by = sort.by;
                self.searched(completion, by).await
            }
            Some(Running::Thread(thread)) => {
                let completion = thread.slice(&mut self.cx, selected);
                let by = thread.by;
                self.searched(completion, by).await
            }
        }
    }

    /// After a slice of a search by numbers of this kind. No EXPUNGE is sent while sequence numbers
    /// are in use (RFC 3501 7.4.1, RFC 5256 3).
    async fn searched(&mut self, completion: Option<Completion>, by: Numbering) -> Answer {
        match completion {
            None => Answer::Searching,
            Some(completion) => {
                self.running = None;
                self.complete(completion, Numbers::after(by)).await
            }
        }
    }

    /// Enables CONDSTORE at the first command that does. The client then needs the folder's modseq
    /// (RFC 7162 3.1.2.1); SELECT sends it in any case.
    fn enable_condstore(&mut self, command: &Command) {
        if self.cx.enabled.condstore || !command.enables_condstore() {
            return;
        }
        self.cx.enabled.condstore = true;
        if let Some(selected) = &self.selected
            && !matches!(command, Command::Select(_))
        {
            selected.report_modseq(&mut self.cx);
        }
    }

    async fn execute(&mut self, tag: String, command: Command) -> Result<Progress, Completion> {
        self.enable_condstore(&command);
        if matches!(command, Command::Notify(_)) {
            // RFC 5465 3.1: changes not yet reported come first, as by NOOP.
            self.report_wanted(Numbers::MayChange, Wanted::ALL).await;
        }
        let cx = &mut self.cx;
        let completion = match (command, &mut self.selected) {
            (Command::Enable(enable), _) => {
                enable::run(cx, &enable);
                Ok(Completion::ok("enabled"))
            }
            (Command::Select(select), current) => {
                if let Some(refusal) = select.refusal(cx.enabled) {
                    return Err(refusal);
                }
                // The folder that was selected is deselected even when this fails (RFC 3501 6.3.1).
                if current.take().is_some() {
                    // RFC 7162 3.2.11.
                    cx.out.line("* OK [CLOSED] the selected folder is closed");
                }
                select::run(cx, &select).await.map(|(selected, completion)| {
                    *current = Some(selected);
                    completion
                })
            }
            (Command::Notify(notify), _) => self.set_watch(notify),
            (Command::Create(create), _) => create::run(cx, &create).await,
            (Command::Delete(delete), _) => delete::run(cx, &delete).await,
            (Command::Rename(rename), _) => rename::run(cx, &rename).await,
            (Command::Subscribe(subscribe), _) => subscribe::run(cx, &subscribe).await,
            (Command::GetMetadata(get), _) => get_metadata::run(cx, &get),
            (Command::SetMetadata(set), _) => set_metadata::run(cx, set).await,
            (Command::GetQuota(get), _) => get_quota::run(cx, &get),
            (Command::GetQuotaRoot(get), _) => get_quota_root::run(cx, &get),
            (Command::List(list), _) => list::run(cx, &list),
            (Command::Lsub(lsub), _) => lsub::run(cx, &lsub),
            (Command::Status(status), _) => status::run(cx, &status),

            (Command::Close, Some(selected)) => {
                let completion = close::run(cx, selected).await;
                self.selected = None;
                completion
            }
            (Command::Unselect, current) => {
                *current = None;
                Ok(Completion::ok("unselected"))
            }
            (Command::Expunge(expunge), Some(selected)) => {
                expunge::run(cx, selected, &expunge).await
            }
            (Command::Copy(copy), Some(selected)) => copy::run(cx, selected, &copy).await,
            (Command::Store(store), Some(selected)) => store::run(cx, selected, &store).await,
            (Command::Search(search), Some(selected)) => {
                let search = SearchProgress::start(cx, selected, tag, search)?;
                self.running = Some(Running::Search(search));
                return Ok(Progress::Running);
            }
            (Command::Sort(sort), Some(selected)) => {
                let sort = SortProgress::start(cx, selected, tag, sort)?;
                self.running = Some(Running::Sort(sort));
                return Ok(Progress::Running);
            }
            (Command::Thread(thread), Some(selected)) => {
                let thread = ThreadProgress::start(cx, selected, thread)?;
                self.running = Some(Running::Thread(thread));
                return Ok(Progress::Running);
            }
            (Command::Fetch(fetch), Some(selected)) => {
                let fetch = FetchProgress::start(cx, selected, fetch)?;
                self.running = Some(Running::Fetch(fetch));
                return Ok(Progress::Running);
            }
            // The session asks for no other command, and for none of these without a folder.
            _ => Err(Completion::not_selected()),
        };
        completion.map(Progress::Completed)
    }
}
