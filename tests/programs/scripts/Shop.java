// Shop.java - compiled and run by `java Shop.java`: collections, streams, strings, threads, native buffers, compression.
// The output depends on nothing but this file.
import java.nio.ByteBuffer;
import java.util.*;
import java.util.concurrent.*;
import java.util.stream.*;
import java.util.zip.*;

public class Shop {
    record Order(int id, String customer, long cents) {}

    static List<Order> orders(int seed, int n) {
        Random random = new Random(seed);
        return IntStream.range(0, n).mapToObj(i -> new Order(i, "customer " + random.nextInt(500), random.nextInt(100000))).toList();
    }

    static long packed(int seed) throws Exception {
        byte[] text = orders(seed, 800).toString().getBytes(), out = new byte[text.length];
        long total = 0;
        for (int i = 0; i < 150; i++) {
            Deflater deflater = new Deflater(1 + i % 6);
            deflater.setInput(text);
            deflater.finish();
            int n = deflater.deflate(out);
            deflater.end();
            ByteBuffer buffer = ByteBuffer.allocateDirect(n);
            buffer.put(out, 0, n).flip();
            Inflater inflater = new Inflater();
            inflater.setInput(buffer);
            total += inflater.inflate(new byte[text.length]) + n;
            inflater.end();
        }
        return total;
    }

    public static void main(String[] args) throws Exception {
        Map<String, Long> spent = new TreeMap<>(
            orders(1, 200000).stream().collect(Collectors.groupingBy(Order::customer, Collectors.summingLong(Order::cents))));
        System.out.println(spent.size() + " " + spent.values().stream().mapToLong(Long::longValue).sum());
        spent.entrySet().stream().limit(5).forEach(System.out::println);
        ExecutorService pool = Executors.newFixedThreadPool(4);
        List<Future<Long>> results = new ArrayList<>();
        for (int i = 0; i < 12; i++) {
            int seed = i;
            results.add(pool.submit(() -> packed(seed)));
        }
        for (Future<Long> result : results)
            System.out.println(result.get());
        pool.shutdown();
        long bytes = 0;
        for (int i = 0; i < 100000; i++)
            bytes += ByteBuffer.allocateDirect(64 + i % 1000).capacity();
        System.out.println(bytes);
    }
}
