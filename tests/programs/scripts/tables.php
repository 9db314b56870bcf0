<?php
// Arrays, strings, regular expressions, JSON, serialization, sorting, generators. php opens its extensions, which are
// shared objects, by itself.
mt_srand(42);
class Node
{
    public array $children = [];
    public function __construct(public string $name) {}
}
function tree(int $depth): Node
{
    $node = new Node(str_repeat(chr(97 + $depth), $depth + 1) . mt_rand(0, 9999));
    for ($i = 0; $depth > 0 && $i < 3; $i++) {
        $node->children[] = tree($depth - 1);
    }
    return $node;
}
function names(Node $node): iterable
{
    yield $node->name;
    foreach ($node->children as $child) {
        yield from names($child);
    }
}
$digest = '';
for ($round = 0; $round < 120; $round++) {
    $names = iterator_to_array(names(tree(8)), false);
    sort($names);
    $counts = array_count_values(array_map(fn($n) => preg_replace('/[0-9]+$/', '', $n), $names));
    $text = json_encode(['names' => $names, 'counts' => $counts]);
    $again = json_decode($text, true);
    $words = explode(',', strtoupper(implode(',', $again['names'])));
    usort($words, fn($a, $b) => strlen($a) <=> strlen($b) ?: strcmp($a, $b));
    $digest = hash('sha256', $digest . serialize($words) . var_export($counts, true));
    $table = [];
    foreach ($words as $i => $word) {
        $table[$word][] = str_pad((string)$i, $i % 200, '-');
    }
    ksort($table);
    $digest = md5($digest . count($table) . implode('', array_keys($table)));
    echo $round, ' ', count($names), ' ', strlen($text), ' ', $digest, "\n";
}
