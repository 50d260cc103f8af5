# Work in rounds, told as each ends, for a guest that is moved between two of them: files, ciphers,
# sorting, and on each CPU a sleep that nothing but its timer's interrupt ends. timers.c counts every
# expiration of a timer meanwhile.

rounds=16

tcc -o timers /usr/lib/abide/checks/timers.c || exit
./timers >timers.said &
timers=$!

# How many interrupts the timer of a CPU has raised.
ticks() {
    awk -v column=$(($1 + 2)) '/arch_timer/ { sum += $column } END { print sum + 0 }' /proc/interrupts
}

cpus=$(nproc)
key=000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f
iv=101112131415161718191a1b1c1d1e1f
seq 1 6000 >first
round=1
while [ $round -le $rounds ]; do
    cpu=0
    while [ $cpu -lt "$cpus" ]; do
        before=$(ticks $cpu)
        taskset -c $cpu sleep 0.05
        [ "$(ticks $cpu)" -gt "$before" ] || echo "CPU $cpu: no timer interrupt"
        cpu=$((cpu + 1))
    done
    seq $round 3 6000 >numbers
    sort -R numbers | sort -n | cmp - numbers
    openssl enc -aes-256-ctr -K $key -iv $iv -in numbers -out secret
    openssl enc -d -aes-256-ctr -K $key -iv $iv -in secret | cmp - numbers
    gzip -c secret | gunzip | cmp - secret
    seq 1 6000 | cmp - first
    sum=$(cat secret first | sha256sum | cut -c1-16)
    echo "round $round of $rounds: $sum"
    round=$((round + 1))
done
kill -TERM $timers
wait $timers
code=$?
cat timers.said
exit $code
