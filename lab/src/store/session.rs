//! What one operation of the writer may do, inside the group's transaction.

use rusqlite::Connection;

use super::{Change, Role, Row, SiteState, StoreError};
use crate::node::now_ms;

/// An open transaction of the writer, and the state that the COMMIT will make true.
pub(crate) struct Session<'a> {
    pub(crate) connection: &'a Connection,
    pub(crate) state: SiteState,
}

impl Session<'_> {
    /// Runs one operation; when it fails, nothing of it stays, and the others of its group do.
    pub(crate) fn isolated<T>(
        &mut self,
        operation: impl FnOnce(&mut Self) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.connection.prepare_cached("SAVEPOINT operation")?.execute([])?;
        let before = self.state.clone();
        let outcome = operation(self);
        if outcome.is_err() {
            self.state = before;
            self.connection.prepare_cached("ROLLBACK TO operation")?.execute([])?;
        }
        self.connection.prepare_cached("RELEASE operation")?.execute([])?;
        outcome
    }

    /// Fails unless this site takes writes.
    pub(crate) fn require_primary(&self) -> Result<(), StoreError> {
        match (self.state.fenced, self.state.role) {
            (true, _) => Err(StoreError::Fenced),
            (false, Role::Standby) => Err(StoreError::NotPrimary),
            (false, Role::Primary) => Ok(()),
        }
    }

    /// Appends a change of this site's own and carries it out.
    pub(crate) fn append(&mut self, row: &Row) -> Result<(), StoreError> {
        self.append_unversioned(row)?;
        self.note_version()
    }

    /// The same, for what says itself which version it is.
    pub(super) fn append_unversioned(&mut self, row: &Row) -> Result<(), StoreError> {
        let change = Change {
            lsn: self.state.lsn + 1,
            epoch: self.state.epoch,
            at_ms: now_ms().max(self.state.changed_at_ms),
            kind: row.kind(),
            payload: row.payload()?,
        };
        change.record_row(self.connection, row)?;
        self.advance(&change);
        Ok(())
    }

    /// Appends changes of the primary that this site follows, and carries them out.
    pub(crate) fn apply(&mut self, stream: u64, changes: &[Change]) -> Result<u64, StoreError> {
        self.require_stream(stream)?;
        for change in changes {
            let expected = self.state.lsn + 1;
            if change.lsn != expected {
                return Err(StoreError::Gap { expected, got: change.lsn });
            }
            change.record(self.connection)?;
            self.advance(change);
        }
        Ok(self.state.lsn)
    }

    /// Takes note of the epoch of the primary that this site follows; an older one is refused.
    pub(crate) fn learn_epoch(&mut self, stream: u64, offered: u64) -> Result<(), StoreError> {
        self.require_stream(stream)?;
        let known = self.state.epoch;
        if offered < known {
            return Err(StoreError::StaleEpoch { offered, known });
        }
        if offered > known {
            self.state.epoch = offered;
            self.state.save(self.connection)?;
        }
        Ok(())
    }

    /// Fails unless this site still follows that stream.
    pub(crate) fn require_stream(&self, stream: u64) -> Result<(), StoreError> {
        if self.state.role == Role::Standby && self.state.stream == stream {
            Ok(())
        } else {
            Err(StoreError::NotFollowing)
        }
    }

    fn advance(&mut self, change: &Change) {
        self.state.lsn = change.lsn;
        self.state.lsn_epoch = change.epoch;
        self.state.changed_at_ms = change.at_ms;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Kind, open_writer};

    /// A standby that knows epoch 2 and follows stream 7.
    fn standby(connection: &Connection) -> Session<'_> {
        let state = SiteState {
            role: Role::Standby,
            epoch: 2,
            fenced: false,
            source: None,
            leader_url: None,
            synchronous: Vec::new(),
            peer: None,
            clock: 0,
            lsn: 0,
            lsn_epoch: 0,
            changed_at_ms: 0,
            stream: 7,
        };
        Session { connection, state }
    }

    fn change(lsn: u64) -> Change {
        let payload = r#"{"id":"a","sequence":1,"value":"x","checksum":""}"#.to_owned();
        Change { lsn, epoch: 2, at_ms: 1, kind: Kind::Entry, payload }
    }

    #[test]
    fn a_stream_of_an_older_epoch_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let connection = open_writer(&directory.path().join("site.db")).unwrap();
        let mut session = standby(&connection);
        let refused = session.learn_epoch(7, 1);
        assert!(matches!(refused, Err(StoreError::StaleEpoch { offered: 1, known: 2 })));
        session.learn_epoch(7, 3).unwrap();
        assert_eq!(SiteState::load(&connection).unwrap().unwrap().epoch, 3);
    }

    #[test]
    fn what_an_old_stream_still_delivers_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let connection = open_writer(&directory.path().join("site.db")).unwrap();
        let refused = standby(&connection).apply(6, &[change(1)]);
        assert!(matches!(refused, Err(StoreError::NotFollowing)), "{refused:?}");
    }

    #[test]
    fn an_operation_that_fails_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let connection = open_writer(&directory.path().join("site.db")).unwrap();
        let mut session = standby(&connection);
        let refused = session.isolated(|session| session.apply(7, &[change(1), change(3)]));
        assert!(matches!(refused, Err(StoreError::Gap { expected: 2, got: 3 })), "{refused:?}");
        assert_eq!(session.state.lsn, 0);
        assert!(Change::at(&connection, 1).unwrap().is_none());
        assert_eq!(session.isolated(|session| session.apply(7, &[change(1)])).unwrap(), 1);
    }
}
