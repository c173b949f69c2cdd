//! Asks an image's own interpreter who it is.

use crate::context::Context;
use crate::error::NativeError;
use crate::layer::Layer;
use crate::python::Interpreter;
use std::sync::{Arc, Mutex, PoisonError};
use tierce_engine::{Events, Outcome, StepHandle, StepKind};
use tierce_sandbox::{Exit, Network, Process, Stream};
use tierce_store::RecordKind;
use tierce_wheel::Libc;

/// What interpreters said of themselves, by the layers they are in.
const INTERPRETER: RecordKind = RecordKind::new("interpreter");

/// Prints path, version and C library. `sys.executable` of an environment is a link into it: the
/// interpreter it was made with is what a new environment needs.
const QUESTION: &str = "import os, platform, sys\n\
    path = os.path.realpath(sys.executable)\n\
    print(path, platform.python_version(), *platform.libc_ver()[:2])\n";

impl Context {
    /// The interpreter that `name` is in an image of these layers.
    pub async fn probe_python(
        &self,
        name: &str,
        layers: &[Layer],
        search_path: String,
        events: &Events,
    ) -> Result<Interpreter, NativeError> {
        let key = crate::key::KeyEncoder::new("interpreter")
            .text("name", name)
            .text("path", &search_path)
            .list("layers", layers.iter().map(|l| *l.record.diff_id.0.as_bytes()))
            .finish();
        let step = events.step(StepKind::Execute, "look for the base's Python");
        if let Some(answer) = self.store.record::<String>(INTERPRETER, &key.0) {
            step.finish(Outcome::Cached, answer.clone());
            return parse(&answer);
        }
        let question = Question {
            argv: [name, "-I", "-S", "-c", QUESTION].map(str::to_owned).to_vec(),
            env: vec![("PATH".to_owned(), search_path)],
            longest: 4096,
        };
        let answer = self.ask(question, layers, &step).await?;
        let text = answer.ok_or(NativeError::NoInterpreter)?;
        let interpreter = parse(&text)?;
        self.store.put_record(INTERPRETER, &key.0, &text)?;
        step.finish(Outcome::Made, text);
        Ok(interpreter)
    }

    /// What a program in an image of these layers says, if it ends well. No such program, or none
    /// that runs: both are no answer.
    pub async fn ask(
        &self,
        question: Question,
        layers: &[Layer],
        step: &StepHandle,
    ) -> Result<Option<String>, NativeError> {
        let Question { argv, env, longest } = question;
        let roots = self.materialise(layers, step).await?;
        let scratch = self.scratch("probe")?;
        let mut process = Process::new(roots, scratch.path.clone(), argv);
        process.env = env;
        process.network = Network::None;
        process.time_limit = Some(std::time::Duration::from_secs(60));
        let sandbox = self.sandbox()?.sandbox.clone();
        // A build that is given up ends with its future.
        let cancel = self.cancel.child();
        let _given_up = cancel.on_drop();
        let said: Arc<Mutex<Vec<u8>>> = Arc::default();
        let heard = said.clone();
        let exit = tokio::task::spawn_blocking(move || {
            let mut output = |stream: Stream, bytes: &[u8]| {
                let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
                // Whatever says more than an answer can be is not listened to.
                if stream == Stream::Stdout && heard.len() < longest {
                    heard.extend_from_slice(bytes);
                }
            };
            sandbox.run(&process, &mut output, &cancel)
        })
        .await?;
        let text = {
            let said = said.lock().unwrap_or_else(PoisonError::into_inner);
            String::from_utf8_lossy(&said).trim().to_owned()
        };
        match exit {
            Ok(Exit::Code(0)) => Ok(Some(text)),
            Ok(Exit::Cancelled) => Err(NativeError::Interrupted),
            Ok(_) | Err(_) => Ok(None),
        }
    }
}

/// A program to ask something.
pub struct Question {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// Its environment.
    pub env: Vec<(String, String)>,
    /// How long its answer can be, in bytes.
    pub longest: usize,
}

/// Reads `path version [libc version]`.
fn parse(answer: &str) -> Result<Interpreter, NativeError> {
    let mut words = answer.split_whitespace();
    let (Some(path), Some(version)) = (words.next(), words.next()) else {
        return Err(NativeError::NoInterpreter);
    };
    let end = version.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(version.len());
    let libc = match (words.next(), words.next().and_then(|v| v.split('.').nth(1)?.parse().ok())) {
        (Some("glibc"), Some(minor)) => Libc::Glibc { minor },
        (Some("musl"), Some(minor)) => Libc::Musl { minor },
        // Python tells nothing of musl before 3.14: an interpreter without glibc is on musl.
        _ => Libc::Musl { minor: 2 },
    };
    Ok(Interpreter { path: path.to_owned(), version: version[..end].parse()?, libc })
}
