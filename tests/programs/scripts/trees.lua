-- trees.lua - trees, closures, coroutines, string buffers. The output depends on nothing but this file.
local function tree(depth)
  if depth == 0 then return { value = 1 } end
  return { left = tree(depth - 1), right = tree(depth - 1), value = depth }
end
local function sum(t) return t and t.value + sum(t.left) + sum(t.right) or 0 end
local total = 0
for i = 1, 100 do total = total + sum(tree(14)) end
print("trees", total)

local parts = {}
for i = 1, 1000000 do parts[#parts + 1] = string.format("%d:%s", i, string.rep("x", i % 40)) end
local text = table.concat(parts, ",")
print("text", #text, select(2, text:gsub("x+", "")))

local function numbers(n) return coroutine.wrap(function() for i = 1, n do coroutine.yield({ i }) end end) end
local s = 0
for i = 1, 10000 do for r in numbers(100) do s = s + r[1] end end
print("coroutines", s)
