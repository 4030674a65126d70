//! A provider that does nothing twice under one name: a start whose answer is lost is sent again, and
//! becomes one run there.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use impasto_domain::Values;
use impasto_workflow::Outcome;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::here::{Here, Told, input};
use crate::there::{There, model};
use crate::work;

/// Sends everything on, but breaks off the answers to the first starts when they are there.
async fn cutting(there: &mut There, cuts: u32) -> Arc<AtomicU32> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let behind = std::mem::replace(&mut there.host, host.clone());
    there.url = format!("http://{host}");
    let left = Arc::new(AtomicU32::new(cuts));
    let counted = Arc::clone(&left);
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let far = TcpStream::connect(&behind).await.unwrap();
            tokio::spawn(pass(near, far, Arc::clone(&counted)));
        }
    });
    left
}

async fn pass(mut near: TcpStream, mut far: TcpStream, left: Arc<AtomicU32>) {
    let (mut asked, mut answered) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    let mut is_start = false;
    loop {
        tokio::select! {
            read = near.read(&mut asked) => match read {
                Ok(count @ 1..) => {
                    is_start |= asked.starts_with(b"POST ");
                    if far.write_all(&asked[..count]).await.is_err() {
                        return;
                    }
                }
                _ => return,
            },
            read = far.read(&mut answered) => match read {
                Ok(count @ 1..) => {
                    let cut = |left: u32| left.checked_sub(1);
                    if is_start && left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, cut).is_ok() {
                        return;
                    }
                    if near.write_all(&answered[..count]).await.is_err() {
                        return;
                    }
                }
                _ => return,
            },
        }
    }
}

/// The file of a provider that does nothing twice.
fn careful(id: &str, text: &str) -> (String, String) {
    let header = "idempotency_header = \"idempotency-key\"\n";
    (format!("providers/{id}.toml"), format!("{header}{text}"))
}

async fn there() -> There {
    There::new(vec![
        model(
            "google/nano-banana-pro",
            &["fal-ai/nano-banana-pro"],
            &[("there", "text-to-image", "show")],
        ),
        model("openai/gpt-image-2", &[], &[("there", "text-to-image", "show")]),
    ])
    .await
}

async fn made(there: &There, way: (&str, &str), provider: &str, model: &str) -> Told {
    let files = vec![careful(way.0, provider)];
    let here = Here::with(there, way, files);
    let asked: Values = input([("prompt", "a mug".into())]);
    let told = here.run((model, "text-to-image"), asked, false).await;
    if let Outcome::Succeeded { .. } = told.outcome {
        assert_eq!(here.bytes(told.assets()[0]), work::picture("a mug", 0, 0));
    }
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_whose_answer_is_lost_becomes_one_run() {
    let ways = [
        (
            ("fal", "/fal/queue"),
            include_str!("../../../../catalog/providers/fal.toml"),
            "nano-banana-pro",
        ),
        (
            ("openai", "/openai/v1"),
            include_str!("../../../../catalog/providers/openai.toml"),
            "gpt-image-2",
        ),
        (
            ("replicate", "/replicate"),
            include_str!("../../../../catalog/providers/replicate.toml"),
            "nano-banana-pro",
        ),
    ];
    for (way, provider, model) in ways {
        let mut there = there().await;
        let left = cutting(&mut there, 2).await;
        let told = made(&there, way, provider, model).await;
        told.output();
        assert_eq!((left.load(Ordering::SeqCst), there.runs().await.len()), (0, 1), "{}", way.0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_name_nobody_dares_to_start_again() {
    let mut there = there().await;
    cutting(&mut there, 1).await;
    let here = Here::new(&there, "openai", "/openai/v1");
    let asked = input([("prompt", "a mug".into())]);
    let told = here.run(("gpt-image-2", "text-to-image"), asked, false).await;
    assert!(matches!(told.outcome, Outcome::Parked { .. }), "{:?}", told.outcome);
    assert_eq!(there.runs().await.len(), 1);
    assert!(told.cost.is_zero());
}
