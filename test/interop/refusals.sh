# Wrong peers: each must be refused, and by the side that is to notice. Sourced by run.sh.

# What each side says of each kind of wrong peer: id (not the one that is allowed or expected), foreign (a trust domain
# whose bundle nobody has), forged (the right SPIFFE ID, issued by a CA of the same name as ours), expired, none (no
# client certificate at all). In Node a client is told by OpenSSL, a server by our own verification. Python tells no more.
declare -A says=(
  [node:id]='is not authorized'
  [node:foreign]='(no X.509 bundle (found|of an acceptable trust domain is held)|unable to get local issuer certificate)'
  [node:forged]='(signed by unknown authority|self-signed certificate in certificate chain)'
  [node:expired]='certificate has expired'
  [node:none]='peer presented no certificate'
  [go:id]='unexpected ID'
  [go:foreign]='no X.509 bundle for trust domain "foreign.test"'
  [go:forged]='certificate signed by unknown authority'
  [go:expired]='certificate has expired'
  [go:none]="client didn't provide a certificate"
  [rust:id]='peer SPIFFE ID is not authorized'
  [rust:foreign]='no bundle for trust domain foreign.test'
  [rust:forged]='UnknownIssuer'
  [rust:expired]='certificate expired'
  [rust:none]='peer sent no certificates'
  [python:id]='certificate verify failed'
  [python:foreign]='certificate verify failed'
  [python:forged]='certificate verify failed'
  [python:expired]='certificate verify failed'
  [python:none]='peer did not return a certificate'
  [java:id]='is not accepted'
  [java:foreign]='No X.509 bundle for trust domain foreign.test'
  [java:forged]='(Path does not chain with any of the trust anchors|signature check failed)'
  [java:expired]='CertificateExpiredException'
  [java:none]='Empty client certificate chain'
)
foreign_id=spiffe://foreign.test/stranger

wrong_peers() {
  start_server foreign foreign.test $((port + 1))
  node "$bin/spire-server" x509 mint -spiffeID $foreign_id -write "$work/foreign" -socketPath "$work/foreign.sock" >/dev/null
  for language in node "${languages[@]}"; do
    forge "$language"
    mkdir "$work/expired-$language"
    server x509 mint -spiffeID "$(id_of "$language")" -ttl 1s -write "$work/expired-$language" >/dev/null
  done
  sleep 2
  for language in "${languages[@]}"; do
    refused=0
    client_and_server "$language" node
    client_and_server node "$language"
    echo "interop refusals ok: $language and node in both roles: $refused of $refused wrong peers refused by the right side"
  done
}

# client_and_server SIDE PEER: what SIDE must refuse, first as a client and then as a server.
client_and_server() {
  local side=$1 peer=$2 peer_id side_id
  peer_id=$(id_of "$peer")
  side_id=$(id_of "$side")

  client_refuses "$side" id "${address_of[$peer-serves-$side]}" "$(id_of other)"
  stranger_serves "$side" foreign "$work/foreign" $foreign_id
  stranger_serves "$side" forged "$work/forged-$peer" "$peer_id"
  stranger_serves "$side" expired "$work/expired-$peer" "$peer_id"

  start_workload "$side-serves-other" "$side" "$(id_of other)"
  (workload "$peer" call "$address" "$side_id" 1 1) >"$work/caller.log" 2>&1 || true
  grep -q '^calls=1 failed=1 ' "$work/caller.log" ||
    fail "$side did not refuse $peer, which it does not allow: $(tail -n 1 "$work/caller.log")"
  server_refused "$side" id "$side-serves-other"
  stop "$started"

  start_workload "$side-serves-foreign" "$side" $foreign_id
  stranger_calls "$side" foreign "$side-serves-foreign" "$work/foreign"
  stop "$started"
  stranger_calls "$side" forged "$side-serves-$peer" "$work/forged-$peer"
  stranger_calls "$side" expired "$side-serves-$peer" "$work/expired-$peer"
  stranger_calls "$side" none "$side-serves-$peer"
}

# client_refuses SIDE KIND ADDRESS EXPECTED_ID
client_refuses() {
  (workload "$1" call "$3" "$4" 1 1) >"$work/caller.log" 2>&1 || true
  grep -q '^calls=1 failed=1 ' "$work/caller.log" || fail "the client in $1 did not refuse a wrong server ($2): $(tail -n 1 "$work/caller.log")"
  grep -Eq "^failed: .*${says[$1:$2]}" "$work/caller.log" || fail "$1, $2: $(grep '^failed' "$work/caller.log")"
  count_refusal "$1" client "$2" "$(grep -m 1 '^failed' "$work/caller.log")"
}

# stranger_serves SIDE KIND FOLDER EXPECTED_ID: a server with the certificate of FOLDER, which is content with any client.
stranger_serves() {
  next_address
  background stranger node "$here/node/stranger.mjs" serve "$address" "$3" "$(id_of "$1")"
  until_true 10 grep -q '^serving' "$work/stranger.log"
  client_refuses "$1" "$2" "$address" "$4"
  stop "$started"
}

# stranger_calls SIDE KIND SERVER [FOLDER]: a client with the certificate of FOLDER, which is content with any server.
stranger_calls() {
  node "$here/node/stranger.mjs" call "${address_of[$3]}" ${4+"$4"} >"$work/stranger.log" 2>&1
  grep -q '^not answered' "$work/stranger.log" || fail "the server in $1 answered a wrong client ($2)"
  server_refused "$1" "$2" "$3"
}

# server_refused SIDE KIND SERVER: the last line of its log says so.
server_refused() {
  until_true 5 grep -Eq "^refused: .*${says[$1:$2]}" "$work/$3.log"
  count_refusal "$1" server "$2" "$(grep '^refused' "$work/$3.log" | tail -n 1)"
  # So that the next refusal is not taken for this one.
  : >"$work/$3.log"
}

count_refusal() {
  refused=$((refused + 1))
  [ -z "${INTEROP_VERBOSE:-}" ] || echo "  the $2 in $1 refused ($3): $4"
}

# forge LANGUAGE: the right SPIFFE ID from another CA, which has the name of ours.
forge() {
  local folder=$work/forged-$1 name
  mkdir "$folder"
  name=$(openssl x509 -in "$work/bundle.pem" -noout -subject -nameopt compat | sed 's/^subject= *//')
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj "$name" \
    -addext subjectAltName=URI:spiffe://example.org -addext keyUsage=critical,keyCertSign,cRLSign \
    -keyout "$folder/ca-key.pem" -out "$folder/ca.pem" 2>/dev/null
  openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /C=US/O=SPIRE \
    -keyout "$folder/key.pem" -out "$folder/request.pem" 2>/dev/null
  printf '%s\n' "subjectAltName=URI:$(id_of "$1")" basicConstraints=critical,CA:FALSE keyUsage=critical,digitalSignature \
    extendedKeyUsage=serverAuth,clientAuth >"$folder/extensions"
  openssl x509 -req -in "$folder/request.pem" -CA "$folder/ca.pem" -CAkey "$folder/ca-key.pem" -CAcreateserial -days 1 \
    -extfile "$folder/extensions" -out "$folder/leaf.pem" 2>/dev/null
  cat "$folder/leaf.pem" "$folder/ca.pem" >"$folder/svid.pem"
}
