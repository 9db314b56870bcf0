# count.awk, with -v rounds=N - word counts, associative arrays, string functions. Prints a checksum.
function below(n) {
    state = (state * 16807) % 2147483647
    return int(state / 7) % n
}

function one_round(    i, line, n, words, w, count, first, sum, text) {
    for (i = 0; i < 12000; i++) {
        line = "k" below(4000) " value" below(100) " " below(1000000) "-" below(9) " tail" below(500)
        n = split(line, words, /[ -]/)
        for (w = 1; w <= n; w++) {
            count[words[w]]++
            if (!(words[w] in first))
                first[words[w]] = line
        }
        gsub(/value/, "v=", line)
        text = text substr(line, 1, 10) toupper(words[1])
        if (length(text) > 4000) {
            sum += length(text)
            text = ""
        }
    }
    for (w in count)
        sum += count[w] * length(first[w])
    return sum
}

BEGIN {
    state = 42
    for (r = 0; r < rounds; r++)
        total += one_round()
    printf "checksum %d\n", total
}
