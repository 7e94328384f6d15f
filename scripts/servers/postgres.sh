# shellcheck shell=bash
# PostgreSQL, from the system's packages. Sourced by `scripts/services`.

# PostgreSQL refuses to run as root, and its own user may not enter every folder.
postgres_home() {
    local home=$SERVICES/postgres
    if is_root && ! postgres_reaches "$SERVICES"; then
        home=/tmp/evs-postgres-$(cksum <<<"$SERVICES" | tr ' ' -)
        [ ! -e "$home" ] || [ -O "$home" ] || fail "$home: belongs to somebody else; set EVS_SERVICES_DIR" \
            "to a folder that every user may enter"
    fi
    echo "$home"
}

# Every folder on the way may be entered by all.
postgres_reaches() {
    local folder=$1
    while [ "$folder" != / ]; do
        [[ $(stat -c %A "$folder") == *[xt] ]] || return 1
        folder=$(dirname "$folder")
    done
}

postgres_port_offset() { echo 5432; }
# SIGTERM would wait for the clients.
postgres_stop_signal() { echo INT; }
postgres_url() { echo "postgres://evs:evs@127.0.0.1:$1/evs"; }

# None of its processes is left, so what it wrote for a second start to see is of no use; and the number in
# there may be another server's by then.
postgres_killed() { rm -f "$1/data/postmaster.pid"; }

# The folder of the newest version's programs.
postgres_programs() {
    local folder
    folder=$(find /usr/lib/postgresql -mindepth 2 -maxdepth 2 -name bin 2>/dev/null | sort -V | tail -n 1)
    if [ -n "$folder" ] && [ -x "$folder/initdb" ]; then
        echo "$folder"
    elif command -v initdb >/dev/null; then
        dirname "$(command -v initdb)"
    else
        return 1
    fi
}

postgres_install() {
    postgres_programs >/dev/null || locked_install postgres postgres_packages
}

postgres_packages() {
    postgres_programs && return
    # The package would make and start a server of its own, on the usual port.
    local settings=/etc/postgresql-common/createcluster.conf
    if is_root && [ ! -e "$settings" ]; then
        mkdir -p "${settings%/*}"
        echo 'create_main_cluster = false' >"$settings"
    fi
    apt_install postgresql
}

as_postgres() {
    if is_root; then
        setpriv --reuid=postgres --regid=postgres --init-groups -- "$@"
    else
        "$@"
    fi
}

postgres_template() {
    local programs
    programs=$(postgres_programs)
    if is_root; then chown postgres: "$1"; fi
    echo evs >"$1/password"
    # Its own user may not be able to enter the folder we are in.
    cd "$1" || return
    as_postgres "$programs/initdb" --pgdata="$1/data" --username=evs --pwfile="$1/password" \
        --auth=scram-sha-256 --encoding=UTF8 --locale=C.UTF-8 --no-instructions
    echo 'CREATE DATABASE evs' | as_postgres "$programs/postgres" --single -D "$1/data" postgres
}

# The server reads no key that others might read as well. Connections without TLS are none that it knows of.
postgres_tls() {
    local certificate=''
    chmod 600 "$1/tls"/*.key
    if is_root; then chown postgres: "$1/tls" "$1"/tls/{ca.pem,server.pem,server.key}; fi
    [ ! -e "$1/tls/client.pem" ] || certificate=clientcert=verify-ca
    echo "hostssl all all 127.0.0.1/32 scram-sha-256 $certificate" >"$1/data/pg_hba.conf"
}

postgres_launch() {
    local user=() tls=()
    [ ! -e "$1/tls" ] || tls=(-c ssl=on -c ssl_ca_file="$1/tls/ca.pem" -c ssl_cert_file="$1/tls/server.pem"
        -c ssl_key_file="$1/tls/server.key")
    is_root && user=(setpriv --reuid=postgres --regid=postgres --init-groups --)
    # Without a file socket, whose path may be too long. What is acknowledged is on disk: fsync and
    # synchronous_commit are on unless said otherwise.
    launch "$1" "${user[@]}" "$(postgres_programs)/postgres" -D "$1/data" -p "$2" \
        -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c max_connections=300 -c fsync=on \
        -c synchronous_commit=on "${tls[@]}"
}

postgres_ready() {
    local tls=()
    [ ! -e "$1/tls" ] || tls=(PGSSLMODE=verify-full PGSSLROOTCERT="$1/tls/ca.pem")
    [ ! -e "$1/tls/client.pem" ] || tls+=(PGSSLCERT="$1/tls/client.pem" PGSSLKEY="$1/tls/client.key")
    PGPASSWORD=evs timeout 5 env "${tls[@]}" "$(postgres_programs)/psql" --no-psqlrc --host=127.0.0.1 \
        --port="$2" --username=evs --dbname=evs --command='SELECT 1'
}
