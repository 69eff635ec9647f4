// A map for kill9: a file for each key, and a lock that the kernel takes from a dead holder.
// With the argument "faulty" a file is written where it is: who dies then leaves it cut short.
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;

class @NAME@ {
  // A field of a request: no text in it needs an escape.
  static String field(String line, String name) {
    String begin = "\"" + name + "\":\"";
    int at = line.indexOf(begin) + begin.length();
    return line.substring(at, line.indexOf('"', at));
  }

  static String answer(Path state, String line, boolean faulty) throws IOException {
    Path path = state.resolve(field(line, "key"));
    switch (field(line, "f")) {
      case "put":
        Path written = faulty ? path : state.resolve("new");
        Files.writeString(written, field(line, "value"));
        // In one step: the old value, or the new one.
        if (!faulty) Files.move(written, path, StandardCopyOption.ATOMIC_MOVE);
        return "null";
      case "get":
        return Files.exists(path) ? "\"" + Files.readString(path) + "\"" : "null";
      case "erase":
        return String.valueOf(Files.deleteIfExists(path));
      default:
        return "null";
    }
  }

  public static void main(String[] arguments) throws IOException {
    boolean faulty = arguments.length > 0 && arguments[0].equals("faulty");
    BufferedReader requests = new BufferedReader(new InputStreamReader(System.in));
    Path state = null;
    FileChannel lock = null;
    for (String line; (line = requests.readLine()) != null;) {
      String value = "null";
      if (field(line, "f").equals("init")) {
        state = Path.of(field(line, "state"));
        lock = FileChannel.open(state.resolve("lock"), StandardOpenOption.CREATE,
            StandardOpenOption.WRITE);
      } else {
        try (FileLock held = lock.lock()) {
          value = answer(state, line, faulty);
        }
      }
      String id = line.replaceFirst(".*\"id\":([0-9]+).*", "$1");
      System.out.println("{\"id\":" + id + ",\"type\":\"ok\",\"value\":" + value + "}");
    }
  }
}
