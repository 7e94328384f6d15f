# Events and values by (minute, campaign, type) of an ad server's log: mawk -F '"' -f w2.awk LOG
{
    campaign = type = "-"
    value = 0
    count = split($2, parts, /[?& ]/)
    for (at = 3; at < count; at++) {
        name = substr(parts[at], 1, 2)
        if (name == "c=") campaign = substr(parts[at], 3)
        else if (name == "t=") type = substr(parts[at], 3)
        else if (name == "v=") value = substr(parts[at], 3)
    }
    key = substr($1, index($1, "[") + 1, 17) "\t" campaign "\t" type
    lines[key]++
    values[key] += value
}
END {
    for (key in lines)
        printf "events\t%s\t%.0f\t%.0f\n", key, lines[key], values[key]
}
