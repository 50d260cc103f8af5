# dash and bash: arithmetic, functions, pipes, subshells, signals.

fib() {
    if [ "$1" -lt 2 ]; then echo "$1"; else echo $(($(fib $(($1 - 1))) + $(fib $(($1 - 2))))); fi
}
echo "fib $(fib 12)"
echo "wrap $((9223372036854775807 + 1)) $((-7 / 2)) $((-7 % 2)) $((1 << 40)) $((0x7fffffff * 3))"

n=27
steps=0
while [ "$n" -ne 1 ]; do
    if [ $((n % 2)) -eq 0 ]; then n=$((n / 2)); else n=$((3 * n + 1)); fi
    steps=$((steps + 1))
done
echo "collatz $steps"

text=one.two.three
echo "cut ${text%%.*} ${text##*.} ${text%.*} ${#text}"
case abc in a?c) echo "case matches" ;; *) echo "case differs" ;; esac

trap 'echo "caught USR1"' USR1
kill -USR1 $$
sh -c 'exit 42'
echo "code $?"
sh -c 'kill -KILL $$'
echo "killed $?"

for i in 1 2 3 4 5 6 7 8; do (echo $((i * i)) >"square.$i") & done
wait
cat square.* | sort -n | tr '\n' ' '
echo

mkfifo pipe
(seq 1 1000 >pipe) &
sum=0
while read -r line; do sum=$((sum + line)); done <pipe
wait
echo "fifo $sum"

bash -c '
    declare -A count
    for word in the cat and the dog and the bird; do count[$word]=$((count[$word] + 1)); done
    for word in "${!count[@]}"; do echo "$word ${count[$word]}"; done | sort
    list=({1..200..7}); echo "${#list[@]} ${list[*]: -2}"
    [[ 2026-01-31 =~ ^([0-9]+)-([0-9]+) ]] && echo "${BASH_REMATCH[2]} of ${BASH_REMATCH[1]}"
    printf "%08x %5.2f %s\n" 3735928559 3.14159 end
'
