"""mTLS in both roles with spiffe-tls."""

import socket
import threading
import time

from cryptography import x509
from OpenSSL import SSL
from spiffe import SpiffeId, X509Source
from spiffetls import create_ssl_context
from spiffetls.tlsconfig.authorize import authorize_id

LIMIT_SECONDS = 10


class Snapshot:
    """What a source held at one moment, in the shape that create_ssl_context reads.

    A context that spiffe-tls keeps up to date by itself does not survive the first rotation: it changes a context that has
    been used, which pyOpenSSL refuses since 26.2 (and before, certificate and key were changed one after the other). So
    each rotation gets a new context here.
    """

    def __init__(self, source: X509Source) -> None:
        context = source.get_x509_context()
        self.svid = context.default_svid
        self.bundles = context.x509_bundle_set.bundles

    def subscribe_for_updates(self, _callback) -> None:
        """A snapshot has no updates."""


class Contexts:
    """The TLS context of the source's current certificate."""

    def __init__(self, source: X509Source, method: int, peer: str) -> None:
        self._source = source
        self._method = method
        self._authorize = authorize_id(SpiffeId(peer))
        self._lock = threading.Lock()
        self._renew()
        self.rotations = 0
        source.subscribe_for_updates(self._renew)

    def _renew(self) -> None:
        snapshot = Snapshot(self._source)
        context = create_ssl_context(self._method, snapshot, self._authorize)
        serial = snapshot.svid.leaf.serial_number
        with self._lock:
            rotated = hasattr(self, "_serial") and serial != self._serial
            self._context, self._serial = context, serial
        if rotated:
            self.rotations += 1
            if self._method == SSL.TLS_SERVER_METHOD:
                print("rotated")

    @property
    def current(self) -> SSL.Context:
        with self._lock:
            return self._context


def serve(address: str, allowed: str) -> None:
    """Admits one SPIFFE ID over mTLS, and answers each connection with a line that holds the ID of the peer."""
    with X509Source(timeout_in_seconds=LIMIT_SECONDS) as source:
        contexts = Contexts(source, SSL.TLS_SERVER_METHOD, allowed)
        with socket.create_server(host_and_port(address)) as listener:
            print("serving")
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=answer, args=(contexts.current, connection), daemon=True).start()


def answer(context: SSL.Context, connection: socket.socket) -> None:
    tls = SSL.Connection(context, connection)
    try:
        tls.set_accept_state()
        tls.do_handshake()
        tls.sendall(f"{spiffe_id_of(tls.get_peer_certificate().to_cryptography())}\n".encode())
        tls.shutdown()
    except SSL.Error as error:
        print("refused:", reason_of(error))
    finally:
        connection.close()


def spiffe_id_of(certificate: x509.Certificate) -> str:
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return names.get_values_for_type(x509.UniformResourceIdentifier)[0]


def call(address: str, expected: str, count: int, interval_ms: int) -> None:
    """Opens a new connection each time, and expects one SPIFFE ID there and its own in the answer."""
    failed = 0
    certificates: set[int] = set()
    with X509Source(timeout_in_seconds=LIMIT_SECONDS) as source:
        contexts = Contexts(source, SSL.TLS_CLIENT_METHOD, expected)
        own = str(source.get_x509_context().default_svid.spiffe_id)
        start = time.monotonic()
        for number in range(count):
            time.sleep(max(0, start + number * interval_ms / 1000 - time.monotonic()))
            try:
                certificates.add(exchange(contexts.current, host_and_port(address), own))
            except (SSL.Error, OSError, ValueError) as error:
                failed += 1
                print("failed:", reason_of(error))
        print(f"calls={count} failed={failed} rotations={contexts.rotations} peer_certificates={len(certificates)}")
    if failed > 0:
        raise SystemExit(1)


def exchange(context: SSL.Context, address: tuple[str, int], own: str) -> int:
    """One connection. Returns the serial number of the certificate that the server showed."""
    with socket.create_connection(address) as connection:
        tls = SSL.Connection(context, connection)
        tls.set_connect_state()
        tls.do_handshake()
        reply = b""
        try:
            while True:
                reply += tls.recv(4096)
        except SSL.ZeroReturnError:
            pass  # a close_notify; without one the reply may have been cut off, and that is an error
        if reply.decode().strip() != own:
            raise ValueError(f"the server answered {reply!r}")
        return tls.get_peer_certificate().get_serial_number()


def host_and_port(address: str) -> tuple[str, int]:
    host, port = address.split(":")
    return host, int(port)


def reason_of(error: Exception) -> str:
    return f"{type(error).__name__} {error}".replace("\n", " ")
