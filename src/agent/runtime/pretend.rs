//! The programs of scripted containers: enough to see every way in which a process can use its streams.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::{FutureExt, StreamExt, future};
use tokio::io::{AsyncReadExt, DuplexStream, ReadHalf, WriteHalf};
use tokio::sync::mpsc;

use super::session::{Control, Said, Session};
use super::{Answer, RuntimeError};
use crate::streams::{Size, Wanted};

const PIPE: usize = 64 * 1024;

type Output = mpsc::Sender<Result<Said, RuntimeError>>;

/// What a program is given.
struct Process {
    input: ReadHalf<DuplexStream>,
    // Keeps the pipe whole; a process only reads from it.
    _other_way: WriteHalf<DuplexStream>,
    output: Output,
    sizes: mpsc::Receiver<Size>,
}

struct Pretended {
    sizes: mpsc::Sender<Size>,
    exit: Arc<Mutex<i32>>,
}

impl Control for Pretended {
    fn resize(&self, size: Size) -> Answer<'_, ()> {
        // A program that does not look at its size loses news of it.
        let _ = self.sizes.try_send(size);
        future::ready(Ok(())).boxed()
    }

    fn exit(&self) -> Answer<'_, i32> {
        let code = *self.exit.lock().unwrap_or_else(PoisonError::into_inner);
        future::ready(Ok(code)).boxed()
    }

    fn abandon(&self) -> Answer<'_, ()> {
        // A pretended program ends with its streams.
        future::ready(Ok(())).boxed()
    }
}

/// Runs `command`: `echo WORDS`, `err WORDS` (to standard error), `cat`, `exit CODE`, `size` (of the terminal,
/// once it is told), `yes` (without end) or `sleep` (until its streams are gone).
pub(super) fn exec(command: &[String], wanted: Wanted) -> Session {
    let command = command.to_vec();
    session(move |mut process: Process| async move {
        let words: Vec<&str> = command.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["echo", words @ ..] => process.say(format!("{}\n", words.join(" ")), wanted).await,
            ["err", words @ ..] => {
                let text = Bytes::from(format!("{}\n", words.join(" ")));
                let said = if wanted.tty { Said::Output(text) } else { Said::Errors(text) };
                drop(process.output.send(Ok(said)).await);
                0
            }
            ["cat"] => process.cat().await,
            ["exit", code] => code.parse().unwrap_or(2),
            ["size"] => {
                if let Some(size) = process.sizes.recv().await {
                    process.say(format!("{}x{}\n", size.width, size.height), wanted).await;
                }
                0
            }
            ["yes"] => {
                while process.output.send(Ok(Said::Output(Bytes::from("y\n".repeat(1 << 12))))).await.is_ok() {}
                0
            }
            ["sleep"] => {
                process.output.closed().await;
                0
            }
            _ => {
                let name = words.first().copied().unwrap_or_default();
                let why = format!(
                    "OCI runtime exec failed: exec failed: unable to start container process: exec: {name:?}: \
                     executable file not found in $PATH: unknown\r\n"
                );
                process.say(why, wanted).await;
                126
            }
        }
    })
}

/// The container's own program, which sends its input back; `left` is run when its input ends.
pub(super) fn attach(left: impl FnOnce() + Send + 'static) -> Session {
    session(move |mut process: Process| async move {
        process.cat().await;
        left();
        0
    })
}

impl Process {
    async fn say(&self, text: String, wanted: Wanted) -> i32 {
        if wanted.stdout || wanted.tty {
            drop(self.output.send(Ok(Said::Output(text.into()))).await);
        }
        0
    }

    async fn cat(&mut self) -> i32 {
        let mut buffer = vec![0; 8192];
        while let Ok(read @ 1..) = self.input.read(&mut buffer).await {
            if self.output.send(Ok(Said::Output(Bytes::copy_from_slice(&buffer[..read])))).await.is_err() {
                break;
            }
        }
        0
    }
}

/// A session whose process is driven by whoever reads its output.
fn session<F>(program: impl FnOnce(Process) -> F) -> Session
where
    F: Future<Output = i32> + Send + 'static,
{
    let (near, far) = tokio::io::duplex(PIPE);
    let (input, other_way) = tokio::io::split(far);
    let (output, mut said) = mpsc::channel(2);
    let (sizes, resized) = mpsc::channel(8);
    let exit = Arc::new(Mutex::new(-1));
    let code = exit.clone();
    let running = program(Process { input, _other_way: other_way, output, sizes: resized });
    let mut running = Box::pin(running.map(move |ended| *code.lock().unwrap_or_else(PoisonError::into_inner) = ended));
    let mut ended = false;
    let output = futures::stream::poll_fn(move |context| {
        if !ended && running.poll_unpin(context).is_ready() {
            ended = true;
        }
        said.poll_recv(context)
    });
    Session { input: Box::pin(near), output: output.boxed(), control: Arc::new(Pretended { sizes, exit }) }
}
