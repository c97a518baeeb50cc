//! Reaches into containers past the engine, which has no call for it: connects from within a pod's network, and ends
//! a command. Works by process ids, so only where engine and agent are on one machine; each id is first checked to be
//! the container's.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, Signal, getpgid, kill_process_group};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// How long a port of a pod may take to accept.
pub(super) const DIAL: Duration = Duration::from_secs(10);

/// Why there is no connection.
pub(super) enum Refused {
    /// Nobody is let in here: no such process, or no right to enter.
    Outside,
    /// The pod's own answer.
    By(SocketAddr, std::io::Error),
}

/// Whether the process is one of the container's, as far as its control groups say.
pub(super) fn is_of(pid: i64, container: &str) -> bool {
    let groups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    !container.is_empty() && groups.contains(container)
}

/// Connects to a port on the loopback of the network that the process is in.
pub(super) async fn connect(pid: i64, port: u16) -> Result<tokio::net::TcpStream, Refused> {
    let (done, answer) = tokio::sync::oneshot::channel();
    // A thread of its own, which ends in the network that it has entered: no other work may ever run there.
    let started = std::thread::Builder::new().name("pod network".into()).spawn(move || {
        // Nobody may be waiting any more.
        let _ = done.send(connect_in(pid, port));
    });
    started.map_err(|_| Refused::Outside)?;
    let stream = answer.await.map_err(|_| Refused::Outside)??;
    tokio::net::TcpStream::from_std(stream).map_err(|_| Refused::Outside)
}

fn connect_in(pid: i64, port: u16) -> Result<std::net::TcpStream, Refused> {
    let network = File::open(Path::new("/proc").join(pid.to_string()).join("ns/net")).map_err(|_| Refused::Outside)?;
    let entered = move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network));
    entered.map_err(|_| Refused::Outside)?;
    let four = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let six = SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), port);
    let stream = std::net::TcpStream::connect_timeout(&four, DIAL)
        // What is said of the first address is what people expect to read.
        .or_else(|error| std::net::TcpStream::connect_timeout(&six, DIAL).map_err(|_| Refused::By(four, error)))?;
    stream.set_nonblocking(true).map_err(|_| Refused::Outside)?;
    Ok(stream)
}

/// Kills a command and what it has started: the engine makes it the leader of its process group.
pub(super) fn kill(pid: i64) {
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return };
    if getpgid(Some(pid)) == Ok(pid) {
        // It may just have ended by itself.
        let _ = kill_process_group(pid, Signal::KILL);
    }
}
