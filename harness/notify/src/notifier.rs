//! The thread that tells people. A drill hands over what happened and waits for nobody.

use std::collections::BTreeMap;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBuilder};
use chrono::Utc;
use drdrill_core::event::{Entry, Event, Journal};
use drdrill_core::notice::{Notice, NoticeKind, Severity};
use drdrill_core::record::Record;
use drdrill_core::time::At;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::channel::{SendError, Way, Words};
use crate::story::{About, Story, matters};

/// Time one try may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Tries beside the first one.
const RETRIES: usize = 2;
/// Time before the second try; it doubles.
const PAUSE: Duration = Duration::from_secs(1);

/// Somebody who is told.
#[derive(Debug)]
pub struct Recipient {
    /// Name, for the report.
    pub name: String,
    /// How urgent a notice must be at least.
    pub from: Severity,
    /// Template of the title.
    pub title: Option<String>,
    /// Template of the text.
    pub text: Option<String>,
    /// The way.
    pub by: Way,
}

/// Tells people of one run. Its thread ends once it and its observer are dropped.
#[derive(Debug)]
pub struct Notifier {
    messages: UnboundedSender<Message>,
    waiting: Waiting,
    journal: Arc<dyn Journal>,
}

enum Message {
    Entry(Box<Entry>),
    End(Box<Record>),
    Withdraw(String),
    Trial,
    /// Everything before it was handed to the recipients.
    Handed(SyncSender<()>),
}

/// Notices that are not answered for yet, by recipient and id.
#[derive(Clone, Debug, Default)]
struct Waiting(Arc<Mutex<BTreeMap<(String, String), Event>>>);

