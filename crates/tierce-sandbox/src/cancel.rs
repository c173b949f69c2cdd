//! Stopping a run from another thread.

use rustix::event::{EventfdFlags, eventfd};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// A switch that ends runs: every run that was given a clone of it, now or later.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<State>);

#[derive(Debug, Default)]
struct State {
    cancelled: AtomicBool,
    waiting: Mutex<Vec<Arc<OwnedFd>>>,
    children: Mutex<Vec<Weak<State>>>,
}

/// Switches a [`Cancel`] on when it is dropped.
#[derive(Debug)]
pub struct CancelOnDrop(Cancel);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl Cancel {
    /// A switch that is off.
    pub fn new() -> Self {
        Cancel::default()
    }

    /// A switch of its own that this one switches on, too.
    pub fn child(&self) -> Self {
        let child = Cancel::new();
        {
            let mut children = lock(&self.0.children);
            children.retain(|child| child.strong_count() > 0);
            children.push(Arc::downgrade(&child.0));
        }
        // Whoever switched this one on in between has not seen the child.
        if self.is_cancelled() {
            child.cancel();
        }
        child
    }

    /// Ends all runs when the result is dropped: with the future that waits for them.
    pub fn on_drop(&self) -> CancelOnDrop {
        CancelOnDrop(self.clone())
    }

    /// Ends all runs. There is no way back.
    pub fn cancel(&self) {
        self.0.cancelled.store(true, Ordering::SeqCst);
        for event in lock(&self.0.waiting).iter() {
            // An eventfd takes eight bytes always, short of 2^64 cancellations.
            let _ = rustix::io::write(event, &1u64.to_ne_bytes());
        }
        let children: Vec<Arc<State>> =
            lock(&self.0.children).iter().filter_map(Weak::upgrade).collect();
        children.into_iter().for_each(|child| Cancel(child).cancel());
    }

    /// Whether it was switched on.
    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Ordering::SeqCst)
    }

    /// A descriptor that becomes readable at [`Cancel::cancel`].
    pub(crate) fn wait(&self) -> io::Result<Waiting<'_>> {
        let event = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        let mut waiting = lock(&self.0.waiting);
        waiting.push(Arc::clone(&event));
        Ok(Waiting { cancel: self, event })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
        let mut waiting = lock(&self.cancel.0.waiting);
        waiting.retain(|event| !Arc::ptr_eq(event, &self.event));
    }
}
