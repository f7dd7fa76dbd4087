package wardein;

import com.thingworx.communications.common.SecurityClaims;
import com.thingworx.security.authentication.AuthenticatorException;
import com.thingworx.security.authentication.SecurityClaimsAuthenticator;
import java.nio.file.Path;

/**
 * Logs devices in at ThingWorx by a token of Wardein, which they give as the claim {@value #CLAIM}, in base64: nothing that ThingWorx keeps
 * opens a session. Whatever goes wrong refuses.
 *
 * <p>Its methods are those of PTC's "Edge Device Authenticator Extension Example". ThingWorx calls them on several threads.
 */
public final class WardeinAuthenticator extends SecurityClaimsAuthenticator {
    /** The claim with the token. */
    public static final String CLAIM = "wardein-token";

    /** The property of the JVM that names the platform's identity, a directory as `wardein operator issue` writes it. */
    public static final String IDENTITY = "wardein.identity";

    private static final long serialVersionUID = 1;

    @Override
    public boolean matchesAuthRequest(SecurityClaims claims) throws AuthenticatorException {
        return claim(claims) != null;
    }

    /**
     * The user of ThingWorx as whom the device is logged in, who must exist there: the grant's user name. ThingWorx takes no more from an
     * authenticator; the grant's organization and groups are in {@link Login}, for who makes the users.
     */
    @Override
    public String authenticate(SecurityClaims claims) throws AuthenticatorException {
        try {
            Login login = Held.authority().verified(claim(claims));
            if (!login.isTrusted()) {
                throw new AuthenticatorException("the device is restricted");
            }
            // A device that a station named `Administrator` would be that user; ThingWorx's names know no upper and lower case.
            if (login.userName().equalsIgnoreCase(login.deviceId())) {
                throw new Refused("user-name-bare");
            }
            return login.userName();
        } catch (Refused refused) {
            // Its code: nothing of the token.
            throw new AuthenticatorException("refused by Wardein: " + refused.code());
        } catch (RuntimeException fault) {
            throw new AuthenticatorException("not decided: " + fault.getClass().getName());
        }
    }

    private static String claim(SecurityClaims claims) {
        String token = claims.getClaims().get(CLAIM);
        return token == null || token.isEmpty() ? null : token;
    }

    /** One connection for all logins, made at the first: a renewed identity counts from the next start of the JVM. */
    private static final class Held {
        private static Authority authority;

        static synchronized Authority authority() throws Refused {
            if (authority == null) {
                String identity = System.getProperty(IDENTITY);
                if (identity == null) {
                    throw new Refused("identity-missing");
                }
                authority = Authority.by(Path.of(identity));
            }
            return authority;
        }
    }
}
