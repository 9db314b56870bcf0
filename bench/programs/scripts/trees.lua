-- trees.lua N - binary trees, tables as records, closures and string building. Prints a checksum.

local function tree(depth)
  if depth == 0 then return { value = 1 } end
  return { left = tree(depth - 1), right = tree(depth - 1), value = depth }
end

local function sum(t)
  if not t.left then return t.value end
  return t.value + sum(t.left) + sum(t.right)
end

local function strings(seed)
  local parts, index = {}, {}
  for i = 1, 6000 do
    seed = (seed * 1103515245 + 12345) % 2147483648
    local word = string.format("w%d_%x", seed % 5000, i % 97)
    index[word] = (index[word] or 0) + 1
    parts[#parts + 1] = word:upper():rep(seed % 3 + 1)
  end
  local text, n = table.concat(parts, " "), 0
  for word in text:gmatch("%a%d+") do n = n + #word end
  return n
end

local function closures()
  local list, total = {}, 0
  for i = 1, 8000 do
    local kept = { i, i * 2 }
    list[i] = function(x) return x + kept[1] + kept[2] end
  end
  for i = 1, #list do total = total + list[i](i) end
  return total
end

local total, long_lived = 0, tree(14)
for i = 1, tonumber(arg[1]) do
  total = total + sum(tree(13)) + strings(i) + closures()
end
print("checksum", total + sum(long_lived))
