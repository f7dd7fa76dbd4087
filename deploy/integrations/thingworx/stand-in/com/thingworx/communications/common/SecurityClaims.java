package com.thingworx.communications.common;

import java.util.HashMap;
import java.util.Map;

/** A stand-in for PTC's class of that name, with two of its methods as the javadoc of ThingWorx 9.7 has them. */
public final class SecurityClaims {
    private final Map<String, String> claims = new HashMap<>();

    public void addClaim(String name, String value) {
        claims.put(name, value);
    }

    public Map<String, String> getClaims() {
        return claims;
    }
}
