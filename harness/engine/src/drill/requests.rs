//! What machinery asks of the undo ledger while the drill waits: only the drill itself writes to it, between its own
//! steps, so that the number of a change is known when its undo is made.

use async_trait::async_trait;
use drdrill_core::action::{Tag, Undo};
use drdrill_core::parts::{MakeUndo, Undos};
use tokio::sync::{mpsc, oneshot};

use crate::ledger::Ledger;

/// One request.
pub(super) enum Request {
    Intend {
        kind: String,
        target: String,
        make: MakeUndo,
        reply: oneshot::Sender<Result<(u32, Undo), String>>,
    },
    Amend {
        id: u32,
        undo: Undo,
        reply: oneshot::Sender<Result<(), String>>,
    },
    TakenBack {
        id: u32,
        reply: oneshot::Sender<()>,
    },
}

/// Where requests are made.
#[derive(Debug)]
pub(super) struct Requests(mpsc::UnboundedSender<Request>);

impl Requests {
    pub(super) fn new() -> (Self, mpsc::UnboundedReceiver<Request>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), receiver)
    }
}

#[async_trait]
impl Undos for Requests {
    async fn intend(
        &self,
        kind: &str,
        target: &str,
        make: MakeUndo,
    ) -> Result<(u32, Undo), String> {
        let (reply, answer) = oneshot::channel();
        let over = || "the drill is over".to_owned();
        let request =
            Request::Intend { kind: kind.to_owned(), target: target.to_owned(), make, reply };
        self.0.send(request).map_err(|_| over())?;
        answer.await.map_err(|_| over())?
    }

    async fn amend(&self, id: u32, undo: Undo) -> Result<(), String> {
        let (reply, answer) = oneshot::channel();
        let over = || "the drill is over".to_owned();
        self.0.send(Request::Amend { id, undo, reply }).map_err(|_| over())?;
        answer.await.map_err(|_| over())?
    }

    async fn taken_back(&self, id: u32) {
        let (reply, answer) = oneshot::channel();
        if self.0.send(Request::TakenBack { id, reply }).is_ok() {
            // When nobody answers the intent stays open, and is taken back once more.
            let _ = answer.await;
        }
    }
}

/// Does what was asked for.
pub(super) fn served(request: Request, run_id: &str, ledger: &mut Ledger) {
    match request {
        Request::Intend { kind, target, make, reply } => {
            let undo = make(&Tag::new(run_id, ledger.next_id()));
            let intended = ledger.intend(&kind, &target, undo.clone());
            let answer = intended.map(|id| (id, undo)).map_err(|error| error.to_string());
            // Whoever asked may be gone: nothing is done then, and what stands in the ledger is taken back all the same.
            let _ = reply.send(answer);
        }
        Request::Amend { id, undo, reply } => {
            let amended = ledger.amend(id, undo).map_err(|error| error.to_string());
            // Whoever asked may be gone; the line stands all the same, and is true.
            let _ = reply.send(amended);
        }
        Request::TakenBack { id, reply } => {
            // When it cannot be written the intent stays open, which is safe.
            let _ = ledger.reverted(id);
            let _ = reply.send(());
        }
    }
}
