package wardein;

/** No login: refused by the authority, or it could not be asked. */
public final class Refused extends Exception {
    private static final long serialVersionUID = 1;

    private final String code;

    Refused(String code) {
        super(code);
        this.code = code;
    }

    /**
     * The authority's stable code, such as `token-spent`; or `unreachable`, `malformed`, `identity-missing`,
     * `identity-unreadable`, or `user-name-bare` where the grant's user name is the device's id alone.
     */
    public String code() {
        return code;
    }
}
