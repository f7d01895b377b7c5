package interop;

import io.spiffe.provider.SpiffeSslContextFactory;
import io.spiffe.provider.SpiffeSslContextFactory.SslContextOptions;
import io.spiffe.spiffeid.SpiffeId;
import io.spiffe.workloadapi.X509Source;
import java.net.InetSocketAddress;
import java.util.Set;
import javax.net.ssl.SSLContext;

/** What both roles of a TLS connection share. */
final class Tls {
    static final int LIMIT_MS = 10_000;

    private Tls() {}

    /** Reads certificate and bundles from the source for each handshake; admits one SPIFFE ID. */
    static SSLContext contextFor(X509Source source, String peer) throws Exception {
        Set<SpiffeId> accepted = Set.of(SpiffeId.parse(peer));
        return SpiffeSslContextFactory.getSslContext(SslContextOptions.builder()
                .sslProtocol("TLS")
                .x509Source(source)
                .acceptedSpiffeIdsSupplier(() -> accepted)
                .build());
    }

    static InetSocketAddress addressOf(String text) {
        int colon = text.lastIndexOf(':');
        return new InetSocketAddress(text.substring(0, colon), Integer.parseInt(text.substring(colon + 1)));
    }
}
