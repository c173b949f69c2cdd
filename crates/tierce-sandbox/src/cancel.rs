//! Stopping a run from another thread.

use rustix::event::{EventfdFlags, eventfd};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// A switch that ends runs: every run that was given a clone of it, now or later.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<State>);

#[derive(Debug, Default)]
struct State {
    cancelled: AtomicBool,
    waiting: Mutex<Vec<Arc<OwnedFd>>>,
}

impl Cancel {
    /// A switch that is off.
    pub fn new() -> Self {
        Cancel::default()
    }

    /// Ends all runs. There is no way back.
    pub fn cancel(&self) {
        self.0.cancelled.store(true, Ordering::SeqCst);
        for event in self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            // An eventfd takes eight bytes always, short of 2^64 cancellations.
            let _ = rustix::io::write(event, &1u64.to_ne_bytes());
        }
    }

    /// Whether it was switched on.
    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Ordering::SeqCst)
    }

    /// A descriptor that becomes readable at [`Cancel::cancel`].
    pub(crate) fn wait(&self) -> io::Result<Waiting<'_>> {
        let event = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        let mut waiting = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.push(Arc::clone(&event));
        Ok(Waiting { cancel: self, event })
    }
}

/// A run that waits; taken off the list when dropped.
pub(crate) struct Waiting<'a> {
    cancel: &'a Cancel,
    event: Arc<OwnedFd>,
}

impl AsFd for Waiting<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut waiting = self.cancel.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|event| !Arc::ptr_eq(event, &self.event));
    }
}
