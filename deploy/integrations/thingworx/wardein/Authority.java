package wardein;

import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.SecureRandom;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.spec.PKCS8EncodedKeySpec;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Collection;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;
import org.json.JSONArray;
import org.json.JSONException;
import org.json.JSONObject;

/** Wardein, asked with JSON and by the platform's certificate (proto/README.md, "Connecting"). */
final class Authority {
    /** A login waits for two tries: ThingWorx gives a device 15 seconds. */
    private static final Duration TIMEOUT = Duration.ofSeconds(5);

    /** A token has at most 1 KiB; this is its base64. */
    private static final int MAX_TOKEN = 1368;

    private static final int DEFAULT_PORT = 7443;

    private static final SecureRandom RANDOM = new SecureRandom();

    private final HttpClient client;
    private final URI verifyToken;

    private Authority(HttpClient client, URI authority) {
        this.client = client;
        this.verifyToken = authority.resolve("/wardein.v1.TrustService/VerifyToken");
    }

    /** By an identity's files: `operator.pem`, `operator.key` without a passphrase, `infrastructure.pem`, `operator.json`. */
    static Authority by(Path identity) throws Refused {
        try {
            SSLContext tls = SSLContext.getInstance("TLSv1.3");
            tls.init(keys(identity), roots(identity), null);
            HttpClient client = HttpClient.newBuilder().sslContext(tls).connectTimeout(TIMEOUT).build();
            return new Authority(client, endpoint(identity));
        } catch (GeneralSecurityException | IOException | IllegalArgumentException | JSONException error) {
            throw new Refused("identity-unreadable");
        }
    }

    /** Verifies a token, in base64, and spends it. If no answer comes it asks once more, with the same idempotency key. */
    Login verified(String token) throws Refused {
        if (token == null || token.length() > MAX_TOKEN) {
            throw new Refused("malformed");
        }
        byte[] key = new byte[16];
        RANDOM.nextBytes(key);
        String asked = new JSONObject()
                .put("token", token)
                .put("idempotencyKey", Base64.getEncoder().encodeToString(key))
                .toString();
        HttpRequest request = HttpRequest.newBuilder(verifyToken)
                .timeout(TIMEOUT)
                .header("Content-Type", "application/json")
                .POST(BodyPublishers.ofString(asked))
                .build();
        HttpResponse<String> answer;
        try {
            answer = sent(request);
        } catch (IOException lost) {
            try {
                answer = sent(request);
            } catch (IOException again) {
                throw new Refused("unreachable");
            }
        }
        if (answer.statusCode() != 200) {
            throw new Refused(answer.headers().firstValue("wardein-code").orElse("status-" + answer.statusCode()));
        }
        try {
            JSONObject login = new JSONObject(answer.body());
            JSONObject trust = login.getJSONObject("trust");
            boolean isTrusted = trust.getString("verdict").equals("VERDICT_TRUSTED");
            return new Login(trust.getString("deviceId"), login.getString("userName"), login.optString("organization"),
                    texts(login.optJSONArray("groups")), isTrusted);
        } catch (JSONException error) {
            throw new Refused("malformed");
        }
    }

    private HttpResponse<String> sent(HttpRequest request) throws IOException, Refused {
        CompletableFuture<HttpResponse<String>> answer = client.sendAsync(request, BodyHandlers.ofString(StandardCharsets.UTF_8));
        try {
            // The timeout of the request ends with the answer's headers; this one is for its body, too.
            return answer.get(TIMEOUT.toMillis(), TimeUnit.MILLISECONDS);
        } catch (ExecutionException | TimeoutException lost) {
            answer.cancel(true);
            throw new IOException(lost);
        } catch (InterruptedException interrupted) {
            Thread.currentThread().interrupt();
            throw new Refused("unreachable");
        }
    }

    private static URI endpoint(Path identity) throws IOException {
        URI endpoint = URI.create(new JSONObject(Files.readString(identity.resolve("operator.json"))).getString("endpoint"));
        if (!"https".equals(endpoint.getScheme()) || endpoint.getHost() == null) {
            throw new IllegalArgumentException("the endpoint is not https://HOST:PORT");
        }
        int port = endpoint.getPort() < 0 ? DEFAULT_PORT : endpoint.getPort();
        return URI.create("https://" + endpoint.getHost() + ":" + port);
    }

    private static List<String> texts(JSONArray array) {
        List<String> texts = new ArrayList<>();
        for (int at = 0; array != null && at < array.length(); at++) {
            texts.add(array.getString(at));
        }
        return List.copyOf(texts);
    }

    private static javax.net.ssl.KeyManager[] keys(Path identity) throws GeneralSecurityException, IOException {
        String pem = Files.readString(identity.resolve("operator.key"));
        byte[] pkcs8 = Base64.getMimeDecoder().decode(pem.replaceAll("-----[A-Z ]+-----", ""));
        KeyStore store = empty();
        store.setKeyEntry("platform", KeyFactory.getInstance("EC").generatePrivate(new PKCS8EncodedKeySpec(pkcs8)), new char[0],
                certificates(identity.resolve("operator.pem")).toArray(Certificate[]::new));
        KeyManagerFactory keys = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
        keys.init(store, new char[0]);
        return keys.getKeyManagers();
    }

    private static javax.net.ssl.TrustManager[] roots(Path identity) throws GeneralSecurityException, IOException {
        KeyStore store = empty();
        for (Certificate root : certificates(identity.resolve("infrastructure.pem"))) {
            store.setCertificateEntry("root-" + store.size(), root);
        }
        TrustManagerFactory roots = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        roots.init(store);
        return roots.getTrustManagers();
    }

    private static KeyStore empty() throws GeneralSecurityException, IOException {
        KeyStore store = KeyStore.getInstance("PKCS12");
        store.load(null, null);
        return store;
    }

    private static Collection<? extends Certificate> certificates(Path file) throws GeneralSecurityException, IOException {
        try (java.io.InputStream pem = Files.newInputStream(file)) {
            return CertificateFactory.getInstance("X.509").generateCertificates(pem);
        }
    }
}
