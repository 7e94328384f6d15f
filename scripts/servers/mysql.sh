# shellcheck shell=bash
# MariaDB, from the system's packages. Sourced by `scripts/services`.

mysql_home() { echo "$SERVICES/mysql"; }
mysql_port_offset() { echo 3306; }
mysql_stop_signal() { echo TERM; }
mysql_url() { echo "mysql://evs:evs@127.0.0.1:$1/evs"; }
mysql_killed() { :; }

mysql_install() {
    command -v mariadbd >/dev/null || locked_install mysql mysql_packages
}

# The package mariadb-server would start a server of its own.
mysql_packages() {
    command -v mariadbd || apt_install mariadb-server-core mariadb-client-core
}

# Root is as good as any user for a server on loopback with test data, and may enter every folder.
mysql_user() {
    if is_root; then echo --user=root; fi
}

mysql_template() {
    mariadb-install-db --no-defaults --datadir="$1/data" --skip-test-db \
        --auth-root-authentication-method=normal
    cat >"$1/init.sql" <<'SQL'
CREATE DATABASE IF NOT EXISTS evs;
CREATE USER IF NOT EXISTS evs@'127.0.0.1' IDENTIFIED BY 'evs';
CREATE USER IF NOT EXISTS evs@localhost IDENTIFIED BY 'evs';
GRANT ALL ON *.* TO evs@'127.0.0.1' WITH GRANT OPTION;
GRANT ALL ON *.* TO evs@localhost WITH GRANT OPTION;
SQL
}

# Whether a client needs a certificate is a matter of its user.
mysql_tls() {
    [ ! -e "$1/tls/client.pem" ] || cat >>"$1/init.sql" <<'SQL'
ALTER USER evs@'127.0.0.1' REQUIRE X509;
ALTER USER evs@localhost REQUIRE X509;
SQL
}

mysql_launch() {
    local tls=()
    [ ! -e "$1/tls" ] || tls=(--require-secure-transport=ON --ssl-ca="$1/tls/ca.pem"
        --ssl-cert="$1/tls/server.pem" --ssl-key="$1/tls/server.key")
    # A server that starts deletes the temporary tables of others that have the same folder for them, and
    # these crash. It is not on the disk of its own: there, a full disk would do the same.
    mkdir -p "$1.tmp"
    # What is acknowledged is on disk. The socket's path is relative to the data: long ones are refused.
    # shellcheck disable=SC2046 # nothing or one word
    launch "$1" mariadbd --no-defaults $(mysql_user) --datadir="$1/data" --init-file="$1/init.sql" \
        --tmpdir="$1.tmp" --bind-address=127.0.0.1 --port="$2" --socket=socket --pid-file=mariadbd.pid \
        --skip-name-resolve --innodb-flush-log-at-trx-commit=1 --innodb-buffer-pool-size=128M \
        --max-connections=300 "${tls[@]}"
}

mysql_ready() {
    local tls=()
    [ ! -e "$1/tls" ] || tls=(--ssl --ssl-ca="$1/tls/ca.pem" --ssl-verify-server-cert)
    [ ! -e "$1/tls/client.pem" ] || tls+=(--ssl-cert="$1/tls/client.pem" --ssl-key="$1/tls/client.key")
    MYSQL_PWD=evs timeout 5 mariadb --no-defaults --host=127.0.0.1 --port="$2" --user=evs "${tls[@]}" \
        --execute='SELECT 1' evs
}
