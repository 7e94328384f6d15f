# Lines and bytes by (minute, status) of a combined log, split at its quotes: mawk -F '"' -f w1.awk LOG
{
    split($3, words, " ")
    key = substr($1, index($1, "[") + 1, 17) "\t" words[1]
    lines[key]++
    bytes[key] += words[2]
}
END {
    for (key in lines)
        printf "status\t%s\t%.0f\t%.0f\n", key, lines[key], bytes[key]
}
