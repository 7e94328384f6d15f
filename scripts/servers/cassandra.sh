# shellcheck shell=bash
# A node of Apache Cassandra, from Maven Central, which runs in a plain Java. Sourced by `scripts/services`.

CASSANDRA_VERSION=5.0.8
CASSANDRA=$PROGRAMS/cassandra-$CASSANDRA_VERSION

cassandra_home() { echo "$SERVICES/cassandra"; }
cassandra_port_offset() { echo 9042; }
cassandra_stop_signal() { echo TERM; }
cassandra_url() { echo "cassandra://127.0.0.1:$1/evs"; }
cassandra_killed() { :; }

# The program of a Java 17, which is what Cassandra 5.0 asks for.
cassandra_java() {
    local java
    for java in "${JAVA_HOME:-/none}/bin/java" /usr/lib/jvm/*17*/bin/java "$(command -v java)"; do
        if [ -x "$java" ] && "$java" -version 2>&1 | grep 'version "17[."]' >/dev/null; then
            echo "$java"
            return
        fi
    done
    return 1
}

cassandra_install() {
    if [ ! -e "$CASSANDRA/complete" ] || ! cassandra_java >/dev/null; then
        locked_install cassandra cassandra_packages
    fi
}

cassandra_packages() {
    cassandra_java || apt_install openjdk-17-jre-headless
    # Says one statement to a new node.
    command -v python3 || apt_install python3
    [ ! -e "$CASSANDRA/complete" ] || return 0
    command -v mvn || apt_install maven
    rm -rf "$CASSANDRA"
    mkdir -p "$CASSANDRA"
    cat >"$CASSANDRA/pom.xml" <<XML
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>evs</groupId>
  <artifactId>cassandra</artifactId>
  <version>1</version>
  <dependencies>
    <dependency>
      <groupId>org.apache.cassandra</groupId>
      <artifactId>cassandra-all</artifactId>
      <version>$CASSANDRA_VERSION</version>
    </dependency>
  </dependencies>
</project>
XML
    mvn --batch-mode --quiet --file "$CASSANDRA/pom.xml" dependency:copy-dependencies -DincludeScope=runtime \
        -DoutputDirectory="$CASSANDRA/lib"
    touch "$CASSANDRA/complete"
}

# Begins with a node that has run once and has the keyspace.
cassandra_template() {
    local port
    mkdir "$1/data"
    keep_free_port "$1/port"
    port=$(cat "$1/port")
    FOLDER=$1
    cassandra_launch "$1" "$port"
    # Whatever fails below, the node does not stay behind.
    trap 'kill -KILL "$(cat "$FOLDER/pid")" 2>/dev/null || true' EXIT
    await_ready cassandra "$1" "$port"
    python3 "$HERE/servers/cql.py" 127.0.0.1 "$port" "CREATE KEYSPACE IF NOT EXISTS evs
        WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}"
    kill "$(cat "$1/pid")"
    await_end 120 "$(cat "$1/pid")"
    trap - EXIT
    rm "$1"/{pid,port,storage_port,announce,log}
}

# What its kind of key store for PEM asks for: key and certificate in one file.
cassandra_tls() {
    cat "$1/tls/server.key" "$1/tls/server.pem" >"$1/tls/keystore.pem"
}

