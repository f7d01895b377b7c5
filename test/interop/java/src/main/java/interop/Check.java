package interop;

import io.spiffe.bundle.x509bundle.X509Bundle;
import io.spiffe.spiffeid.SpiffeId;
import io.spiffe.svid.jwtsvid.JwtSvid;
import io.spiffe.svid.x509svid.X509Svid;
import io.spiffe.svid.x509svid.X509SvidValidator;
import io.spiffe.workloadapi.DefaultJwtSource;
import io.spiffe.workloadapi.DefaultWorkloadApiClient;
import io.spiffe.workloadapi.JwtSource;
import io.spiffe.workloadapi.WorkloadApiClient;
import io.spiffe.workloadapi.X509Source;
import java.util.Set;
import java.util.concurrent.atomic.AtomicInteger;

/** The Workload API without TLS: certificates, rotations and JWT-SVIDs. */
final class Check {
    private static final String AUDIENCE = "interop";
    private static final int ROTATIONS = 3;
    private static final long LIMIT_MS = 180_000;

    private Check() {}

    private interface Action {
        void run() throws Exception;
    }

    /** Expects that the agent has no identity for this program. */
    static int refused() throws Exception {
        try (WorkloadApiClient client = DefaultWorkloadApiClient.newClient()) {
            expectRefusal("no identity issued", client::fetchX509Context);
            expectRefusal("no identity issued", () -> client.fetchJwtSvid(AUDIENCE));
        }
        return 0;
    }

    /** Expects this identity, follows it through several rotations, and fetches and validates JWT-SVIDs. */
    static int check(String text) throws Exception {
        SpiffeId id = SpiffeId.parse(text);
        checkTokens(id);
        followRotations(id);
        System.out.println("interop ok java: " + ROTATIONS + " rotations with X509Source,"
                + " JWT-SVIDs fetched and validated, 6 refusals");
        return 0;
    }

    private static void followRotations(SpiffeId id) throws Exception {
        long until = System.currentTimeMillis() + LIMIT_MS;
        try (X509Source source = Main.newSource()) {
            AtomicInteger rotations = Main.watchRotations(source, () -> {});
            while (rotations.get() < ROTATIONS) {
                X509Svid svid = source.getX509Svid();
                require(svid.getSpiffeId().equals(id), "got the identity " + svid.getSpiffeId());
                X509SvidValidator.verifyChain(svid.getChain(), source);
                X509Bundle bundle = source.getBundleForTrustDomain(id.getTrustDomain());
                require(!bundle.getX509Authorities().isEmpty(), "the own bundle is empty");
                require(System.currentTimeMillis() < until, "the certificate was not rotated in time");
                Thread.sleep(500);
            }
        }
    }

    private static void checkTokens(SpiffeId id) throws Exception {
        try (JwtSource source = DefaultJwtSource.newSource();
                WorkloadApiClient client = DefaultWorkloadApiClient.newClient()) {
            String token = source.fetchJwtSvid(AUDIENCE).getToken();
            JwtSvid svid = JwtSvid.parseAndValidate(token, source, Set.of(AUDIENCE));
            require(svid.getSpiffeId().equals(id), "the token is for " + svid.getSpiffeId());
            JwtSvid seen = client.validateJwtSvid(token, AUDIENCE);
            require(seen.getSpiffeId().equals(id), "the agent reads another identity");
            expectRefusal("", () -> JwtSvid.parseAndValidate(token, source, Set.of("someone-else")));
            expectRefusal("", () -> client.validateJwtSvid(token, "someone-else"));
            String changed = token.substring(0, token.length() - 8) + "AAAAAAAA";
            expectRefusal("", () -> client.validateJwtSvid(changed, AUDIENCE));
            SpiffeId other = SpiffeId.parse("spiffe://example.org/other");
            expectRefusal("", () -> client.fetchJwtSvid(other, AUDIENCE));
        }
    }

    private static void expectRefusal(String text, Action action) {
        try {
            action.run();
        } catch (Exception error) {
            require(Main.chain(error).contains(text), "refused with " + Main.chain(error));
            return;
        }
        throw new IllegalStateException("something was granted that must be refused");
    }

    private static void require(boolean condition, String message) {
        if (!condition) throw new IllegalStateException(message);
    }
}
