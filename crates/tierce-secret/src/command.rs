//! Values that programs print.

use crate::file::{by_secret, read_all};
use crate::provider::{MAX_SIZE, ProviderError, SecretProvider, checked};
use crate::value::{SecretValue, Secrets};
use async_trait::async_trait;
use rustix::process::{Pid, Signal, kill_process_group};
use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;
use tierce_spec::SecretId;
use tokio::process::{Child, Command};

/// How long a program may take: somebody may have to unlock something.
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// How much of what a failing program said is shown, in bytes.
const TAIL: usize = 2048;

/// Programs that print single secrets, by the secret's variable (`GROUP_KEY`) or name
/// (`group/key`): `pass show pypi`, `vault kv get -field=token secret/pypi`.
///
/// They are run as they are, without a shell, with the environment of this process, but for the
/// variables of the secrets that are looked up, and nothing to read. What they print is the value.
/// One that takes too long, or is not waited for any more, is killed with all that it started.
#[derive(Clone, Debug)]
pub struct CommandProvider {
    commands: BTreeMap<String, Vec<String>>,
    time_limit: Duration,
}

impl CommandProvider {
    /// These commands, each by its secret.
    pub fn new(commands: BTreeMap<String, Vec<String>>) -> Self {
        CommandProvider { commands, time_limit: TIME_LIMIT }
    }

    /// The same with another time limit.
    pub fn with_time_limit(self, time_limit: Duration) -> Self {
        CommandProvider { time_limit, ..self }
    }
}

#[async_trait]
impl SecretProvider for CommandProvider {
    fn places(&self, id: &SecretId) -> Vec<String> {
        // Not with its arguments: those may be a secret themselves.
        let program = by_secret(&self.commands, id).and_then(|argv| argv.first());
        program.map(|program| format!("the output of {program}")).into_iter().collect()
    }

    async fn find(&self, id: &SecretId) -> Result<Option<SecretValue>, ProviderError> {
        self.find_hiding(id, &[id.variable()]).await
    }

    async fn find_hiding(
        &self,
        id: &SecretId,
        hidden: &[String],
    ) -> Result<Option<SecretValue>, ProviderError> {
        let Some([program, arguments @ ..]) = by_secret(&self.commands, id).map(Vec::as_slice)
        else {
            return Ok(None);
        };
        let run = run(program, arguments, hidden);
        let value = tokio::time::timeout(self.time_limit, run).await.map_err(|_| {
            ProviderError::TimedOut { program: program.clone(), limit: self.time_limit }
        })??;
        checked(value, &format!("the output of {program}"))
    }
}

/// The program is killed if this is dropped.
async fn run(
    program: &str,
    arguments: &[String],
    hidden: &[String],
) -> Result<SecretValue, ProviderError> {
    let failed = |source| ProviderError::Run { program: program.to_owned(), source };
    let mut command = Command::new(program);
    for variable in hidden {
        command.env_remove(variable);
    }
    let mut child = command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)?;
    // Declared after the child, so dropped before it: it is not reaped by then, and the group's
    // number means nobody else.
    let mut group = Group::of(&child);
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let read = |pipe| async move {
        match pipe {
            Some(pipe) => read_all(pipe).await,
            None => Ok(SecretValue::new([])),
        }
    };
    let read_errors = async move {
        match stderr {
            Some(pipe) => read_all(pipe).await,
            None => Ok(SecretValue::new([])),
        }
    };
    let (value, said) = tokio::try_join!(read(stdout), read_errors).map_err(failed)?;
    if value.expose().len() > MAX_SIZE {
        // It may write on and on, and is killed.
        return Ok(value);
    }
    let status = child.wait().await.map_err(failed)?;
    group.0 = None;
    match status.success() {
        true => Ok(value),
        false => {
            let stderr = shown(&said, &value);
            Err(ProviderError::Failed { program: program.to_owned(), status, stderr })
        }
    }
}

/// A process group, killed when it is dropped.
struct Group(Option<Pid>);

impl Group {
    /// The group that `child` leads.
    fn of(child: &Child) -> Self {
        Group(child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // One whose members are all gone needs no signal.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// The end of what a program said, without what it gave for the value.
fn shown(said: &SecretValue, value: &SecretValue) -> String {
    let text = String::from_utf8_lossy(said.expose());
    let id = SecretId { group: None, key: String::new() };
    let text = Secrets::new([(id, value.clone())]).redact(&text).into_owned();
    let text = text.trim();
    let start = text.char_indices().rev().map(|(at, _)| at).find(|at| text.len() - at >= TAIL);
    text[start.unwrap_or(0)..].to_owned()
}
