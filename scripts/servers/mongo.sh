# shellcheck shell=bash
# SecantusDB, which speaks MongoDB's protocol, from PyPI: no MongoDB server is in the system's packages.
# Sourced by `scripts/services`.

SECANTUS_VERSION=0.7.0b3
SECANTUS=$PROGRAMS/secantus-$SECANTUS_VERSION

mongo_home() { echo "$SERVICES/mongo"; }
mongo_port_offset() { echo 7017; }
mongo_stop_signal() { echo TERM; }
mongo_url() { echo "mongodb://127.0.0.1:$1/evs"; }
mongo_killed() { :; }

mongo_install() {
    [ -e "$SECANTUS/complete" ] || locked_install mongo mongo_packages
}

mongo_packages() {
    [ ! -e "$SECANTUS/complete" ] || return 0
    rm -rf "$SECANTUS"
    if ! python3 -m venv "$SECANTUS"; then
        apt_install python3 python3-venv
        python3 -m venv --clear "$SECANTUS"
    fi
    "$SECANTUS/bin/pip" install --quiet --pre "SecantusDB==$SECANTUS_VERSION"
    touch "$SECANTUS/complete"
}

mongo_template() { mkdir "$1/data"; }

mongo_tls() { :; }

mongo_launch() {
    local tls=()
    [ ! -e "$1/tls" ] || tls=(--tls-cert-file "$1/tls/server.pem" --tls-key-file "$1/tls/server.key")
    [ ! -e "$1/tls/client.pem" ] || tls+=(--tls-ca-file "$1/tls/ca.pem" --tls-require-client-cert)
    launch "$1" "$SECANTUS/bin/secantusd-py" --host 127.0.0.1 --port "$2" --storage-path "$1/data" \
        --standalone --sync-on-commit --enable-test-commands --log-level WARNING "${tls[@]}"
}

# Answers to {ping: 1, $db: "admin"}, an OP_MSG.
mongo_ready() {
    local ping='\x33\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\xdd\x07\x00\x00\x00\x00\x00\x00\x00'
    # shellcheck disable=SC2016 # a field's name, no variable
    ping+='\x1e\x00\x00\x00\x10ping\x00\x01\x00\x00\x00\x02$db\x00\x06\x00\x00\x00admin\x00\x00'
    if [ -e "$1/tls" ]; then
        # shellcheck disable=SC2059 # the escapes
        printf "$ping" | timeout 5 "$SECANTUS/bin/python" "$HERE/servers/ask.py" "$2" "$1/tls" 16
        return
    fi
    # shellcheck disable=SC2016 # the inner shell's
    timeout 5 bash -c '
        exec 3<>"/dev/tcp/127.0.0.1/$0" && printf "$1" >&3 && [ "$(head -c 16 <&3 | wc -c)" = 16 ]
    ' "$2" "$ping"
}
