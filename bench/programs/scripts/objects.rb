# objects.rb N - objects, strings, hashes, big integers. Prints a checksum.

class Random64
  def initialize(state)
    @state = state
  end

  def below(n)
    @state = (@state * 6364136223846793005 + 1442695040888963407) & 0xffffffffffffffff
    (@state >> 33) % n
  end
end

Item = Struct.new(:key, :text, :parts)

def one_round(rng, kept)
  items = Array.new(6000) do
    text = "entry-" + rng.below(100_000).to_s * (1 + rng.below(8))
    Item.new(text[0, 12].to_sym.to_s, text, text.split("1"))
  end
  groups = items.group_by { |i| i.key }
  joined = groups.map { |key, list| key + ":" + list.map(&:text).sort.join(",") }.join("\n")
  big = (1..120).inject(rng.below(1000) + 1) { |a, b| a * (b + 7) }
  kept << items.each_slice(5).map(&:first)
  kept.delete_at(rng.below(kept.size)) if kept.size > 6
  joined.gsub(/\d{4}/) { |d| d.reverse }.size + (big % 1_000_003) + groups.size
end

rng, kept, total = Random64.new(5), [], 0
ARGV[0].to_i.times { total += one_round(rng, kept) }
puts "checksum #{total} #{kept.sum(&:size)}"
