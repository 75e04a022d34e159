import io.grpc.StatusRuntimeException;
import io.warrenmesh.events.v1.CloudEvent;
import io.warrenmesh.events.v1.EventServiceGrpc.EventServiceBlockingStub;
import io.warrenmesh.events.v1.EventServiceGrpc;
import io.warrenmesh.events.v1.PublishRequest;
import java.util.OptionalLong;
import java.util.concurrent.TimeUnit;

/** Publishes events one by one: Publish TARGET TOPIC PREFIX COUNT. */
final class Publish {
  public static void main(String[] args) throws Exception {
    var channel = Sidecar.connect(args[0]);
    var stub = EventServiceGrpc.newBlockingStub(channel);
    for (int n = 0; n < Integer.parseInt(args[3]); n++) {
      var event = Sidecar.newEvent(args[2] + "-" + n, "{\"n\":" + n + "}");
      publish(stub, args[1], event);
      System.out.println("confirmed " + event.getId());
    }
    channel.shutdown();
  }

  /** Returns when the broker has the event; throws when it never will: repeating cannot help. */
  static void publish(EventServiceBlockingStub stub, String topic, CloudEvent event) throws InterruptedException {
    var request = PublishRequest.newBuilder().setTopic(topic).setEvent(event).build();
    for (int attempt = 0; ; attempt++) {
      try {
        stub.withDeadlineAfter(5, TimeUnit.SECONDS).publish(request);
        return;
      } catch (StatusRuntimeException error) {
        var failure = Sidecar.Failure.of(error);
        OptionalLong wait = failure.again(attempt);
        if (wait.isEmpty()) {
          throw error;
        }
        System.out.println("again " + event.getId() + " " + failure.reason());
        Thread.sleep(wait.getAsLong());
      }
    }
  }
}
