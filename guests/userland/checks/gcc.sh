# GCC in the guest: a big program on its own, and what it makes at each level of optimising.

cp /usr/lib/abide/checks/doubles.c .
for level in -O0 -O2 "-O3 -ftree-vectorize" "-Os -static"; do
    gcc $level -ffp-contract=off -o doubles doubles.c -lm && ./doubles >"out" && sha256sum <out
done
cat out
gcc -O2 -mno-outline-atomics -pthread -o threads /usr/lib/abide/checks/threads.c && ./threads
