//! The Docker engine's sessions: commands and containers with their streams, and what containers use.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bollard::container::LogOutput;
use bollard::errors::Error as DockerError;
use bollard::exec::{CreateExecOptions, ResizeExecOptions, StartExecOptions, StartExecResults};
use bollard::query_parameters::{AttachContainerOptions, ResizeContainerTTYOptions, StatsOptions};
use futures::{FutureExt, Stream, StreamExt, TryStreamExt, future};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::io::AsyncWrite;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::docker::{Docker, SHORT, refusal, within};
use super::session::{Connection, Control, Output, Said, Sample, Session};
use super::{Answer, RuntimeError, inside, raw};
use crate::streams::{Size, Wanted};

/// The engine knows a command's end a moment after its output has ended.
const EXIT_ASKED: u32 = 40;
const EXIT_PAUSE: Duration = Duration::from_millis(25);
/// A terminal exists a moment after the command was started.
const RESIZE_TRIES: u32 = 5;
const RESIZE_PAUSE: Duration = Duration::from_millis(20);

pub(super) async fn exec(
    docker: &Docker,
    id: &str,
    command: &[String],
    wanted: Wanted,
) -> Result<Session, RuntimeError> {
    let options = CreateExecOptions {
        attach_stdin: Some(wanted.stdin),
        attach_stdout: Some(wanted.stdout),
        attach_stderr: Some(wanted.stderr || wanted.tty),
        tty: Some(wanted.tty),
        cmd: Some(command.to_vec()),
        ..CreateExecOptions::default()
    };
    let exec = within(SHORT, docker.client.create_exec(id, options)).await?.id;
    let control = Arc::new(OfExec { docker: docker.clone(), exec: exec.clone(), container: id.to_owned() });
    if let (true, Some(socket)) = (wanted.tty, &docker.socket) {
        let body = json!({"Detach": false, "Tty": true});
        let opened = timeout(SHORT, raw::open(socket, &format!("/exec/{exec}/start"), &body)).await;
        let (input, output) = opened.map_err(|_| RuntimeError::TimedOut { seconds: SHORT.as_secs() })??;
        return Ok(Session { input, output, control });
    }
    let start = StartExecOptions { tty: wanted.tty, ..StartExecOptions::default() };
    match within(SHORT, docker.client.start_exec(&exec, Some(start))).await? {
        StartExecResults::Attached { output, input } => Ok(Session { input, output: said(output), control }),
        StartExecResults::Detached => {
            Err(RuntimeError::Refused { message: "the engine started the command without its streams".to_owned() })
        }
    }
}

pub(super) async fn attach(docker: &Docker, id: &str, wanted: Wanted) -> Result<Session, RuntimeError> {
    let options = AttachContainerOptions {
        stream: true,
        stdin: wanted.stdin,
        stdout: wanted.stdout,
        stderr: wanted.stderr,
        ..AttachContainerOptions::default()
    };
    let config = within(SHORT, docker.client.inspect_container(id, None)).await?.config.unwrap_or_default();
    let (input, output) = match &docker.socket {
        Some(socket) if config.tty == Some(true) => {
            let path = format!("/containers/{id}/attach?stream=true&stdin={}&stdout=true", wanted.stdin);
            timeout(SHORT, raw::open(socket, &path, &Value::Null))
                .await
                .map_err(|_| RuntimeError::TimedOut { seconds: SHORT.as_secs() })??
        }
        _ => {
            let attached = within(SHORT, docker.client.attach_container(id, Some(options))).await?;
            (attached.input, said(attached.output))
        }
    };
    let once = config.stdin_once == Some(true);
    let input: Pin<Box<dyn AsyncWrite + Send>> = if once { input } else { Box::pin(KeptOpen(input)) };
    let control = Arc::new(OfContainer { docker: docker.clone(), id: id.to_owned() });
    Ok(Session { input, output, control })
}

/// The input of a container that reads on when a client has no more to say. The engine takes the end of a client's
/// input for the end of the client, and would drop what the container has yet to say to it.
struct KeptOpen(Pin<Box<dyn AsyncWrite + Send>>);

impl AsyncWrite for KeptOpen {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.as_mut().poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.as_mut().poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(context)
    }
}

fn said(output: impl Stream<Item = Result<LogOutput, DockerError>> + Send + 'static) -> Output {
    let sorted = output.try_filter_map(|piece| {
        future::ready(Ok(match piece {
            LogOutput::StdOut { message } | LogOutput::Console { message } => Some(Said::Output(message)),
            LogOutput::StdErr { message } => Some(Said::Errors(message)),
            LogOutput::StdIn { .. } => None,
        }))
    });
    sorted.map_err(refusal).boxed()
}

struct OfExec {
    docker: Docker,
    exec: String,
    container: String,
}

