package com.thingworx.security.authentication;

import com.thingworx.communications.common.SecurityClaims;
import java.io.Serializable;

/** A stand-in for PTC's class of that name, with the two methods that its documentation has an extension implement. */
public abstract class SecurityClaimsAuthenticator implements Serializable {
    private static final long serialVersionUID = 1;

    public abstract boolean matchesAuthRequest(SecurityClaims claims) throws AuthenticatorException;

    public abstract String authenticate(SecurityClaims claims) throws AuthenticatorException;
}
