//! Clients that mean ill or are broken: they are answered or cut off, and nobody else notices.

use bytes::BufMut;
use flate2::{Compress, Compression, FlushCompress};
use hyper_util::rt::TokioIo;
use kube::api::AttachParams;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::world::{PATIENCE, World};

/// A frame that says to be larger than any that is taken.
const HUGE: &[u8] = b"\x00\x00\x00\x01\x00\xff\xff\xff";

/// Opens so many streams without a word about what for.
fn opened(count: u32) -> Vec<u8> {
    let mut deflate = Compress::new(Compression::default(), true);
    let mut bytes = Vec::new();
    for n in 0..count {
        let mut block = Vec::with_capacity(64);
        deflate.compress_vec(&0_u32.to_be_bytes(), &mut block, FlushCompress::Sync).unwrap();
        bytes.put_slice(&[0x80, 3, 0, 1, 0]);
        bytes.put_uint(10 + block.len() as u64, 3);
        bytes.put_u32(2 * n + 1);
        bytes.put_bytes(0, 6);
        bytes.put_slice(&block);
    }
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_without_sense_or_measure_end_their_own_connection_only() {
    let world = World::start().await;
    world.run("web", "n2", json!({})).await;
    let cases = [
        ("a huge frame", HUGE.to_vec()),
        ("another version", b"\x80\x02\x00\x01\x00\x00\x00\x00".to_vec()),
        ("noise", vec![0xfe; 1 << 20]),
        ("thousands of streams", [opened(5000), HUGE.to_vec()].concat()),
    ];
    for (what, bytes) in cases {
        let mut request = http::Request::new(kube::client::Body::empty());
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = "/api/v1/namespaces/default/pods/web/portforward".parse().unwrap();
        let headers = request.headers_mut();
        headers.insert("connection", "Upgrade".parse().unwrap());
        headers.insert("upgrade", "SPDY/3.1".parse().unwrap());
        headers.insert("x-stream-protocol-version", "portforward.k8s.io".parse().unwrap());
        let answer = world.client.send(request).await.unwrap();
        assert_eq!(answer.status(), 101, "{what}");
        let socket = TokioIo::new(hyper::upgrade::on(answer).await.unwrap());
        let (mut reader, mut writer) = tokio::io::split(socket);
        let talking = async {
            // The server may have hung up before all of it is said.
            let saying = async { drop(writer.write_all(&bytes).await) };
            let hearing = async { drop(reader.read_to_end(&mut Vec::new()).await) };
            futures::join!(saying, hearing);
        };
        tokio::time::timeout(PATIENCE, talking).await.unwrap_or_else(|_| panic!("{what} is not cut off"));
    }
    let mut exec = world.pods().exec("web", ["exit", "0"], &AttachParams::default()).await.unwrap();
    assert_eq!(exec.take_status().unwrap().await.unwrap().status.as_deref(), Some("Success"));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_reads_nothing_holds_up_nobody_else() {
    let world = World::start().await;
    world.run("web", "n2", json!({})).await;
    let pods = world.pods();
    let mut stuck = Vec::new();
    for _ in 0..20 {
        stuck.push(pods.exec("web", ["yes"], &AttachParams::default().stderr(false)).await.unwrap());
    }
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    let mut exec = pods.exec("web", ["echo", "still", "here"], &AttachParams::default().stderr(false)).await.unwrap();
    let mut text = String::new();
    let reading = exec.stdout().unwrap();
    let mut reading = std::pin::pin!(reading);
    tokio::time::timeout(PATIENCE, reading.read_to_string(&mut text)).await.unwrap().unwrap();
    assert_eq!(text, "still here\n");
    drop(stuck);
    world.stop().await;
}
