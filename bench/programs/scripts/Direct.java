/* Direct ROUNDS - buffers outside the heap of Java, of many sizes, come and go in four threads; then the machine waits.
 * Prints figures: anonymous memory over that at the start, when the threads end and seconds later. */
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Random;

public class Direct {
    static double anonymous() throws Exception {
        for (String line : Files.readAllLines(Path.of("/proc/self/smaps_rollup")))
            if (line.startsWith("Anonymous:"))
                return Long.parseLong(line.replaceAll("[^0-9]", "")) / 1024.0;
        return 0;
    }

    static void work(int seed, int rounds) {
        Random random = new Random(seed);
        for (int round = 0; round < rounds; round++) {
            ByteBuffer[] live = new ByteBuffer[200];
            for (int i = 0; i < live.length; i++) {
                live[i] = ByteBuffer.allocateDirect(16384 + random.nextInt(400000));
                for (int at = 0; at < live[i].capacity(); at += 4096)
                    live[i].put(at, (byte) i);
            }
            live = null;
            System.gc();
        }
    }

    public static void main(String[] args) throws Exception {
        double before = anonymous();
        Thread[] threads = new Thread[4];
        for (int t = 0; t < threads.length; t++) {
            int seed = t;
            threads[t] = new Thread(() -> work(seed, Integer.parseInt(args[0])));
            threads[t].start();
        }
        for (Thread t : threads)
            t.join();
        double ended = anonymous();
        System.gc();
        Thread.sleep(3000);
        System.out.printf("threads end, MiB = %.1f%n", ended - before);
        System.out.printf("asleep 3 s later, MiB = %.1f%n", anonymous() - before);
    }
}