impl Control for OfExec {
    fn resize(&self, size: Size) -> Answer<'_, ()> {
        async move {
            let options = || ResizeExecOptions { height: size.height, width: size.width };
            let mut tried = 1;
            loop {
                match within(SHORT, self.docker.client.resize_exec(&self.exec, options())).await {
                    Err(_) if tried < RESIZE_TRIES => tokio::time::sleep(RESIZE_PAUSE * tried).await,
                    answer => return answer,
                }
                tried += 1;
            }
        }
        .boxed()
    }

    fn exit(&self) -> Answer<'_, i32> {
        async move {
            for _ in 0..EXIT_ASKED {
                let seen = within(SHORT, self.docker.client.inspect_exec(&self.exec)).await?;
                if let (Some(code), false) = (seen.exit_code, seen.running == Some(true)) {
                    return Ok(i32::try_from(code).unwrap_or(-1));
                }
                tokio::time::sleep(EXIT_PAUSE).await;
            }
            Err(RuntimeError::Refused { message: "the command closed its output and goes on".to_owned() })
        }
        .boxed()
    }

    fn abandon(&self) -> Answer<'_, ()> {
        async move {
            let seen = within(SHORT, self.docker.client.inspect_exec(&self.exec)).await?;
            let pid = seen.pid.filter(|pid| *pid > 0 && seen.running == Some(true));
            if let Some(pid) = pid.filter(|pid| inside::is_of(*pid, &self.container)) {
                inside::kill(pid);
            }
            Ok(())
        }
        .boxed()
    }
}

struct OfContainer {
    docker: Docker,
    id: String,
}

impl Control for OfContainer {
    fn resize(&self, size: Size) -> Answer<'_, ()> {
        let options = ResizeContainerTTYOptions { h: i32::from(size.height), w: i32::from(size.width) };
        within(SHORT, self.docker.client.resize_container_tty(&self.id, options)).boxed()
    }

    fn exit(&self) -> Answer<'_, i32> {
        future::ready(Ok(0)).boxed()
    }

    fn abandon(&self) -> Answer<'_, ()> {
        future::ready(Ok(())).boxed()
    }
}

pub(super) async fn dial(address: IpAddr, port: u16) -> Result<Box<dyn Connection>, RuntimeError> {
    let to = SocketAddr::from((address, port));
    let connecting = timeout(inside::DIAL, TcpStream::connect(to)).await;
    let stream = connecting.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    stream.map(connected).map_err(|error| not_connected(to, &error))
}

fn connected(stream: TcpStream) -> Box<dyn Connection> {
    // Who is on the other side decides how much is one packet.
    let _ = stream.set_nodelay(true);
    Box::new(stream)
}

fn not_connected(to: SocketAddr, error: &io::Error) -> RuntimeError {
    let why = match error.kind() {
        io::ErrorKind::ConnectionRefused => "connect: connection refused".to_owned(),
        io::ErrorKind::TimedOut => "i/o timeout".to_owned(),
        _ => format!("connect: {error}"),
    };
    RuntimeError::Refused { message: format!("dial tcp {to}: {why}") }
}

pub(super) async fn dial_inside(
    docker: &Docker,
    sandbox: &str,
    port: u16,
) -> Result<Option<Box<dyn Connection>>, RuntimeError> {
    let found = within(SHORT, docker.client.inspect_container(sandbox, None)).await?;
    let pid = found.state.and_then(|state| state.pid).filter(|pid| *pid > 0);
    let Some(pid) = pid.filter(|pid| docker.socket.is_some() && inside::is_of(*pid, sandbox)) else { return Ok(None) };
    match inside::connect(pid, port).await {
        Ok(stream) => Ok(Some(connected(stream))),
        Err(inside::Refused::Outside) => Ok(None),
        Err(inside::Refused::By(to, error)) => Err(not_connected(to, &error)),
    }
}

pub(super) async fn sample(docker: &Docker, id: &str, now: Timestamp) -> Result<Option<Sample>, RuntimeError> {
    let options = StatsOptions { stream: false, one_shot: true };
    let first = async { docker.client.stats(id, Some(options)).try_next().await };
    let stats = match within(SHORT, first).await {
        Ok(Some(stats)) => stats,
        Ok(None) | Err(RuntimeError::NotFound { .. } | RuntimeError::Conflict { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    let memory = stats.memory_stats.unwrap_or_default();
    let cpu = stats.cpu_stats.and_then(|cpu| cpu.cpu_usage?.total_usage);
    // `inactive_file` of version 2 of the control groups is `total_inactive_file` of version 1.
    let inactive = memory.stats.as_ref().and_then(|all| all.get("inactive_file").or(all.get("total_inactive_file")));
    let sample = cpu.zip(memory.usage).map(|(cpu_nanoseconds, usage)| Sample {
        at: now,
        cpu_nanoseconds,
        memory_bytes: usage.saturating_sub(inactive.copied().unwrap_or_default()),
    });
    Ok(sample)
}
