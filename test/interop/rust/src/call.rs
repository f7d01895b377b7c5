use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use spiffe::X509Source;
use spiffe_rustls::{authorizer, mtls_client};
use spiffe_rustls_tokio::TlsConnector;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::time::{interval, timeout, MissedTickBehavior};

use crate::{chain, watch_rotations, Result};

const LIMIT: Duration = Duration::from_secs(10);

/// Opens a new connection each time, and expects one SPIFFE ID there and its own in the answer.
pub async fn call(address: &str, expected: &str, count: &str, interval_ms: &str) -> Result<()> {
    let source = X509Source::new().await?;
    let rotations = watch_rotations(source.clone());
    let own = source.svid()?.spiffe_id().to_string();
    let config = mtls_client(source).authorize(authorizer::exact([expected])?).build()?;
    let connector = TlsConnector::new(Arc::new(config));

    let calls: usize = count.parse()?;
    let mut clock = interval(Duration::from_millis(interval_ms.parse()?));
    clock.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let (mut failed, mut peers) = (0, HashSet::new());
    for _ in 0..calls {
        clock.tick().await;
        let outcome = timeout(LIMIT, exchange(&connector, address, &own))
            .await
            .unwrap_or_else(|late| Err(late.into()));
        match outcome {
            Ok(peer) => {
                peers.insert(peer);
            }
            Err(error) => {
                failed += 1;
                println!("failed: {}", chain(error.as_ref()));
            }
        }
    }
    let rotations = *rotations.lock().unwrap();
    println!(
        "calls={calls} failed={failed} rotations={rotations} peer_certificates={}",
        peers.len()
    );
    if failed == 0 {
        Ok(())
    } else {
        Err("there were failed calls".into())
    }
}

/// One connection. Returns the certificate of the server, as DER.
async fn exchange(connector: &TlsConnector, address: &str, own: &str) -> Result<Vec<u8>> {
    let (stream, _) = connector
        .connect_addr(address.parse()?, ServerName::try_from("interop.test")?)
        .await?;
    let certificate = stream
        .get_ref()
        .1
        .peer_certificates()
        .and_then(<[_]>::first)
        .map(|leaf| leaf.to_vec());
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).await?;
    if line.trim_end() != own {
        return Err(format!("the server answered {line:?}").into());
    }
    certificate.ok_or_else(|| "the server showed no certificate".into())
}
