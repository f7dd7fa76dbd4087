package com.thingworx.security.authentication;

/** A stand-in for PTC's class of that name. */
public class AuthenticatorException extends Exception {
    private static final long serialVersionUID = 1;

    public AuthenticatorException(String message) {
        super(message);
    }
}
