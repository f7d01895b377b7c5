//! A workload in Rust, which gets its identity from the agent at SPIFFE_ENDPOINT_SOCKET with the spiffe crates.
//! Its jobs are those of every language; see the README of the folder above.

mod call;
mod check;
mod serve;

use std::error::Error;
use std::sync::{Arc, Mutex};

pub type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match args[..] {
        ["refused"] => check::refused().await,
        ["check", id] => check::check(id).await,
        ["serve", address, allowed] => serve::serve(address, allowed).await,
        ["call", address, expected, count, interval] => call::call(address, expected, count, interval).await,
        _ => Err(
            "usage: interop refused | check ID | serve ADDRESS ALLOWED_ID | call ADDRESS EXPECTED_ID COUNT INTERVAL_MS"
                .into(),
        ),
    };
    if let Err(error) = done {
        println!("interop failed: {}", chain(error.as_ref()));
        std::process::exit(1);
    }
}

/// An error with all that caused it, since the outermost one says little.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text.replace('\n', " ")
}

/// Prints a line for each certificate that follows the first one, and counts them.
pub fn watch_rotations(source: spiffe::X509Source) -> Arc<Mutex<usize>> {
    let rotations = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&rotations);
    tokio::spawn(async move {
        let mut updates = source.updated();
        let mut last = leaf(&source);
        while updates.changed().await.is_ok() {
            let now = leaf(&source);
            if now != last {
                *counted.lock().unwrap() += 1;
                println!("rotated");
            }
            last = now;
        }
    });
    rotations
}

/// The certificate that is presented now, as DER.
pub fn leaf(source: &spiffe::X509Source) -> Option<Vec<u8>> {
    source.svid().ok().map(|svid| svid.leaf().as_bytes().to_vec())
}
