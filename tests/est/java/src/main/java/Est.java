import java.io.FileInputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.KeyStore;
import java.security.Security;
import java.security.cert.CertificateFactory;
import java.security.cert.TrustAnchor;
import java.security.cert.X509Certificate;
import java.security.spec.ECGenParameterSpec;
import java.util.Set;
import javax.net.ssl.KeyManagerFactory;
import org.bouncycastle.asn1.x500.X500Name;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cert.jcajce.JcaX509CertificateConverter;
import org.bouncycastle.est.ESTException;
import org.bouncycastle.est.ESTService;
import org.bouncycastle.est.EnrollmentResponse;
import org.bouncycastle.est.jcajce.JcaHttpAuthBuilder;
import org.bouncycastle.est.jcajce.JcaJceUtils;
import org.bouncycastle.est.jcajce.JsseDefaultHostnameAuthorizer;
import org.bouncycastle.est.jcajce.JsseESTServiceBuilder;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.operator.ContentSigner;
import org.bouncycastle.operator.jcajce.JcaContentSignerBuilder;
import org.bouncycastle.pkcs.PKCS10CertificationRequest;
import org.bouncycastle.pkcs.jcajce.JcaPKCS10CertificationRequestBuilder;

/** Bouncy Castle's client of EST: the CAs, the first certificate by a voucher, its renewal by itself, a voucher that is spent. */
public final class Est {
    private static final char[] PASSWORD = "unused".toCharArray();

    /** Arguments: HOST:PORT, the root's PEM, the voucher's user, and a file with its password. */
    public static void main(String[] args) throws Exception {
        Security.addProvider(new BouncyCastleProvider());
        String server = args[0];
        X509Certificate root;
        try (FileInputStream in = new FileInputStream(args[1])) {
            root = (X509Certificate) CertificateFactory.getInstance("X.509").generateCertificate(in);
        }
        char[] password = Files.readString(Path.of(args[3])).trim().toCharArray();

        ESTService anybody = builder(server, root).build();
        int count = anybody.getCACerts().getCertificateStore().getMatches(null).size();
        check(count == 2, "cacerts has the root and the issuing CA: " + count);
        check(!anybody.getCSRAttributes().hasAttributesResponse(), "csrattrs asks for nothing");

        KeyPair pair = pair();
        var basic = new JcaHttpAuthBuilder(args[2], password).build();
        X509CertificateHolder first = one(anybody.simpleEnroll(false, csr(pair), basic));
        check(first.getSubjectPublicKeyInfo().equals(csr(pair).getSubjectPublicKeyInfo()), "the certificate is for the key");
        check(one(anybody.simpleEnroll(false, csr(pair), basic)).equals(first), "the same again where the answer was lost");

        KeyPair next = pair();
        X509CertificateHolder second = one(holder(server, root, pair, first).simpleEnroll(true, csr(next), null));
        check(!second.equals(first), "a certificate renews itself");
        X509CertificateHolder third = one(holder(server, root, next, second).simpleEnroll(true, csr(next), null));
        check(third.getSubjectPublicKeyInfo().equals(second.getSubjectPublicKeyInfo()), "and so does that");

        refused(401, "a spent voucher", () -> anybody.simpleEnroll(false, csr(pair()), basic));
        refused(401, "nobody", () -> anybody.simpleEnroll(true, csr(pair), null));
        System.out.println("Bouncy Castle: every check held");
    }

    private static JsseESTServiceBuilder builder(String server, X509Certificate root) {
        return new JsseESTServiceBuilder(server, JcaJceUtils.getCertPathTrustManager(Set.of(new TrustAnchor(root, null)), null))
            .withHostNameAuthorizer(new JsseDefaultHostnameAuthorizer(Set.of()))
            .withTimeout(20_000);
    }

    private static ESTService holder(String server, X509Certificate root, KeyPair pair, X509CertificateHolder holder) throws Exception {
        KeyStore store = KeyStore.getInstance("PKCS12");
        store.load(null, PASSWORD);
        X509Certificate certificate = new JcaX509CertificateConverter().getCertificate(holder);
        store.setKeyEntry("device", pair.getPrivate(), PASSWORD, new X509Certificate[] {certificate});
        KeyManagerFactory keys = KeyManagerFactory.getInstance("PKIX");
        keys.init(store, PASSWORD);
        return builder(server, root).withKeyManagers(keys.getKeyManagers()).build();
    }

    private static KeyPair pair() throws Exception {
        KeyPairGenerator generator = KeyPairGenerator.getInstance("EC");
        generator.initialize(new ECGenParameterSpec("secp256r1"));
        return generator.generateKeyPair();
    }

    private static PKCS10CertificationRequest csr(KeyPair pair) throws Exception {
        ContentSigner signer = new JcaContentSignerBuilder("SHA256withECDSA").build(pair.getPrivate());
        return new JcaPKCS10CertificationRequestBuilder(new X500Name("CN=ignored"), pair.getPublic()).build(signer);
    }

    private static X509CertificateHolder one(EnrollmentResponse response) {
        check(response.isCompleted(), "the answer is complete");
        var found = response.getStore().getMatches(null);
        check(found.size() == 1, "the answer is one certificate: " + found.size());
        return found.iterator().next();
    }

    private interface Asking {
        Object ask() throws Exception;
    }

    private static void refused(int status, String what, Asking asking) throws Exception {
        try {
            asking.ask();
        } catch (ESTException refusal) {
            check(refusal.getStatusCode() == status, what + " is refused with " + status + ": " + refusal.getStatusCode());
            return;
        }
        check(false, what + " is refused");
    }

    private static void check(boolean holds, String what) {
        if (!holds) {
            throw new IllegalStateException("this does not hold: " + what);
        }
        System.out.println("  " + what);
    }
}
