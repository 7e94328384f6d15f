# shellcheck shell=bash
# What the servers of `scripts/services` share. Sourced, not run.

SERVICES=${EVS_SERVICES_DIR:-$HERE/../target/services}
mkdir -p "$SERVICES"
SERVICES=$(cd "$SERVICES" && pwd -P)
PROGRAMS=$SERVICES/programs
# Every port lies below those that the system gives to outgoing connections (from 32768 on Linux): one of
# these could otherwise sit on the port of a server that is down for a moment.
# shellcheck disable=SC2034 # used by scripts/services
PORT_BASE=${EVS_SERVICES_PORT_BASE:-10000}

# How long a server may take to come up, in seconds. Cassandra takes 15 on two free cores.
READY_SECONDS=180

say() {
    printf '%s\n' "$*" >&2
}

# Each argument is a line of its own.
fail() {
    printf '%s\n' "$@" >&2
    exit 1
}

is_root() {
    [ "$(id -u)" = 0 ]
}

# Runs a function that ends at its first failure: in a process of its own, for bash would run it to its end
# where somebody looks at the result (`if`, `||`).
strictly() {
    "$HERE/services" call "$@"
}

# One installation at a time, of whichever process: `locked_install NAME FUNCTION`. The function runs with its
# output in a log, which is shown if it fails, and it must be quick when all is there.
locked_install() {
    local name=$1 command=$2 log=$PROGRAMS/$1.log
    mkdir -p "$PROGRAMS"
    (
        exec 7>"$PROGRAMS/.lock"
        flock -w 1800 7 || fail "$name: another command has been installing for half an hour"
        strictly "$command" >"$log" 2>&1 7>&- 8>&-
    ) || fail "$name: could not be installed; $log ends with:" "$(tail -n 20 "$log")"
}

# Installs packages of Debian's (or a relative's).
apt_install() {
    command -v apt-get >/dev/null ||
        fail "no apt-get here: install by your system's means what Debian packages as $*"
    is_root || fail "as root, run: apt-get install --no-install-recommends $*"
    export DEBIAN_FRONTEND=noninteractive
    local apt=(apt-get install --yes --no-install-recommends -o DPkg::Lock::Timeout=600 "$@")
    "${apt[@]}" || { apt-get update && "${apt[@]}"; }
}

# A process that exists and is no zombie. One that is killed looks like a zombie as soon as its first thread has
# ended; it keeps its ports and its files until the last one has.
is_alive() {
    local stat threads
    # Not with $(<…), which ends the whole shell if the file is gone, with `set -e`.
    { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
    stat=${stat##*) }
    threads=("/proc/$1/task"/*)
    [ "${stat%% *}" != Z ] || [ ${#threads[@]} -gt 1 ]
}

# Whether a process is the server whose data is in that folder, and not one that got its number later.
is_server() {
    # Not with -q: grep would leave at its first match, and tr fail of a broken pipe.
    is_alive "$1" && { tr '\0' '\n' <"/proc/$1/cmdline"; } 2>/dev/null |
        grep -xF -e "$2" -e "--datadir=$2" -e "-Dcassandra.storagedir=$2" >/dev/null
}

# The processes whose parent is this one.
children_of() {
    local file stat
    for file in /proc/[0-9]*/stat; do
        { read -r stat <"$file"; } 2>/dev/null || continue
        # The name of the program, in brackets, may have spaces.
        read -r _ stat _ <<<"${stat##*) }"
        if [ "$stat" = "$1" ]; then
            file=${file#/proc/}
            echo "${file%/stat}"
        fi
    done
}

# Kills a server with all its processes, as if the power had gone. It is stopped before, so that it starts
# none while they are counted.
kill_tree() {
    local pids
    kill -STOP "$1" 2>/dev/null || return 0
    mapfile -t pids < <(children_of "$1")
    kill -KILL "$1" "${pids[@]}" 2>/dev/null || true
    await_end 60 "$1" "${pids[@]}" || fail "process $1 does not end, although it was killed"
}

# Waits until all of the processes are gone: `await_end SECONDS PID…`.
await_end() {
    local deadline=$((SECONDS + $1)) pid
    shift
    for pid in "$@"; do
        while is_alive "$pid"; do
            [ $SECONDS -le $deadline ] || return 1
            sleep 0.02
        done
    done
}

# Something listens on that port of loopback.
port_taken() {
    (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# Gives an instance a port that nobody uses, nor any instance that is stopped, and writes it to a file.
keep_free_port() {
    local port kind kept=''
    exec 6>"$SERVICES/.ports.lock"
    flock 6
    for kind in "${KINDS[@]}"; do
        kept+=" $(cat "$("${kind}_home")"/*/*port 2>/dev/null | tr '\n' ' ' || true) "
    done
    while :; do
        port=$((20000 + RANDOM % 12000))
        [[ $kept == *" $port "* ]] || port_taken "$port" || break
    done
    echo "$port" >"$1"
    exec 6>&-
}

# Starts a server in the background, on its own: `launch FOLDER COMMAND…`. Its process writes its number
# itself and only then becomes the server, so no crash of this script leaves one behind that nobody knows.
launch() {
    local folder=$1
    shift
    (
        exec 7>&- 8>&-
        cd "$folder" || exit
        echo "$BASHPID" >pid
        printf '== started %(%FT%T%z)T\n' -1
        exec setsid "$@"
    ) </dev/null >>"$folder/log" 2>&1 &
}

# `await_ready NAME FOLDER PORT`
await_ready() {
    local kind=${1%%@*} pid='' deadline=$((SECONDS + READY_SECONDS))
    while [ -z "$pid" ]; do
        pid=$(cat "$2/pid" 2>/dev/null) || sleep 0.02
    done
    until "${kind}_ready" "$2" "$3" >/dev/null 2>&1; do
        if ! is_alive "$pid"; then
            rm -f "$2/pid"
            fail "$1: ended while it started; $2/log ends with:" "$(tail -n 20 "$2/log")"
        elif [ $SECONDS -gt $deadline ]; then
            kill_tree "$pid"
            rm -f "$2/pid"
            fail "$1: not ready after $READY_SECONDS s; $2/log ends with:" "$(tail -n 20 "$2/log")"
        fi
        sleep 0.1
    done
}
