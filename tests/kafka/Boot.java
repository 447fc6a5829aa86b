package boot;

import java.io.FileInputStream;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Properties;

/**
 * One Kafka broker in one JVM.
 *
 * <p>{@code Boot SERVER_PROPERTIES CLUSTER_ID} formats the log directory unless it is formatted, then runs the broker: two JVM
 * starts less per broker than Kafka's own scripts. {@code Boot --rehearse DIRECTORY} runs a broker on free ports until it
 * accepts connections and exits, for {@code -XX:ArchiveClassesAtExit}.
 */
public final class Boot {
    public static void main(String[] args) throws Exception {
        if (args.length != 2) {
            throw new IllegalArgumentException("Boot SERVER_PROPERTIES CLUSTER_ID | Boot --rehearse DIRECTORY");
        }
        if (args[0].equals("--rehearse")) {
            rehearse(Path.of(args[1]));
        } else {
            run(args[0], args[1]);
        }
    }

    private static void run(String properties, String clusterId) throws Exception {
        Properties read = new Properties();
        try (InputStream in = new FileInputStream(properties)) {
            read.load(in);
        }
        if (!Files.exists(Path.of(read.getProperty("log.dirs"), "meta.properties"))) {
            int code = kafka.tools.StorageTool.execute(new String[] {"format", "-c", properties, "-t", clusterId}, System.err);
            if (code != 0) {
                System.exit(code);
            }
        }
        kafka.Kafka.main(new String[] {properties});
    }

    private static void rehearse(Path directory) throws Exception {
        int client;
        int controller;
        InetAddress loopback = InetAddress.getLoopbackAddress();
        try (ServerSocket a = new ServerSocket(0, 1, loopback); ServerSocket b = new ServerSocket(0, 1, loopback)) {
            client = a.getLocalPort();
            controller = b.getLocalPort();
        }
        Path properties = directory.resolve("server.properties");
        Files.write(properties, List.of(
                "node.id=1",
                "process.roles=broker,controller",
                "controller.listener.names=CONTROLLER",
                "controller.quorum.voters=1@127.0.0.1:" + controller,
                "listeners=PLAINTEXT://127.0.0.1:" + client + ",CONTROLLER://127.0.0.1:" + controller,
                "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
                "offsets.topic.replication.factor=1",
                "log.cleaner.dedupe.buffer.size=8388608",
                "log.dirs=" + directory.resolve("log")));
        Thread curtain = new Thread(() -> exitOnceOpen(client), "curtain");
        curtain.setDaemon(true);
        curtain.start();
        run(properties.toString(), "a3VzdG9keS1yZWhlYXJzYQ");
    }

    private static void exitOnceOpen(int port) {
        int code = 1;
        for (int attempt = 0; attempt < 600 && code != 0; attempt++) {
            try {
                Thread.sleep(200);
                new Socket(InetAddress.getLoopbackAddress(), port).close();
                // What a broker loads just after it opened belongs into the archive as well.
                Thread.sleep(2000);
                code = 0;
            } catch (java.io.IOException | InterruptedException notYet) {
                // the next attempt follows
            }
        }
        System.exit(code);
    }
}
