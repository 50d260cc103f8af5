# Many processes at once, sharing pipes, files and CPUs.

seq 1 30000 >numbers
for i in 1 2 3 4; do
    (for round in 1 2 3; do sha256sum <numbers; sort -R numbers | sort -n | md5sum; done >"out.$i") &
done
wait
cat out.* | sort | uniq -c

seq 1 200 | xargs -P 8 -n 1 sh -c 'echo $(($0 * $0))' | sort -n | md5sum
yes | head -n 100000 | tr -d '\n' | wc -c
seq 1 20000 | tee a b | sed 's/$/x/' | tr -d x | cmp - a && cmp a b && echo "three ways"

i=0
while [ $i -lt 100 ]; do
    /bin/true || echo "true is false"
    i=$((i + 1))
done
echo "$i programs"

(
    exec 9>lock
    for i in 1 2 3 4 5 6; do
        (for j in 1 2 3 4 5; do
            flock lock sh -c 'n=$(cat count 2>/dev/null || echo 0); echo $((n + 1)) >count'
        done) &
    done
    wait
)
echo "counted $(cat count)"

sleep 1000 &
kill -STOP $!
ps -o stat= -p $! | cut -c1
kill -CONT $!
kill $!
wait $! 2>/dev/null
echo "ended $?"
