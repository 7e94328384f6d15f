# Ten statistics of one key of a CDN's log, lines and bytes by minute: mawk -F '"' -f w3.awk LOG
function add(statistic, value,   key) {
    key = statistic "\t" minute "\t" value
    lines[key]++
    bytes[key] += size
}
{
    split($1, time, " ")
    minute = time[2] - time[2] % 60
    split($3, who, " ")
    split($5, what, " ")
    split($7, tls, " ")
    size = what[3]
    add("host", $2)
    add("method", who[2])
    add("uri", $4)
    add("protocol", what[1])
    add("status", what[2])
    add("cache", what[6])
    add("pop", what[7])
    add("country", what[9])
    add("content_type", $6)
    add("tls", tls[1])
}
END {
    for (key in lines)
        printf "%s\t%.0f\t%.0f\n", key, lines[key], bytes[key]
}
