use std::sync::Arc;

use spiffe::X509Source;
use spiffe_rustls::{authorizer, mtls_server};
use spiffe_rustls_tokio::TlsAcceptor;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

use crate::{chain, watch_rotations, Result};

/// Admits one SPIFFE ID over mTLS, and answers each connection with a line that holds the ID of the peer.
pub async fn serve(address: &str, allowed: &str) -> Result<()> {
    let source = X509Source::new().await?;
    watch_rotations(source.clone());
    let config = mtls_server(source).authorize(authorizer::exact([allowed])?).build()?;
    let acceptor = TlsAcceptor::new(Arc::new(config));
    let listener = TcpListener::bind(address).await?;
    println!("serving");
    loop {
        let (connection, _) = listener.accept().await?;
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            if let Err(error) = answer(&acceptor, connection).await {
                println!("refused: {}", chain(error.as_ref()));
            }
        });
    }
}

async fn answer(acceptor: &TlsAcceptor, connection: TcpStream) -> Result<()> {
    let (mut stream, peer) = acceptor.accept(connection).await?;
    stream
        .write_all(format!("{}\n", peer.require_spiffe_id()?).as_bytes())
        .await?;
    stream.shutdown().await?;
    Ok(())
}
