//! Notification (requirement C11): people are told of a drill while it runs, and whether they could be told is
//! written down. Nothing that goes wrong here changes what a drill comes to.
//!
//! - [`story`] — which events of a history are worth a notice, and what it says.
//! - [`channel`] — the ways: webhook, mail, status page.
//! - [`notifier`] — the thread that sends, so that nothing a drill does waits for anybody.

pub mod channel;
pub mod notifier;
pub mod story;