cassandra_launch() {
    local folder=$1 port=$2 java option options=()
    java=$(cassandra_java)
    [ -e "$folder/storage_port" ] || keep_free_port "$folder/storage_port"
    [ -e "$folder/announce" ] || echo "${EVS_CASSANDRA_ANNOUNCE:-127.0.0.1}" >"$folder/announce"
    cassandra_yaml "$port" "$(cat "$folder/storage_port")" "$(cat "$folder/announce")" \
        >"$folder/cassandra.yaml"
    [ ! -e "$folder/tls" ] || cassandra_yaml_tls "$folder/tls" >>"$folder/cassandra.yaml"
    cassandra_logback >"$folder/logback.xml"
    mkdir -p "$folder/tmp"
    for option in java.base/jdk.internal.misc java.base/java.lang.ref \
        java.management.rmi/com.sun.jmx.remote.internal.rmi java.rmi/sun.rmi.registry \
        java.rmi/sun.rmi.server java.sql/java.sql jdk.unsupported/sun.misc \
        jdk.compiler/com.sun.tools.javac.file jdk.attach/sun.tools.attach; do
        options+=("--add-exports=$option=ALL-UNNAMED")
    done
    for option in java.base/java.lang.module java.base/jdk.internal.loader java.base/jdk.internal.ref \
        java.base/jdk.internal.reflect java.base/jdk.internal.math java.base/jdk.internal.module \
        java.base/jdk.internal.util.jar java.base/sun.nio.ch java.base/java.io java.base/java.lang.reflect \
        java.base/java.lang java.base/java.util jdk.management/com.sun.management.internal \
        jdk.compiler/com.sun.tools.javac; do
        options+=("--add-opens=$option=ALL-UNNAMED")
    done
    # A small heap, for two nodes may run beside a build, and the quick compiler alone: what starts in seconds
    # is worth more here than what is fast after minutes.
    MALLOC_ARENA_MAX=4 launch "$folder" "$java" -cp "$CASSANDRA/lib/*" \
        -Xms256m -Xmx640m -Xss256k -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:+ExitOnOutOfMemoryError \
        -XX:+PerfDisableSharedMem -XX:-UsePerfData "-javaagent:$(echo "$CASSANDRA"/lib/jamm-*.jar)" \
        -Djdk.attach.allowAttachSelf=true -Djava.net.preferIPv4Stack=true -Djava.io.tmpdir="$folder/tmp" \
        -Dio.netty.tryReflectionSetAccessible=true -Dio.netty.allocator.useCacheForAllThreads=true \
        -Dio.netty.allocator.maxOrder=11 "${options[@]}" \
        -Dcassandra.config="file://$folder/cassandra.yaml" -Dcassandra.storagedir="$folder/data" \
        -Dcassandra.logdir="$folder" -Dlogback.configurationFile="file://$folder/logback.xml" \
        -Dcassandra-foreground=yes -Dcassandra.skip_wait_for_gossip_to_settle=0 -Dcassandra.ring_delay_ms=0 \
        -Dcassandra.superuser_setup_delay_ms=0 org.apache.cassandra.service.CassandraDaemon
}

# `cassandra_yaml PORT STORAGE_PORT ANNOUNCE`: the settings that have no default, the addresses, and
# - what is acknowledged is on disk;
# - no snapshot of each table that a test drops;
# - time for a machine that is busy with the tests themselves.
cassandra_yaml() {
    cat <<YAML
cluster_name: evs
num_tokens: 1
auto_bootstrap: false
partitioner: org.apache.cassandra.dht.Murmur3Partitioner
endpoint_snitch: SimpleSnitch
commitlog_sync: batch
auto_snapshot: false
write_request_timeout: 10s
read_request_timeout: 10s
range_request_timeout: 20s
listen_address: 127.0.0.1
storage_port: $2
rpc_address: 127.0.0.1
broadcast_rpc_address: $3
start_native_transport: true
native_transport_port: $1
seed_provider:
  - class_name: org.apache.cassandra.locator.SimpleSeedProvider
    parameters: [{seeds: "127.0.0.1:$2"}]
YAML
}

# `cassandra_yaml_tls FOLDER`
cassandra_yaml_tls() {
    local asks=false
    [ ! -e "$1/client.pem" ] || asks=true
    cat <<YAML
client_encryption_options:
  enabled: true
  optional: false
  require_client_auth: $asks
  ssl_context_factory:
    class_name: org.apache.cassandra.security.PEMBasedSslContextFactory
  keystore: $1/keystore.pem
  truststore: $1/ca.pem
YAML
}

cassandra_logback() {
    cat <<'XML'
<configuration>
  <appender name="log" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%d %-5level %logger{20} %msg%n%ex{4}</pattern></encoder>
  </appender>
  <root level="WARN"><appender-ref ref="log"/></root>
</configuration>
XML
}

cassandra_ready() {
    local tls=()
    [ ! -e "$1/tls" ] || tls=("$1/tls")
    port_taken "$2" &&
        timeout 30 python3 "$HERE/servers/cql.py" 127.0.0.1 "$2" 'SELECT key FROM system.local' "${tls[@]}"
}
