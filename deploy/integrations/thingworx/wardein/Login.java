package wardein;

import java.util.List;

/** A login that Wardein let pass. */
public final class Login {
    private final String deviceId;
    private final String userName;
    private final String organization;
    private final List<String> groups;
    private final boolean isTrusted;

    Login(String deviceId, String userName, String organization, List<String> groups, boolean isTrusted) {
        this.deviceId = deviceId;
        this.userName = userName;
        this.organization = organization;
        this.groups = groups;
        this.isTrusted = isTrusted;
    }

    /** The device's id at the authority. */
    public String deviceId() {
        return deviceId;
    }

    /** The user, by the grant's template. */
    public String userName() {
        return userName;
    }

    /** The user's organization, by the grant's template; empty where it names none. */
    public String organization() {
        return organization;
    }

    /** The user's groups, by the grant's templates. */
    public List<String> groups() {
        return groups;
    }

    /** Whether the device is trusted; otherwise the trust policy of its profile restricts it. */
    public boolean isTrusted() {
        return isTrusted;
    }
}
