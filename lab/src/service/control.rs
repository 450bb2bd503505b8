//! What an operator may do to a site's role. Each step done twice is done once.

use super::auth;
use super::config::FollowTarget;
use crate::store::{Role, Session, StoreError, User};

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

/// Becomes primary of a newer epoch, follows nobody, and is not fenced.
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
    state.stream += 1;
    state.save(session.connection)?;
    auth::seed(session, user)
}

/// Becomes standby of that source. A fence is lifted: a standby takes no writes of its own.
pub(super) fn follow(session: &mut Session<'_>, target: FollowTarget) -> Result<(), StoreError> {
    let state = &mut session.state;
    let source = Some(target.source);
    if state.role != Role::Standby || state.source != source {
        state.stream += 1;
    }
    state.role = Role::Standby;
    state.fenced = false;
    state.source = source;
    state.leader_url = Some(target.leader_url);
    state.save(session.connection)
}

/// Becomes a standby that follows nobody yet.
pub(super) fn demote(session: &mut Session<'_>) -> Result<(), StoreError> {
    let state = &mut session.state;
    if state.role == Role::Primary {
        state.role = Role::Standby;
        state.source = None;
        state.leader_url = None;
        state.stream += 1;
    }
    state.save(session.connection)
}
