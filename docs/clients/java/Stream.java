import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.StreamObserver;
import io.warrenmesh.events.v1.CloudEvent;
import io.warrenmesh.events.v1.EventServiceGrpc.EventServiceStub;
import io.warrenmesh.events.v1.EventServiceGrpc;
import io.warrenmesh.events.v1.PublishStreamEntry;
import io.warrenmesh.events.v1.PublishStreamRequest;
import io.warrenmesh.events.v1.PublishStreamResponse;
import io.warrenmesh.events.v1.PublishStreamResult;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashMap;
import java.util.Map;
import java.util.OptionalLong;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;

/** Publishes events as a pipeline: Stream TARGET TOPIC PREFIX COUNT. */
final class Stream {
  private static final int WINDOW = 64; // unanswered events; the sidecar's own window is 1024

  private record Item(CloudEvent event, int attempt) {}

  private final EventServiceStub stub;
  private final String topic;
  private final ScheduledExecutorService clock = Executors.newSingleThreadScheduledExecutor();

  // Guarded by this: answers come on gRPC's threads, ends of waits on the clock's.
  private final Deque<Item> queue = new ArrayDeque<>(); // to be sent, in order
  private final Map<Long, Item> sent = new HashMap<>(); // unanswered, by request id
  private StreamObserver<PublishStreamRequest> requests; // null between two streams
  private int open; // neither confirmed nor refused
  private long last; // request id

  private Stream(EventServiceStub stub, String topic) {
    this.stub = stub;
    this.topic = topic;
  }

  public static void main(String[] args) throws Exception {
    var channel = Sidecar.connect(args[0]);
    var pipeline = new Stream(EventServiceGrpc.newStub(channel), args[1]);
    for (int n = 0; n < Integer.parseInt(args[3]); n++) {
      pipeline.queue.add(new Item(Sidecar.newEvent(args[2] + "-" + n, "{\"n\":" + n + "}"), 0));
      pipeline.open++;
    }
    try {
      pipeline.run();
    } finally { // or its thread would keep the program alive
      pipeline.clock.shutdownNow();
      channel.shutdown();
    }
  }

  private void run() throws Exception {
    for (int attempt = 0; ; attempt++) {
      int before = left();
      var error = stream();
      requeue();
      if (left() == 0) {
        return;
      }
      if (error == null) {
        throw new IllegalStateException("the sidecar ended the stream");
      }
      if (left() < before) {
        attempt = 0; // it went on for a while
      }
      OptionalLong wait = Sidecar.Failure.of(error).again(attempt);
      if (wait.isEmpty()) {
        throw error;
      }
      Thread.sleep(wait.getAsLong());
    }
  }

  private synchronized int left() {
    return open;
  }

  /** Lives as long as one PublishStream; returns the error that ended it, or null. */
  private StatusRuntimeException stream() throws Exception {
    var ended = new CompletableFuture<StatusRuntimeException>();
    var observer = stub.publishStream(new StreamObserver<PublishStreamResponse>() {
      @Override public void onNext(PublishStreamResponse response) {
        try {
          response.getResultsList().forEach(Stream.this::settle);
        } catch (StatusRuntimeException refused) {
          ended.complete(refused); // the cause; the call itself ends with CANCELLED
          throw refused;
        }
        fill();
      }

      @Override public void onError(Throwable error) {
        var status = Status.fromThrowable(error);
        ended.complete(error instanceof StatusRuntimeException e ? e : status.asRuntimeException());
      }

      @Override public void onCompleted() {
        ended.complete(null);
      }
    });
    synchronized (this) {
      requests = observer;
    }
    fill();
    return ended.get();
  }

  /** Sends as much as the window holds; half-closes when all is done. */
  private synchronized void fill() {
    while (requests != null && !queue.isEmpty() && sent.size() < WINDOW) {
      Item item = queue.remove();
      sent.put(++last, item);
      requests.onNext(PublishStreamRequest.newBuilder().setTopic(topic)
          .addEntries(PublishStreamEntry.newBuilder().setRequestId(last).setEvent(item.event())).build());
    }
    if (requests != null && open == 0) {
      requests.onCompleted();
      requests = null;
    }
  }

  /** Takes one result. Results come in any order. */
  private synchronized void settle(PublishStreamResult result) {
    Item item = sent.remove(result.getRequestId());
    if (!result.getResult().hasStatus()) { // no status means OK
      open--;
      System.out.println("confirmed " + item.event().getId());
      return;
    }
    var failure = Sidecar.Failure.of(result.getResult().getStatus());
    OptionalLong wait = failure.again(item.attempt());
    if (wait.isEmpty()) {
      throw Status.fromCode(failure.code()).withDescription(failure.message()).asRuntimeException();
    }
    System.out.println("again " + item.event().getId() + " " + failure.reason());
    clock.schedule(() -> later(new Item(item.event(), item.attempt() + 1)), wait.getAsLong(), TimeUnit.MILLISECONDS);
  }

  private synchronized void later(Item item) {
    queue.add(item);
    fill();
  }

  /** What a stream leaves unanswered is of unknown outcome: it goes back, with its id. */
  private synchronized void requeue() {
    requests = null;
    for (Item item : sent.values()) {
      System.out.println("again " + item.event().getId() + " STREAM_ENDED unknown");
      queue.add(item);
    }
    sent.clear();
  }
}
