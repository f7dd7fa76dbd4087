import com.google.protobuf.Any;
import com.google.protobuf.ByteString;
import com.google.protobuf.Duration;
import com.google.rpc.BadRequest;
import com.google.rpc.ErrorInfo;
import io.grpc.ChannelCredentials;
import io.grpc.Grpc;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.TlsChannelCredentials;
import io.grpc.protobuf.StatusProto;
import java.io.File;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import wardein.v1.AdminServiceGrpc;
import wardein.v1.CheckRequest;
import wardein.v1.CreateInvitationRequest;
import wardein.v1.CreateTenantRequest;
import wardein.v1.GetDeviceRequest;
import wardein.v1.GetStatusRequest;
import wardein.v1.InvitationServiceGrpc;
import wardein.v1.ListInvitationsRequest;
import wardein.v1.ListTenantsRequest;
import wardein.v1.RevokeInvitationRequest;
import wardein.v1.Role;
import wardein.v1.TrustServiceGrpc;
import wardein.v1.Verdict;

/**
 * A client in Java: grpc-java, with what protoc makes of proto/. It shares no line with Wardein. The first check that does not hold ends
 * the run.
 *
 * <p>Client HOST:PORT ROOTS ADMIN_CERTIFICATE ADMIN_KEY PLATFORM_CERTIFICATE PLATFORM_KEY
 */
public final class Client {
    private static final Metadata.Key<String> CODE = Metadata.Key.of("wardein-code", Metadata.ASCII_STRING_MARSHALLER);

    private Client() {}

    private static ManagedChannel channel(String endpoint, String roots, String... identity) throws Exception {
        TlsChannelCredentials.Builder tls = TlsChannelCredentials.newBuilder().trustManager(new File(roots));
        if (identity.length == 2) {
            tls.keyManager(new File(identity[0]), new File(identity[1]));
        }
        ChannelCredentials credentials = tls.build();
        return Grpc.newChannelBuilder(endpoint, credentials).build();
    }

    private static void require(boolean holds, Object said) {
        if (!holds) {
            throw new AssertionError(String.valueOf(said));
        }
    }

    /** The details of a refusal, which is of that code and reason. */
    private static List<Any> refused(Runnable call, Status.Code code, String reason) throws Exception {
        try {
            call.run();
        } catch (StatusRuntimeException refusal) {
            require(refusal.getStatus().getCode() == code, refusal);
            com.google.rpc.Status status = StatusProto.fromThrowable(refusal);
            require(status.getCode() == code.value() && status.getMessage().equals(refusal.getStatus().getDescription()), status);
            for (Any detail : status.getDetailsList()) {
                if (detail.is(ErrorInfo.class)) {
                    ErrorInfo info = detail.unpack(ErrorInfo.class);
                    require(info.getReason().equals(reason) && info.getDomain().equals("wardein"), info);
                    require(refusal.getTrailers().get(CODE).equals(reason.toLowerCase().replace('_', '-')), refusal.getTrailers());
                    return status.getDetailsList();
                }
            }
            throw new AssertionError("no ErrorInfo: " + status);
        }
        throw new AssertionError("it was not refused");
    }

    public static void main(String[] args) throws Exception {
        ManagedChannel admin = channel(args[0], args[1], args[2], args[3]);
        ManagedChannel platform = channel(args[0], args[1], args[4], args[5]);
        ManagedChannel nobody = channel(args[0], args[1]);
        try {
            run(admin, platform, nobody);
        } finally {
            for (ManagedChannel channel : List.of(admin, platform, nobody)) {
                channel.shutdownNow().awaitTermination(10, TimeUnit.SECONDS);
            }
        }
    }

