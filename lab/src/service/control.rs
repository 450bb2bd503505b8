//! What an operator may do to a site's role. Each step done twice is done once.

use super::auth;
use super::config::FollowTarget;
use crate::store::{Peer, Role, Session, StoreError, User};
use serde::Deserialize;

/// Takes no more writes. All that were taken before are durable once this is.
pub(super) fn fence(session: &mut Session<'_>) -> Result<(), StoreError> {
    session.state.fenced = true;
    session.state.save(session.connection)
}

/// Takes writes again, where the role does.
pub(super) fn unfence(session: &mut Session<'_>) -> Result<(), StoreError> {
    session.state.fenced = false;
    session.state.save(session.connection)
}

/// Becomes primary of a newer epoch, follows nobody, waits for nobody, and is not fenced.
///
/// It waits for nobody because whom it would have to wait for is what was lost, or does not follow it yet.
pub(super) fn promote(
    session: &mut Session<'_>,
    epoch: u64,
    user: &User,
) -> Result<(), StoreError> {
    let state = &mut session.state;
    if state.role == Role::Primary && state.epoch == epoch {
        return Ok(());
    }
    if epoch <= state.epoch {
        return Err(StoreError::StaleEpoch { offered: epoch, known: state.epoch });
    }
    state.role = Role::Primary;
    state.epoch = epoch;
    state.fenced = false;
    state.source = None;
    state.leader_url = None;
    state.synchronous.clear();
    state.peer = None;
    state.stream += 1;
    state.save(session.connection)?;
    auth::seed(session, user)
}

/// Becomes standby of that source. A fence is lifted: a standby takes no writes of its own.
pub(super) fn follow(session: &mut Session<'_>, target: FollowTarget) -> Result<(), StoreError> {
    let state = &mut session.state;
    let source = Some(target.source);
    state.peer = None;
    if state.role != Role::Standby || state.source != source {
        state.stream += 1;
    }
    state.role = Role::Standby;
    state.fenced = false;
    state.source = source;
    state.leader_url = Some(target.leader_url);
    state.save(session.connection)
}

/// Two sites that both take writes from now on; this is what one of them is told.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pairing {
    epoch: u64,
    /// Where the other one's changes come from.
    source: String,
    /// What both together are called.
    pair: String,
    /// Where the history that both have ends.
    position: u64,
    /// Whether it takes none before it is unfenced: until the other one is told too, it would be alone with them.
    #[serde(default)]
    fenced: bool,
}

/// Takes writes beside another site that has the same history.
pub(super) fn pair(
    session: &mut Session<'_>,
    me: String,
    pairing: Pairing,
) -> Result<(), StoreError> {
    let Pairing { epoch, source, pair, position, fenced } = pairing;
    let state = &mut session.state;
    let paired = state.peer.as_ref().is_some_and(|peer| peer.source == source);
    if paired && state.epoch == epoch {
        return Ok(());
    }
    if epoch <= state.epoch {
        return Err(StoreError::StaleEpoch { offered: epoch, known: state.epoch });
    }
    if state.lsn != position {
        let reason =
            format!("the other site has changes up to {position}, this one to {}", state.lsn);
        return Err(StoreError::Conflict(reason));
    }
    state.role = Role::Primary;
    state.epoch = epoch;
    state.fenced = fenced;
    state.source = None;
    state.leader_url = None;
    state.synchronous.clear();
    state.peer = Some(Peer { me, pair, source, cursor: position });
    state.stream += 1;
    state.save(session.connection)
}

/// Acknowledges from now on only what these standbys have too.
pub(super) fn synchronous(
    session: &mut Session<'_>,
    standbys: Vec<String>,
) -> Result<(), StoreError> {
    session.require_primary()?;
    session.state.synchronous = standbys;
    session.state.save(session.connection)
}

/// Becomes a standby that follows nobody yet.
pub(super) fn demote(session: &mut Session<'_>) -> Result<(), StoreError> {
    let state = &mut session.state;
    if state.role == Role::Primary {
        state.peer = None;
        state.role = Role::Standby;
        state.source = None;
        state.leader_url = None;
        state.stream += 1;
    }
    state.save(session.connection)
}
