# objects.rb - objects, strings, hashes, blocks, regular expressions, a few threads. The output depends on nothing but this file.
Point = Struct.new(:x, :y, :name)
rng = Random.new(7)
points = Array.new(300_000) { |i| Point.new(rng.rand(1000), rng.rand(1000), "point number #{i} of many") }
puts points.sum(&:x), points.group_by { |p| p.x / 100 }.map { |k, v| [k, v.size, v.map(&:y).max] }.sort.inspect
text = points.map(&:name).join(' ')
puts text.scan(/number (\d+)5 /).size, text.split.tally.sort_by { |k, v| [-v, k] }.first(5).inspect
result = 4.times.map { |t| Thread.new { (0...100_000).map { |i| "#{t}-#{i}" * 3 }.uniq.size } }.map(&:value)
puts result.inspect
h = Hash.new { |hash, k| hash[k] = "value #{k}" }
400_000.times { |i| h["key #{i}"] }
400_000.times { |i| h.delete("key #{i}") if i.odd? }
puts h.size, h.values.map(&:size).sum
GC.start