    private static void run(ManagedChannel admin, ManagedChannel platform, ManagedChannel nobody) throws Exception {
        AdminServiceGrpc.AdminServiceBlockingStub operator =
                AdminServiceGrpc.newBlockingStub(admin).withDeadlineAfter(60, TimeUnit.SECONDS);
        var status = operator.getStatus(GetStatusRequest.getDefaultInstance());
        require(status.getTrustDomain().equals("strangers.example"), status);
        System.out.println("java: GetStatus with mutual TLS: version " + status.getVersion());

        List<String> tenants = new ArrayList<>();
        ByteString next = ByteString.EMPTY;
        do {
            var page = operator.listTenants(ListTenantsRequest.newBuilder().setPageSize(1).setPageToken(next).build());
            page.getTenantsList().forEach(tenant -> tenants.add(tenant.getTenant()));
            next = page.getNextPageToken();
        } while (!next.isEmpty());
        require(tenants.equals(List.of("klinik", "praxis")), tenants);
        System.out.println("java: ListTenants by pages of one: " + tenants);

        var invitations = InvitationServiceGrpc.newBlockingStub(admin).withDeadlineAfter(60, TimeUnit.SECONDS);
        var made = invitations.createInvitation(CreateInvitationRequest.newBuilder()
                .setRole(Role.ROLE_PLATFORM)
                .setTenant("klinik")
                .setName("by-java")
                .setValidity(Duration.newBuilder().setSeconds(86_400))
                .setLifetime(Duration.newBuilder().setSeconds(600))
                .build());
        var of = ListInvitationsRequest.newBuilder().setTenant("klinik").build();
        var open = invitations.listInvitations(of).getInvitationsList();
        require(open.size() == 1 && open.get(0).getId().equals(made.getId()) && open.get(0).getName().equals("by-java"), open);
        invitations.revokeInvitation(RevokeInvitationRequest.newBuilder().setId(made.getId()).setReason("a test").build());
        require(invitations.listInvitations(of).getInvitationsCount() == 0, "it is still there");
        System.out.println("java: an invitation made, listed and taken back");

        var trust = TrustServiceGrpc.newBlockingStub(platform).withDeadlineAfter(60, TimeUnit.SECONDS);
        var checked = trust.check(CheckRequest.newBuilder().setDeviceId("pump-1").build());
        require(checked.getVerdict() == Verdict.VERDICT_UNKNOWN, checked);
        System.out.println("java: Check as a platform: " + checked.getVerdict());

        var unknown = GetDeviceRequest.newBuilder().setTenant("klinik").setDeviceId("x").build();
        var details = refused(() -> operator.getDevice(unknown), Status.Code.NOT_FOUND, "DEVICE_UNKNOWN");
        System.out.println("java: a refusal's details: " + details.stream().map(Any::getTypeUrl).toList());
        var wrong = CreateTenantRequest.newBuilder().setTenant("No Name").build();
        details = refused(() -> operator.createTenant(wrong), Status.Code.INVALID_ARGUMENT, "MALFORMED");
        BadRequest request = null;
        for (Any detail : details) {
            request = detail.is(BadRequest.class) ? detail.unpack(BadRequest.class) : request;
        }
        require(request != null && request.getFieldViolations(0).getField().equals("tenant"), details);
        System.out.println("java: a wrong field is named: " + request.getFieldViolations(0).getField());
        var own = AdminServiceGrpc.newBlockingStub(platform).withDeadlineAfter(60, TimeUnit.SECONDS);
        refused(() -> own.listTenants(ListTenantsRequest.getDefaultInstance()), Status.Code.PERMISSION_DENIED, "ROLE_DENIED");
        var none = AdminServiceGrpc.newBlockingStub(nobody).withDeadlineAfter(60, TimeUnit.SECONDS);
        try {
            none.getStatus(GetStatusRequest.getDefaultInstance());
            throw new AssertionError("nobody was answered");
        } catch (StatusRuntimeException refusal) {
            require(refusal.getStatus().getCode() == Status.Code.UNAUTHENTICATED, refusal);
        }
        System.out.println("java: the wrong role and no certificate are refused");
    }
}
