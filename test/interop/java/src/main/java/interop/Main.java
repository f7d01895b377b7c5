package interop;

import io.spiffe.svid.x509svid.X509Svid;
import io.spiffe.workloadapi.DefaultX509Source;
import io.spiffe.workloadapi.X509Source;
import java.math.BigInteger;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.logging.Level;
import java.util.logging.Logger;

/**
 * A workload in Java, which gets its identity from the agent at SPIFFE_ENDPOINT_SOCKET with the java-spiffe library.
 * Its jobs are those of every language; see the README of the folder above.
 */
public final class Main {
    private static final Logger LIBRARY = Logger.getLogger("io.spiffe");

    private Main() {}

    public static void main(String[] args) throws Exception {
        LIBRARY.setLevel(Level.WARNING);
        try {
            System.exit(run(args));
        } catch (Exception error) {
            System.out.println("interop failed: " + chain(error));
            System.exit(1);
        }
    }

    private static int run(String[] args) throws Exception {
        String job = args.length == 0 ? "" : args[0];
        if (job.equals("refused") && args.length == 1) return Check.refused();
        if (job.equals("check") && args.length == 2) return Check.check(args[1]);
        if (job.equals("serve") && args.length == 3) return Serve.serve(args[1], args[2]);
        if (job.equals("call") && args.length == 5) {
            return Call.call(args[1], args[2], Integer.parseInt(args[3]), Integer.parseInt(args[4]));
        }
        System.out.println("usage: interop refused | check ID | serve ADDRESS ALLOWED_ID"
                + " | call ADDRESS EXPECTED_ID COUNT INTERVAL_MS");
        return 2;
    }

    static X509Source newSource() throws Exception {
        return DefaultX509Source.newSource();
    }

    /** The library does not tell of updates, so a thread looks for them. */
    static AtomicInteger watchRotations(X509Source source, Runnable onRotation) {
        AtomicInteger rotations = new AtomicInteger();
        Thread watcher = new Thread(() -> {
            try {
                BigInteger last = serialOf(source.getX509Svid());
                while (true) {
                    Thread.sleep(100);
                    BigInteger now = serialOf(source.getX509Svid());
                    if (!now.equals(last)) {
                        rotations.incrementAndGet();
                        onRotation.run();
                    }
                    last = now;
                }
            } catch (InterruptedException | IllegalStateException ended) {
                // The source was closed; whoever still needs it notices by itself.
                return;
            }
        });
        watcher.setDaemon(true);
        watcher.start();
        return rotations;
    }

    private static BigInteger serialOf(X509Svid svid) {
        return svid.getLeaf().getSerialNumber();
    }

    /** An error with all that caused it, since the outermost one says little. */
    static String chain(Throwable error) {
        StringBuilder text = new StringBuilder(error.toString());
        for (Throwable cause = error.getCause(); cause != null; cause = cause.getCause()) {
            text.append(": ").append(cause);
        }
        return text.toString().replace('\n', ' ');
    }
}
