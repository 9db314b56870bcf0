# json_threads.rb ROUNDS - sixteen threads write and read JSON, and end; the interpreter then waits.
# Prints figures: anonymous memory over that at the start, when the threads end and seconds later.
require 'json'

def anonymous
  File.read('/proc/self/smaps_rollup')[/^Anonymous:\s+(\d+)/, 1].to_i / 1024.0
end

before = anonymous
threads = 16.times.map do |t|
  Thread.new do
    ARGV[0].to_i.times do |round|
      rows = Array.new(3000) do |i|
        { 'id' => i, 'name' => "thread #{t} row #{i}", 'parts' => [i % 7, i.to_s * 3, nil, round] }
      end
      JSON.parse(JSON.generate(rows)).size
    end
  end
end
threads.each(&:join)
ended = anonymous
GC.start
sleep 3
puts format('threads end, MiB = %.1f', ended - before)
puts format('asleep 3 s later, MiB = %.1f', anonymous - before)
