//! Data on its way through a connection.

use std::collections::VecDeque;

use bytes::Bytes;

/// Bytes that arrived together, never none.
#[derive(Debug, Clone)]
pub(crate) struct Chunk {
    pub(crate) data: Bytes,
    /// When they arrived at this point, in nanoseconds of the monotonic clock.
    pub(crate) at: u64,
}

/// How a stream ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The source sends no more; the other direction may go on.
    Closed,
    /// The source is gone.
    Lost,
    /// A toxic closes the connection.
    Cut,
    /// A toxic resets the connection.
    Reset,
}

#[derive(Debug, Clone)]
pub(crate) enum Item {
    Data(Chunk),
    End(Ending),
}

/// Items in the order in which they arrived, waiting for what comes next.
#[derive(Debug)]
pub(crate) struct Queue {
    items: VecDeque<Item>,
    waiting_bytes: usize,
    capacity_bytes: usize,
    /// How many items ever came in: tells whether something moved.
    arrivals: u64,
}

impl Queue {
    /// A queue that has room until `capacity_bytes` wait in it. It takes more when pushed.
    pub(crate) fn new(capacity_bytes: usize) -> Self {
        Self { items: VecDeque::new(), waiting_bytes: 0, capacity_bytes, arrivals: 0 }
    }

    pub(crate) fn has_room(&self) -> bool {
        self.waiting_bytes < self.capacity_bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub(crate) fn arrivals(&self) -> u64 {
        self.arrivals
    }

    pub(crate) fn front(&self) -> Option<&Item> {
        self.items.front()
    }

    pub(crate) fn push(&mut self, item: Item) {
        if let Item::Data(chunk) = &item {
            self.waiting_bytes += chunk.data.len();
        }
        self.arrivals += 1;
        self.items.push_back(item);
    }

    pub(crate) fn drop_front(&mut self) -> Option<Item> {
        let item = self.items.pop_front();
        if let Some(Item::Data(chunk)) = &item {
            self.waiting_bytes -= chunk.data.len();
        }
        item
    }

    /// Hands the first item on; data counts as having arrived there at `at`.
    pub(crate) fn pass_front(&mut self, at: u64, output: &mut Self) {
        self.pass_bytes(usize::MAX, at, output);
    }

    /// Hands on at most `length` bytes of the first item, or the whole of it if it is an end.
    pub(crate) fn pass_bytes(&mut self, length: usize, at: u64, output: &mut Self) {
        match self.items.front_mut() {
            Some(Item::Data(chunk)) if length < chunk.data.len() => {
                let data = chunk.data.split_to(length);
                self.waiting_bytes -= length;
                if length > 0 {
                    output.push(Item::Data(Chunk { data, at }));
                }
            }
            _ => match self.drop_front() {
                Some(Item::Data(chunk)) => output.push(Item::Data(Chunk { at, ..chunk })),
                Some(end) => output.push(end),
                None => {}
            },
        }
    }

    /// Hands on what there is room for, unchanged.
    pub(crate) fn pour_into(&mut self, output: &mut Self) {
        while output.has_room() {
            let Some(item) = self.drop_front() else { return };
            output.push(item);
        }
    }

    /// Hands on everything, room or not.
    pub(crate) fn empty_into(&mut self, output: &mut Self) {
        while let Some(item) = self.drop_front() {
            output.push(item);
        }
    }

    /// Forgets the first `length` bytes of the first item, which have been written.
    pub(crate) fn forget_bytes(&mut self, length: usize) {
        if let Some(Item::Data(chunk)) = self.items.front_mut() {
            if length < chunk.data.len() {
                drop(chunk.data.split_to(length));
                self.waiting_bytes -= length;
            } else {
                self.drop_front();
            }
        }
    }

    #[cfg(test)]
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Item> {
        self.items.iter()
    }
}
