use std::fmt::Debug;
use std::time::Duration;

use spiffe::{JwtSource, JwtSvid, SpiffeId, WorkloadApiClient, WorkloadApiError, X509Source};
use tokio::time::timeout;

use crate::{leaf, Result};

const AUDIENCE: &str = "interop";
const ROTATIONS: usize = 3;
const LIMIT: Duration = Duration::from_secs(180);

/// Expects that the agent has no identity for this program.
pub async fn refused() -> Result<()> {
    let client = WorkloadApiClient::connect_env().await?;
    expect_no_identity(client.fetch_x509_context().await)?;
    expect_no_identity(client.fetch_jwt_svid([AUDIENCE], None).await)?;
    Ok(())
}

/// Expects this identity, follows it through several rotations, and fetches and validates JWT-SVIDs.
pub async fn check(id: &str) -> Result<()> {
    check_tokens(&SpiffeId::new(id)?).await?;
    timeout(LIMIT, follow_rotations(id)).await??;
    println!("interop ok rust: {ROTATIONS} rotations with X509Source, JWT-SVIDs fetched and validated, 6 refusals");
    Ok(())
}

/// The constructor of X509Svid has checked the key against the certificate.
async fn follow_rotations(id: &str) -> Result<()> {
    let source = X509Source::new().await?;
    let mut updates = source.updated();
    let (mut rotations, mut last) = (0, leaf(&source));
    while rotations < ROTATIONS {
        let svid = source.svid()?;
        require(svid.spiffe_id().to_string() == id, "got another identity")?;
        let bundles = source.bundle_set()?;
        require(
            bundles.get(svid.spiffe_id().trust_domain()).is_some(),
            "there is no bundle of the own trust domain",
        )?;
        updates.changed().await?;
        let now = leaf(&source);
        rotations += usize::from(now != last);
        last = now;
    }
    source.shutdown().await;
    Ok(())
}

async fn check_tokens(id: &SpiffeId) -> Result<()> {
    let source = JwtSource::new().await?;
    let token = source.fetch_jwt_svid([AUDIENCE]).await?.token().to_owned();
    let svid = JwtSvid::parse_and_validate(&token, &source, &[AUDIENCE])?;
    require(svid.spiffe_id() == id, "the token is for another identity")?;
    expect_refusal(JwtSvid::parse_and_validate(&token, &source, &["someone-else"]))?;

    let client = WorkloadApiClient::connect_env().await?;
    let seen = client.validate_jwt_token(AUDIENCE, &token).await?;
    require(seen.spiffe_id() == id, "the agent reads another identity")?;
    expect_refusal(client.validate_jwt_token("someone-else", &token).await)?;
    let changed = format!("{}AAAAAAAA", &token[..token.len() - 8]);
    expect_refusal(client.validate_jwt_token(AUDIENCE, &changed).await)?;
    let other = SpiffeId::new("spiffe://example.org/other")?;
    expect_refusal(client.fetch_jwt_svid([AUDIENCE], Some(&other)).await)
}

fn expect_no_identity<T>(outcome: std::result::Result<T, WorkloadApiError>) -> Result<()> {
    match outcome {
        Err(WorkloadApiError::NoIdentityIssued) => Ok(()),
        Err(error) => Err(format!("refused with {error}").into()),
        Ok(_) => Err("an identity was given to a program that is not registered".into()),
    }
}

fn expect_refusal<T, E: Debug>(outcome: std::result::Result<T, E>) -> Result<()> {
    require(outcome.is_err(), "something was granted that must be refused")
}

fn require(condition: bool, message: &str) -> Result<()> {
    if condition {
        Ok(())
    } else {
        Err(message.into())
    }
}
