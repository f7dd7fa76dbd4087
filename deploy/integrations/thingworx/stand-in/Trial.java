import com.thingworx.communications.common.SecurityClaims;
import com.thingworx.security.authentication.AuthenticatorException;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import wardein.WardeinAuthenticator;

/** ThingWorx's part in a login: a line in is the token of a device's claim, a line out the user, or why there is none. */
public final class Trial {
    private Trial() {}

    public static void main(String[] arguments) throws Exception {
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        for (String token = lines.readLine(); token != null; token = lines.readLine()) {
            SecurityClaims claims = new SecurityClaims();
            claims.addClaim(token.isEmpty() ? "appKey" : WardeinAuthenticator.CLAIM, token);
            // A new one each time, as ThingWorx makes them.
            WardeinAuthenticator authenticator = new WardeinAuthenticator();
            if (!authenticator.matchesAuthRequest(claims)) {
                System.out.println("not ours");
                continue;
            }
            try {
                System.out.println("user " + authenticator.authenticate(claims));
            } catch (AuthenticatorException refused) {
                System.out.println("refused " + refused.getMessage());
            }
        }
    }
}
