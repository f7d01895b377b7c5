package interop;

import io.spiffe.workloadapi.X509Source;
import java.io.IOException;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.security.cert.X509Certificate;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import javax.net.ssl.SSLServerSocket;
import javax.net.ssl.SSLSocket;

/** Admits one SPIFFE ID over mTLS, and answers each connection with a line that holds the ID of the peer. */
final class Serve {
    private static final int URI_NAME = 6;

    private Serve() {}

    static int serve(String address, String allowed) throws Exception {
        ExecutorService connections = Executors.newCachedThreadPool();
        try (X509Source source = Main.newSource();
                SSLServerSocket listener = (SSLServerSocket)
                        Tls.contextFor(source, allowed).getServerSocketFactory().createServerSocket()) {
            Main.watchRotations(source, () -> System.out.println("rotated"));
            listener.setNeedClientAuth(true);
            listener.bind(Tls.addressOf(address));
            System.out.println("serving");
            while (true) {
                Socket connection = listener.accept();
                connections.execute(() -> answer((SSLSocket) connection));
            }
        }
    }

    private static void answer(SSLSocket connection) {
        try (connection) {
            connection.setSoTimeout(Tls.LIMIT_MS);
            connection.startHandshake();
            String line = peerOf(connection) + "\n";
            connection.getOutputStream().write(line.getBytes(StandardCharsets.UTF_8));
        } catch (Exception error) {
            System.out.println("refused: " + Main.chain(error));
        }
    }

    private static String peerOf(SSLSocket connection) throws Exception {
        X509Certificate leaf = (X509Certificate) connection.getSession().getPeerCertificates()[0];
        for (List<?> name : leaf.getSubjectAlternativeNames()) {
            if (name.get(0).equals(URI_NAME)) return (String) name.get(1);
        }
        throw new IOException("the peer's certificate holds no URI");
    }
}
