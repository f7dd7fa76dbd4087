package wardein.example;

import io.grpc.ManagedChannel;
import io.grpc.Status;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import wardein.v1.CheckRequest;
import wardein.v1.CheckResponse;
import wardein.v1.DeviceVerdict;
import wardein.v1.TrustServiceGrpc;

/** Asks Check about a device, then follows Watch, and says of each of its verdicts: Follow IDENTITY DEVICE. */
public final class Follow {
  private Follow() {}

  public static void main(String[] arguments) throws Exception {
    if (arguments.length != 2) {
      System.err.println("usage: Follow IDENTITY DEVICE");
      System.exit(2);
    }
    String device = arguments[1];
    ManagedChannel channel = Identity.connect(Path.of(arguments[0]));
    try {
      CheckResponse checked =
          TrustServiceGrpc.newBlockingStub(channel)
              .withDeadlineAfter(10, TimeUnit.SECONDS)
              .check(CheckRequest.newBuilder().setDeviceId(device).build());
      System.out.println("check: " + device + ": " + checked.getVerdict());
      new Watch(TrustServiceGrpc.newStub(channel), new Printer(device)).follow();
    } finally {
      channel.shutdownNow();
    }
  }

  private record Printer(String device) implements Watch.Listener {
    @Override
    public void snapshot(List<DeviceVerdict> devices) {
      print("snapshot", devices);
    }

    @Override
    public void change(List<DeviceVerdict> devices) {
      print("change", devices);
    }

    @Override
    public void current() {
      System.out.println("current");
    }

    @Override
    public void interrupted(Status why) {
      System.out.println("interrupted: " + why.getDescription());
    }

    private void print(String what, List<DeviceVerdict> devices) {
      for (DeviceVerdict each : devices) {
        if (each.getDeviceId().equals(device)) {
          System.out.println(what + ": " + device + ": " + each.getVerdict());
        }
      }
    }
  }
}
