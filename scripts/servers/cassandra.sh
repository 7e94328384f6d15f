# shellcheck shell=bash
cassandra_home() { echo "$SERVICES/cassandra"; }
cassandra_port_offset() { echo 9042; }
cassandra_install() { fail "cassandra: not yet"; }
cassandra_url() { echo "cassandra://127.0.0.1:$1/evs"; }
