"""A workload in Python: gets its identity from the agent at SPIFFE_ENDPOINT_SOCKET with the spiffe library.

`client.py refused` expects that the agent has no identity for this program; `client.py` expects one, and follows it
through several rotations.
"""

import queue
import sys
import time

from spiffe import JwtSource, JwtSvid, SpiffeId, WorkloadApiClient, X509Source, X509Svid
from spiffe.errors import PySpiffeError

ID = SpiffeId("spiffe://example.org/python")
AUDIENCE = "interop"
ROTATIONS = 3
LIMIT_SECONDS = 180


def main(args: list[str]) -> None:
    if args == ["refused"]:
        expect_refusal("no identity issued", lambda client: client.fetch_x509_svid(timeout=10))
        expect_refusal("no identity issued", lambda client: client.fetch_jwt_svid({AUDIENCE}, timeout=10))
        return
    check_tokens()
    seen = follow_rotations()
    print(f"interop ok python: {seen - 1} rotations with X509Source, JWT-SVIDs fetched and validated, 3 refusals")


def follow_rotations() -> int:
    """Keeps a source open until it has seen enough certificates, and checks each of them."""
    changes: queue.Queue[None] = queue.Queue()
    serials: set[int] = set()
    until = time.monotonic() + LIMIT_SECONDS
    with X509Source(timeout_in_seconds=10) as source:
        source.subscribe_for_updates(lambda: changes.put(None))
        while len(serials) <= ROTATIONS:
            svid = source.get_x509_context().default_svid
            check_certificate(svid, source)
            serials.add(svid.leaf.serial_number)
            if len(serials) <= ROTATIONS:
                changes.get(timeout=until - time.monotonic())
    return len(serials)


def check_certificate(svid: X509Svid, source: X509Source) -> None:
    require(svid.spiffe_id == ID, f"got the identity {svid.spiffe_id}")
    require(svid.leaf.public_key() == svid.private_key.public_key(), "the key does not belong to the certificate")
    bundle = source.get_bundle_for_trust_domain(ID.trust_domain)
    require(bundle is not None, "there is no bundle of the own trust domain")
    issuers = [root for root in bundle.x509_authorities if root.subject == svid.cert_chain[-1].issuer]
    require(len(issuers) > 0, "no authority of the bundle has the name of the issuer")
    for issuer in issuers:
        svid.cert_chain[-1].verify_directly_issued_by(issuer)


def check_tokens() -> None:
    with JwtSource(timeout_in_seconds=10) as source, WorkloadApiClient() as client:
        token = source.fetch_svid(audience={AUDIENCE}).token
        bundle = source.get_bundle_for_trust_domain(ID.trust_domain)
        require(bundle is not None, "there is no JWT bundle of the own trust domain")
        svid = JwtSvid.parse_and_validate(token, bundle, {AUDIENCE})
        require(svid.spiffe_id == ID, f"the token is for {svid.spiffe_id}")
        require(client.validate_jwt_svid(token, AUDIENCE).spiffe_id == ID, "the agent reads another identity")
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


if __name__ == "__main__":
    main(sys.argv[1:])
