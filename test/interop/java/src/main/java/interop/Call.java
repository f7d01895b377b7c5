package interop;

import io.spiffe.workloadapi.X509Source;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.security.cert.X509Certificate;
import java.util.HashSet;
import java.util.Set;
import java.util.concurrent.atomic.AtomicInteger;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLSocket;

/** Opens a new connection each time, and expects one SPIFFE ID there and its own in the answer. */
final class Call {
    private Call() {}

    static int call(String address, String expected, int count, int intervalMs) throws Exception {
        Set<BigInteger> certificates = new HashSet<>();
        int failed = 0;
        AtomicInteger rotations;
        try (X509Source source = Main.newSource()) {
            rotations = Main.watchRotations(source, () -> {});
            String own = source.getX509Svid().getSpiffeId().toString();
            SSLContext context = Tls.contextFor(source, expected);
            long start = System.nanoTime();
            for (int number = 0; number < count; number++) {
                long dueMs = number * (long) intervalMs - (System.nanoTime() - start) / 1_000_000;
                if (dueMs > 0) Thread.sleep(dueMs);
                try {
                    certificates.add(exchange(context, address, own));
                } catch (IOException error) {
                    failed++;
                    System.out.println("failed: " + Main.chain(error));
                }
            }
        }
        // In one piece, as the library logs from threads of its own.
        System.out.println("calls=" + count + " failed=" + failed + " rotations=" + rotations.get()
                + " peer_certificates=" + certificates.size());
        return failed == 0 ? 0 : 1;
    }

    /** One connection. Returns the serial number of the certificate that the server showed. */
    private static BigInteger exchange(SSLContext context, String address, String own) throws IOException {
        try (SSLSocket connection = (SSLSocket) context.getSocketFactory().createSocket()) {
            connection.setSoTimeout(Tls.LIMIT_MS);
            connection.connect(Tls.addressOf(address), Tls.LIMIT_MS);
            connection.startHandshake();
            BufferedReader reader =
                    new BufferedReader(new InputStreamReader(connection.getInputStream(), StandardCharsets.UTF_8));
            String reply = reader.readLine();
            if (!own.equals(reply)) throw new IOException("the server answered " + reply);
            return ((X509Certificate) connection.getSession().getPeerCertificates()[0]).getSerialNumber();
        }
    }
}
