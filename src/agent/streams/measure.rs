//! Measures what the containers of this node, and the node itself, have used so far.

use futures::StreamExt;
use jiff::Timestamp;

use crate::agent::labels;
use crate::agent::runtime::{Runtime, RuntimeError};
use crate::streams::{MeasuredContainer, Measurement, Message, StreamPair};

/// Containers that the engine is asked about at a time.
const AT_A_TIME: usize = 8;
/// The kernel counts processor time in hundredths of a second, on every architecture that it shows to users.
const NANOSECONDS_PER_TICK: u64 = 10_000_000;

/// # Errors
/// When the engine does not answer.
pub async fn take(runtime: &dyn Runtime, agent_id: &str, now: Timestamp) -> Result<Measurement, RuntimeError> {
    let all = runtime.containers(&labels::of_agent(agent_id)).await?;
    let running = all.into_iter().filter(|c| c.is_running() && !labels::is_sandbox(c));
    let samples = futures::stream::iter(running).map(|container| async move {
        // One that has ended meanwhile, or does not answer, is left out.
        let sample = runtime.sample(&container.id, now).await.ok().flatten()?;
        let label = |key: &str| container.label(key).to_owned();
        Some(MeasuredContainer {
            namespace: label(labels::POD_NAMESPACE),
            pod: label(labels::POD_NAME),
            pod_uid: label(labels::POD_UID),
            container: label(labels::CONTAINER_NAME),
            at: sample.at,
            cpu_nanoseconds: sample.cpu_nanoseconds,
            memory_bytes: sample.memory_bytes,
            id: container.id,
        })
    });
    let containers = samples.buffer_unordered(AT_A_TIME).filter_map(futures::future::ready).collect().await;
    let read = |path: &'static str| async move { tokio::fs::read_to_string(path).await.unwrap_or_default() };
    Ok(Measurement {
        at: now,
        node_cpu_nanoseconds: cpu_nanoseconds(&read("/proc/stat").await),
        node_memory_bytes: memory_bytes(&read("/proc/meminfo").await),
        containers,
    })
}

pub async fn send(measurement: Measurement, pair: StreamPair) {
    let json = serde_json::to_vec(&measurement).unwrap_or_default();
    pair.sender.send(Message::Output(json.into())).await;
}

/// `/proc/stat`: the time of all processors that was not idle nor waited for a disk.
fn cpu_nanoseconds(stat: &str) -> Option<u64> {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let ticks: Vec<u64> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    // user, nice, system, idle, iowait, irq, softirq, steal; guests are in user already.
    let busy: u64 = ticks.iter().take(8).sum::<u64>() - ticks.get(3)? - ticks.get(4)?;
    busy.checked_mul(NANOSECONDS_PER_TICK)
}

/// `/proc/meminfo`: what is not available to whoever asks for memory next.
fn memory_bytes(meminfo: &str) -> Option<u64> {
    let kib = |name: &str| -> Option<u64> {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse().ok()
    };
    Some(kib("MemTotal:")?.saturating_sub(kib("MemAvailable:")?) * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_figures_are_read_as_it_means_them() {
        let stat = "cpu  100 10 50 1000 40 1 2 3 7 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n";
        assert_eq!(cpu_nanoseconds(stat), Some(166 * NANOSECONDS_PER_TICK));
        assert_eq!(cpu_nanoseconds("cpu  1 2"), None);
        let meminfo = "MemTotal:       1000 kB\nMemFree:  1 kB\nMemAvailable:    400 kB\n";
        assert_eq!(memory_bytes(meminfo), Some(600 * 1024));
        assert_eq!(memory_bytes(""), None);
    }
}
