"""The Workload API without TLS: certificates, rotations and JWT-SVIDs."""

import queue
import time

from cryptography.exceptions import InvalidSignature
from spiffe import JwtSource, JwtSvid, SpiffeId, WorkloadApiClient, X509Source, X509Svid
from spiffe.errors import PySpiffeError

AUDIENCE = "interop"
ROTATIONS = 3
LIMIT_SECONDS = 180


def refused() -> None:
    """Expects that the agent has no identity for this program."""
    expect_refusal("no identity issued", lambda client: client.fetch_x509_svid(timeout=10))
    expect_refusal("no identity issued", lambda client: client.fetch_jwt_svid({AUDIENCE}, timeout=10))


def check(spiffe_id: str) -> None:
    """Expects this identity, follows it through several rotations, and fetches and validates JWT-SVIDs."""
    check_tokens(SpiffeId(spiffe_id))
    rotations = follow_rotations(SpiffeId(spiffe_id))
    print(f"interop ok python: {rotations} rotations with X509Source, JWT-SVIDs fetched and validated, 6 refusals")


def follow_rotations(spiffe_id: SpiffeId) -> int:
    """Keeps a source open until it has seen enough certificates, and checks each of them."""
    changes: queue.Queue[None] = queue.Queue()
    serials: set[int] = set()
    until = time.monotonic() + LIMIT_SECONDS
    with X509Source(timeout_in_seconds=10) as source:
        source.subscribe_for_updates(lambda: changes.put(None))
        while len(serials) <= ROTATIONS:
            svid = source.get_x509_context().default_svid
            check_certificate(svid, source, spiffe_id)
            serials.add(svid.leaf.serial_number)
            if len(serials) <= ROTATIONS:
                changes.get(timeout=until - time.monotonic())
    return len(serials) - 1


def check_certificate(svid: X509Svid, source: X509Source, spiffe_id: SpiffeId) -> None:
    require(svid.spiffe_id == spiffe_id, f"got the identity {svid.spiffe_id}")
    require(svid.leaf.public_key() == svid.private_key.public_key(), "the key does not belong to the certificate")
    bundle = source.get_bundle_for_trust_domain(spiffe_id.trust_domain)
    require(bundle is not None, "there is no bundle of the own trust domain")
    issuer = svid.cert_chain[-1].issuer
    roots = [root for root in bundle.x509_authorities if root.subject == issuer]
    require(any(issued_by(svid, root) for root in roots), "no authority of the bundle has issued the certificate")


def issued_by(svid: X509Svid, root) -> bool:
    try:
        svid.cert_chain[-1].verify_directly_issued_by(root)
    except (InvalidSignature, TypeError, ValueError):
        return False
    return True


def check_tokens(spiffe_id: SpiffeId) -> None:
    with JwtSource(timeout_in_seconds=10) as source, WorkloadApiClient() as client:
        token = source.fetch_svid(audience={AUDIENCE}).token
        bundle = source.get_bundle_for_trust_domain(spiffe_id.trust_domain)
        require(bundle is not None, "there is no JWT bundle of the own trust domain")
        svid = JwtSvid.parse_and_validate(token, bundle, {AUDIENCE})
        require(svid.spiffe_id == spiffe_id, f"the token is for {svid.spiffe_id}")
        require(client.validate_jwt_svid(token, AUDIENCE).spiffe_id == spiffe_id, "the agent reads another identity")
    expect_refusal("", lambda _client: JwtSvid.parse_and_validate(token, bundle, {"someone-else"}))
    expect_refusal("expected audience", lambda client: client.validate_jwt_svid(token, "someone-else"))
    expect_refusal("", lambda client: client.validate_jwt_svid(token[:-8] + "AAAAAAAA", AUDIENCE))
    expect_refusal("", lambda client: client.fetch_jwt_svid({AUDIENCE}, SpiffeId("spiffe://example.org/other")))


def expect_refusal(text: str, action) -> None:
    with WorkloadApiClient() as client:
        try:
            action(client)
        except PySpiffeError as error:
            require(text in str(error), f"refused with {error}")
            return
    raise SystemExit("interop failed: something was granted that must be refused")


def require(condition: bool, message: str) -> None:
    if not condition:
        raise SystemExit(f"interop failed: {message}")
