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
 * One node of a cluster in one JVM, of any Kafka from 2.8 on: nothing is linked before it is used, so this is compiled once.
 *
 * <p>{@code Boot SERVER_PROPERTIES CLUSTER_ID} formats the log directory of a KRaft node unless it is formatted, then runs the
 * node: two JVM starts less per node than Kafka's own scripts. Properties with a {@code clientPort} are those of a ZooKeeper.
 * {@code Boot --rehearse DIRECTORY} runs a node, or a broker and its ZooKeeper, on free ports until it accepts connections and
 * exits, for {@code -XX:ArchiveClassesAtExit}.
 */
public final class Boot {
    public static void main(String[] args) throws Exception {
        if (args.length != 2) {
            throw new IllegalArgumentException("Boot PROPERTIES CLUSTER_ID | Boot --rehearse DIRECTORY");
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
        if (read.containsKey("clientPort")) {
            org.apache.zookeeper.server.quorum.QuorumPeerMain.main(new String[] {properties});
            return;
        }
        boolean isKRaft = read.containsKey("process.roles");
        if (isKRaft && !Files.exists(Path.of(read.getProperty("log.dirs"), "meta.properties"))) {
            int code = kafka.tools.StorageTool.execute(new String[] {"format", "-c", properties, "-t", clusterId}, System.err);
            if (code != 0) {
                System.exit(code);
            }
        }
        kafka.Kafka.main(new String[] {properties});
    }

    /** Before 3.3 KRaft was not for production, and before 3.5 its storage could not be formatted in this way. */
    private static boolean needsZooKeeper() {
        try {
            kafka.tools.StorageTool.class.getMethod("execute", String[].class, java.io.PrintStream.class);
            return false;
        } catch (NoSuchMethodException old) {
            return true;
        }
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
        List<String> common = List.of(
                "offsets.topic.replication.factor=1",
                "log.cleaner.dedupe.buffer.size=8388608",
                "log.dirs=" + directory.resolve("log"));
        List<String> own = needsZooKeeper()
                ? List.of(
                        "broker.id=1",
                        "zookeeper.connect=127.0.0.1:" + controller,
                        "listeners=PLAINTEXT://127.0.0.1:" + client)
                : List.of(
                        "node.id=1",
                        "process.roles=broker,controller",
                        "controller.listener.names=CONTROLLER",
                        "controller.quorum.voters=1@127.0.0.1:" + controller,
                        "listeners=PLAINTEXT://127.0.0.1:" + client + ",CONTROLLER://127.0.0.1:" + controller,
                        "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT");
        Files.write(properties, own);
        Files.write(properties, common, java.nio.file.StandardOpenOption.APPEND);
        if (needsZooKeeper()) {
            Path zookeeper = directory.resolve("zookeeper.properties");
            Files.write(zookeeper, List.of(
                    "dataDir=" + directory.resolve("zookeeper"),
                    "clientPort=" + controller,
                    "clientPortAddress=127.0.0.1",
                    "admin.enableServer=false"));
            Thread keeper = new Thread(() -> {
                try {
                    run(zookeeper.toString(), "");
                } catch (Exception failed) {
                    failed.printStackTrace();
                }
            }, "zookeeper");
            keeper.setDaemon(true);
            keeper.start();
        }
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
