import com.google.protobuf.Any;
import com.google.protobuf.ByteString;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.Message;
import com.google.protobuf.Parser;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.Status.Code;
import io.grpc.StatusRuntimeException;
import io.warrenmesh.events.v1.CloudEvent;
import java.util.List;
import java.util.OptionalLong;
import java.util.concurrent.ThreadLocalRandom;
import warren.docs.v1.ErrorDetails;

/** What the programs share: the connection, an event, and what to do about an error. */
final class Sidecar {
  /** How often something is tried, about 10 seconds in all: trying for ever hides the cause. */
  private static final int TRIES = 10;

  private Sidecar() {}

  /** Connects to the service's own sidecar: same host or pod, hence no TLS. */
  static ManagedChannel connect(String target) {
    return Grpc.newChannelBuilder(target, InsecureChannelCredentials.create()).build();
  }

  static CloudEvent newEvent(String id, String json) {
    return CloudEvent.newBuilder()
        .setId(id).setSource("/clients/java").setSpecVersion("1.0").setType("com.shop.order.placed")
        .putAttributes("datacontenttype",
            CloudEvent.CloudEventAttributeValue.newBuilder().setCeString("application/json").build())
        .setBinaryData(ByteString.copyFromUtf8(json))
        .build();
  }

  /** An error of a call, or of one result of a stream. */
  record Failure(Code code, String message, List<Any> details) {
    private static final Metadata.Key<byte[]> DETAILS =
        Metadata.Key.of("grpc-status-details-bin", Metadata.BINARY_BYTE_MARSHALLER);

    static Failure of(StatusRuntimeException error) {
      Metadata trailers = error.getTrailers();
      byte[] details = trailers == null ? null : trailers.get(DETAILS);
      return new Failure(error.getStatus().getCode(), error.getMessage(),
          details == null ? List.of() : parse(ErrorDetails.Status.parser(), details).getDetailsList());
    }

    static Failure of(io.warrenmesh.events.v1.Status status) {
      return new Failure(io.grpc.Status.fromCodeValue(status.getCode()).getCode(), status.getMessage(),
          status.getDetailsList());
    }

    /**
     * In how many milliseconds the same event, with the same id, should be sent again; empty
     * when that cannot help. attempt counts from 0. A limit that asks for no delay, such as
     * that of a message's size, is there the next time, too.
     */
    OptionalLong again(int attempt) {
      long asked = -1;
      for (Any any : details) {
        if (any.getTypeUrl().endsWith("/google.rpc.RetryInfo")) {
          var delay = parse(ErrorDetails.RetryInfo.parser(), any.getValue().toByteArray()).getRetryDelay();
          asked = delay.getSeconds() * 1000 + delay.getNanos() / 1_000_000;
        }
      }
      boolean may = switch (code) {
        case UNAVAILABLE, DEADLINE_EXCEEDED -> true;
        case RESOURCE_EXHAUSTED -> asked >= 0;
        default -> false;
      };
      if (attempt + 1 >= TRIES || !may) {
        return OptionalLong.empty();
      }
      long longest = Math.min(100L << Math.min(attempt, 5), 2000);
      return OptionalLong.of(Math.max(asked, ThreadLocalRandom.current().nextLong(longest / 2, longest)));
    }

    /**
     * What the sidecar says about the error: CONFIRM_TIMEOUT, for example, and whether the
     * broker may have the event: "unknown".
     */
    String reason() {
      for (Any any : details) {
        if (any.getTypeUrl().endsWith("/google.rpc.ErrorInfo")) {
          var info = parse(ErrorDetails.ErrorInfo.parser(), any.getValue().toByteArray());
          return info.getReason() + " " + info.getMetadataOrDefault("outcome", "unknown");
        }
      }
      return code + " unknown";
    }
  }

  private static <T extends Message> T parse(Parser<T> parser, byte[] bytes) {
    try {
      return parser.parseFrom(bytes);
    } catch (InvalidProtocolBufferException e) {
      throw new IllegalStateException(e);
    }
  }
}
