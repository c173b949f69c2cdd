//! What every error that a user can meet says besides its message.

/// Whose turn it is after a failure. Fixes the exit code and, in Python, the exception's class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// What the user wrote is wrong: exit code 2.
    User,
    /// The machine lacks something or is in a wrong state: exit code 3.
    Environment,
    /// A registry, index or archive failed or refused: exit code 4.
    Upstream,
    /// A step of the build itself failed: exit code 5.
    Step,
    /// tierce is at fault: exit code 70 (`EX_SOFTWARE`).
    Bug,
    /// The user stopped it: exit code 130.
    Interrupted,
}

impl ErrorKind {
    /// The process exit code that stands for this kind.
    pub fn exit_code(self) -> u8 {
        match self {
            ErrorKind::User => 2,
            ErrorKind::Environment => 3,
            ErrorKind::Upstream => 4,
            ErrorKind::Step => 5,
            ErrorKind::Bug => 70,
            ErrorKind::Interrupted => 130,
        }
    }
}

/// An error with a stable code, a kind and a hint.
pub trait Diagnostic: std::error::Error {
    /// A stable `area/what` code, as `registry/denied`.
    fn code(&self) -> &'static str;

    /// Whose turn it is.
    fn kind(&self) -> ErrorKind;

    /// What to do next: a full sentence, or `None` where the message says it all.
    fn hint(&self) -> Option<String> {
        None
    }
}
