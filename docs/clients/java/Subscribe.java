import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.StreamObserver;
import io.warrenmesh.events.v1.CloudEvent;
import io.warrenmesh.events.v1.Delivery;
import io.warrenmesh.events.v1.EventServiceGrpc.EventServiceStub;
import io.warrenmesh.events.v1.EventServiceGrpc;
import io.warrenmesh.events.v1.Outcome;
import io.warrenmesh.events.v1.Settlement;
import io.warrenmesh.events.v1.SubscribeCredit;
import io.warrenmesh.events.v1.SubscribeInit;
import io.warrenmesh.events.v1.SubscribeRequest;
import io.warrenmesh.events.v1.SubscribeResponse;
import io.warrenmesh.events.v1.SubscribeSettle;
import java.util.OptionalLong;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;

/** Receives events until SIGTERM: Subscribe TARGET SUBSCRIPTION. */
final class Subscribe {
  private static final int WINDOW = 64; // deliveries held at once

  private final EventServiceStub stub;
  private final String subscription;

  // Guarded by this. Deliveries are worked on one after the other, under the lock, so
  // that nothing is in work when the stream is half-closed.
  private StreamObserver<SubscribeRequest> requests; // null between two streams
  private boolean stopping;
  private boolean ready; // whether the stream there is has begun

  private Subscribe(EventServiceStub stub, String subscription) {
    this.stub = stub;
    this.subscription = subscription;
  }

  public static void main(String[] args) throws Exception {
    var channel = Sidecar.connect(args[0]);
    var subscriber = new Subscribe(EventServiceGrpc.newStub(channel), args[1]);
    var ended = new CountDownLatch(1);
    Runtime.getRuntime().addShutdownHook(new Thread(() -> {
      subscriber.stop();
      try {
        ended.await();
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
    }));
    try {
      subscriber.run();
    } finally {
      channel.shutdown();
      ended.countDown();
    }
  }

  /** Is the service's own. An event may come twice, with the same source and id. */
  private static Settlement.Builder work(CloudEvent event) {
    if (!event.getBinaryData().toStringUtf8().startsWith("{")) {
      System.out.println("refused " + event.getId());
      return Settlement.newBuilder().setOutcome(Outcome.OUTCOME_DEAD_LETTER).setReason("not JSON");
    }
    System.out.println("received " + event.getId());
    return Settlement.newBuilder().setOutcome(Outcome.OUTCOME_ACK);
  }

  private synchronized void stop() {
    stopping = true;
    if (requests != null) {
      requests.onCompleted();
    }
  }

  private synchronized boolean stopping() {
    return stopping;
  }

  private synchronized void begin() {
    ready = true;
    System.out.println("ready");
  }

  private synchronized boolean begun() {
    return ready;
  }

  private void run() throws Exception {
    for (int attempt = 0; !stopping(); attempt++) {
      var error = receive();
      if (stopping()) {
        return;
      }
      if (error == null) {
        throw new IllegalStateException("the sidecar ended the stream");
      }
      if (begun()) {
        attempt = 0;
      }
      OptionalLong wait = Sidecar.Failure.of(error).again(attempt);
      if (wait.isEmpty()) {
        throw error;
      }
      System.out.println("again " + error);
      Thread.sleep(wait.getAsLong());
    }
  }

  /** Lives as long as one stream; returns the error that ended it, or null. */
  private StatusRuntimeException receive() throws Exception {
    var ended = new CompletableFuture<StatusRuntimeException>();
    synchronized (this) { // deliveries wait until requests is set
      ready = false;
      requests = stub.subscribe(new StreamObserver<SubscribeResponse>() {
        @Override public void onNext(SubscribeResponse response) {
          if (response.hasReady()) {
            begin();
          }
          response.getDeliveries().getDeliveriesList().forEach(Subscribe.this::handle);
        }

        @Override public void onError(Throwable error) {
          var status = Status.fromThrowable(error);
          ended.complete(error instanceof StatusRuntimeException e ? e : status.asRuntimeException());
        }

        @Override public void onCompleted() {
          ended.complete(null);
        }
      });
      requests.onNext(SubscribeRequest.newBuilder().setInit(SubscribeInit.newBuilder()
          .setSubscription(subscription).setMaxOutstandingMessages(WINDOW)).build()); // the credit is as much, unless it is said
      if (stopping) {
        requests.onCompleted();
      }
    }
    var error = ended.get();
    synchronized (this) {
      requests = null;
    }
    return error;
  }

  private synchronized void handle(Delivery delivery) {
    if (stopping || requests == null) {
      return; // left alone: the broker gives it to somebody else
    }
    var settlement = work(delivery.getEvent()).setToken(delivery.getToken());
    requests.onNext(SubscribeRequest.newBuilder()
        .setSettle(SubscribeSettle.newBuilder().addSettlements(settlement)).build());
    requests.onNext(SubscribeRequest.newBuilder().setCredit(SubscribeCredit.newBuilder().setMessages(1)).build());
  }
}
