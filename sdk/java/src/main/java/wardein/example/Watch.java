package wardein.example;

import com.google.protobuf.ByteString;
import io.grpc.Context;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.StreamObserver;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import wardein.v1.DeviceVerdict;
import wardein.v1.FromSnapshot;
import wardein.v1.TrustServiceGrpc.TrustServiceStub;
import wardein.v1.WatchRequest;
import wardein.v1.WatchResponse;

/** Watching without an end: where a stream breaks, another one goes on from its last revision. */
final class Watch {
  /** What a watch says. After a snapshot nothing else is known of devices than it has. */
  interface Listener {
    void snapshot(List<DeviceVerdict> devices);

    void change(List<DeviceVerdict> devices);

    /** All that was said was so a moment ago. */
    void current();

    void interrupted(Status why);
  }

  // Bookmarks come every five seconds.
  private static final long SILENCE_SECONDS = 15;
  private static final long FIRST_PAUSE_MILLIS = 100;
  private static final long LAST_PAUSE_MILLIS = 10_000;

  private final TrustServiceStub trust;
  private final Listener listener;
  private ByteString revision;
  private long pause = FIRST_PAUSE_MILLIS;

  Watch(TrustServiceStub trust, Listener listener) {
    this.trust = trust;
    this.listener = listener;
  }

  /** Ends by an interrupt, or with the error that no other attempt changes. */
  void follow() throws InterruptedException {
    while (true) {
      Status why = stream();
      if (why.getCode() == Status.Code.OUT_OF_RANGE && revision != null) {
        // What it goes on from is gone.
        revision = null;
      } else {
        switch (why.getCode()) {
          case UNAVAILABLE, RESOURCE_EXHAUSTED, INTERNAL, CANCELLED, UNKNOWN, ABORTED -> {}
          default -> throw new StatusRuntimeException(why);
        }
      }
      listener.interrupted(why);
      // Not all watchers of an authority at once.
      Thread.sleep(pause / 2 + ThreadLocalRandom.current().nextLong(pause / 2 + 1));
      pause = Math.min(2 * pause, LAST_PAUSE_MILLIS);
    }
  }

  /** One stream; why it ended. */
  private Status stream() throws InterruptedException {
    WatchRequest.Builder request = WatchRequest.newBuilder();
    if (revision == null) {
      request.setSnapshot(FromSnapshot.getDefaultInstance());
    } else {
      request.setRevision(revision);
    }
    // Messages, and the status at the end. A reader that falls behind holds the stream up, and nothing else.
    BlockingQueue<Object> came = new ArrayBlockingQueue<>(16);
    Context.CancellableContext context = Context.current().withCancellation();
    try {
      context.run(() -> trust.watch(request.build(), observer(came)));
      List<DeviceVerdict> coming = new ArrayList<>();
      while (true) {
        Object next = came.poll(SILENCE_SECONDS, TimeUnit.SECONDS);
        if (next == null) {
          return Status.UNAVAILABLE.withDescription("nothing came for too long");
        }
        if (next instanceof Status why) {
          return why;
        }
        pause = FIRST_PAUSE_MILLIS;
        WatchResponse message = (WatchResponse) next;
        switch (message.getEventCase()) {
          case SNAPSHOT -> coming.addAll(message.getSnapshot().getDevicesList());
          case SNAPSHOT_END -> {
            if (coming.size() != message.getSnapshotEnd().getDevices()) {
              return Status.INTERNAL.withDescription("the snapshot is not whole");
            }
            revision = message.getSnapshotEnd().getRevision();
            listener.snapshot(coming);
            coming = new ArrayList<>();
          }
          case CHANGE -> {
            if (!message.getChange().getPrevious().equals(revision)) {
              return Status.INTERNAL.withDescription("a change was missed");
            }
            revision = message.getChange().getRevision();
            listener.change(message.getChange().getDevicesList());
          }
          case BOOKMARK -> {
            revision = message.getBookmark().getRevision();
            listener.current();
          }
          // An event of a later release.
          case EVENT_NOT_SET -> {}
        }
      }
    } finally {
      context.cancel(null);
    }
  }

  private static StreamObserver<WatchResponse> observer(BlockingQueue<Object> came) {
    return new StreamObserver<>() {
      @Override
      public void onNext(WatchResponse message) {
        put(message);
      }

      @Override
      public void onError(Throwable error) {
        put(Status.fromThrowable(error));
      }

      @Override
      public void onCompleted() {
        put(Status.UNAVAILABLE.withDescription("the watch ended"));
      }

      private void put(Object next) {
        try {
          // Where nobody reads any more, its thread is not held for ever.
          if (!came.offer(next, SILENCE_SECONDS, TimeUnit.SECONDS)) {
            throw Status.CANCELLED.withDescription("nobody reads").asRuntimeException();
          }
        } catch (InterruptedException error) {
          Thread.currentThread().interrupt();
        }
      }
    };
  }
}
