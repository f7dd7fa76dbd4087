package wardein.example;

import com.google.protobuf.Struct;
import com.google.protobuf.util.JsonFormat;
import io.grpc.Grpc;
import io.grpc.ManagedChannel;
import io.grpc.TlsChannelCredentials;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;

/** The directory of an identity, as {@code wardein operator issue} makes it (deploy/OPERATORS.md, "The files of an identity"). */
final class Identity {
  private static final int DEFAULT_PORT = 7443;

  private Identity() {}

  /** A connection to the authority as that operator; it is made with the first call. */
  static ManagedChannel connect(Path directory) throws IOException {
    Struct.Builder described = Struct.newBuilder();
    JsonFormat.parser().merge(Files.readString(directory.resolve("operator.json")), described);
    URI endpoint = URI.create(described.getFieldsOrThrow("endpoint").getStringValue());
    int port = endpoint.getPort() < 0 ? DEFAULT_PORT : endpoint.getPort();
    var credentials =
        TlsChannelCredentials.newBuilder()
            .keyManager(directory.resolve("operator.pem").toFile(), directory.resolve("operator.key").toFile())
            .trustManager(directory.resolve("infrastructure.pem").toFile())
            .build();
    return Grpc.newChannelBuilderForAddress(endpoint.getHost(), port, credentials)
        // Calls are repeated where a refusal has RetryInfo, and nowhere else.
        .disableRetry()
        .keepAliveTime(30, TimeUnit.SECONDS)
        .build();
  }
}
