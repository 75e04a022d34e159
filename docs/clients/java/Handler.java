import io.grpc.BindableService;
import io.grpc.MethodDescriptor;
import io.grpc.Server;
import io.grpc.ServerServiceDefinition;
import io.grpc.Status;
import io.grpc.netty.NettyServerBuilder;
import io.grpc.stub.ServerCalls;
import io.grpc.stub.StreamObserver;
import io.warrenmesh.events.v1.EventHandlerServiceGrpc;
import io.warrenmesh.events.v1.OnEventRequest;
import io.warrenmesh.events.v1.OnEventResponse;
import io.warrenmesh.events.v1.Outcome;
import java.io.ByteArrayInputStream;
import java.io.InputStream;
import java.net.InetSocketAddress;
import java.util.concurrent.TimeUnit;

/** Has events pushed to it until SIGTERM: Handler ADDRESS. */
final class Handler extends EventHandlerServiceGrpc.EventHandlerServiceImplBase {
  /**
   * Is called concurrently; Context.current().getDeadline() is the ack deadline. An error of
   * code INVALID_ARGUMENT refuses the event for good; any other makes it come again.
   */
  @Override public void onEvent(OnEventRequest request, StreamObserver<OnEventResponse> answer) {
    var event = request.getEvent();
    if (!event.getBinaryData().toStringUtf8().startsWith("{")) {
      System.out.println("refused " + event.getId());
      answer.onError(Status.INVALID_ARGUMENT.withDescription("not JSON").asRuntimeException());
      return;
    }
    System.out.println("received " + event.getId());
    answer.onNext(OnEventResponse.newBuilder().setOutcome(Outcome.OUTCOME_ACK).build());
    answer.onCompleted();
  }

  public static void main(String[] args) throws Exception {
    String[] address = args[0].split(":");
    var health = new Health();
    Server server = NettyServerBuilder.forAddress(new InetSocketAddress(address[0], Integer.parseInt(address[1])))
        .addService(new Handler()).addService(health).build().start();
    Runtime.getRuntime().addShutdownHook(new Thread(() -> {
      health.serving = false; // the sidecar takes no more events from the queue
      server.shutdown(); // those in work are answered
      try {
        server.awaitTermination(10, TimeUnit.SECONDS);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
    }));
    System.out.println("ready");
    server.awaitTermination();
  }

  /**
   * grpc.health.v1.Health/Check, for where the artifact grpc-services is not: the answer is one
   * enum field, 1 for SERVING and 2 for NOT_SERVING.
   */
  private static final class Health implements BindableService {
    volatile boolean serving = true;

    @Override public ServerServiceDefinition bindService() {
      var check = MethodDescriptor.<byte[], byte[]>newBuilder()
          .setType(MethodDescriptor.MethodType.UNARY)
          .setFullMethodName("grpc.health.v1.Health/Check")
          .setRequestMarshaller(new Bytes()).setResponseMarshaller(new Bytes()).build();
      return ServerServiceDefinition.builder("grpc.health.v1.Health")
          .addMethod(check, ServerCalls.asyncUnaryCall((byte[] request, StreamObserver<byte[]> answer) -> {
            answer.onNext(new byte[] {0x08, (byte) (serving ? 1 : 2)});
            answer.onCompleted();
          })).build();
    }
  }

  private static final class Bytes implements MethodDescriptor.Marshaller<byte[]> {
    @Override public InputStream stream(byte[] value) {
      return new ByteArrayInputStream(value);
    }

    @Override public byte[] parse(InputStream stream) {
      try {
        return stream.readAllBytes();
      } catch (java.io.IOException e) {
        throw new java.io.UncheckedIOException(e);
      }
    }
  }
}
