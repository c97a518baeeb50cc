//! The demo application: a web server that says who it is. Standard library only, linked statically.
//!
//! `GET /` says `NAME VERSION !! ClientIP: IP, ServerName: HOST, ServerIP: IP!`, `/livez` and `/readyz` say `ok` or fail
//! after a `POST` to them (a second one heals), `/env` is the environment, `/hostname` the host name.
//! On SIGTERM it goes on for a moment, so that whoever has not yet heard of its end is served, and finishes what it
//! has begun. `DEMO_FAULT=exit` makes it end with an error at its start, `DEMO_FAULT=unready` never be ready.

use std::env;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// For so long after SIGTERM connections are still accepted.
const LINGER: Duration = Duration::from_millis(500);
/// Open requests are waited for this long after that.
const PATIENCE: Duration = Duration::from_secs(20);
/// A client that is silent for so long is left.
const SILENCE: Duration = Duration::from_secs(30);
/// Requests served at once; more have to wait in the kernel's queue.
const MAX_OPEN: usize = 256;
const MAX_HEADERS: usize = 100;
const MAX_LINE: u64 = 8 << 10;

static TOLD_TO_END: AtomicBool = AtomicBool::new(false);

unsafe extern "C" {
    fn signal(number: i32, handler: extern "C" fn(i32)) -> usize;
}

extern "C" fn on_signal(_: i32) {
    TOLD_TO_END.store(true, Ordering::SeqCst);
}

struct Server {
    name: String,
    version: String,
    host: String,
    live: AtomicBool,
    ready: AtomicBool,
    open: AtomicUsize,
}

fn main() -> ExitCode {
    // SAFETY: the handler only sets a flag.
    unsafe {
        signal(15, on_signal);
        signal(2, on_signal);
    }
    let text = |name: &str, default: &str| env::var(name).unwrap_or_else(|_| default.to_owned());
    let fault = text("DEMO_FAULT", "");
    let server = Arc::new(Server {
        name: text("DEMO_NAME", "demo"),
        version: text("DEMO_VERSION", "v0"),
        host: std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned(),
        live: AtomicBool::new(true),
        ready: AtomicBool::new(fault != "unready"),
        open: AtomicUsize::new(0),
    });
    if fault == "exit" {
        log("this version is broken: it ends at its start");
        return ExitCode::FAILURE;
    }
    let port = text("PORT", "8080");
    let listener = match TcpListener::bind(format!("0.0.0.0:{port}")) {
        Ok(listener) => listener,
        Err(error) => {
            log(&format!("cannot listen on port {port}: {error}"));
            return ExitCode::FAILURE;
        }
    };
    log(&format!("{} {} listens on port {port}", server.name, server.version));
    let accepting = server.clone();
    thread::spawn(move || accept(&listener, &accepting));
    while !TOLD_TO_END.load(Ordering::SeqCst) {
        thread::sleep(Duration::from_millis(20));
    }
    log("told to end");
    thread::sleep(LINGER);
    let deadline = Instant::now() + PATIENCE;
    while server.open.load(Ordering::SeqCst) > 0 && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(5));
    }
    log("ends");
    ExitCode::SUCCESS
}

fn accept(listener: &TcpListener, server: &Arc<Server>) {
    for stream in listener.incoming().flatten() {
        while server.open.load(Ordering::SeqCst) >= MAX_OPEN {
            thread::sleep(Duration::from_millis(1));
        }
        server.open.fetch_add(1, Ordering::SeqCst);
        let server = server.clone();
        let work = thread::Builder::new().stack_size(128 << 10).spawn({
            let server = server.clone();
            move || {
                // A client that goes away in the middle is its own affair.
                let _ = serve(&stream, &server);
                server.open.fetch_sub(1, Ordering::SeqCst);
            }
        });
        if work.is_err() {
            server.open.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

/// One request a connection: then nothing is lost when the server ends.
fn serve(stream: &TcpStream, server: &Server) -> std::io::Result<()> {
    stream.set_read_timeout(Some(SILENCE))?;
    stream.set_write_timeout(Some(SILENCE))?;
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.by_ref().take(MAX_LINE).read_line(&mut first)?;
    let mut length = 0;
    for _ in 0..MAX_HEADERS {
        let mut line = String::new();
        if reader.by_ref().take(MAX_LINE).read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    // A body that is left unread would make the kernel answer with a reset.
    std::io::copy(&mut reader.take(std::cmp::min(length, 1 << 20)), &mut std::io::sink())?;
    let mut words = first.split_whitespace();
    let (method, path) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    if method.is_empty() {
        return Ok(());
    }
    let (client, own) = (stream.peer_addr()?.ip(), stream.local_addr()?.ip());
    let (status, body) = answer(server, method, path.split('?').next().unwrap_or(""), &client.to_string(), &own.to_string());
    let mut stream = stream;
    write!(
        stream,
        "HTTP/1.1 {status}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )?;
    stream.flush()?;
    log(&format!("{client} {method} {path} {}", status.split(' ').next().unwrap_or("")));
    Ok(())
}

fn answer(server: &Server, method: &str, path: &str, client: &str, own: &str) -> (&'static str, String) {
    let state = match path {
        "/livez" => Some(&server.live),
        "/readyz" => Some(&server.ready),
        _ => None,
    };
    match (method, path, state) {
        ("POST", _, Some(state)) => {
            let healthy = !state.fetch_xor(true, Ordering::SeqCst);
            ("200 OK", format!("{path} is {} from now on\n", if healthy { "well" } else { "ill" }))
        }
        ("GET" | "HEAD", _, Some(state)) => match state.load(Ordering::SeqCst) {
            true => ("200 OK", "ok\n".to_owned()),
            false => ("503 Service Unavailable", "ill\n".to_owned()),
        },
        ("GET" | "HEAD", "/", _) => {
            let Server { name, version, host, .. } = server;
            ("200 OK", format!("{name} {version} !! ClientIP: {client}, ServerName: {host}, ServerIP: {own}!\n"))
        }
        ("GET" | "HEAD", "/hostname", _) => ("200 OK", format!("{}\n", server.host)),
        ("GET" | "HEAD", "/env", _) => {
            let mut lines: Vec<String> = env::vars().map(|(name, value)| format!("{name}={value}\n")).collect();
            lines.sort();
            ("200 OK", lines.concat())
        }
        ("GET" | "HEAD" | "POST", _, _) => ("404 Not Found", "there is nothing here\n".to_owned()),
        _ => ("405 Method Not Allowed", "GET, HEAD and POST only\n".to_owned()),
    }
}

fn log(line: &str) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    println!("{}.{:03} {line}", now.as_secs(), now.subsec_millis());
}
