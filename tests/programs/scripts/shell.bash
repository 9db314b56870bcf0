# shell.bash - arrays, strings, functions, subshells, pipes, here-strings. The output depends on nothing but this file.
declare -A count
seed=1
roll() { seed=$(( (seed * 1103515245 + 12345) % 2147483648 )); rolled=$((seed % $1)); }
for ((i = 0; i < 150000; i++)); do
    roll 500
    word="word-$rolled"
    count[$word]=$((${count[$word]:-0} + 1))
    list[i]=${word//o/0}${word^^}
done
for word in "${!count[@]}"; do printf '%s %s\n' "${count[$word]}" "$word"; done | sort | tail -5
joined="${list[*]}"
echo "${#joined} ${joined:1000:60}"
for ((i = 0; i < 300; i++)); do total=$((total + $(read -r a b <<<"$i two"; echo "$a"))); done
echo "$total"
f() { local n=$1; ((n > 0)) && f $((n - 1)); }
for ((i = 0; i < 60; i++)); do f 100; done
while IFS=: read -r a b; do [[ $a =~ ^w(.*)d$ ]] && sum=$((sum + ${#BASH_REMATCH[1]} + b)); done < <(for ((i = 0; i < 5000; i++)); do echo "w${i}d:$i"; done)
echo "$sum"