impl Waiting {
    fn with<T>(&self, work: impl FnOnce(&mut BTreeMap<(String, String), Event>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Notifier {
    /// Starts the thread; what becomes of each notice goes to `journal`, as an [`Event::Notified`].
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(
        recipients: Vec<Recipient>,
        about: About,
        update_every: Duration,
        journal: Arc<dyn Journal>,
    ) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (messages, inbox) = unbounded_channel();
        let waiting = Waiting::default();
        let desk = Desk { waiting: waiting.clone(), journal: journal.clone() };
        thread::Builder::new().name("notifier".into()).spawn(move || {
            runtime.block_on(follow(inbox, Story::new(about, update_every), recipients, &desk));
            // A name that is being looked up has a thread of its own, which nobody can end.
            runtime.shutdown_background();
        })?;
        Ok(Self { messages, waiting, journal })
    }

    fn send(&self, message: Message) {
        // Whoever sends has no use for an error: what was not told stays among what waits.
        let _ = self.messages.send(message);
    }

    /// What sees the history as it grows.
    #[must_use]
    pub fn observer(&self) -> Box<dyn FnMut(&Entry) + Send> {
        let messages = self.messages.clone();
        Box::new(move |entry| {
            if matters(&entry.event) {
                let _ = messages.send(Message::Entry(Box::new(entry.clone())));
            }
        })
    }

    /// Tells how it ended.
    pub fn tell_end(&self, record: &Record) {
        self.send(Message::End(Box::new(record.clone())));
    }

    /// Tells that what was told of the end does not hold.
    pub fn withdraw(&self, why: &str) {
        self.send(Message::Withdraw(why.to_owned()));
    }

    /// Tells everybody that this is a trial.
    pub fn try_out(&self) {
        self.send(Message::Trial);
    }

    /// Waits until everything is answered for. What is not after `patience` is given up, and said to have failed.
    pub fn settle(&self, patience: Duration) {
        let give_up = Instant::now() + patience;
        let (handed, all_handed) = sync_channel(1);
        self.send(Message::Handed(handed));
        let _ = all_handed.recv_timeout(patience);
        while self.waiting.with(|all| !all.is_empty()) && Instant::now() < give_up {
            thread::sleep(Duration::from_millis(5));
        }
        for (_, mut late) in self.waiting.with(std::mem::take) {
            if let Event::Notified { error, .. } = &mut late {
                *error = Some(format!("not answered for within {} s", patience.as_secs()));
            }
            self.journal.record(late);
        }
    }
}

/// Who answers for notices.
#[derive(Clone)]
struct Desk {
    waiting: Waiting,
    journal: Arc<dyn Journal>,
}

impl Desk {
    fn expect(&self, to: &Door, notice: &Notice, due: At) {
        let waits = Event::Notified {
            to: to.name.clone(),
            by: to.by.to_owned(),
            kind: notice.kind,
            severity: notice.severity,
            due,
            error: None,
        };
        self.waiting.with(|all| all.insert((to.name.clone(), notice.id.clone()), waits));
    }

    /// Writes down what became of a notice, unless it was given up meanwhile.
    fn answered(&self, to: &str, id: &str, outcome: Result<(), SendError>) {
        let waits = self.waiting.with(|all| all.remove(&(to.to_owned(), id.to_owned())));
        let Some(mut answered) = waits else { return };
        if let Event::Notified { error, .. } = &mut answered {
            *error = outcome.err().map(|error| error.to_string());
        }
        self.journal.record(answered);
    }
}

/// Where notices for a recipient are handed in. Behind it is a task of its own: who does not answer holds up nobody else.
struct Door {
    name: String,
    by: &'static str,
    from: Severity,
    follows: bool,
    told: bool,
    letters: UnboundedSender<Notice>,
}

impl Door {
    fn open(recipient: Recipient, desk: &Desk) -> Self {
        let (letters, inbox) = unbounded_channel();
        let door = Self {
            name: recipient.name.clone(),
            by: recipient.by.kind(),
            from: recipient.from,
            follows: recipient.by.follows(),
            told: false,
            letters,
        };
        tokio::spawn(deliver(recipient, inbox, desk.clone()));
        door
    }

    /// Who was told anything is told the end as well.
    fn wants(&self, notice: &Notice) -> bool {
        let ends = matches!(notice.kind, NoticeKind::Over | NoticeKind::Withdrawn);
        notice.severity >= self.from
            || notice.kind == NoticeKind::Test
            || (self.told && (ends || self.follows))
    }
}

async fn deliver(recipient: Recipient, mut inbox: UnboundedReceiver<Notice>, desk: Desk) {
    let Recipient { name, title, text, mut by, .. } = recipient;
    while let Some(notice) = inbox.recv().await {
        let outcome = match Words::of(&notice, title.as_deref(), text.as_deref()) {
            Ok(words) => send(&mut by, &notice, &words).await,
            Err(error) => Err(error),
        };
        desk.answered(&name, &notice.id, outcome);
    }
}

/// Sends a notice, again when that may help.
async fn send(by: &mut Way, notice: &Notice, words: &Words) -> Result<(), SendError> {
    let pauses = ExponentialBuilder::new().with_min_delay(PAUSE).with_max_times(RETRIES).build();
    let mut pauses = pauses.into_iter();
    loop {
        let tried = tokio::time::timeout(PATIENCE, by.send(notice, words)).await;
        let error = match tried.unwrap_or(Err(SendError::Late(PATIENCE))) {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        match pauses.next().filter(|_| error.is_transient()) {
            Some(pause) => tokio::time::sleep(pause).await,
            None => return Err(error),
        }
    }
}

/// Makes notices of messages, and hands them out.
async fn follow(
    mut inbox: UnboundedReceiver<Message>,
    mut story: Story,
    recipients: Vec<Recipient>,
    desk: &Desk,
) {
    let mut doors: Vec<Door> = recipients.into_iter().map(|one| Door::open(one, desk)).collect();
    loop {
        let promised = story.next_update().map(|at| (at - Utc::now()).to_std().unwrap_or_default());
        let due = tokio::time::sleep(promised.unwrap_or(Duration::from_hours(24)));
        let message = tokio::select! {
            message = inbox.recv() => message,
            () = due => {
                let notice = story.update(Utc::now());
                hand_out(&mut doors, notice, desk.journal.now(), desk);
                continue;
            }
        };
        let now = Utc::now();
        let notice = match message {
            Some(Message::Entry(entry)) => {
                let notice = story.of_event(&entry.event, now);
                hand_out(&mut doors, notice, entry.at, desk);
                continue;
            }
            Some(Message::Handed(handed)) => {
                let _ = handed.send(());
                continue;
            }
            Some(Message::End(record)) => Some(story.of_end(&record, now)),
            Some(Message::Withdraw(why)) => Some(story.of_withdrawal(&why, now)),
            Some(Message::Trial) => Some(story.of_trial(now)),
            None => return,
        };
        hand_out(&mut doors, notice, desk.journal.now(), desk);
    }
}

fn hand_out(doors: &mut [Door], notice: Option<Notice>, due: At, desk: &Desk) {
    let Some(notice) = notice else { return };
    for door in doors.iter_mut().filter(|door| door.wants(&notice)) {
        door.told = true;
        desk.expect(door, &notice, due);
        // One that cannot be handed in stays among what waits, and is given up with it.
        let _ = door.letters.send(notice.clone());
    }
}
