//! What the tests of the program share: projects in scratch directories, the program itself, a
//! real registry, and the tools that judge what it makes.
#![allow(dead_code, unused_imports)]

mod canary;
pub mod differential;
mod index;
mod project;
mod registry;
mod tierce;
mod tools;
mod users;

pub use canary::{Canaries, Watch, canary, key_file};
pub use index::{Index, Request};
pub use project::{Project, shared_store};
pub use registry::{PASSWORD, Registry, USER};
pub use tierce::{Outcome, Tierce};
pub use tools::{Unpacked, busybox, copy, crun, executable, inspect, is_root, run, tool, unpack};
pub use users::{ORDINARY, give_away, mounting, ordinary_user, user_with_subordinate_ids};
