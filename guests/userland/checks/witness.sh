# The witness (witness.c), which looks on while the other checks run. Read by `run`.

witness_begin() {
    tcc -o /tmp/abide-witness "$here/witness.c" -lm || return
    /tmp/abide-witness >/tmp/abide-witness.said 2>&1 &
    witness=$!
}

witness_end() {
    kill -TERM "$witness"
    wait "$witness"
    code=$?
    cat /tmp/abide-witness.said
    return $code
}
